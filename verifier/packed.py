"""Row digests of a whole chunk, kept as the one packed value that the engine answered.

A chunk's digests are usually compared with another server's and thrown away, and nearly all of them are equal. So
they stay packed: sixteen bytes a row, key and hash, compared as bytes; a dictionary is built only where the rows of
the two sides do not line up. Rows that share a key are never made one: two packed values are compared row by row, and
a mapping that would hide one of them is refused.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from verifier.digest import MODULUS, Digest
from verifier.errors import Permanent
from verifier.table import Key, KeyValue
from verifier.weight import sampled_bytes

_RECORD = 16
_KEY = struct.Struct(">q")
_PAIR = struct.Struct(">qQ")
_STRETCH = 256 * _RECORD
_STEP = 16 * _RECORD
"""Bytes that are compared at once where the sides agree: much first, then little, then record by record."""


class PackedDigests(Mapping[Key, int]):
    """Keys and unsigned 64-bit row hashes. Integer keys stay packed until somebody looks one up."""

    __slots__ = ("_by_key", "_packed", "key_bytes")

    def __init__(self, packed: bytes | None, by_key: dict[Key, int] | None, key_bytes: float) -> None:
        self._packed = packed
        self._by_key = by_key
        self.key_bytes = key_bytes
        """Of a key, in the mean, by a sample; 0 if there are no rows."""

    @classmethod
    def whole(cls, packed: bytes) -> PackedDigests:
        """From records of 16 bytes: the key as a signed and the hash as an unsigned 64-bit big-endian number."""
        return cls(packed, None, _KEY.size if packed else 0)

    @classmethod
    def beside(cls, keys: Sequence[Sequence[KeyValue] | None], hashes: bytes) -> PackedDigests:
        """From one sequence per key column (None: no rows) and the hashes, 8 bytes each, in the same order."""
        numbers = struct.unpack(f">{len(hashes) // 8}Q", hashes)
        columns = [column or () for column in keys]
        found = _unique(dict(zip(zip(*columns, strict=True), numbers, strict=True)), len(numbers))
        return cls(None, found, sampled_bytes(columns))

    def compare(self, other: PackedDigests) -> tuple[Sequence[Key], Sequence[Key], Sequence[Key]] | None:
        """Keys whose hashes differ, keys of which more rows are here, keys of which more rows are there; None if either
        is not packed. Nothing says that a key is unique: a follower may have lost its primary key, or a user named one.
        So every row counts, and three empty answers mean that both sides hold the very same rows."""
        if self._packed is None or other._packed is None:
            return None
        if self._packed == other._packed:
            return (), (), ()
        return _merged(self._packed, other._packed) or _by_key(self._packed, other._packed)

    def digest(self) -> Digest:
        """Count and sum of the hashes: what the engine's own digest of these rows would be."""
        if self._packed is None:
            return Digest.of(self._dictionary().values())
        numbers = array("Q", self._packed)
        if sys.byteorder == "little":
            numbers.byteswap()
        return Digest(len(self), sum(numbers[1::2]) % MODULUS)

    def __getitem__(self, key: Key) -> int:
        return self._dictionary()[key]

    def __contains__(self, key: object) -> bool:
        return key in self._dictionary()

    def __iter__(self) -> Iterator[Key]:
        return iter(self._dictionary())

    def __len__(self) -> int:
        return len(self._packed) // _RECORD if self._packed is not None else len(self._dictionary())

    def _dictionary(self) -> dict[Key, int]:
        if self._by_key is None:
            found: dict[Key, int] = {(key,): value for key, value in _PAIR.iter_unpack(self._packed or b"")}
            self._by_key = _unique(found, len(self))
        return self._by_key


def _unique(found: dict[Key, int], rows: int) -> dict[Key, int]:
    """A key that two rows share would hide one of them, and what differs in it."""
    if len(found) != rows:
        raise Permanent(
            f"{rows - len(found)} of {rows} rows share their key with another row; name a key that is unique"
        )
    return found


def _merged(left: bytes, right: bytes) -> tuple[list[Key], list[Key], list[Key]] | None:
    """What differs, if both sides sent their rows in ascending order of the key, as a walk along an index does. Every
    row that is not passed beside its equal is named, so nothing is missed in any order; but None if a key would be
    named more than once, which happens only where rows are not in order, or share a key."""
    unequal: list[int] = []
    missing: list[int] = []
    extra: list[int] = []
    i = j = 0
    while i < len(left) and j < len(right):
        i, j = _skip(left, i, right, j, _STRETCH)
        i, j = _skip(left, i, right, j, _STEP)
        i, j = _skip(left, i, right, j, _RECORD)
        if i >= len(left) or j >= len(right):
            break
        (ours,), (theirs,) = _KEY.unpack_from(left, i), _KEY.unpack_from(right, j)
        if ours == theirs:
            unequal.append(ours)
        elif ours < theirs:
            missing.append(ours)
        else:
            extra.append(theirs)
        i += _RECORD if ours <= theirs else 0
        j += _RECORD if ours >= theirs else 0
    missing += (key for key, _ in _PAIR.iter_unpack(left[i:]))
    extra += (key for key, _ in _PAIR.iter_unpack(right[j:]))
    if len({*unequal, *missing, *extra}) != len(unequal) + len(missing) + len(extra):
        return None
    return [(key,) for key in unequal], [(key,) for key in missing], [(key,) for key in extra]


def _skip(left: bytes, i: int, right: bytes, j: int, size: int) -> tuple[int, int]:
    """Go on while the next `size` bytes are there on both sides and equal."""
    last, ahead = min(len(left), len(right) + i - j) - size, j - i
    while i <= last and left[i : i + size] == right[i + ahead : i + ahead + size]:
        i += size
    return i, i + ahead


def _by_key(left: bytes, right: bytes) -> tuple[list[Key], list[Key], list[Key]]:
    """The same in any order. Where rows share a key the rows of each key are compared as a multiset."""
    ours, theirs = dict(_PAIR.iter_unpack(left)), dict(_PAIR.iter_unpack(right))
    if len(ours) * _RECORD != len(left) or len(theirs) * _RECORD != len(right):
        return _by_rows(left, right)
    apart = [key for key, value in ours.items() if theirs.get(key) != value]
    unequal: list[Key] = [(key,) for key in apart if key in theirs]
    missing: list[Key] = [(key,) for key in apart if key not in theirs]
    return unequal, missing, [(key,) for key in theirs.keys() - ours.keys()]


def _by_rows(left: bytes, right: bytes) -> tuple[list[Key], list[Key], list[Key]]:
    ours, theirs = Counter(_PAIR.iter_unpack(left)), Counter(_PAIR.iter_unpack(right))
    ahead: Counter[int] = Counter()
    for (key, _), rows in (ours - theirs).items():
        ahead[key] += rows
    for (key, _), rows in (theirs - ours).items():
        ahead[key] -= rows
    unequal: list[Key] = [(key,) for key, rows in ahead.items() if rows == 0]
    missing: list[Key] = [(key,) for key, rows in ahead.items() if rows > 0]
    return unequal, missing, [(key,) for key, rows in ahead.items() if rows < 0]
