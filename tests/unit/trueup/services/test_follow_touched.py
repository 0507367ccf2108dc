"""Which keys were touched, in the order of their latest commits."""

from __future__ import annotations

from trueup.services.follow import touch
from verifier.position import Lsn, Position
from verifier.table import Key, TableName

ORDERS, LINES = TableName("public", "orders"), TableName("public", "lines")


def test_a_key_that_is_touched_again_goes_behind_all_others() -> None:
    touched: dict[tuple[TableName, Key], Position] = {}
    touch(touched, ORDERS, [(1,), (2,)], Lsn(10))
    touch(touched, LINES, [(1,)], Lsn(10))
    touch(touched, ORDERS, [(3,), (1,)], Lsn(20))
    assert list(touched.items()) == [
        ((ORDERS, (2,)), Lsn(10)),
        ((LINES, (1,)), Lsn(10)),
        ((ORDERS, (3,)), Lsn(20)),
        ((ORDERS, (1,)), Lsn(20)),
    ]


def test_the_same_keys_once_more_are_of_the_later_commit() -> None:
    touched: dict[tuple[TableName, Key], Position] = {}
    touch(touched, ORDERS, [(1,), (1,), (2,)], Lsn(10))
    touch(touched, ORDERS, [(2,), (1,)], Lsn(20))
    assert list(touched.items()) == [((ORDERS, (2,)), Lsn(20)), ((ORDERS, (1,)), Lsn(20))]
