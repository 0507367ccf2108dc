"""Tables that change so much that keys are no longer worth counting: their *dirty chunks*, and how they are verified.

Below a threshold each touched key is looked at by itself. A table with more of them waiting than that is *crowded*: its
changes mark the chunks that they fall into, and the scan reads those chunks before all others. A mark carries the
number of its latest change, and only a scan that began behind that very change takes it away, so a change that comes
between reading and taking away is not lost. Tables without marks cost nothing. A table is crowded no longer when it has
calmed down. A single transaction that is too large to tell its keys (`verifier.spans`) marks chunks in the same way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from verifier.keyrange import ALL, KeyRange
from verifier.position import Position
from verifier.spans import Spans
from verifier.table import Key, TableName

CROWD = 20_000
"""Keys of one table that may wait on one follower: they are looked at in some seconds. Above it chunks are cheaper: a
look at a key costs about as much as the digest of a hundred rows."""
CALM_SECONDS = 10.0
"""A crowded table of which in so many seconds fewer than a tenth of `CROWD` keys were touched is crowded no longer."""


@dataclass(frozen=True, slots=True)
class DirtyChunk:
    """Rows of a table that changed, the latest at `commit`, since they were looked at. `since` and `at`: when the first
    and the latest change were noted, seconds since the epoch."""

    table: TableName
    range: KeyRange
    generation: int
    commit: Position
    since: float
    at: float

    def ripe(self, now: float) -> bool:
        """Is it time to read it? A chunk that is still being written to is left alone for a moment, so that it is read
        once for many changes; all of a table for longer."""
        whole = self.range == ALL
        quiet, longest = (5.0, 600.0) if whole else (1.0, 5.0)
        return now - self.at >= quiet or now - self.since >= longest


class ChunkMap:
    """Which of a table's known chunks a key falls into. Keys of integers alone are ordered alike everywhere; of any
    other key only the engine could say, so the chunk is the whole table."""

    def __init__(self, ranges: Sequence[KeyRange]) -> None:
        """`ranges` as chunks were read; those of a scan that is under way may overlap with older ones."""
        bounds = {one.lower for one in ranges if one.lower is not None}
        self._bounds: list[Key] = sorted(bounds) if all(map(_ordered, bounds)) else []

    def of(self, key: Key) -> KeyRange:
        if not self._bounds or not _ordered(key):
            return ALL
        at = bisect_right(self._bounds, key)
        lower = self._bounds[at - 1] if at else None
        return KeyRange(lower, self._bounds[at] if at < len(self._bounds) else None)

    def over(self, spans: Spans) -> list[KeyRange]:
        """The chunks that these stretches of keys touch, each once."""
        found: dict[KeyRange, None] = {}
        for lowest, highest in spans:
            if not self._bounds or not _ordered(lowest) or not _ordered(highest):
                return [ALL]
            ends = self._bounds[bisect_right(self._bounds, lowest) : bisect_right(self._bounds, highest)]
            found.update(dict.fromkeys(map(self.of, (lowest, *ends))))
        return list(found) or [ALL]


Bulk: TypeAlias = tuple[TableName, Spans, Position]
"""What one transaction touched of a table, and its commit, where it has too many keys to tell them."""


class DirtyJournal(Protocol):
    """The marks of crowded tables; they are written with the stream's offsets (`StreamJournal.advance`)."""

    def dirty(self, limit: int) -> Sequence[DirtyChunk]:
        """Those that have waited longest first."""
        ...

    def clean(self, chunk: DirtyChunk) -> bool:
        """It was looked at by a scan that began when it was as told here; False if it has changed since, and stays."""
        ...


def _ordered(key: Key) -> bool:
    return all(isinstance(value, int) for value in key)
