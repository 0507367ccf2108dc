"""How many rows the next chunk takes.

The size follows the measured rate towards the target time, a weighted average that forgets a quarter of the past
with each chunk (pt-table-checksum's rule). Growth is capped at x2 per chunk, so that a size learned on narrow rows
cannot hit wide ones at once; shrinking is not capped.
"""

from __future__ import annotations

from dataclasses import dataclass

from verifier.policy import ScanPolicy

_KEEP = 0.75


@dataclass(slots=True)
class ChunkSize:
    """Rows for the next chunk; one per table, since rates do not carry over between tables."""

    policy: ScanPolicy
    rows: int = 0
    _rows_seen: float = 0.0
    _seconds_seen: float = 0.0

    def __post_init__(self) -> None:
        self.rows = self.rows or self.policy.rows_first

    def learn(self, rows: int, seconds: float) -> None:
        """A chunk of `rows` rows took `seconds` on the slower side."""
        self._rows_seen = self._rows_seen * _KEEP + rows
        self._seconds_seen = self._seconds_seen * _KEEP + max(seconds, 1e-4)
        wanted = int(self._rows_seen / self._seconds_seen * self.policy.chunk_seconds)
        self.rows = max(self.policy.rows_min, min(wanted, self.rows * 2, self.policy.rows_max))

    def crowd(self, rows: int, suspects: int, most: int) -> None:
        """`suspects` of the last chunk's `rows` rows differed: where drift is dense, the next chunk takes so few rows
        that about `most` suspects come of it. Memory must not grow with drift."""
        if suspects:
            self.rows = max(self.policy.rows_min, min(self.rows, rows * most // suspects))

    def calm_down(self) -> None:
        """A chunk differed: no more rows at a time than one packed answer may hold, until chunks grow again."""
        self.rows = min(self.rows, self.policy.rows_packed)

    def halve(self) -> None:
        """A chunk ran into a time limit: half as many rows from now on."""
        self.rows = max(self.policy.rows_min, self.rows // 2)
        self._rows_seen = self._seconds_seen = 0.0
