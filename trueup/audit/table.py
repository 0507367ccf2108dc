"""The audit of one table on all followers: walk, settle, checkpoint.

The walk does not wait for suspects: chunks that hold some are checkpointed as pending and finished when the last of
their keys has settled, so waiting overlaps with reading. What a resumed run reads again is exactly the pending
chunks and the part of the table that was not reached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trueup.audit.progress import Watcher
from trueup.audit.report import Tally
from verifier.chunk import ChunkSize
from verifier.compare import Comparison
from verifier.drift import Drift, Verdict
from verifier.errors import Temporary
from verifier.identity import drift_id
from verifier.journal import ChunkResult, RunJournal
from verifier.keyrange import Chunk
from verifier.outcome import Differs, Judging, Moving
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.ports import Clock, Gather, Replica
from verifier.scan import ChunkRead, FollowerChunk, TableScan, remaining
from verifier.settle import Leaving, Room
from verifier.table import Key, Table

PENDING = "suspects not settled yet"


@dataclass(frozen=True, slots=True)
class Tools:
    """What every table's audit needs. `judge` starts an attempt at keys of a table on a follower; `stop` says that
    the user wants to end (the chunk in hand is finished, suspects are not waited for)."""

    group: str
    run_id: str
    leader: Replica
    journal: RunJournal
    clock: Clock
    gather: Gather[object]
    judge: Callable[[Replica, Comparison, list[Key]], Judging]
    watcher: Watcher
    scan: ScanPolicy
    settle: SettlePolicy
    drifts_shown: int = 1000
    stop: Callable[[], bool] = lambda: False
    retry_seconds: float = 60.0
    connected_again: Callable[[str], None] = lambda _: None


@dataclass(slots=True)
class _Open:
    """A chunk on one follower whose suspects have not all settled."""

    chunk: Chunk
    read: FollowerChunk
    leader_rows: ChunkRead
    waiting: int
    drifts: list[Drift] = field(default_factory=list)
    unsettled: int = 0
    reason: str | None = None


@dataclass(slots=True)
class TableAudit:
    """One table, several followers. `run` returns a tally and the shown drift per follower; True in `interrupted` if
    the user stopped it or `rows_left` was used up."""

    tools: Tools
    table: Table
    sides: Mapping[str, tuple[Replica, Comparison]]
    rows_left: int | None = None
    tallies: dict[str, Tally] = field(default_factory=dict)
    drifts: dict[str, list[Drift]] = field(default_factory=dict)
    interrupted: bool = False
    _rooms: dict[str, Room[int]] = field(default_factory=dict)
    _open: dict[tuple[str, int], _Open] = field(default_factory=dict)
    _resumed_ids: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Temporary if the leader stays away longer than `retry_seconds`; what was finished is in the journal."""
        for name, (replica, compared) in self.sides.items():
            self.tallies[name], self.drifts[name] = Tally(), []
            self._rooms[name] = Room(self._judge(replica, compared), self.tools.settle)
        scan = self._resumed()
        failing_since: float | None = None
        while not scan.done or any(self._rooms.values()):
            if self.tools.stop() or (self.rows_left is not None and self.rows_left <= 0 and not scan.done):
                self.interrupted = True
                return
            now = self.tools.clock.now()
            self._settle(now)
            if scan.done or sum(map(len, self._rooms.values())) >= self.tools.scan.suspects_max:
                self._wait(now)
                continue
            try:
                self._take(scan.step())
                failing_since = None
            except Temporary as problem:
                failing_since = failing_since or now
                self._endure(problem, failing_since, scan)

    def _judge(self, replica: Replica, compared: Comparison) -> Callable[[list[Key]], Judging]:
        return lambda keys: self.tools.judge(replica, compared, keys)

    def _resumed(self) -> TableScan:
        """The walk that is left after what the journal holds of this run."""
        settled: dict[int, Chunk] = {}
        pending: dict[int, Chunk] = {}
        results = self.tools.journal.results(self.tools.run_id, self.table.name)
        unfinished = {r.chunk.index for r in results if r.reason == PENDING}
        for result in results:
            if result.chunk.index in unfinished:
                pending[result.chunk.index] = result.chunk
            elif result.follower in self.tallies:
                settled[result.chunk.index] = result.chunk
                self.tallies[result.follower].add(result)
        for drift in self.tools.journal.drifts(self.tools.run_id, self.table.name, 1_000_000):
            if drift.follower in self.tallies:
                self._keep(drift)
                self._resumed_ids.add(drift.id)
        todo = remaining(list(settled.values()), list(pending.values()))
        size = ChunkSize(self.tools.scan)
        return TableScan(self.tools.leader, self.sides, size, self.tools.clock, self.tools.gather, todo)

    def _take(self, read: ChunkRead) -> None:
        now = self.tools.clock.now()
        results: list[ChunkResult] = []
        for name, seen in read.followers.items():
            held = _Open(read.chunk, seen, read, len(seen.suspects))
            if seen.suspects:
                self._open[name, read.chunk.index] = held
                self._rooms[name].admit(seen.suspects, read.chunk.index, now)
            results.append(self._result(name, held, now))
        for name, reason in read.failed.items():
            held = _Open(read.chunk, FollowerChunk(read.leader, {}), read, 0, reason=reason)
            results.append(self._result(name, held, now))
        self.tools.journal.checkpoint(self.tools.run_id, results, [])
        for result in results:
            if result.reason != PENDING:
                self.tallies[result.follower].add(result)
        if self.rows_left is not None:
            self.rows_left -= read.leader.rows
        self._tell(read.leader.rows)

    def _settle(self, now: float) -> None:
        for name, room in self._rooms.items():
            due = room.next_due()
            if due is not None and due <= now:
                self._leave(name, room.advance(now), now)

    def _leave(self, name: str, leaving: list[Leaving[int]], now: float) -> None:
        finished: list[_Open] = []
        for left in leaving:
            held = self._open[name, left.tag]
            held.waiting -= 1
            if isinstance(left.outcome, Differs):
                held.drifts.append(self._drift(name, left.key, left.outcome, now))
            elif isinstance(left.outcome, Moving):
                held.unsettled += 1
                held.reason = f"in flight for longer than {self.tools.settle.give_up_seconds:g} s: {left.outcome.why}"
            if not held.waiting:
                finished.append(self._open.pop((name, left.tag)))
        for held in finished:
            result = self._result(name, held, now)
            self.tools.journal.checkpoint(self.tools.run_id, [result], held.drifts)
            self.tallies[name].add(result)
            for drift in held.drifts:
                if drift.id not in self._resumed_ids:
                    self._keep(drift)
        if finished:
            self._tell(0)

    def _keep(self, drift: Drift) -> None:
        self.tallies[drift.follower].found(drift)
        if len(self.drifts[drift.follower]) < self.tools.drifts_shown:
            self.drifts[drift.follower].append(drift)

    def _drift(self, name: str, key: Key, outcome: Differs, now: float) -> Drift:
        found = drift_id(self.tools.group, name, self.table.name, key)
        return Drift(
            found, self.tools.group, name, self.table.name, key, outcome.kind, outcome.columns, outcome.evidence, now
        )

    def _result(self, name: str, held: _Open, now: float) -> ChunkResult:
        verdict = Verdict.MATCH
        reason = held.reason
        if held.waiting:
            verdict, reason = Verdict.UNVERIFIED, PENDING
        elif held.drifts:
            verdict = Verdict.DRIFT
        elif held.reason is not None:
            verdict = Verdict.UNVERIFIED
        return ChunkResult(
            chunk=held.chunk,
            follower=name,
            verdict=verdict,
            leader=held.leader_rows.leader,
            follower_digest=held.read.digest,
            drifted=len(held.drifts),
            unsettled=held.unsettled,
            reason=reason,
            seconds=held.leader_rows.seconds,
            at=now,
        )

    def _wait(self, now: float) -> None:
        due = [room.next_due() for room in self._rooms.values()]
        soonest = min((at for at in due if at is not None), default=now)
        self.tools.clock.sleep(min(max(soonest - now, 0.0), 0.2))

    def _endure(self, problem: Temporary, since: float, scan: TableScan) -> None:
        """The leader could not be read: retry from the same place, with smaller chunks, until patience ends."""
        if self.tools.clock.now() - since > self.tools.retry_seconds:
            raise problem
        self.tools.watcher.note(f"{self.table.name}: {problem}; trying again")
        scan.retreat()
        self.tools.clock.sleep(problem.delay_seconds)

    def _tell(self, rows: int) -> None:
        drifted = sum(sum(tally.kinds.values()) for tally in self.tallies.values())
        waiting = sum(map(len, self._rooms.values()))
        self.tools.watcher.rows_read(rows, suspects=waiting, drifted=drifted)
