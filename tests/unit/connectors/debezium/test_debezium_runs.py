"""Rows that are read many at a time: each reason why a transaction's part of them is not taken as it lies there."""

from __future__ import annotations

from itertools import groupby

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.columns import Columns
from connectors.debezium.event import End, RowEvent
from connectors.debezium.run import Run
from verifier.change import Blindness, Cause, Change, Operation, Transaction
from verifier.position import Lsn
from verifier.table import TableName

T = TableName("s", "t")
ONE, ORDER = ("p.s.t", 0), ("p.transaction", 0)
FIELDS = ("id",)


def row(xid: int, order: int) -> RowEvent:
    return RowEvent(xid, order, T, Change(T, (order,), Operation.UPDATE), None, FIELDS, None)


def run(*rows: RowEvent, fields: tuple[str, ...] = FIELDS) -> Run:
    told = Columns(T, [one.change.key for one in rows if one.change], ["u"] * len(rows), None, lambda _: {})
    counts = [(xid, len(list(same))) for xid, same in groupby(one.xid for one in rows)]
    return Run(T, counts, [one.order for one in rows], told, fields, 0.0)


def opened(keep_max: int = 100) -> TransactionAssembler:
    assembler = TransactionAssembler(Lsn(0), keep_max=keep_max)
    assembler.begin_at({ORDER: 0, ONE: 0}, ORDER)
    return assembler


def ended(assembler: TransactionAssembler, xid: int, events: int) -> Transaction:
    """Its END, at ten times its id."""
    assembler.boundary(ORDER, xid, End(xid, Lsn(10 * xid), events, ((str(T), events),), 1.0))
    (found,) = assembler.take(100)
    return found


def test_more_rows_than_may_be_kept_are_told_as_stretches() -> None:
    assembler = opened(keep_max=2)
    assembler.run(ONE, (0, 1, 2), run(row(1, 1), row(1, 2), row(1, 3)))
    assert assembler.held.kept == 0
    found = ended(assembler, 1, 3)
    assert len(found.changes) == 0
    assert [(one.cause, one.spans) for one in found.blind] == [(Cause.GAP, tuple(((n,), (n,)) for n in (1, 2, 3)))]


def test_a_row_that_came_twice_in_one_run_is_one_change() -> None:
    assembler = opened()
    assembler.run(ONE, (0,), run(row(1, 1)))
    ended(assembler, 1, 1)
    assembler.run(ONE, (1, 2), run(row(2, 1), row(2, 1)))
    found = ended(assembler, 2, 1)
    assert (len(found.changes), [one.key for one in found.changes]) == (1, [(1,)])
    assert assembler.held.kept == 0


def test_a_stretch_that_was_sent_again_in_the_same_run_is_not_kept() -> None:
    assembler = opened()
    assembler.run(ONE, (0,), run(row(1, 1)))
    ended(assembler, 1, 1)
    assembler.run(ONE, (1, 2, 3, 4), run(row(2, 1), row(3, 1), row(2, 1), row(3, 1)))
    assert [[one.key for one in ended(assembler, xid, 1).changes] for xid in (2, 3)] == [[(1,)], [(1,)]]
    assert (assembler.held.kept, assembler.cut()[ONE]) == (0, 5)


def test_a_row_that_cannot_be_told_blinds_also_where_its_columns_are_as_before() -> None:
    assembler = opened()
    assembler.row(ONE, 0, row(1, 1))
    ended(assembler, 1, 1)
    blind = Blindness(Cause.UNREADABLE, T, "a key that nobody can tell")
    assembler.row(ONE, 1, RowEvent(2, 1, T, None, blind, FIELDS, None))
    assert ended(assembler, 2, 1).blind == (blind,)


def test_other_columns_in_a_run_are_another_definition() -> None:
    assembler = opened()
    assembler.run(ONE, (0,), run(row(1, 1)))
    assert ended(assembler, 1, 1).blind == ()
    assembler.run(ONE, (1,), run(row(2, 1), fields=("id", "v")))
    assert [(one.cause, one.table, one.detail) for one in ended(assembler, 2, 1).blind] == [(Cause.DDL, T, "+v")]
    assembler.run(ONE, (2,), run(row(3, 1), fields=("id", "v")))
    assert ended(assembler, 3, 1).blind == ()


def test_rows_whose_end_came_before_we_began_go_with_what_lies_behind_them() -> None:
    assembler = opened()
    assembler.run(ONE, (0,), run(row(1, 1)))
    ended(assembler, 1, 1)
    assembler.row(ONE, 1, row(8, 1))
    assembler.run(ONE, (2,), run(row(2, 1)))
    ended(assembler, 2, 1)
    assert (assembler.held.kept, assembler.cut()[ONE]) == (0, 3)
    assembler.run(ONE, (3, 4), run(row(9, 1), row(1, 1)))  # the latter was delivered: the former is older than that
    assert (assembler.held.kept, assembler.cut()[ONE]) == (0, 5)
