"""Walk one table in chunks and find suspects.

One step reads one chunk: its digest on the leader and on every follower at the same time, and the boundary of the
chunk after it in the same breath. A follower whose digest differs is asked for all row digests of the chunk as one
packed value, and so is the leader; the keys that differ are suspects. Where the chunk before differed this one probably
does too: then the row digests are asked for at once, which costs a quarter more than the digest alone, and the digest
is added up from them. While nothing differs a chunk may have more rows than memory should hold the digests of: if it
then does differ only its beginning is read by rows, and the walk goes on from there in smaller chunks. Nothing is
judged here: a scan without a single suspect has proven equality of what was read, everything else is for the rules of
evidence. The beginning is one of fewer rows where their keys are long, and is cut again where an answer would be larger
than is held at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from verifier.chunk import ChunkSize
from verifier.compare import Comparison
from verifier.digest import Digest
from verifier.drift import Kind, told_apart
from verifier.errors import Permanent, Temporary, TrueupError, Unsound
from verifier.keyrange import Chunk, KeyRange
from verifier.looks import Looks, SideRead, TooMuch, alike_of, caught, row_digests, timed
from verifier.ports import Clock, Gather, Replica
from verifier.table import Key, Table
from verifier.weight import mean_key_bytes

_DIVISIONS_MAX = 8
"""Times that a range is made smaller: by the side with the most rows, so nearly always once."""
_REFUSALS_MAX = 64
"""Answers that are too large before a range is given up; each leaves fewer rows."""


@dataclass(frozen=True, slots=True)
class FollowerChunk:
    """What one follower showed of a chunk: its digest, and the keys that differed at these looks."""

    digest: Digest
    suspects: Mapping[Key, Kind]


@dataclass(frozen=True, slots=True)
class ChunkRead:
    """One chunk as read. `followers` lacks those that could not be read; `failed` says why, and `refused` names those
    of them for which trying again is useless. `took`: seconds of each side's digest (None: the leader's)."""

    chunk: Chunk
    leader: Digest
    followers: Mapping[str, FollowerChunk]
    failed: Mapping[str, str]
    took: Mapping[str | None, float]
    refused: frozenset[str] = frozenset()

    @property
    def seconds(self) -> float:
        """The slowest side's."""
        return max(self.took.values(), default=0.0)


@dataclass(slots=True)
class TableScan:
    """The walk over one table, or over the ranges of it that a resumed run still lacks.

    `sides` maps each follower's name to the replica and to how its table compares to the leader's. All comparisons
    share the leader's columns only where the followers' columns do; the digest is asked per distinct column list and
    scheme.
    """

    leader: Replica
    sides: Mapping[str, tuple[Replica, Comparison]]
    size: ChunkSize
    clock: Clock
    gather: Gather[object]
    todo: list[tuple[int, KeyRange]] = field(default_factory=lambda: [(0, KeyRange())])
    _next_upper: tuple[Key | None, Key | None, int] | None = None
    """Lower and upper of the chunk to come, where it was asked for ahead of time, and for how many rows."""
    _differed: set[str] = field(default_factory=set)
    """Followers whose last chunk differed."""
    _crowded: tuple[Replica, Table] | None = None
    """A follower that has so many more rows here than the leader that it says where chunks end."""

    @property
    def done(self) -> bool:
        return not self.todo

    @property
    def _differing(self) -> set[str]:
        return self._differed & self.sides.keys()

    def step(self) -> ChunkRead:
        """Read the next chunk. Temporary if the leader could not be read (nothing is lost: step again);
        a follower's failure is reported in the result and the others go on."""
        index, remaining = self.todo[0]
        within = KeyRange(remaining.lower, self._upper(remaining))
        wanted = within.upper is not None and remaining.upper is None and self._crowded is None
        read = self.read(index, within, ahead=wanted)
        self.size.learn(max(1, read.leader.rows), read.seconds)
        if self._differing:
            self.size.calm_down()
        else:
            self._crowded = None
        self._advance(index, remaining, read.chunk.range)
        return read

    def read(self, index: int, within: KeyRange, *, ahead: bool = False) -> ChunkRead:
        """Read this range, or its beginning (see the chunk's range) if it differs and has too many rows to tell which;
        with `ahead` also find the end of the chunk after it. The walk stays where it is. Permanent if an answer is too
        large and the range cannot be made smaller."""
        for _ in range(_REFUSALS_MAX):
            try:
                return self._read(index, within, ahead)
            except TooMuch as found:
                within, ahead = KeyRange(within.lower, self._beginning(within, found)), False
        raise Permanent(f"the row digests from {within} on do not come in any size")

    def _read(self, index: int, within: KeyRange, ahead: bool) -> ChunkRead:
        looks = self._looks(within, ahead)
        for _ in range(_DIVISIONS_MAX):
            upper = self._division(within, looks)
            if upper is None:
                break
            within = KeyRange(within.lower, upper)
            looks = self._looks(within, ahead=False)
        return self._compared(index, within, looks)

    def _compared(self, index: int, within: KeyRange, looks: Looks) -> ChunkRead:
        """Which rows differ: from the row digests if they were asked for, else asked for now."""
        troubles: dict[str, TrueupError] = dict(looks.troubles)
        found: dict[str, FollowerChunk] = {}
        for name, (replica, compared) in self.sides.items():
            if name in troubles:
                continue
            ours, theirs = looks.pair(name, compared)
            try:
                suspects = self._suspects(replica, compared, within, ours, theirs)
            except (Temporary, Permanent, Unsound) as problem:
                troubles[name] = problem
                continue
            (self._differed.add if suspects else self._differed.discard)(name)
            found[name] = FollowerChunk(theirs.digest, suspects)
        chunk = Chunk(next(iter(self.sides.values()))[1].leader.name, within, index)
        refused = frozenset(name for name, problem in troubles.items() if not isinstance(problem, Temporary))
        failed = {name: str(problem) for name, problem in troubles.items()}
        return ChunkRead(chunk, looks.leader, found, failed, looks.took, refused)

    def _division(self, within: KeyRange, looks: Looks) -> Key | None:
        """Where to end a range that differs and has too many rows on some side; None if it can be read by rows. That
        side says where, so that also rows which only a follower has come in pieces."""
        most = rows = self.size.packed(within.lower, within.upper)
        side, table, who = self.leader, None, ""
        for name, (replica, compared) in self.sides.items():
            if name in looks.troubles:
                continue
            ours, theirs = looks.pair(name, compared)
            if ours.digest == theirs.digest:
                continue
            for one, asked, columns in ((ours, self.leader, compared.leader), (theirs, replica, compared.follower)):
                if one.digest.rows > most:
                    most, side, table, who = one.digest.rows, asked, columns, name
        if table is None:
            return None
        self._differed.add(who)
        self.size.calm_down()
        self._crowded = None if side is self.leader else (side, table)
        return self._cut(side, table, within.lower, rows)

    def _beginning(self, within: KeyRange, found: TooMuch) -> Key:
        """The end of a part of the range of which that side's answer will not be too large."""
        rows = min(found.rows, self.size.packed(within.lower, within.upper))
        self.size.overfull(rows)
        self.size.calm_down()
        self._next_upper = None
        self._crowded = None if found.side is self.leader else (found.side, found.table)
        upper = self._cut(found.side, found.table, within.lower, rows)
        if upper is None or upper == within.upper:
            raise Permanent(str(found)) from found
        return upper

    def _cut(self, side: Replica, table: Table, lower: Key | None, rows: int) -> Key | None:
        """Where that side has had so many rows: as many as one packed answer may hold. A follower's trouble is none
        here: it shows when it is read."""
        try:
            upper = side.boundary(table, lower, rows)
        except (Temporary, Permanent):
            if side is self.leader:
                raise
            return None
        return None if upper == lower else upper

    def retreat(self) -> None:
        """The last step ran into a time limit: try the same place again with half as many rows."""
        self.size.halve()
        self._next_upper = None

    def _upper(self, remaining: KeyRange) -> Key | None:
        """Where the next chunk ends: asked ahead by the last step, else now. A resumed hole is read whole."""
        if remaining.upper is not None:
            return remaining.upper
        if self._next_upper is not None:
            lower, upper, rows = self._next_upper
            if lower == remaining.lower and (not self._differing or rows <= self.size.packed(lower, upper)):
                return upper
        if self._crowded is not None:
            replica, theirs = self._crowded
            upper = self._cut(replica, theirs, remaining.lower, self.size.packed(remaining.lower))
            if upper is not None:
                return upper
            self._crowded = None
        table = next(iter(self.sides.values()))[1].leader
        if remaining.lower is None and table.rows_most is not None and table.rows_most <= self.size.rows:
            return None  # it fits whole
        upper = self.leader.boundary(table, remaining.lower, self.size.rows)
        if upper is not None and upper == remaining.lower:
            raise Unsound(
                f"{table.name}: the boundary after {remaining.lower!r} is the same key; the walk would not end"
            )
        return upper

    def _looks(self, within: KeyRange, ahead: bool) -> Looks:
        """Every side's digest at once, and the boundary after this chunk."""
        wanted: dict[tuple[str | None, object], Callable[[], object]] = {}
        rows_too = {alike_of(self.sides[name][1]) for name in self._differing}
        for name, (replica, compared) in self.sides.items():
            alike = alike_of(compared)
            reading = timed(self.clock, self.leader, compared.leader, within, alike in rows_too)
            wanted.setdefault((None, alike), reading)
            wanted[name, alike] = timed(self.clock, replica, compared.follower, within, name in self._differed)
        calls = [caught(call) for call in wanted.values()]
        rows = self.size.rows
        if ahead:
            table = next(iter(self.sides.values()))[1].leader
            calls.append(caught(lambda: self.leader.boundary(table, within.upper, rows)))
        answers: Sequence[object] = self.gather(calls)
        if ahead and not isinstance(answers[-1], Temporary | Permanent):
            self._next_upper = (within.upper, answers[-1], rows)  # type: ignore[assignment]
        looks = Looks({}, {})
        for (side, columns), answer in zip(wanted, answers, strict=False):
            if isinstance(answer, Temporary | Permanent):
                if side is None:
                    raise answer
                looks.troubles[side] = answer
                continue
            assert isinstance(answer, SideRead)
            looks.reads[side, columns] = answer
        self._weigh(*(read.rows for read in looks.reads.values()))
        return looks

    def _weigh(self, *answers: Mapping[Key, int] | None) -> None:
        """Learn how long keys are from answers of row digests."""
        if weights := [mean_key_bytes(rows) for rows in answers if rows]:
            self.size.weigh(max(weights))

    def _suspects(
        self, replica: Replica, compared: Comparison, within: KeyRange, ours: SideRead, theirs: SideRead
    ) -> Mapping[Key, Kind]:
        if ours.rows is not None and theirs.rows is not None:
            return told_apart(ours.rows, theirs.rows)
        if ours.digest == theirs.digest:
            return {}
        mine: Any
        others: Any
        mine, others = self.gather(
            [
                lambda: row_digests(self.leader, compared.leader, within),
                lambda: row_digests(replica, compared.follower, within),
            ]
        )
        self._weigh(mine, others)
        return told_apart(mine, others)

    def _advance(self, index: int, remaining: KeyRange, within: KeyRange) -> None:
        self.todo.pop(0)
        if within.upper != remaining.upper:
            self.todo.insert(0, (index + 1, KeyRange(within.upper, remaining.upper)))


def remaining(read: Sequence[Chunk]) -> list[tuple[int, KeyRange]]:
    """What a resumed walk still has to read: what lies behind the chunks that were read."""
    if not read:
        return [(0, KeyRange())]
    last = max(read, key=lambda chunk: chunk.index)
    return [] if last.range.upper is None else [(last.index + 1, KeyRange(last.range.upper, None))]
