"""Long keys and wide rows on every engine: no answer holds more than it may, and what was refused comes in parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import worlds.duckdb
import worlds.memory
import worlds.mysql
import worlds.postgresql
import worlds.sqlite  # noqa: F401 - register their worlds
from worlds import WORLDS, World

from connectors.client import hashing
from connectors.mysql import reading
from trueup.clock import SystemClock
from verifier import weight
from verifier.chunk import ChunkSize
from verifier.compare import comparison, using
from verifier.drift import Kind
from verifier.errors import Oversized
from verifier.keyrange import ALL
from verifier.policy import ScanPolicy
from verifier.ports import in_turn
from verifier.scan import TableScan
from verifier.table import Family, Key, Scheme
from verifier.weight import Batch, mean_key_bytes

WIDE = 10_000
WIDE_ROWS = 12


@pytest.fixture(scope="module", params=sorted(WORLDS))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from WORLDS[request.param](request)


def test_rows_that_are_too_wide_together_come_in_parts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight, "ROWS_BYTES", 8 * WIDE + 1_000)
    made = world.create("wide", (("id", Family.INTEGER), ("doc", Family.JSON)), ["id"])
    world.insert(made, [{"id": str(n), "doc": '"' + str(n % 10) * WIDE + '"'} for n in range(WIDE_ROWS)])
    world.applied()
    keys: list[Key] = [(n,) for n in range(WIDE_ROWS)]
    for side in (world.leader, world.follower):
        table = side.table(made)
        with pytest.raises(Oversized, match="wide") as refused:
            side.rows(table, keys)
        assert refused.value.rows == 8
        parts = list(Batch(1_000).parts(keys, lambda part, ask=side, of=table: ask.rows(of, part).value))
        assert [len(part) for part in parts] == [8, 4]
        assert [len(row.values["doc"] or "") for part in parts for row in part.values()] == [WIDE + 2] * WIDE_ROWS
        hashes = {key: row.digest for part in parts for key, row in part.items()}
        assert side.point_digests(table, keys).value == hashes  # holds no rows, so all at once
        assert side.digest(table, ALL).value.rows == WIDE_ROWS
        with monkeypatch.context() as less:  # than a row, and nothing can be asked for in less
            less.setattr(weight, "ROWS_BYTES", WIDE // 2)
            assert list(side.rows(table, [(3,), (-1,), (99,)]).value) == [(3,)]


def test_a_walk_over_long_keys_asks_for_as_many_as_may_be_held(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is read as it comes is given up where it was not foreseen."""
    columns = (("a", Family.TEXT), ("b", Family.INTEGER), ("v", Family.TEXT))
    made = world.create("long", columns, ["a", "b"])
    other = world.create("other", columns, ["a", "b"])
    keys = [(f"{n:03}".ljust(150, "k"), n) for n in range(40)]
    for table, value in ((made, "x"), (other, "y")):
        world.insert(table, [{"a": a, "b": str(b), "v": value} for a, b in keys])
    world.applied()
    monkeypatch.setattr(hashing, "KEYS_BYTES", 2_000)
    monkeypatch.setattr(reading, "KEYS_BYTES", 2_000)
    follower = world.follower
    table = world.leader.table(made)
    compared = replace(comparison(table, table), follower=follower.table(other))
    for scheme, first, foreseen, most in ((Scheme.NATIVE, 20, 1_500, 9), (Scheme.CLIENT, 40, 100_000, 12)):
        sides: Any = {"f": (follower, using(compared, scheme))}
        policy = ScanPolicy(rows_first=first, rows_min=1, rows_max=40, packed_max=40, keys_bytes=foreseen)
        found, sizes = walked(TableScan(world.leader, sides, ChunkSize(policy), SystemClock(), in_turn))
        assert found == dict.fromkeys(keys, Kind.MISMATCHED)
        assert max(sizes) == most or (scheme is Scheme.CLIENT and follower.dialect == "memory")  # of 158 bytes each
    if follower.dialect in ("postgresql", "memory"):  # whose answers are made by a server that knows no limit of ours
        assert mean_key_bytes(follower.row_digests(compared.follower, ALL).value) == 158


def walked(scan: TableScan) -> tuple[dict[Key, Kind], Sequence[int]]:
    found: dict[Key, Kind] = {}
    sizes: list[int] = []
    while not scan.done:
        read = scan.step()
        assert not read.failed
        assert not found.keys() & read.followers["f"].suspects.keys()
        found |= read.followers["f"].suspects
        sizes.append(len(read.followers["f"].suspects))
    return found, sizes
