"""The walk over one table: every row in exactly one chunk, suspects named, and one side's trouble nobody else's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from worlds.memory import MemoryWorld

from connectors.memory.clock import VirtualClock
from verifier.chunk import ChunkSize
from verifier.compare import comparison
from verifier.digest import EMPTY, Digest
from verifier.drift import Kind
from verifier.errors import Permanent, Temporary, Unreachable
from verifier.keyrange import Chunk, KeyRange
from verifier.look import Look, Role
from verifier.policy import ScanPolicy
from verifier.ports import Replica, in_turn
from verifier.reread import Reread
from verifier.scan import ChunkRead, TableScan, remaining
from verifier.table import Family, Key, Table, TableName


@dataclass
class Troubled:
    """A replica that cannot digest more than `rows_max` rows within its time limit, or fails as told."""

    inner: Replica
    rows_max: int = 1_000_000
    error: Exception | None = None
    digested: list[int] = field(default_factory=list)
    listed: list[int] = field(default_factory=list)

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        if self.error is not None:
            raise self.error
        look = self.inner.digest(table, within)
        self.digested.append(look.value.rows)
        if look.value.rows > self.rows_max:
            raise Temporary("statement timeout")
        return look

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        look = self.inner.row_digests(table, within)
        self.listed.append(len(look.value))
        return look

    def identity(self) -> Any:
        if isinstance(self.error, Unreachable):
            raise self.error
        return self.inner.identity()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Shop:
    """A leader and two followers with `rows` equal rows."""

    def __init__(self, rows: int) -> None:
        self.world = MemoryWorld(Role.STANDBY)
        self.name = self.world.create("t", (("id", Family.INTEGER), ("v", Family.TEXT)), ("id",))
        self.world.insert(self.name, [{"id": str(i), "v": f"v{i}"} for i in range(rows)])
        self.world.applied()
        self.clock = VirtualClock()
        self.a, self.b = Troubled(self.world.follower), Troubled(self.world.follower)
        self.leader = Troubled(self.world.leader)

    def damage(self, *, lost: tuple[int, ...] = (), changed: tuple[int, ...] = (), rogue: tuple[int, ...] = ()) -> None:
        rows = self.world._target.shelves.tables[self.name].rows
        for key in lost:
            del rows[key,]
        for key in changed:
            rows[key,] = ({**rows[key,][0], "v": "wrong"}, *rows[key,][1:])
        for key in rogue:
            rows[key,] = ({"id": str(key), "v": "rogue"}, *next(iter(rows.values()))[1:])

    def scan(self, rows: int, *names: str) -> TableScan:
        sides: dict[str, Any] = {"a": self.a, "b": self.b}
        table = self.world.leader.table(self.name)
        compared = comparison(table, table)
        chosen: Mapping[str, Any] = {name: (sides[name], compared) for name in names or ("a",)}
        size = ChunkSize(ScanPolicy(rows_first=rows, rows_min=1, rows_max=rows))
        leader: Any = self.leader
        return TableScan(leader, chosen, size, self.clock, in_turn)


def walk(scan: TableScan) -> list[ChunkRead]:
    reads = []
    while not scan.done:
        reads.append(scan.step())
        assert len(reads) < 1000
    return reads


@pytest.mark.parametrize("rows", [0, 1, 9, 10, 11, 57])
def test_every_row_is_in_exactly_one_chunk(rows: int) -> None:
    shop = Shop(rows)
    reads = walk(shop.scan(10))
    assert sum(read.leader.rows for read in reads) == rows
    assert [read.chunk.index for read in reads] == list(range(len(reads)))
    ranges = [read.chunk.range for read in reads]
    assert (ranges[0].lower, ranges[-1].upper) == (None, None)
    assert [r.upper for r in ranges[:-1]] == [r.lower for r in ranges[1:]]
    assert len(reads) == max(1, -(-rows // 10))
    assert not any(read.followers["a"].suspects for read in reads)


def test_suspects_are_named_with_their_kind() -> None:
    shop = Shop(30)
    shop.damage(lost=(3,), changed=(14, 29), rogue=(-5, 77))
    suspects: dict[Key, Kind] = {}
    for read in walk(shop.scan(10)):
        suspects.update(read.followers["a"].suspects)
    assert suspects == {
        (3,): Kind.MISSING, (14,): Kind.MISMATCHED, (29,): Kind.MISMATCHED, (-5,): Kind.EXTRA, (77,): Kind.EXTRA,
    }  # fmt: skip


def test_after_a_chunk_that_differs_the_next_one_is_read_once() -> None:
    """Its digest comes from its row digests; after an equal chunk the digest alone is asked for again."""
    shop = Shop(60)
    shop.damage(changed=(14, 25), lost=(27,))
    table = shop.world.leader.table(shop.name)
    reads = walk(shop.scan(10, "a"))
    assert (shop.leader.digested, shop.leader.listed) == ([10, 10, 10, 10], [10, 10, 10])
    assert (shop.a.digested, shop.a.listed) == ([10, 10, 10, 10], [10, 9, 10])
    for read in reads:
        assert read.leader == shop.world.leader.digest(table, read.chunk.range).value
        assert read.followers["a"].digest == shop.world.follower.digest(table, read.chunk.range).value
    assert [sorted(read.followers["a"].suspects) for read in reads] == [[], [(14,)], [(25,), (27,)], [], [], []]


def test_a_followers_trouble_is_its_own() -> None:
    shop = Shop(30)
    shop.a.error = Temporary("gone for a moment")
    reads = walk(shop.scan(10, "a", "b"))
    assert [(sorted(r.followers), dict(r.failed), r.refused) for r in reads] == [
        (["b"], {"a": "gone for a moment"}, frozenset())
    ] * 3
    shop.a.error = Permanent("no such table")
    reads = walk(shop.scan(10, "a", "b"))
    assert [(sorted(r.followers), r.refused) for r in reads] == [(["b"], {"a"})] * 3


def test_a_leaders_trouble_leaves_the_walk_where_it_was() -> None:
    shop = Shop(30)
    scan = shop.scan(10)
    scan.step()
    shop.leader.error = Temporary("gone for a moment")
    with pytest.raises(Temporary):
        scan.step()
    shop.leader.error = None
    scan.retreat()
    assert [(r.chunk.index, r.leader.rows) for r in walk(scan)] == [(1, 5), (2, 5), (3, 10)]


def test_what_a_resumed_walk_still_reads() -> None:
    name = TableName("public", "t")
    first, second = Chunk(name, KeyRange(None, (10,)), 0), Chunk(name, KeyRange((10,), (20,)), 1)
    last = Chunk(name, KeyRange((20,), None), 2)
    assert remaining([]) == [(0, KeyRange())]
    assert remaining([first, second]) == remaining([second, first]) == [(2, KeyRange((20,), None))]
    assert remaining([first, second, last]) == []


def reread(shop: Shop, rows_min: int = 1) -> Reread:
    return Reread(shop.scan(1_000), "a", rows_min, 1_000)


def all_of(parts: Reread, chunk: Chunk, rows: int) -> list[ChunkRead]:
    """Every part of the chunk, none of which failed."""
    reads = [parts.read(chunk, rows)]
    while not parts.ended:
        assert not reads[-1].failed
        reads.append(parts.read(chunk, rows))
    assert all(read.chunk == chunk for read in reads)
    return reads


def summed(reads: list[ChunkRead]) -> tuple[Digest, Digest, list[Key]]:
    leader, follower, suspects = EMPTY, EMPTY, list[Key]()
    for read in reads:
        leader, follower = leader + read.leader, follower + read.followers["a"].digest
        suspects += read.followers["a"].suspects
    return leader, follower, sorted(suspects)


def test_a_chunk_too_large_for_the_time_limit_is_read_in_parts() -> None:
    shop = Shop(100)
    shop.damage(lost=(3,), changed=(50, 98), rogue=(101,))
    shop.a.rows_max = 20
    leader, follower, suspects = summed(all_of(reread(shop), Chunk(shop.name, KeyRange(), 7), 100))
    assert follower == shop.world.follower.digest(shop.world.leader.table(shop.name), KeyRange()).value
    assert leader == shop.world.leader.digest(shop.world.leader.table(shop.name), KeyRange()).value
    assert suspects == [(3,), (50,), (98,), (101,)]
    assert max(rows for rows in shop.a.digested if rows <= 20) > 5  # no smaller than need be


def test_the_leader_too_may_need_parts() -> None:
    shop = Shop(100)
    shop.leader.rows_max = 20
    leader, follower, _ = summed(all_of(reread(shop), Chunk(shop.name, KeyRange((10,), (90,)), 0), 80))
    assert (leader.rows, follower.rows) == (80, 80)


def test_parts_do_not_get_smaller_than_the_least() -> None:
    shop = Shop(100)
    shop.a.rows_max = 2
    read = reread(shop, rows_min=10).read(Chunk(shop.name, KeyRange(), 0), 100)
    assert read.failed == {"a": "statement timeout"}
    shop.leader.rows_max = 2
    with pytest.raises(Temporary):
        reread(shop, rows_min=10).read(Chunk(shop.name, KeyRange(), 0), 100)


def test_a_follower_that_is_away_is_not_asked_for_parts() -> None:
    shop = Shop(100)
    shop.a.error = Unreachable("nobody answers")
    read = reread(shop).read(Chunk(shop.name, KeyRange(), 0), 100)
    assert read.failed == {"a": "nobody answers"}
    assert len(shop.leader.digested) == 1


def test_rows_that_went_meanwhile_do_no_harm() -> None:
    """The chunk had a hundred rows and has ten: a part reaches beyond it, on both sides alike."""
    shop = Shop(200)
    shop.damage(changed=(95,))
    for key in range(90):
        shop.world.delete(shop.name, {"id": str(key)})
    shop.world.applied()
    shop.a.rows_max = 60
    parts = reread(shop)
    parts.rows_max = 60
    leader, _, suspects = summed(all_of(parts, Chunk(shop.name, KeyRange(None, (100,)), 0), 100))
    assert (95,) in suspects
    assert leader != EMPTY


def test_a_part_that_failed_is_read_by_the_next_call_and_those_before_it_never_again() -> None:
    shop = Shop(100)
    parts, chunk = reread(shop), Chunk(shop.name, KeyRange(), 0)
    parts.rows_max = 50
    assert parts.read(chunk, 100).leader.rows == 50
    shop.a.error = Unreachable("nobody answers")
    assert parts.read(chunk, 100).failed == {"a": "nobody answers"}
    assert not parts.ended
    shop.a.error = None
    assert parts.read(chunk, 100).leader.rows == 50
    assert parts.ended
    assert shop.a.digested == [50, 50]


def calm(shop: Shop, packed: int, *names: str) -> TableScan:
    """A walk in chunks of 40 rows, of which `packed` may be read by rows."""
    scan = shop.scan(40, *names)
    scan.size = ChunkSize(ScanPolicy(rows_first=40, rows_min=1, rows_max=40, packed_max=packed))
    return scan


def test_a_chunk_too_large_to_be_read_by_rows_is_divided_where_it_differs() -> None:
    shop = Shop(200)
    shop.damage(changed=(50, 51), lost=(119,))
    reads = walk(calm(shop, 10))
    assert sum(read.leader.rows for read in reads) == 200
    assert [read.chunk.index for read in reads] == list(range(len(reads)))
    ranges = [read.chunk.range for read in reads]
    assert [r.upper for r in ranges[:-1]] == [r.lower for r in ranges[1:]]
    assert summed(reads)[2] == [(50,), (51,), (119,)]
    assert max(shop.a.digested) == 40
    assert max(shop.a.listed) == 10
    assert reads[0].leader.rows == 40
    assert reads[1].leader.rows == 10  # the second one differed: its beginning, by rows


def test_rows_that_only_the_follower_has_come_in_pieces_too() -> None:
    """The leader's chunk is small; the follower says where to cut."""
    shop = Shop(60)
    shop.damage(rogue=tuple(range(1_000, 1_100)))
    shop.world.insert(shop.name, [{"id": "5000", "v": "v"}])
    shop.world.applied()
    reads = walk(calm(shop, 10, "a", "b"))
    assert shop.a.listed.count(10) >= 9
    assert sum(shop.a.listed) < 250
    assert max(len(read.followers["a"].suspects) for read in reads) <= 10
    assert summed(reads)[2] == [(key,) for key in range(1_000, 1_100)]
    assert sum(read.leader.rows for read in reads) == 61


def test_chunk_sizes_follow_the_rate_and_never_leap() -> None:
    policy = ScanPolicy(chunk_seconds=0.5, rows_first=1_000, rows_min=100, rows_max=50_000)
    size = ChunkSize(policy)
    size.learn(1_000, 0.01)  # a hundred thousand rows a second
    assert size.rows == 2_000
    for _ in range(10):
        size.learn(size.rows, size.rows / 100_000)
    assert size.rows == 50_000
    size.learn(50_000, 50.0)
    assert size.rows < 5_000
    for _ in range(20):
        size.halve()
    assert size.rows == 100


def test_a_table_that_surely_fits_one_chunk_is_not_walked_first() -> None:
    shop = Shop(20)
    asked: list[int] = []

    def boundary(table: Table, after: Key | None, rows: int) -> Key | None:
        asked.append(rows)
        return shop.leader.inner.boundary(table, after, rows)

    shop.leader.boundary = boundary  # type: ignore[attr-defined]
    for most, questions in ((15, 0), (16, 1), (None, 1)):
        scan = shop.scan(15)
        replica, compared = scan.sides["a"]
        scan.sides = {"a": (replica, replace(compared, leader=replace(compared.leader, rows_most=most)))}
        asked.clear()
        read = scan.step()
        assert (len(asked) >= questions, bool(asked)) == (True, bool(questions))
        assert read.leader.rows == (15 if questions else 20)
        assert (read.chunk.range.upper is None, scan.done) == ((False, False) if questions else (True, True))
