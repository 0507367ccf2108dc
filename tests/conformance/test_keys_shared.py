"""A key that rows share, as on a follower that lost its primary key: no packed value, point or row of any engine hides
one of them, whichever side has the row more, and in whatever order it walks its heap."""

from __future__ import annotations

from dataclasses import replace

import pytest
from worlds import WORLDS, World

from verifier.drift import Kind, told_apart
from verifier.errors import Permanent
from verifier.keyrange import ALL
from verifier.ports import Replica
from verifier.table import Family, Key, Scheme, Table

COLUMNS = (("id", Family.INTEGER), ("name", Family.TEXT), ("note", Family.TEXT))


def row(number: int, note: str) -> dict[str, str | None]:
    return {"id": str(number), "name": f"n{number}", "note": note}


def schemes(replica: Replica, table: Table) -> list[Scheme]:
    able = all(replica.canonical(column) for column in table.columns)
    return [scheme for scheme in Scheme if able or scheme is not Scheme.CANONICAL]


@pytest.mark.parametrize("standing", sorted(name for name in WORLDS if "memory" not in name), indirect=True)
def test_no_row_hides_behind_another_one_of_its_key(world: World) -> None:
    """Two tables that lie in another order; one of them holds key 1 with other values, too, and the other key 3 twice
    over, in an exact copy. Each is read on one side."""
    healthy, doubled = world.create("healthy", COLUMNS, []), world.create("doubled", COLUMNS, [])
    for table, rows in (
        (healthy, [(2, "right"), (1, "right"), (3, "right"), (4, "right")]),
        (doubled, [(1, "wrong"), (2, "right"), (3, "right"), (4, "right"), (3, "right"), (1, "right")]),
    ):
        world.insert(table, [row(number, note) for number, note in rows])
    world.applied()
    sides = (world.leader, healthy, world.follower, doubled), (world.follower, healthy, world.leader, doubled)
    for one, whole, other, twice in sides:
        ours = replace(one.table(whole), key=("id",))
        for scheme in schemes(one, ours):
            left = replace(ours, scheme=scheme)
            right = replace(other.table(twice), key=("id",), scheme=scheme)
            mine, others = one.row_digests(left, ALL).value, other.row_digests(right, ALL).value
            assert (len(mine), len(others), other.digest(right, ALL).value.rows) == (4, 6, 6)
            assert told_apart(mine, others) == {(1,): Kind.EXTRA, (3,): Kind.EXTRA}
            assert told_apart(others, mine) == {(1,): Kind.MISSING, (3,): Kind.MISSING}
            assert told_apart(others, other.row_digests(right, ALL).value) == {}
            refused(other, right, [(2,), (1,)])
            refused(other, right, [(3,)])
            named = replace(right, key=("name",))
            refused(other, named, [("n2",), ("n1",)])
            with pytest.raises(Permanent, match="share their key"):
                other.row_digests(named, ALL)


def refused(replica: Replica, table: Table, keys: list[Key]) -> None:
    for looked in (replica.point_digests, replica.rows):
        with pytest.raises(Permanent, match="share their key"):
            looked(table, keys)
