"""Sequences before a cutover: what collides, in both directions, and what is said about it."""

from __future__ import annotations

import pytest

from verifier.checklist import Result
from verifier.sequences import SequenceState, sequences
from verifier.table import TableName

ORDERS = TableName("public", "orders")
NAME = TableName("public", "orders_id_seq")


def state(next_value: int, reach: int | None = None, *, step: int = 1, problem: str = "") -> SequenceState:
    return SequenceState(NAME, (ORDERS, "id"), next_value, step, reach, "set it to {last}", problem)


@pytest.mark.parametrize(
    ("leader", "follower", "result", "todo"),
    [
        (state(11, 10), state(11, 10), Result.PASS, ""),
        (state(11, 10), state(500, 10), Result.PASS, ""),
        (state(11, 10), state(1, 10), Result.FAIL, "set it to 10"),
        (state(11, 10), state(10, 10), Result.FAIL, "set it to 10"),
        # Handed out on the leader, and not in the table: rolled back, or not there any more.
        (state(21, 10), state(11, 10), Result.FAIL, "set it to 20"),
        (state(11, None), state(1, None), Result.FAIL, "set it to 10"),
        # Ids given by hand: the column is beyond both sequences.
        (state(11, 900), state(11, 900), Result.FAIL, "set it to 900"),
        (state(11, 900), state(901, 900), Result.PASS, ""),
        (state(-11, -10, step=-1), state(-11, -10, step=-1), Result.PASS, ""),
        (state(-11, -10, step=-1), state(-1, -10, step=-1), Result.FAIL, "set it to -10"),
        (state(-11, -10, step=-1), state(5, 3), Result.FAIL, "make public.orders_id_seq anew"),
        (state(20, 10, step=10), state(20, 10, step=10), Result.PASS, ""),
        (state(11, 10), state(11, problem="may not"), Result.UNKNOWN, "read them"),
        (state(11, problem="may not"), state(11, 10), Result.UNKNOWN, "read them"),
    ],
)
def test_pairs(leader: SequenceState, follower: SequenceState, result: Result, todo: str) -> None:
    check = sequences([leader], [follower], "eu", {})
    assert check.result is result
    assert todo in check.todo


def test_matched_by_the_column_that_uses_it() -> None:
    theirs = TableName("app", "bestellungen")
    other = SequenceState(TableName("app", "other_seq"), (theirs, "id"), 5, 1, 10, "set it to {last}")
    check = sequences([state(11, 10)], [other], "eu", {theirs: ORDERS})
    assert check.result is Result.FAIL
    assert check.detail == "app.other_seq gives 5 next, and app.bestellungen.id holds 10 already"


def test_one_that_no_column_uses_is_matched_where_the_tables_are() -> None:
    ours, theirs = SequenceState(TableName("shop", "s"), None, 5), SequenceState(TableName("copy", "s"), None, 3)
    names = {TableName("copy", "orders"): TableName("shop", "orders")}
    check = sequences([ours], [theirs], "eu", names)
    assert (check.result, check.detail) == (Result.FAIL, "copy.s gives 3 next, the leader 5")
    assert sequences([ours], [theirs], "eu", {}).detail == "shop.s is missing"


def test_one_that_is_missing_and_one_that_is_the_followers_own() -> None:
    own = SequenceState(TableName("public", "local"), None, 1)
    check = sequences([state(11, 10)], [own], "eu", {})
    assert (check.result, check.detail) == (Result.FAIL, "public.orders_id_seq is missing")
    assert sequences([], [own], "eu", {}).result is Result.PASS
