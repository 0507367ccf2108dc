"""The audit of one table on all followers: walk, settle, checkpoint.

The walk does not wait: chunks that hold suspects are checkpointed as pending and finished when the last of their keys
has settled, and a follower that cannot be read owes the chunk while the others go on. What a resumed run reads again
is exactly the pending chunks of each follower and the part of the table that was not reached. Drift is in the journal
alone, so memory does not grow with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from trueup.audit.behind import Behind
from trueup.audit.opened import PENDING, Opened
from trueup.audit.report import Tally
from trueup.audit.tools import RowBudget
from trueup.audit.tools import Tools as Tools
from verifier.chunk import ChunkSize
from verifier.compare import Comparison
from verifier.digest import EMPTY
from verifier.drift import Drift, Verdict
from verifier.errors import Permanent, Temporary, Unreachable
from verifier.excerpt import excerpts
from verifier.identity import drift_id, listed
from verifier.journal import ChunkResult
from verifier.keyrange import Chunk
from verifier.outcome import Differs, Judging, Moving
from verifier.ports import Replica
from verifier.reread import Reread
from verifier.scan import ChunkRead, TableScan, remaining
from verifier.settle import Leaving, Room
from verifier.table import Key, Table


@dataclass(slots=True)
class TableAudit:
    """One table on `sides`. After `run`: what was found per follower in `tallies`, why one was given up in `problems`;
    `interrupted` if the user stopped it or the `budget` was used up, `resumable` if a server stayed away."""

    tools: Tools
    table: Table
    sides: dict[str, tuple[Replica, Comparison]]
    budget: RowBudget = field(default_factory=RowBudget)
    tallies: dict[str, Tally] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    resumable: bool = False
    _rooms: dict[str, Room[int]] = field(default_factory=dict)
    _open: dict[tuple[str, int], Opened] = field(default_factory=dict)
    _behind: dict[str, Behind] = field(default_factory=dict)
    _drifted: int = 0
    _untold: list[ChunkResult] = field(default_factory=list)
    """Of the last chunk: the journal is told while the servers read the next one."""

    def run(self) -> None:
        """Temporary if the leader stays away longer than `retry_seconds`; what was finished is in the journal."""
        try:
            self._walk()
        finally:
            self._tell_journal()

    def _walk(self) -> None:
        for name, (replica, compared) in self.sides.items():
            self.tallies[name] = Tally()
            self._rooms[name] = Room(self._judge(replica, compared), self.tools.settle)
            self._behind[name] = Behind(self._reread(name))
        scan = self._resumed()
        failing_since: float | None = None
        while self.sides and (not scan.done or any(self._rooms.values()) or any(self._behind.values())):
            self._hold()
            if self.tools.stop():
                self.interrupted = True
                return
            if self.budget.spent and not scan.done:
                self.interrupted = True
                scan.todo.clear()  # what was read is settled all the same
                continue
            try:
                self._go_on(scan)
                failing_since = None
            except Temporary as problem:
                failing_since = self._endure(problem, failing_since, scan)

    def _go_on(self, scan: TableScan) -> None:
        """One thing, and settle what is due: a chunk that a follower owes, the next chunk, or a moment's rest."""
        now = self.tools.clock.now()
        full = sum(map(len, self._rooms.values())) >= scan.size.suspects_max
        owing = [name for name, behind in self._behind.items() if behind.due(now)]
        present = {name: side for name, side in self.sides.items() if not self._behind[name].failing}
        if present and not owing and not full and not scan.done:
            scan.sides = present
            self._step(scan)
            return
        self._tell_journal()
        self._settle(now)
        if owing and not full and owing[0] in self.sides:
            self._catch_up(owing[0])
        elif self.sides:
            self._wait(now)

    def _hold(self) -> None:
        """Wait while a brake holds. Suspects are given that time again: nobody looked at them."""
        if self.tools.brakes is not None and self.tools.brakes.held(self.table.name) is not None:
            self._tell_journal()
            if waited := self.tools.brakes.hold(self.table.name):
                for room in self._rooms.values():
                    room.forgive(waited)

    def _step(self, scan: TableScan) -> None:
        """The next chunk of the walk. Suspects of the chunks before it settle meanwhile, so that the servers do not
        wait for them."""
        reading, clock = self.tools.beside(lambda: self._read(scan)), self.tools.clock
        try:
            self._tell_journal()
            self._settle(clock.now())
            while not reading.done(None if (due := self._settles_at()) is None else max(0.001, due - clock.now())):
                self._settle(clock.now())
        except BaseException:
            reading.done(None)  # nothing goes on behind the back of whoever handles this
            raise
        self._take(reading.result())

    def _read(self, scan: TableScan) -> ChunkRead:
        """The next chunk once the rate allows it. Touches nothing but the scan: it may run on another thread."""
        brakes, rows, most = self.tools.brakes, scan.size.rows, max(1, scan.size.suspects_max // 2)
        if brakes is not None:
            brakes.admit(rows)
        found = 0
        try:
            read = scan.step()
            found = read.leader.rows
        finally:
            if brakes is not None:
                brakes.read(rows, found)
        scan.size.crowd(max(found, 1), max((len(s.suspects) for s in read.followers.values()), default=0), most)
        return read

    def _judge(self, replica: Replica, compared: Comparison) -> Callable[[list[Key]], Judging]:
        return lambda keys: self.tools.judge(replica, compared, keys)

    def _reread(self, name: str) -> Reread:
        policy, tools = self.tools.scan, self.tools
        alone = TableScan(tools.leader, {name: self.sides[name]}, ChunkSize(policy), tools.clock, tools.gather, [])
        return Reread(alone, name, policy.rows_min, policy.rows_packed)

    def _resumed(self) -> TableScan:
        """The walk that is left after what the journal holds of this run; followers owe what they have no result of."""
        known: dict[int, Chunk] = {}
        rows: dict[int, int] = {}
        done: set[tuple[int, str]] = set()
        for result in self.tools.journal.results(self.tools.run_id, self.table.name):
            index = result.chunk.index
            known[index], rows[index] = result.chunk, max(rows.get(index, 0), result.leader.rows)
            if result.reason != PENDING and result.follower in self.tallies:
                self.tallies[result.follower].add(result)
                done.add((index, result.follower))
        for index in sorted(known):
            for name in self.sides:
                if (index, name) not in done:
                    self._behind[name].owe(known[index], rows[index])
        todo = remaining(list(known.values()))
        tools = self.tools
        return TableScan(tools.leader, self.sides, ChunkSize(tools.scan), tools.clock, tools.gather, todo)

    def _catch_up(self, name: str) -> None:
        behind = self._behind[name]
        read = behind.read()
        if name in read.failed:
            self._stumble(name, read.failed[name], for_good=name in read.refused)
            return
        self.tools.away.discard(name)
        more = not behind.paid()
        self._record([self._admit(name, read, self.tools.clock.now(), more=more)])

    def _take(self, read: ChunkRead) -> None:
        """A chunk of the walk: those who could not be read owe it."""
        owing = {name: self._behind[name] for name in self.sides if name not in read.followers}
        for behind in owing.values():
            behind.owe(read.chunk, read.leader.rows)
        self._keep(read, owing)
        for name, reason in read.failed.items():
            if name in self.sides:
                self._stumble(name, reason, for_good=name in read.refused)
        self.budget.take(read.leader.rows)
        self._tell(read.leader.rows)

    def _keep(self, read: ChunkRead, owing: Collection[str]) -> None:
        """Checkpoint the chunk, and let its suspects in."""
        now = self.tools.clock.now()
        results = [Opened(read.chunk, 1, read.leader).result(name, now) for name in owing]
        results += [self._admit(name, read, now) for name in read.followers if name in self.sides]
        self._untold += results

    def _admit(self, name: str, read: ChunkRead, now: float, *, more: bool = False) -> ChunkResult:
        """Let the suspects of a chunk, or of one of its parts, into the room; `more` parts are still to come."""
        place, seen = (name, read.chunk.index), read.followers[name]
        fresh = [key for key in seen.suspects if key not in self._rooms[name]]
        held = self._open.pop(place, None) or Opened(read.chunk, 1)
        held.add(read, seen.digest, len(fresh))
        held.waiting -= not more
        if held.waiting:
            self._open[place] = held
            self._rooms[name].admit(fresh, read.chunk.index, now)
        return held.result(name, now)

    def _settle(self, now: float) -> None:
        for name, room in list(self._rooms.items()):
            due = room.next_due()
            if due is None or due > now:
                continue
            try:
                leaving = room.advance(now)
            except Permanent as problem:
                self._lose(name, str(problem), temporary=False)
            else:
                self._leave(name, leaving, now)

    def _leave(self, name: str, leaving: list[Leaving[int]], now: float) -> None:
        """Drift is recorded before its chunk is finished: a resumed run finds it again under the same id."""
        drifts: list[Drift] = []
        finished: list[Opened] = []
        for left in leaving:
            held = self._open[name, left.tag]
            held.waiting -= 1
            if isinstance(left.outcome, Differs):
                held.drifted += 1
                drifts.append(self._drift(name, left.key, left.outcome, now))
            elif isinstance(left.outcome, Moving):
                held.unsettled += 1
                held.reason = f"in flight for longer than {self.tools.settle.give_up_seconds:g} s: {left.outcome.why}"
            if not held.waiting:
                finished.append(self._open.pop((name, left.tag)))
        if finished or drifts:
            drifts.sort(key=lambda drift: listed(drift.key))
            self._record([held.result(name, now) for held in finished], drifts)
            self._drifted += len(drifts)
            self._tell(0)

    def _tell_journal(self) -> None:
        if self._untold:
            told, self._untold = self._untold, []
            self._record(told)

    def _record(self, results: list[ChunkResult], drifts: Sequence[Drift] = ()) -> None:
        self._tell_journal()
        self.tools.journal.checkpoint(self.tools.run_id, results, drifts)
        for result in results:
            if result.reason != PENDING:
                self.tallies[result.follower].add(result)

    def _drift(self, name: str, key: Key, outcome: Differs, now: float) -> Drift:
        tools, table = self.tools, self.table.name
        found, columns = drift_id(tools.group, name, table, key), excerpts(outcome.columns, tools.masking.hide(table))
        return Drift(found, tools.group, name, table, key, outcome.kind, columns, outcome.evidence, now)

    def _stumble(self, name: str, reason: str, *, for_good: bool) -> None:
        """A follower could not be read: go on without it for a while, or for good."""
        if for_good:
            self._lose(name, reason, temporary=False)
            return
        behind, now = self._behind[name], self.tools.clock.now()
        patience = 0.0 if name in self.tools.away else self.tools.retry_seconds
        failing = behind.failed(now)
        if behind.tries == 1 and (why := self._changed(name)):
            self._lose(name, why, temporary=False)
        elif failing > patience:
            self.tools.away.add(name)
            self._lose(name, reason, temporary=True)
        elif behind.tries == 1:
            self.tools.watcher.note(f"{self.table.name} on {name}: {reason}; trying again")

    def _changed(self, name: str) -> str | None:
        try:
            return self.tools.changed(name)
        except (Temporary, Permanent):
            return None  # whatever it is, the next try tells

    def _lose(self, name: str, reason: str, *, temporary: bool) -> None:
        """No more of this follower in this table. What it owes stays pending in the journal if it may come back."""
        now = self.tools.clock.now()
        self.problems[name] = reason
        self.resumable = self.resumable or temporary
        self.sides = {other: side for other, side in self.sides.items() if other != name}
        room, behind = self._rooms.pop(name), self._behind.pop(name)
        room.give_up(reason)
        lost = {index: held for (follower, index), held in self._open.items() if follower == name}
        self._open = {place: held for place, held in self._open.items() if place[0] != name}
        results = [replace(held.result(name, now), reason=reason, verdict=Verdict.UNVERIFIED) for held in lost.values()]
        results += [_unread(name, chunk, reason, now) for chunk in behind.chunks() if chunk.index not in lost]
        if temporary:
            for result in results:
                self.tallies[name].add(result)
        else:
            self._record(results)
        self.tools.watcher.note(f"{self.table.name} on {name}: given up: {reason}")

    def _wait(self, now: float) -> None:
        """A moment's rest: until something is due."""
        due = [self._settles_at(), *(behind.next_due() for behind in self._behind.values())]
        soonest = min((at for at in due if at is not None), default=now)
        self.tools.clock.sleep(min(max(soonest - now, 0.001), 0.2))

    def _settles_at(self) -> float | None:
        return min((at for room in self._rooms.values() if (at := room.next_due()) is not None), default=None)

    def _endure(self, problem: Temporary, since: float | None, scan: TableScan) -> float:
        """The leader could not be read: retry from the same place until patience ends, which begins anew as long as
        there are smaller chunks to try. Returns since when it fails."""
        now = self.tools.clock.now()
        rows = scan.size.rows
        if not isinstance(problem, Unreachable):
            scan.retreat()
        if since is not None and scan.size.rows == rows and now - since > self.tools.retry_seconds:
            self.resumable = True
            raise problem
        if since is None or scan.size.rows < rows:
            since = now
            self.tools.watcher.note(f"{self.table.name}: {problem}; trying again")
        rested = self.tools.clock.now() + problem.delay_seconds
        while not self.tools.stop() and (left := rested - self.tools.clock.now()) > 0:
            self.tools.clock.sleep(min(left, 0.2))
        return since

    def _tell(self, rows: int) -> None:
        waiting = sum(map(len, self._rooms.values()))
        self.tools.watcher.rows_read(self.table.name, rows, suspects=waiting, drifted=self._drifted)


def _unread(name: str, chunk: Chunk, reason: str, now: float) -> ChunkResult:
    return ChunkResult(chunk, name, Verdict.UNVERIFIED, EMPTY, EMPTY, reason=reason, at=now)
