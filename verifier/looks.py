"""What a chunk's walk asks of all sides at once, and what came back: digests, row digests, or a side's trouble."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from verifier.compare import Comparison
from verifier.digest import Digest
from verifier.drift import digest_of
from verifier.errors import Oversized, Permanent, Temporary
from verifier.keyrange import KeyRange
from verifier.ports import Clock, Replica
from verifier.table import Key, Table


@dataclass(frozen=True, slots=True)
class SideRead:
    """One side's chunk: its digest, and its row digests if they were asked for."""

    digest: Digest
    seconds: float
    rows: Mapping[Key, int] | None = None


@dataclass(frozen=True, slots=True)
class Looks:
    """All sides' reads of one range, by side (None: the leader) and columns; `troubles` of followers instead."""

    reads: dict[tuple[str | None, object], SideRead]
    troubles: dict[str, Temporary | Permanent]

    def pair(self, name: str, compared: Comparison) -> tuple[SideRead, SideRead]:
        alike = alike_of(compared)
        return self.reads[None, alike], self.reads[name, alike]

    @property
    def leader(self) -> Digest:
        return next(read.digest for (side, _), read in self.reads.items() if side is None)

    @property
    def took(self) -> Mapping[str | None, float]:
        """Seconds of each side's read (None: the leader's), of several the longest."""
        found: dict[str | None, float] = {}
        for (side, _), read in self.reads.items():
            found[side] = max(read.seconds, found.get(side, 0.0))
        return found


def alike_of(compared: Comparison) -> tuple[object, ...]:
    """What two followers' comparisons must share so that one look at the leader serves both."""
    return compared.leader.columns, compared.leader.scheme


def timed(clock: Clock, replica: Replica, table: Table, within: KeyRange, rows_too: bool) -> Callable[[], object]:
    """A call that reads one side's chunk; with `rows_too` by its row digests, which it may raise TooMuch for."""

    def call() -> object:
        began = clock.now()
        if not rows_too:
            return SideRead(replica.digest(table, within).value, clock.now() - began)
        rows = row_digests(replica, table, within)
        seconds = clock.now() - began
        return SideRead(digest_of(rows), seconds, rows)

    return call


class TooMuch(Exception):
    """A side's answer of row digests is too large; `rows` would fit, as far as it is known, and there are more. No
    error for people: the walk asks again for less."""

    def __init__(self, side: Replica, table: Table, refused: Oversized) -> None:
        super().__init__(str(refused))
        self.side, self.table, self.rows = side, table, refused.rows


def row_digests(side: Replica, table: Table, within: KeyRange) -> Mapping[Key, int]:
    """Of one side. TooMuch if they are larger than is held at once."""
    try:
        return side.row_digests(table, within).value
    except Oversized as refused:
        raise TooMuch(side, table, refused) from refused


def caught(call: Callable[[], object]) -> Callable[[], object]:
    """Run for its answer or its error: one side's trouble must not discard the others' answers."""

    def run() -> object:
        try:
            return call()
        except (Temporary, Permanent) as problem:
            return problem

    return run
