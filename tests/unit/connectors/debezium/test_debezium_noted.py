"""What the assembler passes on of where rows lie, and of what came again."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import count, groupby

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.columns import Columns
from connectors.debezium.event import Begin, End, RowEvent
from connectors.debezium.pending import Partition
from connectors.debezium.run import Run
from verifier.change import Change, Operation
from verifier.furthest import Furthest
from verifier.offsets import OffsetIndex
from verifier.position import Lsn, Position
from verifier.table import TableName

T = TableName("s", "t")
ONE, TWO, ORDER = ("p.s.t", 0), ("p.s.t", 1), ("p.transaction", 0)


class Places(Furthest):
    def __init__(self) -> None:
        Furthest.__init__(self)
        self.told: list[object] = []

    def came(self, place: Partition, xid: Hashable, number: int, *, seen: bool) -> None:
        self.told.append((place[1], xid, number, seen))

    def mistaken(self, xid: Hashable) -> None:
        self.told.append(xid)


class Heard:
    def __init__(self) -> None:
        self.told: list[object] = []
        self.furthest = Places()

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


def test_each_partition_tells_how_far_it_came_and_what_had_come_there_before() -> None:
    assembler, heard = opened()
    assembler.row(ONE, 0, row(1, 1))
    assembler.row(TWO, 0, row(1, 2))
    assembler.run(ONE, (1, 2), run(row(1, 3), row(2, 1)))
    assert heard.furthest.told == [(0, 1, 1, False), (1, 1, 2, False), (0, 1, 3, True), (0, 2, 1, False)]
    heard.furthest.told.clear()
    assembler.run(ONE, (3, 4, 5), run(row(3, 1), row(3, 2), row(4, 1)))
    assert heard.furthest.told == [(0, 3, 2, False), (0, 4, 1, False)]
    for xid, events in ((1, 3), (2, 1)):
        assembler.boundary(ORDER, xid, end(xid, xid * 10, events))
    assembler.take(100)
    heard.furthest.told.clear()
    assembler.run(ONE, (6, 7), run(row(1, 1), row(2, 1)))  # delivered
    assembler.row(ONE, 8, row(3, 1))  # let go of, because it had to come again
    assembler.row(ONE, 9, row(3, 1))  # waiting
    assembler.boundary(ORDER, 5, end(1, 10, 3))
    assert heard.furthest.told == [(0, 1, 1, True), (0, 2, 1, True), (0, 3, 1, False), (0, 3, 1, True)]


def test_rows_of_a_transaction_that_ended_long_ago_were_no_first_ones() -> None:
    assembler, heard = opened(delivered=50)
    assembler.row(ONE, 0, row(1, 1))
    assembler.boundary(ORDER, 0, end(1, 10, 1))
    assert heard.furthest.told == [(0, 1, 1, False), 1]


def test_a_transaction_elsewhere_that_overtakes_copies_makes_nothing_certain() -> None:
    """A producer's partitions do not wait for each other: the row of transaction 2 comes again behind the END of 3."""
    index, assembler = OffsetIndex(count(step=10).__next__), TransactionAssembler(Lsn(0))
    assembler.noted = index
    assembler.begin_at({ORDER: 0, ONE: 0, TWO: 0}, ORDER)

    def read(ends: int, one: int, two: int) -> None:
        assembler.take(100)
        index.read(assembler.cut(), assembler.delivered)
        index.fence({ORDER: ends, ONE: one, TWO: two}, index.epoch)
        index.read(assembler.cut(), assembler.delivered)

    for xid in (1, 2):
        assembler.row(ONE, xid - 1, row(xid, 1))
        assembler.boundary(ORDER, xid - 1, end(xid, xid * 10, 1))
    read(2, 2, 0)
    assert index.surely({ONE: 2, TWO: 0}, [ONE]) == Lsn(20)
    assembler.row(ONE, 2, row(1, 1))
    for at, xid in ((2, 1), (3, 2)):
        assembler.boundary(ORDER, at, end(xid, xid * 10, 1))
    assembler.row(TWO, 0, row(3, 1))
    assembler.boundary(ORDER, 4, end(3, 30, 1))
    read(5, 3, 1)
    assert index.surely({ONE: 3, TWO: 1}, [ONE]) is None  # the sink has put 1 again, and 2 not yet
    assert index.surely({ONE: 3, TWO: 1}, [TWO]) == Lsn(30)
    assembler.row(ONE, 3, row(2, 1))
    assembler.row(TWO, 1, row(4, 1))
    assembler.boundary(ORDER, 5, end(4, 40, 1))
    read(6, 4, 2)
    assert index.surely({ONE: 4, TWO: 2}, [ONE]) == Lsn(40)
    assert index.surely({ONE: 3, TWO: 2}, [ONE]) is None
