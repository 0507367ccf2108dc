"""Which keys fit beside their hash: those of one signed integer of 64 bits."""

from __future__ import annotations

import pytest

from connectors.mysql.statements import Statements
from verifier.table import Column, Family, Table, TableName


def quote(name: str) -> str:
    return f"`{name}`"


@pytest.mark.parametrize(
    ("declared", "whole"),
    [
        ("bigint(20)", True), ("bigint", True), ("int(11)", True), ("int(10) unsigned", True), ("tinyint(4)", True),
        ("bigint(20) unsigned", False), ("bigint unsigned", False),
    ],
)  # fmt: skip
def test_a_key_of_one_integer_is_packed_whole(declared: str, whole: bool) -> None:
    table = Table(TableName("shop", "t"), (Column("id", Family.INTEGER, declared),), ("id",))
    assert Statements(table, quote, by_bytes=True).whole is whole


def test_other_keys_are_not() -> None:
    columns = (Column("id", Family.INTEGER, "int"), Column("name", Family.TEXT, "text"))
    for key in (("name",), ("id", "name")):
        assert not Statements(Table(TableName("shop", "t"), columns, key), quote, by_bytes=True).whole
