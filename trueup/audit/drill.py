"""`trueup audit --restored-at`: a restored backup against its leader at the moment that was noted when it began.

The rule is in `verifier.recorded`. A table is walked in the leader's order; a chunk in which nothing changed since is
one digest on each side, of the leader's rows that are older than the moment. Where they differ, keys are told apart:
rows that must be in the backup and are (proven), rows that must be and are not (drift, proven), rows that were changed
or inserted since, and rows that only the backup has (deleted since, or extra). As long as the leader has not moved
since the moment, all rows must be alike, and what only the backup has is drift as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, TypeAlias, TypeVar

from trueup.audit.report import Tally
from trueup.audit.tools import RowBudget, Tools
from verifier.bracketing import compared as judged
from verifier.chunk import ChunkSize
from verifier.compare import Comparison
from verifier.digest import Digest
from verifier.drift import Certainty, Drift, Evidence, Kind, Method, Verdict, told_apart
from verifier.errors import Oversized, Permanent, Temporary, Unreachable, Unsound
from verifier.excerpt import excerpts
from verifier.identity import drift_id
from verifier.journal import ChunkResult
from verifier.keyrange import Chunk, KeyRange
from verifier.look import Row
from verifier.outcome import Differs
from verifier.ports import Replica
from verifier.recorded import Counted, Dated, Recorded
from verifier.table import Key, Table
from verifier.weight import Batch, key_bytes

T = TypeVar("T")
Rows: TypeAlias = Mapping[Key, Row]
_KEYS_AT_ONCE = 1_000
_DRIFTS_AT_ONCE = 500


@dataclass(slots=True)
class TableDrill:
    """One table of one restored copy. `dated` None: rows do not tell their age, and only a leader that stands where it
    stood then proves anything. After `run`: what was `counted` and tallied; `problem` if nothing is proven by age."""

    tools: Tools
    restored: Replica
    compared: Comparison
    recorded: Recorded
    dated: Dated | None
    counted: Counted = field(default_factory=Counted)
    tally: Tally = field(default_factory=Tally)
    problem: str | None = None
    interrupted: bool = False
    _index: int = 0
    _batch: Batch = field(default_factory=lambda: Batch(_KEYS_AT_ONCE))
    _drifted: int = 0

    def run(self) -> None:
        """Temporary if a server stays away for longer than `retry_seconds`; Permanent, Unsound as any read."""
        self._still_defined()
        size = ChunkSize(self.tools.scan.by_rows())
        lower: Key | None = None
        while not self.interrupted:
            if not self._admitted(size.rows):
                self.interrupted = True
                return
            admitted, rows = size.rows, 0
            upper = self._patient(lambda after=lower: self._boundary(after, size.rows), size)  # type: ignore[misc]
            within = KeyRange(lower, upper)
            began = self.tools.clock.now()
            try:
                rows = self._patient(lambda part=within: self._chunk(part), size)  # type: ignore[misc]
            except Oversized as problem:
                _ask_less(size, problem)
                continue
            finally:
                if self.tools.brakes is not None:
                    self.tools.brakes.read(admitted, rows)
            size.learn(max(1, rows), self.tools.clock.now() - began)
            if upper is not None:
                size.weigh(key_bytes(upper))
                size.calm_down()
            self._index += 1
            if upper is None:
                self._still_defined()
                return
            lower = upper
            self.interrupted = self.tools.stop()

    def _admitted(self, rows: int) -> bool:
        """Once no brake holds and the rate allows to read so many rows; false if the user ended the wait."""
        brakes = self.tools.brakes
        if brakes is None:
            return True
        brakes.hold(self.compared.leader.name)
        brakes.admit(rows)
        return not self.tools.stop()

    def _boundary(self, after: Key | None, rows: int) -> Key | None:
        found = self.tools.leader.boundary(self.compared.leader, after, rows)
        if found is not None and found == after:
            raise Unsound(f"{self.compared.leader.name}: the walk would not end behind {after!r}")
        return found

    def _patient(self, ask: Callable[[], T], size: ChunkSize) -> T:
        """Ask again while a server is away, and in smaller parts where a statement takes too long."""
        since = self.tools.clock.now()
        while True:
            try:
                return ask()
            except Oversized:
                raise
            except Temporary as problem:
                if self.tools.clock.now() - since > self.tools.retry_seconds or self.tools.stop():
                    raise
                if not isinstance(problem, Unreachable):
                    size.halve()
                self.tools.clock.sleep(problem.delay_seconds)

    def _chunk(self, within: KeyRange) -> int:
        """Count and judge one range; returns the leader's rows in it. Nothing is counted if it raises."""
        ours, theirs = self.compared.leader, self.compared.follower
        stood = self._stands()
        sure = ours if stood else self._sure(ours)
        answers = self._all(
            lambda: self.tools.leader.digest(ours, within).value,
            lambda: self.restored.digest(theirs, within).value,
            lambda: self.tools.leader.digest(sure, within).value if sure is not None else Digest(0, 0),
        )
        everything, backup, old = answers
        if stood and not self._stands():
            return self._chunk(within)
        if old == backup and (sure is not None or not backup.rows):
            found = Counted(backup.rows, proven=backup.rows, new=max(0, everything.rows - old.rows))
            self._keep(within, found, iter(()), everything, backup)
        else:
            self._apart(within, sure, everything, backup)
        return max(everything.rows, backup.rows)

    def _apart(self, within: KeyRange, sure: Table | None, everything: Digest, backup: Digest) -> None:
        """Tell the keys of a range apart. Only rows that the rule speaks of can be drift."""
        ours, theirs = self.compared.leader, self.compared.follower
        leader = self.tools.leader
        old, present, held = self._all(
            lambda: leader.row_digests(sure, within).value if sure is not None else {},
            lambda: leader.row_digests(ours, within).value,
            lambda: self.restored.row_digests(theirs, within).value,
        )
        wrong: list[Key] = []
        spare: list[Key] = []
        for key, kind in told_apart(old, held).items():
            # More rows of a key that must be in the backup are no row that was deleted since.
            (spare if kind is Kind.EXTRA and key not in old else wrong).append(key)
        found = Counted(len(held), proven=len(old) - len(wrong))
        found.changed = len([key for key in spare if key in present])
        found.gone = len(spare) - found.changed
        found.new = max(0, len(present) - len(old) - found.changed)
        drifts = chain(self._confirmed(sure, wrong, found), self._extra([k for k in spare if k not in present], found))
        self._keep(within, found, drifts, everything, backup)

    def _confirmed(self, sure: Table | None, keys: Collection[Key], found: Counted) -> Iterator[Drift]:
        """Drift among rows that must be in the backup as the leader has them. One that was written to since a moment
        ago is not held against its values any more."""
        if sure is None:
            return
        for part, ours, theirs in self._rows(sure, keys):
            if sure is self.compared.leader and not self._stands():
                raise Temporary("the leader began to move while it was read", delay_seconds=0.1)
            if sure is not self.compared.leader and not self._still_defined():
                raise Temporary("the table was altered while it was read", delay_seconds=0.1)
            for key in part:
                if key not in ours:
                    found.changed += key in theirs
                    found.new += key not in theirs
                    continue
                outcome = judged(self.compared.leader, ours[key], theirs.get(key), self._evidence())
                if isinstance(outcome, Differs):
                    yield self._drift(key, outcome)
                else:
                    found.proven += 1

    def _extra(self, keys: Collection[Key], found: Counted) -> Iterator[Drift]:
        """Rows that only the backup has, where the leader has not moved since: they were never there."""
        for part, ours, theirs in self._rows(self.compared.leader, keys):
            if not self._stands():
                return
            for key in part:
                if key in theirs and key not in ours:
                    outcome = judged(self.compared.leader, None, theirs[key], self._evidence())
                    if isinstance(outcome, Differs):
                        found.gone -= 1
                        yield self._drift(key, outcome)

    def _rows(self, table: Table, keys: Collection[Key]) -> Iterator[tuple[Sequence[Key], Rows, Rows]]:
        """Keys with their rows on the leader and in the backup, as many at a time as may be held."""

        def read(part: Sequence[Key]) -> tuple[Sequence[Key], Rows, Rows]:
            ours = self.tools.leader.rows(table, part).value
            return part, ours, self.restored.rows(self.compared.follower, part).value

        return self._batch.parts(list(keys), read)

    def _stands(self) -> bool:
        """The leader has not moved since the recorded moment, at which nothing was running."""
        return self.recorded.quiet and self.tools.leader.mark() == self.recorded.mark

    def _sure(self, table: Table) -> Table | None:
        """The leader's rows that must be in the backup as they are; None if no row can be told to be one."""
        if self.dated is None or self.recorded.floor is None or self.problem is not None:
            return None
        older = self.dated.older(self.recorded.floor)
        return replace(table, where=older if table.where is None else f"({table.where}\n) and {older}")

    def _still_defined(self) -> bool:
        """Whether the table is what it was at the moment; if not, nothing is proven by the age of its rows any more."""
        if self.problem is None and not self._stands():
            if self.dated is None or self.recorded.floor is None:
                self.problem = "the leader went on since, and this engine's rows do not tell when they were written"
            elif why := self.dated.redefined(self.compared.leader, self.recorded.floor):
                self.problem = f"nothing is proven by the age of its rows: {why} since the backup"
        return self.problem is None

    def _evidence(self) -> Evidence:
        return Evidence(
            Certainty.PROVEN,
            Method.SNAPSHOT,
            {"recorded": self.recorded.position.text(), "leader": self.tools.leader.position().text()},
        )

    def _drift(self, key: Key, outcome: Differs) -> Drift:
        tools, name, table = self.tools, self.restored.name, self.compared.leader.name
        found, columns = drift_id(tools.group, name, table, key), excerpts(outcome.columns, tools.masking.hide(table))
        now = tools.clock.now()
        return Drift(found, tools.group, name, table, key, outcome.kind, columns, outcome.evidence, now)

    def _keep(self, within: KeyRange, found: Counted, drifts: Iterator[Drift], ours: Digest, theirs: Digest) -> None:
        """Drift is in the journal some at a time, and before its chunk: what is read again is found again."""
        tools, drifted = self.tools, 0
        while some := list(islice(drifts, _DRIFTS_AT_ONCE)):
            tools.journal.checkpoint(tools.run_id, [], some)
            drifted += len(some)
        verdict = Verdict.DRIFT if drifted else Verdict.UNVERIFIED if found.doubtful else Verdict.MATCH
        result = ChunkResult(
            chunk=Chunk(self.compared.leader.name, within, self._index),
            follower=self.restored.name,
            verdict=verdict,
            leader=ours,
            follower_digest=theirs,
            drifted=drifted,
            at=self.tools.clock.now(),
        )
        tools.journal.checkpoint(tools.run_id, [result], [])
        self.counted.add(found)
        self.tally.add(result)
        self._drifted += drifted
        self.tools.watcher.rows_read(self.compared.leader.name, ours.rows, suspects=0, drifted=self._drifted)

    def _all(self, *calls: Callable[[], T]) -> list[T]:
        """Every call's answer, asked at the same time."""
        answers: Any = self.tools.gather(calls)
        return list(answers)


@dataclass(slots=True)
class DrillWalk:
    """One table of all restored copies, in the place of an audit's walk: `tallies`, `problems`, `interrupted` and
    `resumable` say what came of it, `counted` collects by table and copy."""

    tools: Tools
    table: Table
    sides: dict[str, tuple[Replica, Comparison]]
    budget: RowBudget
    recorded: Recorded
    dated: Dated | None
    counted: dict[tuple[str, str], Counted]
    tallies: dict[str, Tally] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    interrupted: bool = False
    resumable: bool = False

    def run(self) -> None:
        for name, (replica, compared) in self.sides.items():
            drill = TableDrill(self.tools, replica, compared, self.recorded, self.dated)
            self.tallies[name] = drill.tally
            try:
                drill.run()
            except (Permanent, Temporary, Unsound) as problem:
                self.problems[name] = str(problem)
            else:
                if drill.problem is not None:
                    self.problems[name] = drill.problem
                    drill.counted.proven = 0
                elif drill.counted.doubtful:
                    self.problems[name] = drill.counted.words()
            self.counted[str(self.table.name), name] = drill.counted
            self.interrupted = self.interrupted or drill.interrupted


def _ask_less(size: ChunkSize, problem: Oversized) -> None:
    """The next chunk shall be smaller. Permanent if it cannot be."""
    if size.rows <= 1:
        raise Permanent(str(problem)) from problem
    size.overfull(min(problem.rows, size.rows // 2))
    size.calm_down()
