"""Statements that a binlog holds by themselves: delivered in their place among the transactions."""

from __future__ import annotations

import json

import pytest

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.decoder import Decoder
from connectors.debezium.event import TOOK_A_SNAPSHOT, End, RowEvent, Statement
from connectors.debezium.modes import Modes
from connectors.debezium.source_binlog import BinlogSource
from verifier.change import Blindness, Cause, Change, Operation
from verifier.errors import Temporary
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.position import Position
from verifier.table import TableName

MARIADB = BinlogSource(mariadb=True)
MYSQL = BinlogSource(mariadb=False, fence=lambda: (GtidSet(), GtidSet()))
ORDER, SCHEMA, ROWS = ("p.transaction", 0), ("p", 0), ("p.db.a", 0)
A, B = TableName("db", "a"), TableName("db", "b")
UUID = "3e11fa47-71ca-41e1-9e33-c80aa9429562"


class Feed:
    """An assembler behind number 5 of MySQL's only origin, or of MariaDB's domain 0, and the next offsets."""

    def __init__(self, source: BinlogSource = MYSQL) -> None:
        self.source = source
        through = DomainGtids.parse("0-1-5") if source.mariadb else GtidSet.parse(f"{UUID}:1-5")
        self.assembler = TransactionAssembler(through, source=source)
        self.assembler.begin_at({ORDER: 0, SCHEMA: 0, ROWS: 0}, ORDER)
        self.offsets = {ORDER: 0, SCHEMA: 0, ROWS: 0}

    def id(self, number: int) -> str:
        return f"0-1-{number}" if self.source.mariadb else f"{UUID}:{number}"

    def offset(self, place: tuple[str, int]) -> int:
        self.offsets[place] += 1
        return self.offsets[place] - 1

    def end(self, number: int, events: int = 0) -> None:
        xid, commit = self.source.end(self.id(number))
        end = End(xid, commit, events, ((str(A), events),) if events else (), 1.0)
        self.assembler.boundary(ORDER, self.offset(ORDER), end)

    def row(self, number: int, key: int, place: Binlog | None = None) -> None:
        change = Change(A, (key,), Operation.UPDATE)
        event = RowEvent(self.id(number), 1, A, change, None, ("id",), None, place)
        self.assembler.row(ROWS, self.offset(ROWS), event)

    def statement(self, number: int | None, *tables: TableName, partition: tuple[str, int] = SCHEMA) -> None:
        xid, commit = (None, None) if number is None else self.source.end(self.id(number))
        blind = tuple(Blindness(Cause.DDL, table) for table in tables)
        self.assembler.statement(partition, self.offset(partition), Statement(xid, commit, 2.0, blind))

    def take(self) -> list[tuple[int, list[object], list[TableName | None]]]:
        return [
            (t.xid, [change.key for change in t.changes], [one.table for one in t.blind])
            for t in self.assembler.take(1000)
        ]


def test_a_statement_comes_between_the_transactions_around_it() -> None:
    for source in (MYSQL, MARIADB):
        feed = Feed(source)
        feed.statement(7, A)
        assert feed.take() == []
        feed.row(8, 3)
        feed.end(6)
        feed.end(8, 1)
        assert feed.take() == [(6, [], []), (7, [], [A])]
        assert feed.assembler.unheard() is not None
        feed.assembler.heard()
        assert feed.take() == [(8, [(3,)], [])]
        assert feed.assembler.noticed() == ()


def test_a_statement_right_behind_what_was_delivered_waits_for_nothing() -> None:
    feed = Feed()
    feed.statement(6, A)
    assert feed.take() == [(6, [], [A])]
    assert feed.assembler.delivered == GtidSet.parse(f"{UUID}:1-6")
    feed.statement(6, A)  # sent again
    assert (feed.take(), feed.assembler.noticed()) == ([], ())


def test_two_events_of_one_statement_are_one() -> None:
    feed = Feed()
    feed.statement(7, A)
    feed.statement(7, B, partition=ROWS)
    feed.end(6)
    assert feed.take() == [(6, [], []), (7, [], [A, B])]


def test_statements_come_in_the_order_of_the_log() -> None:
    feed = Feed()
    feed.statement(8, B, partition=ROWS)
    feed.statement(7, A)
    feed.end(9)
    assert feed.take() == [(7, [], [A]), (8, [], [B])]


def test_one_that_is_told_too_late_or_without_an_id_blinds_from_here_on() -> None:
    feed = Feed(MARIADB)
    feed.end(7)
    feed.assembler.heard()
    assert feed.take() == [(7, [], [])]
    feed.statement(6, A)
    feed.statement(None, B)
    assert [one.table for one in feed.assembler.noticed()] == [A, B]


def test_on_mysql_a_late_one_is_a_transaction_of_its_own() -> None:
    feed = Feed()
    feed.end(7)
    feed.assembler.heard()
    assert feed.take() == [(7, [], [])]
    feed.statement(6, A)
    assert feed.take() == [(6, [], [A])]
    assert feed.assembler.noticed() == ()


def test_numbers_that_were_left_out_hold_up_the_end_behind_them_until_all_is_heard() -> None:
    feed = Feed()
    feed.end(6)
    feed.end(9)
    feed.end(10)
    assert feed.take() == [(6, [], [])]
    feed.assembler.heard(told=False)
    assert feed.take() == [(9, [], [None]), (10, [], [])]
    assert feed.assembler.delivered == GtidSet.parse(f"{UUID}:1-6:9-10")


def test_ids_are_left_out_for_good_once_the_leader_was_behind_them_and_something_came_behind_that() -> None:
    feed = Feed()
    feed.end(6)
    feed.end(9)
    feed.take()
    feed.assembler.heard()
    feed.take()
    assert feed.assembler.heads.torn
    feed.assembler.heads.fenced(GtidSet.parse(f"{UUID}:1-7:9-10"), GtidSet.parse(f"{UUID}:1-11"))
    feed.end(10)
    feed.end(11)
    feed.take()
    assert feed.assembler.delivered == GtidSet.parse(f"{UUID}:1-6:9-11"), "these may have been logged before them"
    feed.end(12)
    assert feed.take() == [], "statements before it may not have been read yet"
    feed.assembler.heard()
    assert feed.take() == [(12, [], [])]
    assert feed.assembler.delivered == GtidSet.parse(f"{UUID}:1-7:9-12")
    assert not feed.assembler.heads.torn
    feed.end(8)  # logged late, which a parallel replica does
    assert feed.take() == [(8, [], [])]
    assert feed.assembler.delivered == GtidSet.parse(f"{UUID}:1-12")
    assert feed.assembler.noticed() == ()


def test_the_present_begins_where_the_leader_is_once_the_connector_was_seen_at_work() -> None:
    feed = Feed()
    asked: list[str] = []

    def ask() -> GtidSet:
        asked.append("")
        return GtidSet.parse(f"{UUID}:1-8")

    feed.source = BinlogSource(mariadb=False, present=ask)
    feed.assembler = TransactionAssembler(None, source=feed.source)
    feed.assembler.begin_at({ORDER: 0, SCHEMA: 0, ROWS: 0}, ORDER)
    assert (asked, feed.assembler.cut()) == ([], {})
    feed.row(7, 1)
    feed.end(7, 1)
    assert feed.assembler.delivered == GtidSet.parse(f"{UUID}:1-8")
    feed.row(8, 2)
    feed.row(9, 3)
    feed.end(8, 1)
    feed.end(9, 1)
    assert feed.take() == [(9, [(3,)], [])]
    assert len(asked) == 1


def test_a_connector_that_begins_anew_leaves_a_gap_in_all_tables() -> None:
    decoder = Decoder("p", Modes(), lambda _: None, MYSQL)
    source = {"snapshot": "true", "db": "db", "table": "a", "gtid": None, "ts_ms": 1}
    event = decoder.decode("p", None, json.dumps({"source": source, "ts_ms": 1, "ddl": "x"}).encode())
    feed = Feed()
    assert isinstance(event, Statement)
    for _ in range(2):
        feed.assembler.statement(SCHEMA, feed.offset(SCHEMA), event)
    (noticed,) = feed.assembler.noticed()
    assert (noticed.cause, noticed.table) == (Cause.GAP, None)


def test_behind_a_snapshot_the_gap_ends_with_the_first_transaction_that_the_leader_had_not_written() -> None:
    """What was lost lies before where the leader stands when the snapshot is seen; it is asked once for all of that."""
    asked: list[Position] = []

    def ask() -> Position:
        asked.append(GtidSet.parse(f"{UUID}:1-8"))
        return asked[-1]

    feed = Feed()
    feed.source = BinlogSource(mariadb=False, present=ask)
    feed.assembler = TransactionAssembler(GtidSet.parse(f"{UUID}:1-5"), source=feed.source)
    feed.assembler.begin_at({ORDER: 0, SCHEMA: 0, ROWS: 0}, ORDER)
    taken = Statement(None, None, 1.0, (TOOK_A_SNAPSHOT,), snapshot=True)

    def snapshot() -> tuple[Blindness, ...]:
        for _ in range(3):
            feed.assembler.statement(SCHEMA, feed.offset(SCHEMA), taken)
        return feed.assembler.noticed()

    assert (snapshot(), snapshot()) == ((TOOK_A_SNAPSHOT,), ())
    for number, told in ((8, ()), (9, (TOOK_A_SNAPSHOT,)), (10, ())):
        feed.row(number, number)
        feed.end(number, 1)
        feed.assembler.heard()
        assert feed.take() == [(number, [(number,)], [])]
        assert feed.assembler.noticed() == told, number
    assert len(asked) == 1
    assert (snapshot(), len(asked)) == ((TOOK_A_SNAPSHOT,), 2)
    feed.statement(11, A)
    feed.take()
    assert feed.assembler.noticed() == (TOOK_A_SNAPSHOT,), "a statement that stands by itself ends it, too"


def test_a_snapshot_that_the_leader_could_not_be_asked_about_is_read_again() -> None:
    def ask() -> Position:
        raise Temporary("the leader is away")

    feed = Feed()
    feed.assembler = TransactionAssembler(GtidSet.parse(f"{UUID}:1-5"), source=BinlogSource(mariadb=False, present=ask))
    feed.assembler.begin_at({ORDER: 0, SCHEMA: 4, ROWS: 0}, ORDER)
    with pytest.raises(Temporary):
        feed.assembler.statement(SCHEMA, 4, Statement(None, None, 1.0, (TOOK_A_SNAPSHOT,), snapshot=True))
    assert feed.assembler.cut()[SCHEMA] == 4


def test_the_columns_that_a_statement_changed_are_told_once() -> None:
    feed = Feed()
    feed.row(6, 1)
    feed.end(6, 1)
    feed.statement(7, A)
    change = Change(A, (2,), Operation.UPDATE)
    feed.assembler.row(ROWS, feed.offset(ROWS), RowEvent(feed.id(8), 1, A, change, None, ("id", "w"), None))
    feed.end(8, 1)
    feed.take()
    feed.assembler.heard()
    assert feed.take() == [(8, [(2,)], [])]


def test_mysql_commits_are_single_ids_and_what_was_delivered_is_a_set() -> None:
    feed = Feed()
    feed.end(8)
    feed.assembler.heard()
    (transaction,) = feed.assembler.take(10)
    assert transaction.commit == GtidSet.parse(f"{UUID}:8")
    assert feed.assembler.delivered == GtidSet.parse(f"{UUID}:1-5:8")


def test_a_restart_begins_at_a_statement_that_waits() -> None:
    feed = Feed()
    feed.end(6)
    feed.statement(8, A)
    feed.statement(9, B)
    assert feed.take() == [(6, [], [])]
    assert feed.assembler.cut() == {ORDER: 1, SCHEMA: 0, ROWS: 0}


def test_mariadb_commits_carry_the_place_of_a_row() -> None:
    feed = Feed(MARIADB)
    feed.row(6, 1, Binlog("b.1", 40))
    feed.end(6, 1)
    feed.end(7)
    commits = [t.commit for t in feed.assembler.take(10)]
    assert commits == [Logged(DomainGtids.parse("0-1-6"), Binlog("b.1", 40)), DomainGtids.parse("0-1-7")]
    assert feed.assembler.delivered == Logged(DomainGtids.parse("0-1-7"), Binlog("b.1", 40))
    feed.end(8, 1)
    given_up = feed.assembler.give_up()  # nobody knows where it lies
    assert given_up.commit == DomainGtids.parse("0-1-8")


def test_a_statement_before_a_transaction_that_was_given_up_still_blinds() -> None:
    feed = Feed(MARIADB)
    feed.statement(7, A)
    feed.end(8, 1)
    feed.assembler.give_up()
    assert feed.take() == []
    assert [one.table for one in feed.assembler.noticed()] == [A]


XA = "rows of a transaction that ends apart from them (XA)"


def test_on_mariadb_rows_of_a_prepared_transaction_blind_their_table_wherever_a_statement_may_stand() -> None:
    feed = Feed(MARIADB)
    feed.row(6, 1, Binlog("b.1", 40))  # prepared; 7 is its commit
    feed.end(8)
    assert feed.take() == []
    feed.assembler.heard()
    (transaction,) = feed.assembler.take(10)
    assert transaction.blind == (Blindness(Cause.GAP, A, XA),)
    assert feed.assembler.held.kept == 0
    feed.end(9)
    assert feed.take() == [(9, [], [])]
    feed.end(11)
    feed.assembler.heard()
    assert feed.take() == [(11, [], [A])], "that may have been the commit of another"


def test_rows_that_were_delivered_long_ago_and_come_again_are_none_of_those() -> None:
    feed = Feed(MARIADB)
    feed.row(5, 1)
    feed.end(7)
    feed.assembler.heard()
    assert feed.take() == [(7, [], [])]


def message(op: str, gtid: str, block: object) -> bytes:
    source = {"snapshot": "false", "db": "db", "table": "a", "gtid": gtid, "file": "b.1", "pos": 40, "ts_ms": 1000}
    after = {"id": 1} if op == "c" else None
    return json.dumps({"op": op, "source": source, "transaction": block, "after": after, "ts_ms": 2000}).encode()


@pytest.mark.parametrize("block", [None, {"id": "0-1-7", "total_order": 1}])
def test_a_truncate_stands_by_itself_whatever_transaction_it_names(block: object) -> None:
    event = Decoder("p", Modes(), lambda _: None, MARIADB).decode("p.db.a", None, message("t", "0-1-7", block))
    assert event == Statement(
        "0-1-7", DomainGtids.parse("0-1-7"), 1.0, (Blindness(Cause.TRUNCATE, A),), Binlog("b.1", 40), 2.0
    )


def test_on_mysql_a_row_without_a_transaction_is_prepared() -> None:
    event = Decoder("p", Modes(), lambda _: None, MYSQL).decode("p.db.a", b"{}", message("c", f"{UUID}:7", None))
    assert isinstance(event, Statement)
    assert (event.xid, event.lasting) == (f"{UUID}:7", True)
    feed = Feed()
    feed.assembler.statement(ROWS, feed.offset(ROWS), event)
    feed.end(6)
    feed.end(9)
    assert feed.take() == [(6, [], []), (7, [], [A])]
    feed.assembler.heard()
    assert feed.take() == [(9, [], [A])]


def test_what_was_delivered_as_a_statement_stays_delivered() -> None:
    feed = Feed()
    feed.end(7)
    feed.statement(6, A)
    feed.assembler.heard()
    assert feed.take() == [(6, [], [A]), (7, [], [])]
    assert feed.assembler.delivered == GtidSet.parse(f"{UUID}:1-7")
