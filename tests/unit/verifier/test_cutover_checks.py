"""The checklist before a cutover: what passes, what fails, what is unknown, and that unknown is never go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from verifier.checklist import Check, Result, goes
from verifier.cutover import Rows, described, moved
from verifier.surroundings import Contents, Fact, Surroundings, Written, compared
from verifier.table import TableName

ORDERS = TableName("public", "orders")
TOPICS = frozenset(
    {"indexes", "constraints", "triggers", "policies", "views", "routines", "extensions", "grants", "database"}
)


def side(
    *facts: Fact, objects: int | None = 0, physical: bool = False, tables: tuple[TableName, ...] = (ORDERS,)
) -> Surroundings:
    return Surroundings(facts, (), (), TOPICS, frozenset(tables), objects, physical)


def results(leader: Surroundings | None, follower: Surroundings | None, **names: TableName) -> dict[str, Result]:
    mapped = {theirs: ORDERS for theirs in names.values()}
    return {check.id: check.result for check in compared(leader, follower, "eu", mapped)}


@pytest.mark.parametrize(
    ("ours", "theirs", "result"),
    [
        (Fact("indexes", ORDERS, "btree (a)"), Fact("indexes", ORDERS, "btree (a)"), Result.PASS),
        (Fact("indexes", ORDERS, "btree (a)"), None, Result.FAIL),
        (None, Fact("indexes", ORDERS, "btree (a)"), Result.WARNING),
        (Fact("indexes", ORDERS, "btree (a)"), Fact("indexes", ORDERS, "btree (a)", "", "is invalid"), Result.FAIL),
        (
            Fact("indexes", ORDERS, "btree (a)", "", "is invalid"),
            Fact("indexes", ORDERS, "btree (a)", "", "is invalid"),
            Result.WARNING,
        ),
        (None, Fact("indexes", ORDERS, "btree (a)", "", "is invalid"), Result.FAIL),
        (Fact("triggers", ORDERS, "t", "enabled"), Fact("triggers", ORDERS, "t", "disabled"), Result.FAIL),
        (None, Fact("triggers", ORDERS, "t", "enabled"), Result.FAIL),
        (Fact("extensions", None, "hstore", "1.8"), Fact("extensions", None, "hstore", "1.7"), Result.WARNING),
        (Fact("extensions", None, "hstore", "1.8"), None, Result.FAIL),
        (Fact("grants", ORDERS, "owner", "a, 1"), Fact("grants", ORDERS, "owner", "b, 1"), Result.WARNING),
    ],
)
def test_facts(ours: Fact | None, theirs: Fact | None, result: Result) -> None:
    topic = (ours or theirs).topic  # type: ignore[union-attr]
    found = results(side(*([ours] if ours else [])), side(*([theirs] if theirs else [])))
    assert found.pop(topic) is result
    assert set(found.values()) == {Result.PASS}


def test_tables_by_another_name_and_tables_that_are_missing() -> None:
    theirs = TableName("app", "bestellungen")
    leader = side(Fact("indexes", ORDERS, "btree (a)"))
    assert (
        results(leader, side(Fact("indexes", theirs, "btree (a)"), tables=(theirs,)), t=theirs)["indexes"]
        is Result.PASS
    )
    # Said once, by the check of the tables.
    assert results(leader, side(tables=()))["indexes"] is Result.PASS


@pytest.mark.parametrize(
    ("ours", "theirs", "physical", "result"),
    [
        (0, 0, False, Result.PASS), (3, 0, False, Result.FAIL), (3, 3, True, Result.PASS),
        (3, 3, False, Result.UNKNOWN), (None, 0, False, Result.UNKNOWN),
    ],
)  # fmt: skip
def test_large_objects(ours: int | None, theirs: int, physical: bool, result: Result) -> None:
    assert results(side(objects=ours), side(objects=theirs, physical=physical))["large-objects"] is result


@pytest.mark.parametrize(
    ("ours", "theirs", "result", "words"),
    [
        (Contents("x", {7: "a"}), Contents("x", {7: "a"}), Result.PASS, "1 alike, in number and contents"),
        (Contents("x", {7: "a"}), Contents("y", {7: "b"}), Result.FAIL, "their contents differ: 7"),
        (Contents("x", {7: "a"}), Contents("y", {8: "a"}), Result.FAIL, "their contents differ: 7, 8"),
        (Contents("x"), Contents("y"), Result.FAIL, "their contents differ"),
        (Contents("x"), Contents(problem="no right"), Result.UNKNOWN, "could not be read on the follower: no right"),
        (Contents(problem="no right"), Contents("x"), Result.UNKNOWN, "could not be read on the leader: no right"),
        (None, Contents("x"), Result.UNKNOWN, "what is in them is not compared"),
    ],
)
def test_what_is_in_large_objects(ours: Contents | None, theirs: Contents, result: Result, words: str) -> None:
    one, other = replace(side(objects=1), contents=ours), replace(side(objects=1), contents=theirs)
    (check,) = (check for check in compared(one, other, "eu", {}) if check.id == "large-objects")
    assert check.result is result
    assert check.detail.endswith(words)


def test_large_objects_that_are_missing_are_named_where_they_are_few() -> None:
    one = replace(side(objects=8), contents=Contents("x", {number: "a" for number in range(8)}))
    other = replace(side(objects=1), contents=Contents("y", {3: "a"}))
    (check,) = (check for check in compared(one, other, "eu", {}) if check.id == "large-objects")
    assert check.detail == "8 on the leader, 1 on the follower: 0, 1, 2, 4, 5 and 2 more"


def test_an_engine_that_is_not_asked_leaves_everything_unknown() -> None:
    for found in (results(None, side()), results(side(), None), results(None, None)):
        assert set(found.values()) == {Result.UNKNOWN}
        assert len(found) == len(TOPICS) + 2
    without = Surroundings((), (), (), TOPICS - {"triggers"}, frozenset(), 0)
    assert results(side(), without)["triggers"] is Result.UNKNOWN


def test_definitions_of_two_engines_are_for_people_to_compare() -> None:
    ours, theirs = side(Fact("views", None, "v", "a")), side(Fact("views", None, "v", "b"))
    found = compared(ours, theirs, "eu", {}, alike=False)
    assert {one.id: one.result for one in found} == {
        "sequences": Result.PASS, "large-objects": Result.PASS, "definitions": Result.WARNING,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("read", "written", "result", "words"),
    [
        (10, Written(10, 0), Result.PASS, "none of it wrote a row"),
        (10, Written(10, 1), Result.UNKNOWN, "public.orders: 1 rows written"),
        (10, Written(9, 0), Result.UNKNOWN, "public.orders: 1 rows gone"),
        (10, Written(10, 2), Result.UNKNOWN, "public.orders: 2 rows written, 2 rows gone"),
        (10, Written(11, 0), Result.UNKNOWN, "1 rows more than were read"),
        (10, None, Result.UNKNOWN, "could not be told for public.orders"),
    ],
)
def test_what_moved(read: int, written: Written | None, result: Result, words: str) -> None:
    check = moved({ORDERS: (read, written)}, "it went on", "stop it", "leader")
    assert check.result is result
    assert words in check.detail


def test_no_table_is_no_proof() -> None:
    assert moved({}, "it went on", "stop it", "leader").result is Result.UNKNOWN
    assert {check.id: check.result for check in Rows("eu").checks()}["rows"] is Result.UNKNOWN


def test_go_needs_every_line() -> None:
    def line(result: Result) -> Check:
        return Check("x", "eu", "what", result)

    assert goes([line(Result.PASS), line(Result.WARNING)])
    for doubt in (Result.FAIL, Result.UNKNOWN):
        assert not goes([line(Result.PASS), line(doubt)])
    assert not goes([])


@pytest.mark.parametrize(
    ("what", "leader", "note", "result"),
    [
        ("type", "int", None, Result.FAIL),
        ("column", None, None, Result.FAIL),
        ("index", "btree (a)", None, Result.FAIL),
        ("index", None, None, Result.WARNING),
        ("index", None, "its build failed", Result.FAIL),
        ("index", "btree (a)", "on the leader: its build failed", Result.WARNING),
        ("default", None, None, Result.FAIL),
    ],
)
def test_findings_of_schema(what: str, leader: str | None, note: str | None, result: Result) -> None:
    assert described(what, leader, note) is result
