"""Keys are matched by their text: where equal keys would be spelled differently, a table is not compared."""

from __future__ import annotations

import pytest

from verifier.compare import comparison
from verifier.table import Column, Family, Table, TableName


def table(family: Family, declared: str) -> Table:
    return Table(TableName("public", "t"), (Column("k", family, declared, False),), ("k",))


@pytest.mark.parametrize(
    ("leader", "follower"),
    [
        ((Family.INTEGER, "integer"), (Family.INTEGER, "bigint")),
        ((Family.TEXT, "text"), (Family.TEXT, "character varying(20)")),
        ((Family.ENUM, "mood"), (Family.TEXT, "text")),
        ((Family.DECIMAL, "numeric(12,2)"), (Family.DECIMAL, "numeric(12,2)")),
        ((Family.CHAR, "character(3)"), (Family.CHAR, "character(5)")),
    ],
)
def test_keys_that_are_spelled_alike(leader: tuple[Family, str], follower: tuple[Family, str]) -> None:
    assert comparison(table(*leader), table(*follower)).problem is None


@pytest.mark.parametrize(
    ("leader", "follower"),
    [
        ((Family.DECIMAL, "numeric"), (Family.DECIMAL, "numeric(12,2)")),
        ((Family.INTEGER, "integer"), (Family.DECIMAL, "numeric(12,2)")),
        ((Family.FLOAT, "real"), (Family.FLOAT, "double precision")),
        ((Family.TEXT, "text"), (Family.CHAR, "character(8)")),
    ],
)
def test_keys_that_are_not(leader: tuple[Family, str], follower: tuple[Family, str]) -> None:
    compared = comparison(table(*leader), table(*follower))
    assert compared.problem is not None
    assert "spell the same key differently" in compared.problem or "has another type there" in compared.problem
    assert not compared.addressable


def test_a_key_that_the_follower_lacks() -> None:
    lacking = Table(TableName("public", "t"), (Column("v", Family.TEXT, "text"),), ())
    assert not comparison(table(Family.INTEGER, "integer"), lacking).addressable
