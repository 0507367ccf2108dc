"""Where the keys of a transaction lie that is too large to tell them one by one: a few stretches, in limited memory.

Keys of integers alone are ordered alike everywhere, so they are gathered into stretches from a lowest to a highest key.
Where there are too many stretches those next to each other become one, the nearest first: what is told may hold more
keys than were touched, and never fewer. Of any other key only the engine knows the order; such keys lie anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice, pairwise
from typing import TypeAlias

from verifier.table import Key

Spans: TypeAlias = tuple[tuple[Key, Key], ...]
"""Stretches of keys, each from its lowest to its highest, both included. Empty: anywhere in the table."""

TOO_LARGE = "transaction too large to follow key by key"
SPANS_MAX = 256
_LOOSE_MAX = 8_192


class Gathered:
    """The keys of one table so far, as at most `spans_max` stretches and some thousand loose keys."""

    __slots__ = ("_anywhere", "_loose", "_spans", "_spans_max")

    def __init__(self, spans_max: int = SPANS_MAX) -> None:
        self._spans: list[tuple[Key, Key]] = []
        self._loose: set[Key] = set()
        self._anywhere = False
        self._spans_max = spans_max

    def add(self, keys: Iterable[Key]) -> None:
        if self._anywhere:
            return
        self._loose.update(keys)
        if len(self._loose) > _LOOSE_MAX:
            self._tie()
        elif not all(isinstance(value, int) for key in islice(self._loose, 1) for value in key):
            self.anywhere()  # at once, because such keys may be long

    def anywhere(self) -> None:
        """A key that is not known: it may be any."""
        self._anywhere = True
        self._loose, self._spans = set(), []

    def told(self) -> Spans:
        """Where they all lie, in order."""
        self._tie()
        return tuple(self._spans)

    def _tie(self) -> None:
        if not all(isinstance(value, int) for key in self._loose for value in key):
            self.anywhere()
            return
        found = _joined(sorted([*self._spans, *((key, key) for key in self._loose)]))
        self._loose = set()
        if len(found) > self._spans_max:
            gaps = sorted(range(1, len(found)), key=lambda at: _distance(found[at - 1][1], found[at][0]))
            cuts = [0, *sorted(gaps[len(gaps) - self._spans_max + 1 :]), len(found)]
            found = [(found[start][0], found[end - 1][1]) for start, end in pairwise(cuts)]
        self._spans = found


def _joined(ordered: list[tuple[Key, Key]]) -> list[tuple[Key, Key]]:
    """Without overlaps."""
    found: list[tuple[Key, Key]] = []
    for lowest, highest in ordered:
        if found and lowest <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], highest))
        else:
            found.append((lowest, highest))
    return found


def _distance(below: Key, above: Key) -> tuple[int, ...]:
    """How far apart, column by column."""
    return tuple(int(high) - int(low) for low, high in zip(below, above, strict=False))
