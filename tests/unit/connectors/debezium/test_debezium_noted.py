"""What the assembler passes on of where rows lie, and of what came again."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.columns import Columns
from connectors.debezium.event import Begin, End, RowEvent
from connectors.debezium.pending import Partition
from connectors.debezium.run import Run
from verifier.change import Change, Operation
from verifier.position import Lsn, Position
from verifier.table import TableName

T = TableName("s", "t")
ONE, TWO, ORDER = ("p.s.t", 0), ("p.s.t", 1), ("p.transaction", 0)


class Heard:
    def __init__(self) -> None:
        self.told: list[object] = []

    def delivered(self, lasts: Mapping[Partition, int], before: Position | None) -> None:
        self.told.append((dict(lasts), before))

    def ended(self) -> None:
        self.told.append("ended")

    def again(self) -> None:
        self.told.append("again")

    def since(self) -> list[object]:
        told, self.told = self.told, []
        return told


def opened(delivered: int | None = 0) -> tuple[TransactionAssembler, Heard]:
    assembler, heard = TransactionAssembler(None if delivered is None else Lsn(delivered)), Heard()
    assembler.noted = heard
    assembler.begin_at({ORDER: 0, ONE: 0, TWO: 0}, ORDER)
    return assembler, heard


def row(xid: int, order: int) -> RowEvent:
    return RowEvent(xid, order, T, Change(T, (order,), Operation.UPDATE), None, ("id",), None)


def run(*rows: RowEvent) -> Run:
    """As they are decoded many at a time."""
    told = Columns(T, [one.change.key for one in rows if one.change], ["u"] * len(rows), None, lambda _: {})
    counts = [(xid, len(list(same))) for xid, same in groupby(one.xid for one in rows)]
    return Run(T, counts, [one.order for one in rows], told, rows[0].fields, 0.0)


def end(xid: int, commit: int, events: int) -> End:
    return End(xid, Lsn(commit), events, ((str(T), events),), 1.0)


def test_a_transaction_lies_where_its_last_rows_are_behind_all_that_was_delivered_before() -> None:
    assembler, heard = opened()
    assembler.row(ONE, 0, row(1, 1))
    assembler.row(ONE, 1, row(1, 2))
    assembler.row(TWO, 4, row(1, 3))
    assembler.boundary(ORDER, 0, end(1, 10, 3))
    assembler.row(ONE, 2, row(2, 1))
    assembler.boundary(ORDER, 1, end(2, 20, 1))
    assert heard.since() == ["ended", "ended"]
    assembler.take(100)
    assert heard.since() == [({ONE: 1, TWO: 4}, Lsn(0)), ({ONE: 2}, Lsn(10))]


def test_copies_are_told_whether_rows_or_ends() -> None:
    assembler, heard = opened()
    assembler.row(ONE, 0, row(1, 1))
    assembler.row(ONE, 1, row(1, 1))
    assert heard.since() == ["again"]  # within a transaction
    assembler.boundary(ORDER, 0, end(1, 10, 1))
    assembler.take(100)
    assert heard.since() == ["ended", ({ONE: 1}, Lsn(0))]
    assembler.row(ONE, 2, row(1, 1))
    assert heard.since() == ["again"]  # of one that was delivered
    assembler.boundary(ORDER, 1, end(1, 10, 1))
    assert heard.since() == ["again"]
    assembler.row(ONE, 3, row(2, 1))
    assembler.boundary(ORDER, 2, end(2, 20, 1))
    assembler.boundary(ORDER, 3, end(2, 20, 1))
    assert heard.since() == ["ended", "again"]  # of one that waits to be taken


def test_what_is_older_than_the_reader_is_a_copy_once_its_place_tells() -> None:
    assembler, heard = opened(delivered=50)
    assembler.row(ONE, 0, row(1, 1))
    assert heard.since() == []
    assembler.boundary(ORDER, 0, end(1, 10, 1))
    assert heard.since() == ["again"]
    assembler.row(ONE, 1, row(2, 1))
    assembler.row(ONE, 2, row(3, 1))
    assembler.boundary(ORDER, 1, end(3, 60, 1))
    assembler.take(100)
    # Its row lies behind another's, whose END never came.
    assert heard.since() == ["ended", "again", ({ONE: 2}, Lsn(50))]


def test_the_past_of_a_first_start_and_what_nobody_understands_are_certain_of_nothing() -> None:
    assembler, heard = opened(delivered=None)
    assembler.boundary(ORDER, 0, end(7, 70, 1))
    assert heard.since() == ["again"]
    assembler.boundary(ORDER, 1, Begin(8))
    assembler.unread(ONE, 0, T, "gibberish")
    assert heard.since() == ["again"]


def test_copies_among_rows_that_are_read_at_once_are_told() -> None:
    assembler, heard = opened()
    assembler.run(ONE, (0, 1), run(row(1, 1), row(1, 1)))
    assert heard.since() == ["again"]  # within a transaction
    assembler.run(ONE, (2,), run(row(1, 1)))
    assert heard.since() == ["again"]  # of one that waits
    assembler.run(ONE, (3,), run(row(2, 1)))
    assert heard.since() == []
    assembler.run(ONE, (4,), run(row(2, 1)))
    assert heard.since() == ["again"]  # of one of the run before
    assembler.boundary(ORDER, 0, end(1, 10, 1))
    assembler.boundary(ORDER, 1, end(2, 20, 1))
    (first, second) = assembler.take(100)
    assert [[change.key for change in one.changes] for one in (first, second)] == [[(1,)], [(1,)]]
    assert heard.since() == ["ended", "ended", ({ONE: 2}, Lsn(0)), ({ONE: 4}, Lsn(10))]
