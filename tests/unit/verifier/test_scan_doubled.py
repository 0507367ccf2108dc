"""A follower that lost its primary key may hold a key twice: the walk never takes the two rows for one."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest

from connectors.memory.clock import VirtualClock
from verifier.chunk import ChunkSize
from verifier.compare import comparison
from verifier.digest import Digest
from verifier.drift import Kind, digest_of
from verifier.keyrange import KeyRange
from verifier.look import Look
from verifier.packed import PackedDigests
from verifier.policy import ScanPolicy
from verifier.ports import in_turn
from verifier.position import NOWHERE
from verifier.scan import ChunkRead, TableScan
from verifier.table import Column, Family, Key, Table, TableName
from verifier.view import NoView

TABLE = Table(TableName("public", "t"), (Column("id", Family.INTEGER, "integer", nullable=False),), ("id",))
LEADER = ((2, 22), (1, 11), (3, 33))


@dataclass
class _Heap:
    """Answers with its rows as they lie: by key as one packed value, or as a mapping that is given."""

    rows: Sequence[tuple[int, int]]
    mapping: Mapping[Key, int] | None = None

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        packed = PackedDigests.whole(b"".join(struct.pack(">qQ", *row) for row in self.rows))
        return Look(packed if self.mapping is None else self.mapping, NOWHERE, NOWHERE, NoView())

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        return Look(Digest.of(value for _, value in self.rows), NOWHERE, NOWHERE, NoView())

    def boundary(self, table: Table, after: Key | None, rows: int) -> Key | None:
        return None


def read(leader: Any, *followers: Any, differed: bool) -> ChunkRead:
    """The only chunk. `differed`: the row digests are asked for at once, as behind a chunk that differed."""
    compared, clock = comparison(TABLE, TABLE), VirtualClock()
    sides: dict[str, Any] = {f"f{n}": (follower, compared) for n, follower in enumerate(followers)}
    scan = TableScan(leader, sides, ChunkSize(ScanPolicy()), clock, in_turn)
    if differed:
        scan._differed = set(sides)
    return scan.step()


@pytest.mark.parametrize("differed", [False, True])
def test_a_row_that_hides_behind_another_is_found_in_any_order_on_any_side(differed: bool) -> None:
    for lying in permutations([*LEADER, (1, 99)]):
        found = read(_Heap(LEADER), _Heap(lying), differed=differed).followers["f0"]
        assert (found.digest.rows, dict(found.suspects)) == (4, {(1,): Kind.EXTRA})
        assert dict(read(_Heap(lying), _Heap(LEADER), differed=differed).followers["f0"].suspects) == {
            (1,): Kind.MISSING
        }


@pytest.mark.parametrize("differed", [False, True])
def test_keys_that_are_doubled_alike_are_no_suspects_and_the_others_are_found(differed: bool) -> None:
    doubled = [*LEADER, (1, 99)]
    other = [(1, 99), (3, 34), (2, 22), (1, 11)]
    assert dict(read(_Heap(doubled), _Heap(other), differed=differed).followers["f0"].suspects) == {
        (3,): Kind.MISMATCHED
    }


@pytest.mark.parametrize("differed", [False, True])
def test_no_suspect_where_the_digests_of_the_rows_differ_is_no_match_and_one_followers_own(differed: bool) -> None:
    class Lossy(dict[Key, int]):
        def values(self) -> Any:
            return [*super().values(), 99]

    lossy = Lossy({(key,): value for key, value in LEADER})
    assert digest_of(lossy).rows == 4
    seen = read(_Heap(LEADER), _Heap([*LEADER, (1, 99)], lossy), _Heap(LEADER), differed=differed)
    assert (set(seen.followers), seen.refused) == ({"f1"}, {"f0"})
    assert "no key differs" in seen.failed["f0"]


def test_a_mapping_that_must_hide_a_row_costs_only_its_follower() -> None:
    """One side packed, the other not: the packed side's doubled key has no place in a mapping."""
    plain = {(key,): value for key, value in LEADER}
    packed = _Heap([*LEADER, (1, 99)])
    seen = read(_Heap(LEADER, plain), packed, _Heap(LEADER), differed=True)
    assert (set(seen.followers), seen.refused) == ({"f1"}, {"f0"})
    assert "share their key" in seen.failed["f0"]
