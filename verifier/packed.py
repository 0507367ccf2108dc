"""Row digests of a whole chunk, kept as the one packed value that the engine answered.

A chunk's digests are usually compared with another server's and thrown away, and nearly all of them are equal. So
they stay packed: sixteen bytes a row, key and hash, compared as bytes; a dictionary is built only where the rows of
the two sides do not line up.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence

from verifier.errors import Permanent
from verifier.table import Key, KeyValue

_RECORD = 16
_NOT_ZERO = re.compile(rb"[^\0]")


class PackedDigests(Mapping[Key, int]):
    """Keys and unsigned 64-bit row hashes. Integer keys stay packed until somebody looks one up."""

    __slots__ = ("_by_key", "_packed")

    def __init__(self, packed: bytes | None, by_key: dict[Key, int] | None) -> None:
        self._packed = packed
        self._by_key = by_key

    @classmethod
    def whole(cls, packed: bytes) -> PackedDigests:
        """From records of 16 bytes: the key as a signed and the hash as an unsigned 64-bit big-endian number."""
        return cls(packed, None)

    @classmethod
    def beside(cls, keys: Sequence[Sequence[KeyValue] | None], hashes: bytes) -> PackedDigests:
        """From one sequence per key column (None: no rows) and the hashes, 8 bytes each, in the same order."""
        numbers = struct.unpack(f">{len(hashes) // 8}Q", hashes)
        columns = [column or () for column in keys]
        return cls(None, _unique(dict(zip(zip(*columns, strict=True), numbers, strict=True)), len(numbers)))

    def compare(self, other: PackedDigests) -> tuple[Sequence[Key], Sequence[Key], Sequence[Key]] | None:
        """Keys whose hashes differ, keys only here, keys only there; None if either is not packed."""
        if self._packed is None or other._packed is None:
            return None
        if self._packed == other._packed:
            return (), (), ()
        if len(self._packed) == len(other._packed):
            unequal = _aligned(self._packed, other._packed)
            if unequal is not None:
                return unequal, (), ()
        return _by_key(self._packed, other._packed)

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
            found: dict[Key, int] = {(key,): value for key, value in struct.iter_unpack(">qQ", self._packed or b"")}
            self._by_key = _unique(found, len(self))
        return self._by_key


def _unique(found: dict[Key, int], rows: int) -> dict[Key, int]:
    """A key that two rows share would hide one of them, and what differs in it."""
    if len(found) != rows:
        raise Permanent(
            f"{rows - len(found)} of {rows} rows share their key with another row; name a key that is unique"
        )
    return found


def _aligned(left: bytes, right: bytes) -> list[Key] | None:
    """Keys of records that differ, where both sides hold the same keys in the same order; None where they do not."""
    rest = (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(len(left))
    keys: list[Key] = []
    place = 0
    while found := _NOT_ZERO.search(rest, place):
        record = found.start() - found.start() % _RECORD
        if found.start() - record < 8:
            return None
        keys.append(struct.unpack_from(">q", left, record))
        place = record + _RECORD
    return keys


def _by_key(left: bytes, right: bytes) -> tuple[list[Key], list[Key], list[Key]]:
    ours: dict[int, int] = dict(struct.iter_unpack(">qQ", left))
    theirs: dict[int, int] = dict(struct.iter_unpack(">qQ", right))
    apart = [key for key, value in ours.items() if theirs.get(key) != value]
    unequal: list[Key] = [(key,) for key in apart if key in theirs]
    missing: list[Key] = [(key,) for key in apart if key not in theirs]
    return unequal, missing, [(key,) for key in theirs.keys() - ours.keys()]
