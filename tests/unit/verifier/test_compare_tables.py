"""Lining up two tables: what differs in their description, and what stays comparable all the same."""

from __future__ import annotations

from verifier.compare import SchemaFinding, comparison
from verifier.table import Column, Family, Table, TableName

NAME = TableName("public", "t")
ID = Column("id", Family.INTEGER, "integer", nullable=False)
TEXT = Column("v", Family.TEXT, "text")


def table(*columns: Column, key: tuple[str, ...] = ("id",)) -> Table:
    return Table(NAME, columns, key)


def test_equal_tables_have_no_findings() -> None:
    found = comparison(table(ID, TEXT), table(ID, TEXT))
    assert (found.findings, found.problem, found.excluded) == ((), None, ())


def test_columns_are_matched_by_name_in_the_leaders_order() -> None:
    found = comparison(table(ID, TEXT), table(TEXT, ID))
    assert [column.name for column in found.follower.columns] == ["id", "v"]
    assert found.problem is None


def test_a_missing_column_is_a_finding_and_a_problem_and_the_rest_is_compared() -> None:
    found = comparison(table(ID, TEXT), table(ID))
    assert found.findings == (SchemaFinding("v", "column", "text", None),)
    assert found.problem is not None
    assert "'v' is missing" in found.problem
    assert [column.name for column in found.leader.columns] == ["id"]


def test_a_missing_column_that_is_excluded_is_no_problem() -> None:
    found = comparison(table(ID, TEXT), table(ID), frozenset({"v"}))
    assert (found.problem, found.excluded) == (None, ("v",))


def test_a_column_that_only_the_follower_has_is_a_finding_alone() -> None:
    found = comparison(table(ID), table(ID, TEXT))
    assert (found.findings, found.problem) == ((SchemaFinding("v", "column", None, "text"),), None)


def test_a_key_column_is_never_excluded() -> None:
    found = comparison(table(ID, TEXT), table(ID, TEXT), frozenset({"id"}))
    assert [column.name for column in found.leader.columns] == ["id", "v"]
    assert found.excluded == ()


def test_families_of_equal_values_are_compared_and_others_are_not() -> None:
    number, wider = Column("n", Family.INTEGER, "integer"), Column("n", Family.DECIMAL, "numeric")
    found = comparison(table(ID, number), table(ID, wider))
    assert found.problem is None
    assert found.findings == (SchemaFinding("n", "type", "integer", "numeric"),)
    clashing = comparison(table(ID, TEXT), table(ID, Column("v", Family.JSON, "jsonb")))
    assert clashing.problem is not None
    assert "'v' is jsonb on the follower and text on the leader" in clashing.problem


def test_unknown_types_are_compared_only_with_themselves() -> None:
    box, circle = Column("v", Family.OTHER, "box"), Column("v", Family.OTHER, "circle")
    assert comparison(table(ID, box), table(ID, box)).problem is None
    assert comparison(table(ID, box), table(ID, circle)).problem is not None


def test_no_key_is_a_problem() -> None:
    found = comparison(table(ID, TEXT, key=()), table(ID, TEXT, key=()))
    assert found.problem is not None
    assert "no primary key" in found.problem


def test_nullability_is_told() -> None:
    strict = Column("v", Family.TEXT, "text", nullable=False)
    found = comparison(table(ID, TEXT), table(ID, strict))
    assert found.findings == (SchemaFinding("v", "nullability", "null", "not null"),)
