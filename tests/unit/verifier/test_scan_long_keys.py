"""A table with long keys is walked in pieces whose keys may be held: no row is lost, none is read twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds.memory import MemoryWorld

from connectors.memory.clock import VirtualClock
from verifier.chunk import ChunkSize
from verifier.compare import comparison
from verifier.digest import Digest
from verifier.drift import Kind
from verifier.errors import Oversized, Permanent
from verifier.keyrange import KeyRange
from verifier.look import Look, Role
from verifier.policy import ScanPolicy
from verifier.ports import Replica, in_turn
from verifier.scan import ChunkRead, TableScan
from verifier.table import Family, Key, Table
from verifier.weight import bounded, key_bytes


@dataclass
class Bounded:
    """A server that refuses to tell the row digests of keys of more than `bytes_max` bytes."""

    inner: Replica
    bytes_max: int
    told: list[int] = field(default_factory=list)
    refused: int = 0

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        look = self.inner.row_digests(table, within)
        try:
            held = list(bounded(look.value, key_bytes, "keys", self.bytes_max))
        except Oversized:
            self.refused += 1
            raise
        self.told.append(sum(map(key_bytes, held)))
        return look

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Shelves:
    """Keys of these lengths, in order; `rogue` keys are the follower's alone, and where `changed` every row differs."""

    def __init__(self, lengths: list[int], *, rogue: int = 0, changed: bool = True) -> None:
        world = MemoryWorld(Role.STANDBY)
        name = world.create("t", (("k", Family.TEXT), ("v", Family.TEXT)), ("k",))
        keys = [f"{n:04}".ljust(length, "k") for n, length in enumerate(lengths)]
        world.insert(name, [{"k": key, "v": "v"} for key in keys])
        world.applied()
        rows = world._target.shelves.tables[name].rows
        if changed:
            for key in keys:
                rows[key,] = ({**rows[key,][0], "v": "wrong"}, *rows[key,][1:])
        for n in range(rogue):
            key = f"0000z{n:04}".ljust(60, "r")
            rows[key,] = ({"k": key, "v": "rogue"}, *next(iter(rows.values()))[1:])
        self.rows = {key: row[0] for key, row in rows.items()}
        self.table, self.leader, self.follower = world.leader.table(name), world.leader, world.follower
        self.keys = [(key,) for key in keys]

    def walk(self, policy: ScanPolicy, bytes_max: int) -> tuple[list[ChunkRead], Bounded, Bounded]:
        leader, follower = Bounded(self.leader, bytes_max), Bounded(self.follower, bytes_max)
        sides: Any = {"a": (follower, comparison(self.table, self.table))}
        ours: Any = leader
        scan = TableScan(ours, sides, ChunkSize(policy), VirtualClock(), in_turn)
        reads: list[ChunkRead] = []
        while not scan.done:
            reads.append(scan.step())
            assert len(reads) < 1_000
        return reads, leader, follower


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([4, 10, 60, 200]), min_size=1, max_size=80), st.integers(0, 30))
def test_every_row_is_in_one_piece_and_no_piece_is_too_large(lengths: list[int], rogue: int) -> None:
    """However long the keys are, and wherever: what was not foreseen is refused, and asked for in less."""
    shelves = Shelves(lengths, rogue=rogue)
    policy = ScanPolicy(rows_first=20, rows_min=1, rows_max=40, packed_max=20, keys_bytes=500)
    reads, leader, follower = shelves.walk(policy, 500)
    ranges = [read.chunk.range for read in reads]
    assert (ranges[0].lower, ranges[-1].upper) == (None, None)
    assert [r.upper for r in ranges[:-1]] == [r.lower for r in ranges[1:]]
    suspects = [item for read in reads for item in read.followers["a"].suspects.items()]
    assert len(suspects) == len(shelves.rows)
    assert dict(suspects) == {key: Kind.MISMATCHED if key in shelves.keys else Kind.EXTRA for key in shelves.rows}
    assert sum((read.leader for read in reads), Digest()).rows == len(lengths)
    assert max([*leader.told, *follower.told]) <= 500


def test_pieces_of_long_keys_are_foreseen_by_the_keys_at_which_they_end() -> None:
    """No answer is refused, not even the first one."""
    shelves = Shelves([100] * 60)
    policy = ScanPolicy(rows_first=20, rows_min=1, rows_max=40, packed_max=20, keys_bytes=500)
    _, leader, follower = shelves.walk(policy, 500)
    assert (leader.refused, follower.refused, max(leader.told), len(leader.told)) == (0, 0, 500, 12)


def test_short_keys_come_in_pieces_as_large_as_ever() -> None:
    shelves = Shelves([20] * 60)
    policy = ScanPolicy(rows_first=20, rows_min=1, rows_max=20, packed_max=20, keys_bytes=500)
    _, leader, _ = shelves.walk(policy, 500)
    assert (leader.refused, leader.told) == (0, [400] * 3)


def test_keys_that_do_not_come_in_any_size_end_the_table_in_words() -> None:
    class Refusing(Bounded):
        def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
            raise Oversized("too large", rows=1)

    shelves = Shelves([100] * 3)
    sides: Any = {"a": (shelves.follower, comparison(shelves.table, shelves.table))}
    leader: Any = Refusing(shelves.leader, 1)
    scan = TableScan(leader, sides, ChunkSize(ScanPolicy()), VirtualClock(), in_turn)
    with pytest.raises(Permanent, match="too large"):
        scan.step()
