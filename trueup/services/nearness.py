"""Of the keys that differ in a chunk, those that are near by value: a tolerance finds them equal, digests do not.

A digest holds the bucket of a value, and values that are near may lie in two; where one side rounds, that is about
every second row (`verifier.tolerance`). Handed over as suspects they would all go through the journal at every scan,
only to be found equal. Read by key right here they are held to the same standard as rows whose digests are equal: two
looks, one at each side, that show the same. Whatever else differs stays a suspect, and so does everything if a side
cannot be asked: then the rules of evidence look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from verifier.canonical import differing_columns
from verifier.compare import Comparison
from verifier.drift import Kind
from verifier.errors import Permanent, Temporary
from verifier.look import Look, Row
from verifier.ports import Gather, Replica
from verifier.scan import ChunkRead, FollowerChunk
from verifier.table import Key
from verifier.weight import Batch

_KEYS = 1_000
"""In one statement; beyond that its fixed cost no longer matters."""


def without_near(
    read: ChunkRead, leader: Replica, sides: Mapping[str, tuple[Replica, Comparison]], gather: Gather[Any]
) -> ChunkRead:
    """The chunk without suspects whose values differ by no more than they may. Asks nobody where nothing is near, or
    nothing differs."""
    left = {
        name: _left(seen, leader, *sides[name], gather) if seen.suspects and _tolerant(sides[name][1]) else seen
        for name, seen in read.followers.items()
    }
    return replace(read, followers=left)


def _tolerant(compared: Comparison) -> bool:
    return any(column.tolerance is not None and column.tolerance.near for column in compared.leader.columns)


def _left(
    seen: FollowerChunk, leader: Replica, follower: Replica, compared: Comparison, gather: Gather[Any]
) -> FollowerChunk:
    ours, theirs = compared.leader, compared.follower

    def near(part: Sequence[Key]) -> list[Key]:
        looks: Sequence[Look[Mapping[Key, Row]]] = gather(
            [lambda: leader.rows(ours, part), lambda: follower.rows(theirs, part)]
        )
        mine, others = (look.value for look in looks)
        return [
            key
            for key in part
            if (one := mine.get(key)) is not None
            and (other := others.get(key)) is not None
            and not differing_columns(ours, one.values, other.values)
        ]

    differing = [key for key, kind in seen.suspects.items() if kind is Kind.MISMATCHED]
    found: set[Key] = set()
    try:
        for part in Batch(_KEYS).parts(differing, near):
            found.update(part)
    except (Temporary, Permanent):
        pass  # whoever verifies them tells what is wrong there
    return replace(seen, suspects={key: kind for key, kind in seen.suspects.items() if key not in found})
