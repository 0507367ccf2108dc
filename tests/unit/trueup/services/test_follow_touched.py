"""Which keys were touched, in the order of their latest commits."""

from __future__ import annotations

from trueup.services.follow import Touched, touch
from verifier.change import Blindness, Cause, Change, Operation, Transaction
from verifier.position import Lsn
from verifier.table import Key, TableName

ORDERS, LINES, ELSEWHERE = TableName("public", "orders"), TableName("public", "lines"), TableName("other", "t")
OURS = (ORDERS, LINES)


def transaction(at: int, *keys: tuple[TableName, Key], blind: tuple[Blindness, ...] = ()) -> Transaction:
    return Transaction(at, Lsn(at), 0.0, tuple(Change(table, key, Operation.UPDATE) for table, key in keys), blind)


def test_a_key_that_is_touched_again_goes_behind_all_others() -> None:
    first = transaction(10, (ORDERS, (1,)), (ORDERS, (2,)), (LINES, (1,)))
    second = transaction(20, (ORDERS, (3,)), (ORDERS, (1,)))
    expected = [
        ((ORDERS, (2,)), Lsn(10)),
        ((LINES, (1,)), Lsn(10)),
        ((ORDERS, (3,)), Lsn(20)),
        ((ORDERS, (1,)), Lsn(20)),
    ]
    at_once: Touched = {}
    assert touch(at_once, [first, second], OURS) == set()
    assert list(at_once.items()) == expected
    one_by_one: Touched = {}
    touch(one_by_one, [first], OURS)
    touch(one_by_one, [second], OURS)
    assert list(one_by_one.items()) == expected


def test_the_same_keys_once_more_are_of_the_later_commit() -> None:
    touched: Touched = {}
    touch(touched, [transaction(10, (ORDERS, (1,)), (ORDERS, (1,)), (ORDERS, (2,)))], OURS)
    touch(touched, [transaction(20, (ORDERS, (2,)), (ORDERS, (1,)))], OURS)
    assert list(touched.items()) == [((ORDERS, (2,)), Lsn(20)), ((ORDERS, (1,)), Lsn(20))]


def test_keys_that_changed_untold_are_noted_and_tables_of_others_are_named() -> None:
    blind = (
        Blindness(Cause.UNREADABLE, ORDERS, keys=((7,),)),
        Blindness(Cause.UNREADABLE, ELSEWHERE, keys=((8,),)),
        Blindness(Cause.GAP, LINES),
    )
    touched: Touched = {}
    told = [transaction(10, (ORDERS, (7,)), (ELSEWHERE, (1,))), transaction(20, (ORDERS, (1,)), blind=blind)]
    assert touch(touched, told, OURS) == {ELSEWHERE}
    assert list(touched.items()) == [((ORDERS, (1,)), Lsn(20)), ((ORDERS, (7,)), Lsn(20))]
