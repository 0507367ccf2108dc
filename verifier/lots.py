"""About how much memory the keys of a window's transactions take.

Keys may be thousands of bytes long, and there are tens of thousands of transactions a second. So their keys are not
measured one by one: those that came together are a *lot*, of which a few are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from verifier.change import Blindness
from verifier.table import Key, TableName
from verifier.weight import keys_bytes

_SAMPLED = 16


Entry: TypeAlias = tuple[Mapping[TableName, Sequence[Key]], tuple[Blindness, ...], int]
"""A transaction's keys, its blindness, and how many keys there are (at least 1), without its values: a window of hours
must not hold the after-images of hours. A plain tuple is made ten times as fast as one with names."""


class Lots:
    """`bytes`: of the keys of all entries that were taken in and not dropped since."""

    def __init__(self) -> None:
        self.bytes = 0
        self._entries = 0
        self._lots: deque[tuple[int, int]] = deque()  # how many entries, and their bytes

    def take(self, entries: Sequence[Entry]) -> None:
        """All that there are, of which the last ones are new."""
        new = entries[self._entries :]
        if not new:
            return
        found = _bytes(new)
        self._lots.append((len(new), found))
        self._entries += len(new)
        self.bytes += found

    def drop(self, count: int) -> None:
        """The first ones."""
        self._entries -= count
        while count > 0:
            entries, held = self._lots.popleft()
            gone = held if entries <= count else held * count // entries
            self.bytes -= gone
            if entries > count:
                self._lots.appendleft((entries - count, held - gone))
            count -= entries

    def beyond(self, most: int) -> int:
        """How many of the first ones to drop, so that the others have no more than `most` bytes."""
        spare, count = self.bytes - most, 0
        for entries, held in self._lots:
            if spare <= 0:
                break
            spare -= held
            count += entries
        return count


def _bytes(entries: Sequence[Entry]) -> int:
    """By a sample; the last one is in it, because a batch ends with one that is large."""
    held = count = 0
    for tables, _, _ in entries[:: -(len(entries) // _SAMPLED + 1)]:
        for keys in tables.values():
            held += keys_bytes(keys)
            count += len(keys)
    return held * sum([size for _, _, size in entries]) // count if count else 0
