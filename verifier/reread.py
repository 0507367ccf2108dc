"""Read one chunk again for one follower: after it was away, or when the whole chunk takes longer than the time limit.

A chunk is known by its index and its range, and what is recorded of it covers the whole of it. So where it is too
large for a time limit, or for one packed answer, it is read in parts, one a call: digests add up, suspects unite, and
what a part found can be settled before the next one is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from verifier.errors import Temporary, Unreachable
from verifier.keyrange import Chunk, KeyRange
from verifier.scan import ChunkRead, TableScan


@dataclass(slots=True)
class Reread:
    """`scan` walks the table for one follower, `name`, alone. Parts get no smaller than `rows_min` rows; `rows_max` is
    the largest part that may still fit, learned from what did not."""

    scan: TableScan
    name: str
    rows_min: int
    rows_max: int
    _chunk: Chunk | None = None
    _left: list[tuple[KeyRange, int]] = field(default_factory=list)
    """Ranges of the chunk that were not read yet, and about how many rows each has; the next one is the last."""

    @property
    def ended(self) -> bool:
        """All of the chunk has been read."""
        return not self._left

    def read(self, chunk: Chunk, rows: int) -> ChunkRead:
        """The next part of the chunk, which had about `rows` rows on the leader. What cannot be read in the smallest
        parts either comes back as failed, and is read by the next call; Temporary if the leader could not be read."""
        if self._chunk != chunk or self.ended:
            self._chunk, self._left = chunk, [(chunk.range, max(rows, 1))]
        while True:
            within, rows = self._left[-1]
            divisible = rows >= 2 * self.rows_min
            if rows > self.rows_max and divisible and self._divide(within, rows):
                continue
            try:
                read = self.scan.read(chunk.index, within)
            except Unreachable:
                raise
            except Temporary:
                if not divisible:
                    raise
                self.rows_max = max(self.rows_min, rows // 2)
                continue
            if read.failed and not read.refused and divisible and not self._away():
                self.rows_max = max(self.rows_min, rows // 2)
                continue
            if not read.failed:
                self._pass(within, read.chunk.range, rows - read.leader.rows)
            return ChunkRead(chunk, read.leader, read.followers, read.failed, read.took, read.refused)

    def _divide(self, within: KeyRange, rows: int) -> bool:
        """Whether there are two parts now. Rows may have gone meanwhile: then the middle lies beyond the chunk, and
        both sides read more than they must."""
        _, compared = self.scan.sides[self.name]
        middle = self.scan.leader.boundary(compared.leader, within.lower, rows // 2)
        if middle is None:
            return False
        self._left[-1:] = [
            (KeyRange(middle, within.upper), rows - rows // 2),
            (KeyRange(within.lower, middle), rows // 2),
        ]
        return True

    def _pass(self, asked: KeyRange, read: KeyRange, rows: int) -> None:
        """What was read is done, which may have been only the beginning of what was asked."""
        self._left.pop()
        if read.upper != asked.upper:
            self._left.append((KeyRange(read.upper, asked.upper), max(rows, 1)))

    def _away(self) -> bool:
        """The follower does not answer at all: smaller parts would not help."""
        replica, _ = self.scan.sides[self.name]
        try:
            replica.identity()
        except Temporary:
            return True
        return False
