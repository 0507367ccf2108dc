"""How many rows the next chunk takes.

The size follows the measured rate towards the target time, a weighted average that forgets a quarter of the past
with each chunk (pt-table-checksum's rule). Growth is capped at x2 per chunk, so that a size learned on narrow rows
cannot hit wide ones at once; shrinking is not capped.

A chunk that is asked for the digests of its rows is bounded by memory, too: by rows, and by the bytes of their keys.
How long those are is learned from each such answer, and before the first from the keys at which the chunk ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from verifier.policy import ScanPolicy
from verifier.table import Key
from verifier.weight import key_bytes

_KEEP = 0.75


@dataclass(slots=True)
class ChunkSize:
    """Rows for the next chunk; one per table, since rates do not carry over between tables."""

    policy: ScanPolicy
    rows: int = 0
    key_bytes: float = 0.0
    """Of a key, as the last answer of row digests had them (0: there was none)."""
    _rows_seen: float = 0.0
    _seconds_seen: float = 0.0
    _fitting: int | None = None
    """Rows of which a server or trueup said that no more would fit; grows again with each answer that did."""

    def __post_init__(self) -> None:
        self.rows = self.rows or self.policy.rows_first

    def learn(self, rows: int, seconds: float) -> None:
        """A chunk of `rows` rows took `seconds` on the slower side."""
        self._rows_seen = self._rows_seen * _KEEP + rows
        self._seconds_seen = self._seconds_seen * _KEEP + max(seconds, 1e-4)
        wanted = int(self._rows_seen / self._seconds_seen * self.policy.chunk_seconds)
        self.rows = max(self.policy.rows_min, min(wanted, self.rows * 2, self.policy.rows_max))

    def weigh(self, key_bytes: float) -> None:
        """An answer of row digests had keys of so many bytes, in the mean; it came, so half as much again may, too."""
        self.key_bytes = key_bytes
        if self._fitting is not None:
            grown = self._fitting + max(1, self._fitting // 2)
            self._fitting = grown if grown < self.policy.rows_packed else None

    def packed(self, *ends: Key | None) -> int:
        """Rows of a chunk that is asked for the digests of its rows, at most; `ends`: keys at which it begins or ends,
        which speak for those between them where they are longer than what was learned."""
        longest = max([self.key_bytes, *(float(key_bytes(end)) for end in ends if end is not None)])
        by_bytes = int(self.policy.keys_bytes // longest) if longest else self.policy.rows_packed
        return max(1, min(self.policy.rows_packed, by_bytes, self._fitting or by_bytes))

    def overfull(self, rows: int) -> None:
        """An answer of row digests was too large; `rows` would fit."""
        self._fitting = max(1, rows)

    @property
    def suspects_max(self) -> int:
        """Keys that may wait to settle: twice the text of one answer at most."""
        by_bytes = int(2 * self.policy.keys_bytes // self.key_bytes) if self.key_bytes else self.policy.suspects_max
        return max(1, min(self.policy.suspects_max, by_bytes))

    def crowd(self, rows: int, suspects: int, most: int) -> None:
        """`suspects` of the last chunk's `rows` rows differed: where drift is dense, the next chunk takes so few rows
        that about `most` suspects come of it. Memory must not grow with drift."""
        if suspects:
            self.rows = max(self.policy.rows_min, min(self.rows, rows * most // suspects))

    def calm_down(self) -> None:
        """A chunk differed: no more rows at a time than one packed answer may hold, until chunks grow again."""
        self.rows = min(self.rows, self.packed())

    def halve(self) -> None:
        """A chunk ran into a time limit: half as many rows from now on."""
        self.rows = max(self.policy.rows_min, self.rows // 2)
        self._rows_seen = self._seconds_seen = 0.0
