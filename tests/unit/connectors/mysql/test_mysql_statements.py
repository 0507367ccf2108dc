"""Which keys fit beside their hash: those of one signed integer of 64 bits."""

from __future__ import annotations

import pytest

from connectors.mysql.statements import Statements
from verifier.table import Column, Family, Key, Table, TableName


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


def test_statements_name_as_many_keys_as_may_be_sent_at_once() -> None:
    """Five hundred, and fewer of long ones; all of them once and in order."""
    columns = (Column("a", Family.TEXT, "varchar(3072)"), Column("b", Family.INTEGER, "int"))
    statements = Statements(Table(TableName("shop", "t"), columns, ("a", "b")), quote, by_bytes=True)
    for length, most in ((100, 500), (492, 500), (2_992, 83), (300_000, 1)):
        keys: list[Key] = [(f"{n:04}".ljust(length, "k"), n) for n in range(2 * most + 1)]
        asked = list(statements.points(keys, whole_rows=False))
        assert [len(values) // 2 for _, values in asked] == [most, most, 1]
        assert [value for _, values in asked for value in values] == [part for key in keys for part in key]
