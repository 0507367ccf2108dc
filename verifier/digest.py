"""Digest of a set of rows: their count and the sum of their row hashes modulo 2^64.

Addable and free of order: the digest of a union of disjoint sets is the sum of the digests. Sums and never XOR,
because equal rows cancel in XOR. Equal digests are *taken as* equal sets; with independent 64-bit row hashes two
different sets share a checksum by chance once in 2^64. What makes a row hash sound is written in the engine's
`expressions` module and tested there (NULL is not '', columns are bounded, the key seeds the hash).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MODULUS = 1 << 64


@dataclass(frozen=True, slots=True)
class Digest:
    """`rows` counted and `checksum` in [0, 2^64)."""

    rows: int = 0
    checksum: int = 0

    @classmethod
    def of(cls, hashes: Iterable[int]) -> Digest:
        """The digest of rows with these hashes (signed or unsigned 64-bit; any integers, taken modulo 2^64)."""
        rows = total = 0
        for value in hashes:
            rows += 1
            total += value
        return cls(rows, total % MODULUS)

    def __add__(self, other: Digest) -> Digest:
        return Digest(self.rows + other.rows, (self.checksum + other.checksum) % MODULUS)

    def __str__(self) -> str:
        return f"{self.rows}:{self.checksum:016x}"


EMPTY = Digest()
