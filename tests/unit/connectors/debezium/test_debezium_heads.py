"""Transactions whose END does not tell how many rows they have: what they wait for, and what is told where that cannot
be had. (Wherever a connector dies: tests/property/test_debezium_resumed.py.)"""

from __future__ import annotations

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.event import Begin, End, RowEvent
from connectors.debezium.source_binlog import BinlogSource, number_of_place
from verifier.change import Blindness, Cause, Change, Operation
from verifier.gtid import Binlog, DomainGtids
from verifier.table import TableName

ORDER, ONE, TWO = ("p.transaction", 0), ("p.db.a", 0), ("p.db.a", 1)
A = TableName("db", "a")
XID = "0-1-6"


class Feed:
    """Behind number 5 of domain 0."""

    def __init__(self) -> None:
        self.offsets = dict.fromkeys((ORDER, ONE, TWO), 0)
        self.source = BinlogSource(mariadb=True)
        self.assembler = TransactionAssembler(DomainGtids.parse("0-1-5"), source=self.source)
        self.assembler.begin_at(self.offsets, ORDER)

    def offset(self, place: tuple[str, int]) -> int:
        self.offsets[place] += 1
        return self.offsets[place] - 1

    def begin(self) -> None:
        self.assembler.boundary(ORDER, self.offset(ORDER), Begin(XID))

    def end(self, events: int) -> None:
        xid, commit = self.source.end(XID)
        self.assembler.boundary(ORDER, self.offset(ORDER), End(xid, commit, events, (("db.a", events),), 1.0))

    def row(self, key: int, at: int, where: tuple[str, int] = ONE, file: str = "b.1") -> None:
        change, place = Change(A, (key,), Operation.INSERT), Binlog(file, at)
        event = RowEvent(XID, number_of_place(at, 0, "c"), A, change, None, ("id",), None, place)
        self.assembler.row(where, self.offset(where), event)

    def unread(self) -> None:
        self.assembler.unread(ONE, self.offset(ONE), A, "junk")

    def take(self) -> list[tuple[list[object], list[Blindness]]]:
        return [([change.key[0] for change in one.changes], list(one.blind)) for one in self.assembler.take(1000)]


def torn() -> Feed:
    """Row 1, then the connector goes on behind it; row 2 has been read, row 1 has not."""
    feed = Feed()
    feed.begin()
    feed.begin()
    feed.row(2, 200, TWO)
    feed.end(1)
    return feed


def test_one_that_began_twice_waits_until_all_before_its_end_was_read() -> None:
    feed = torn()
    assert feed.take() == []
    assert feed.assembler.unheard() is not None
    assert feed.assembler.cut()[ORDER] == 0, "whoever begins again must know of both beginnings"
    feed.row(1, 100)
    assert feed.take() == []
    feed.assembler.heard()
    assert feed.take() == [([1, 2], [])]
    assert feed.assembler.cut() == feed.offsets


def test_a_row_that_comes_even_later_is_told_by_itself() -> None:
    feed = torn()
    feed.assembler.heard()
    assert feed.take() == [([2], [])]
    feed.row(1, 100)
    late = Blindness(Cause.UNREADABLE, A, "rows that came behind their transaction", ((1,),))
    assert feed.assembler.noticed() == (late,)


def test_where_too_much_waits_to_hear_of_all_every_table_is_a_gap() -> None:
    feed = torn()
    feed.assembler.heard(sure=False)
    ((keys, blind),) = feed.take()
    assert keys == [2]
    assert [(one.cause, one.table) for one in blind] == [(Cause.GAP, None)]


def test_what_nobody_understands_may_be_one_of_its_rows() -> None:
    feed = torn()
    feed.unread()
    feed.assembler.heard()
    assert feed.take() == [([2], [Blindness(Cause.UNREADABLE, A, "a row of this transaction")])]


def test_one_that_is_given_up_is_a_gap_in_every_table() -> None:
    feed = Feed()
    feed.begin()
    feed.begin()
    feed.end(1)
    feed.assembler.heard()
    assert feed.take() == []
    given = feed.assembler.give_up()
    assert [(one.cause, one.table) for one in given.blind] == [(Cause.GAP, None)]


def test_a_second_beginning_behind_the_end_says_nothing() -> None:
    feed = Feed()
    feed.begin()
    feed.row(1, 100)
    feed.end(1)
    feed.begin()
    feed.end(0)
    assert feed.take() == [([1], [])]


def test_rows_from_two_servers_logs_are_not_counted() -> None:
    feed = Feed()
    feed.begin()
    feed.row(2, 200, TWO)
    feed.row(2, 4200, TWO, "other.7")
    feed.end(2)
    assert feed.take() == [], "row 1 has not been read"
    assert feed.assembler.unheard() is not None
    feed.row(1, 100)
    feed.assembler.heard()
    ((keys, blind),) = feed.take()
    assert (sorted(map(str, keys)), blind) == (["1", "2", "2"], [])
