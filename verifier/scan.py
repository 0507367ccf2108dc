"""Walk one table in chunks and find suspects.

One step reads one chunk: its digest on the leader and on every follower at the same time, and the boundary of the
chunk after it in the same breath. A follower whose digest differs is asked for all row digests of the chunk as one
packed value, and so is the leader; the keys that differ are suspects. Where the chunk before differed this one probably
does too: then the row digests are asked for at once, which costs a quarter more than the digest alone, and the digest
is added up from them. Nothing is judged here: a scan without a single suspect has proven equality of what was read,
everything else is for the rules of evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from verifier.chunk import ChunkSize
from verifier.compare import Comparison
from verifier.digest import Digest
from verifier.drift import Kind, differing
from verifier.errors import Permanent, Temporary, Unsound
from verifier.keyrange import Chunk, KeyRange
from verifier.packed import PackedDigests
from verifier.ports import Clock, Gather, Replica
from verifier.table import Key, Table


@dataclass(frozen=True, slots=True)
class FollowerChunk:
    """What one follower showed of a chunk: its digest, and the keys that differed at these looks."""

    digest: Digest
    suspects: Mapping[Key, Kind]


@dataclass(frozen=True, slots=True)
class ChunkRead:
    """One chunk as read. `followers` lacks those that could not be read; `failed` says why, and `refused` names those
    of them for which trying again is useless. `seconds` is the slowest side's digest."""

    chunk: Chunk
    leader: Digest
    followers: Mapping[str, FollowerChunk]
    failed: Mapping[str, str]
    seconds: float
    refused: frozenset[str] = frozenset()


@dataclass(slots=True)
class TableScan:
    """The walk over one table, or over the ranges of it that a resumed run still lacks.

    `sides` maps each follower's name to the replica and to how its table compares to the leader's. All comparisons
    share the leader's columns only where the followers' columns do; the digest is asked per distinct column list.
    """

    leader: Replica
    sides: Mapping[str, tuple[Replica, Comparison]]
    size: ChunkSize
    clock: Clock
    gather: Gather[object]
    todo: list[tuple[int, KeyRange]] = field(default_factory=lambda: [(0, KeyRange())])
    _next_upper: tuple[Key | None, Key | None] | None = None
    """(lower, upper) of the chunk to come, where it was asked for ahead of time."""
    _differed: set[str] = field(default_factory=set)
    """Followers whose last chunk differed."""

    @property
    def done(self) -> bool:
        return not self.todo

    def step(self) -> ChunkRead:
        """Read the next chunk. Temporary if the leader could not be read (nothing is lost: step again);
        a follower's failure is reported in the result and the others go on."""
        index, remaining = self.todo[0]
        within = KeyRange(remaining.lower, self._upper(remaining))
        read = self.read(index, within, ahead=within.upper is not None and remaining.upper is None)
        self.size.learn(max(1, read.leader.rows), read.seconds)
        self._advance(index, remaining, within)
        return read

    def read(self, index: int, within: KeyRange, *, ahead: bool = False) -> ChunkRead:
        """Read exactly this range, and with `ahead` find the end of the chunk after it; the walk stays where it is."""
        looks, troubles, seconds = self._digests(within, ahead)
        leader_looks = {columns: look for (side, columns), look in looks.items() if side is None}
        found: dict[str, FollowerChunk] = {}
        for name, (replica, compared) in self.sides.items():
            if name in troubles:
                continue
            ours, theirs = leader_looks[compared.leader.columns], looks[name, compared.leader.columns]
            suspects: Mapping[Key, Kind] = {}
            if ours.rows is not None and theirs.rows is not None:
                suspects = dict(differing(ours.rows, theirs.rows))
            elif ours.digest != theirs.digest:
                try:
                    suspects = self._suspects(replica, compared, within)
                except (Temporary, Permanent) as problem:
                    troubles[name] = problem
                    continue
            (self._differed.add if suspects else self._differed.discard)(name)
            found[name] = FollowerChunk(theirs.digest, suspects)
        leader_digest = next(iter(leader_looks.values())).digest
        chunk = Chunk(next(iter(self.sides.values()))[1].leader.name, within, index)
        refused = frozenset(name for name, problem in troubles.items() if isinstance(problem, Permanent))
        failed = {name: str(problem) for name, problem in troubles.items()}
        return ChunkRead(chunk, leader_digest, found, failed, seconds, refused)

    def retreat(self) -> None:
        """The last step ran into a time limit: try the same place again with half as many rows."""
        self.size.halve()
        self._next_upper = None

    def _upper(self, remaining: KeyRange) -> Key | None:
        """Where the next chunk ends: asked ahead by the last step, else now. A resumed hole is read whole."""
        if remaining.upper is not None:
            return remaining.upper
        if self._next_upper is not None and self._next_upper[0] == remaining.lower:
            return self._next_upper[1]
        table = next(iter(self.sides.values()))[1].leader
        upper = self.leader.boundary(table, remaining.lower, self.size.rows)
        if upper is not None and upper == remaining.lower:
            raise Unsound(
                f"{table.name}: the boundary after {remaining.lower!r} is the same key; the walk would not end"
            )
        return upper

    def _digests(
        self, within: KeyRange, ahead: bool
    ) -> tuple[dict[tuple[str | None, object], _Read], dict[str, Temporary | Permanent], float]:
        """Every side's digest at once, and the boundary after this chunk."""
        wanted: dict[tuple[str | None, object], Callable[[], object]] = {}
        rows_too = {self.sides[name][1].leader.columns for name in self._differed & self.sides.keys()}
        for name, (replica, compared) in self.sides.items():
            alike = compared.leader.columns
            reading = _timed(self.clock, self.leader, compared.leader, within, alike in rows_too)
            wanted.setdefault((None, alike), reading)
            wanted[name, alike] = _timed(self.clock, replica, compared.follower, within, name in self._differed)
        calls = [_caught(call) for call in wanted.values()]
        if ahead:
            table = next(iter(self.sides.values()))[1].leader
            calls.append(_caught(lambda: self.leader.boundary(table, within.upper, self.size.rows)))
        answers: Sequence[object] = self.gather(calls)
        if ahead and not isinstance(answers[-1], Temporary | Permanent):
            self._next_upper = (within.upper, answers[-1])  # type: ignore[assignment]
        looks: dict[tuple[str | None, object], _Read] = {}
        troubles: dict[str, Temporary | Permanent] = {}
        seconds = 0.0
        for (side, columns), answer in zip(wanted, answers, strict=False):
            if isinstance(answer, Temporary | Permanent):
                if side is None:
                    raise answer
                troubles[side] = answer
                continue
            assert isinstance(answer, _Read)
            looks[side, columns] = answer
            seconds = max(seconds, answer.seconds)
        return looks, troubles, seconds

    def _suspects(self, replica: Replica, compared: Comparison, within: KeyRange) -> Mapping[Key, Kind]:
        ours, theirs = self.gather(
            [
                lambda: self.leader.row_digests(compared.leader, within).value,
                lambda: replica.row_digests(compared.follower, within).value,
            ]
        )
        return dict(differing(ours, theirs))  # type: ignore[arg-type]

    def _advance(self, index: int, remaining: KeyRange, within: KeyRange) -> None:
        self.todo.pop(0)
        if within.upper != remaining.upper:
            self.todo.insert(0, (index + 1, KeyRange(within.upper, remaining.upper)))


@dataclass(frozen=True, slots=True)
class _Read:
    """One side's chunk: its digest, and its row digests if they were asked for."""

    digest: Digest
    seconds: float
    rows: Mapping[Key, int] | None = None


def _timed(clock: Clock, replica: Replica, table: Table, within: KeyRange, rows_too: bool) -> Callable[[], object]:
    def call() -> object:
        began = clock.now()
        if not rows_too:
            return _Read(replica.digest(table, within).value, clock.now() - began)
        rows = replica.row_digests(table, within).value
        seconds = clock.now() - began
        return _Read(rows.digest() if isinstance(rows, PackedDigests) else Digest.of(rows.values()), seconds, rows)

    return call


def _caught(call: Callable[[], object]) -> Callable[[], object]:
    """Run for its answer or its error: one side's trouble must not discard the others' answers."""

    def caught() -> object:
        try:
            return call()
        except (Temporary, Permanent) as problem:
            return problem

    return caught


def remaining(settled: Sequence[Chunk], pending: Sequence[Chunk]) -> list[tuple[int, KeyRange]]:
    """What a resumed walk still has to read: chunks that were read but had not settled, then the open tail."""
    todo = [(chunk.index, chunk.range) for chunk in sorted(pending, key=lambda c: c.index)]
    known = [*settled, *pending]
    if not known:
        return [(0, KeyRange())]
    last = max(known, key=lambda c: c.index)
    if last.range.upper is not None:
        todo.append((last.index + 1, KeyRange(last.range.upper, None)))
    return todo
