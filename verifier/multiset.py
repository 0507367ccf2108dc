"""Tables without a key: rows cannot be addressed, so the two sides are compared as multisets of row hashes.

Because no key seeds the hash, it must not be linear in the row's columns by itself (`verifier.digest`): a value
exchanged between two rows would leave the sum unchanged.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import ItemsView, Iterable, Iterator, Mapping
from dataclasses import dataclass

MULTISET_MAX = 500_000
"""Different row hashes of one table that are counted one by one: sixteen bytes each, on both sides."""


class HashCounts(Mapping[int, int]):
    """How often each row hash occurs, from records of 16 bytes: the unsigned hash and its count as 64-bit big-endian
    numbers, in the order of the hashes. Sixteen bytes a hash, where a dictionary would take ten times that."""

    __slots__ = ("_counts", "_hashes")

    def __init__(self, packed: bytes) -> None:
        numbers = array("Q", packed)
        if sys.byteorder == "little":
            numbers.byteswap()
        self._hashes, self._counts = numbers[::2], numbers[1::2]

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> HashCounts:
        """The same counts, packed."""
        return cls(b"".join(struct.pack(">QQ", value, counts[value]) for value in sorted(counts)))

    def __getitem__(self, value: int) -> int:
        place = bisect_left(self._hashes, value)
        if place == len(self._hashes) or self._hashes[place] != value:
            raise KeyError(value)
        return self._counts[place]

    def __iter__(self) -> Iterator[int]:
        return iter(self._hashes)

    def __len__(self) -> int:
        return len(self._hashes)

    def items(self) -> ItemsView[int, int]:
        return _Items(self)

    def in_order(self) -> Iterator[tuple[int, int]]:
        """Hashes with their counts, none of them searched for."""
        return zip(self._hashes, self._counts, strict=True)


class _Items(ItemsView[int, int]):
    def __init__(self, counts: HashCounts) -> None:
        super().__init__(counts)
        self._counts = counts

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return self._counts.in_order()


@dataclass(frozen=True, slots=True)
class Surplus:
    """How many rows only the leader has, and how many only the follower; a changed row counts in both."""

    leader: int = 0
    follower: int = 0

    def __bool__(self) -> bool:
        return bool(self.leader or self.follower)


class Suspects:
    """The hashes that did not occur equally often when both sides were first looked at, through later looks; 32 bytes
    each: the hash, its counts on both sides at the latest look, and how many looks in a row have found these counts.

    What they say, that a hash is equal or that it differs, counts once enough looks in a row have found the very same
    two counts: the sides are looked at one after the other, and of rows that come and go two looks can find an equal
    count where one is missing, as well as different ones where none is.
    """

    __slots__ = ("_found",)

    def __init__(self, found: Iterable[tuple[int, int, int, int]]) -> None:
        self._found = array("Q", (number for each in found for number in each))

    @classmethod
    def between(cls, leader: Mapping[int, int], follower: Mapping[int, int]) -> Suspects:
        return cls((value, ours, theirs, 1) for value, ours, theirs in _differing(leader, follower))

    def looked(self, leader: Mapping[int, int], follower: Mapping[int, int], looks: int) -> Suspects:
        """What is left of them after one more look at both sides, without those that `looks` in a row found equal."""

        def later() -> Iterator[tuple[int, int, int, int]]:
            for value, ours, theirs, times in self:
                now, there = leader.get(value, 0), follower.get(value, 0)
                times = times + 1 if (now, there) == (ours, theirs) else 1
                if now != there or times < looks:
                    yield value, now, there, times

        return Suspects(later())

    def steady(self, looks: int) -> int:
        """How many of them differ and have been found so by at least so many looks in a row."""
        return sum(times >= looks and ours != theirs for _, ours, theirs, times in self)

    def surplus(self, looks: int = 1) -> Surplus:
        """The rows behind those."""
        more = less = 0
        for _, ours, theirs, times in self:
            if times >= looks:
                more += max(0, ours - theirs)
                less += max(0, theirs - ours)
        return Surplus(more, less)

    def __iter__(self) -> Iterator[tuple[int, int, int, int]]:
        return zip(*[iter(self._found)] * 4, strict=True)

    def __len__(self) -> int:
        return len(self._found) // 4


def _differing(leader: Mapping[int, int], follower: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
    for value, count in leader.items():
        other = follower.get(value, 0)
        if other != count:
            yield value, count, other
    for value, count in follower.items():
        if value not in leader:
            yield value, 0, count
