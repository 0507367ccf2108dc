"""Read one chunk again for one follower: after it was away, or when the whole chunk takes longer than the time limit.

A chunk is known by its index and its range, and what is recorded of it covers the whole of it. So where it is too
large for a time limit it is read in parts, and the parts' answers are put together: digests add up, suspects unite.
"""

from __future__ import annotations

from dataclasses import dataclass

from verifier.errors import Temporary, Unreachable
from verifier.keyrange import Chunk, KeyRange
from verifier.scan import ChunkRead, FollowerChunk, TableScan


@dataclass(slots=True)
class Reread:
    """`scan` walks the table for one follower, `name`, alone. Parts get no smaller than `rows_min` rows; `rows_max` is
    the largest part that may still fit, learned from what did not."""

    scan: TableScan
    name: str
    rows_min: int
    rows_max: int

    def read(self, chunk: Chunk, rows: int) -> ChunkRead:
        """The chunk, which had about `rows` rows on the leader. What cannot be read in the smallest parts either comes
        back as failed; Temporary if it is the leader that could not be read."""
        whole = self._read(chunk.index, chunk.range, max(rows, 1))
        return ChunkRead(chunk, whole.leader, whole.followers, whole.failed, whole.seconds, whole.refused)

    def _read(self, index: int, within: KeyRange, rows: int) -> ChunkRead:
        if rows <= self.rows_max or rows < 2 * self.rows_min:
            try:
                read = self.scan.read(index, within)
            except Unreachable:
                raise
            except Temporary:
                if rows < 2 * self.rows_min:
                    raise
            else:
                if not read.failed or read.refused or rows < 2 * self.rows_min or self._away():
                    return read
            self.rows_max = max(self.rows_min, rows // 2)
        _, compared = self.scan.sides[self.name]
        middle = self.scan.leader.boundary(compared.leader, within.lower, rows // 2)
        if middle is None:
            return self.scan.read(index, within)
        # Rows may have gone meanwhile: then `middle` lies beyond the chunk, and both sides read more than they must.
        first = self._read(index, KeyRange(within.lower, middle), rows // 2)
        if first.failed:
            return first
        return _joined(first, self._read(index, KeyRange(middle, within.upper), rows - rows // 2), self.name)

    def _away(self) -> bool:
        """The follower does not answer at all: smaller parts would not help."""
        replica, _ = self.scan.sides[self.name]
        try:
            replica.identity()
        except Temporary:
            return True
        return False


def _joined(one: ChunkRead, other: ChunkRead, name: str) -> ChunkRead:
    """Two parts as one; failed if the second is."""
    if other.failed:
        return other
    ours, theirs = one.followers[name], other.followers[name]
    both = FollowerChunk(ours.digest + theirs.digest, {**ours.suspects, **theirs.suspects})
    return ChunkRead(one.chunk, one.leader + other.leader, {name: both}, {}, max(one.seconds, other.seconds))
