"""Events of a binlog to transactions: ends, XA, statements, row images, and what cannot be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from connectors.binlog import assemble
from connectors.binlog.assemble import Assembler, Ended, Origin
from connectors.binlog.events import (
    Began,
    ColumnFacts,
    Committed,
    Event,
    Idle,
    Prepared,
    Rotated,
    Row,
    Rows,
    Statement,
    Unreadable,
)
from verifier import half
from verifier.change import Blindness, Cause, Transaction
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.spans import TOO_LARGE
from verifier.table import Column, Family, Table, TableName

T = TableName("db", "t")
TABLE = Table(
    T, (Column("id", Family.INTEGER, "int"), Column("v", Family.TEXT, "text", collation="utf8mb4_bin")), ("id",)
)
FACTS = (ColumnFacts("id", None, 0, ()), ColumnFacts("v", "utf8", 0, ()))
U = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def rows(
    *listed: Row, table: TableName = T, number: int = 1, columns: Sequence[ColumnFacts] | None = FACTS, size: int = 0
) -> Rows:
    return Rows(table, number, columns, len(listed), lambda: listed, size)


def row(before: dict[str, Any] | None, after: dict[str, Any] | None, lost: dict[str, str] | None = None) -> Row:
    return Row(before, after, lost or {}, lost or {})


def began(number: int, *, standalone: bool = False) -> Began:
    return Began(GtidSet.of({U: [(number, number)]}), number, 7.0, standalone)


def mysql(**more: Any) -> Assembler:
    return Assembler({T: TABLE}.get, mariadb=False, **more)


def fed(assembler: Assembler, *events: Event) -> list[Ended]:
    ended = [assembler.feed(event, Binlog("b.000001", 100 * at)) for at, event in enumerate(events, 1)]
    return [one for one in ended if one is not None]


def only(assembler: Assembler, *events: Event) -> Transaction:
    (ended,) = fed(assembler, *events)
    assert ended.transaction is not None
    return ended.transaction


BEGIN, COMMIT = Statement("db", "BEGIN", 8.0), Statement("db", "COMMIT", 9.0)


def told(transaction: Transaction) -> list[tuple[Any, ...]]:
    return [(*change.key, change.operation.value, change.after) for change in transaction.changes]


def blinded(transaction: Transaction) -> list[tuple[Cause, TableName | None]]:
    return [(one.cause, one.table) for one in transaction.blind]


def test_a_transaction_has_its_id_its_place_and_its_time() -> None:
    done = only(mysql(), began(5), BEGIN, rows(row(None, {"id": 1, "v": "x"})), Committed(9.0))
    assert (done.xid, done.commit) == (5, Logged(GtidSet.parse(f"{U}:5"), Binlog("b.000001", 400)))
    assert done.committed_at == 9.0
    assert told(done) == [(1, "insert", {"id": "1", "v": "x"})]


def test_a_transaction_that_told_nothing_ends_with_its_id() -> None:
    (ended,) = fed(mysql(), began(5), BEGIN, Committed(9.0))
    assert ended == Ended(GtidSet.parse(f"{U}:5"), None)


def test_a_key_change_is_two_changes() -> None:
    change = row({"id": 1, "v": "x"}, {"id": 2, "v": "x"})
    assert told(only(mysql(), began(1), BEGIN, rows(change), Committed(9.0))) == [
        (1, "delete", None),
        (2, "insert", {"id": "2", "v": "x"}),
    ]


def test_less_than_full_images_are_joined() -> None:
    partly = [row({"id": 1}, {"v": "y"}), row({"id": 2}, {"id": 3})]
    assert told(only(mysql(), began(1), BEGIN, rows(*partly), Committed(9.0))) == [
        (1, "update", {"id": "1", "v": "y"}),
        (2, "delete", None),
        (3, "insert", {"id": "3"}),
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (row({"v": "x"}, None), "the key column id was not logged"),
        (row({"id": None}, None), "the key column id is null"),
        (row({"id": "seven"}, None), "the key column id: not an integer"),
    ],
)
def test_a_row_without_its_key_blinds_its_table(change: Row, why: str) -> None:
    done = only(mysql(), began(1), BEGIN, rows(change), Committed(9.0))
    assert blinded(done) == [(Cause.KEYLESS, T)]
    assert done.blind[0].detail.startswith(why)


def test_a_binlog_that_names_no_columns_says_which_setting_is_missing() -> None:
    done = only(mysql(), began(1), BEGIN, rows(row(None, {"id": 1}), columns=None), Committed(9.0))
    assert blinded(done) == [(Cause.KEYLESS, T)]
    assert "binlog_row_metadata=FULL" in done.blind[0].detail


def test_a_table_that_is_nobodys_business_is_not_even_decoded() -> None:
    def never() -> Sequence[Row]:
        raise AssertionError

    other = Rows(TableName("db", "other"), 2, FACTS, 1, never)
    (ended,) = fed(mysql(), began(1), BEGIN, other, Committed(9.0))
    assert ended.transaction is None


def test_what_cannot_be_decoded_blinds_its_table_and_tells_no_value() -> None:
    def broken() -> Sequence[Row]:
        raise ValueError("secret")

    done = only(mysql(), began(1), BEGIN, Rows(T, 1, FACTS, 1, broken), Committed(9.0))
    assert [(one.cause, one.table, one.detail) for one in done.blind] == [
        (Cause.UNREADABLE, T, "rows that cannot be decoded (ValueError)")
    ]


def test_an_unknown_event_may_have_touched_anything() -> None:
    assert blinded(only(mysql(), began(1), BEGIN, Unreadable("?"), Committed(9.0))) == [(Cause.UNREADABLE, None)]
    assert blinded(only(mysql(), began(1), Unreadable("compressed"))) == [(Cause.UNREADABLE, None)], "it holds its end"


def test_statements_by_themselves_end_themselves() -> None:
    done = only(mysql(), began(1), Statement("db", "TRUNCATE t", 8.0))
    assert (blinded(done), done.committed_at) == ([(Cause.TRUNCATE, T)], 8.0)
    mariadb = Assembler({T: TABLE}.get, mariadb=True)
    first = Began(DomainGtids.parse("0-1-1"), 1, 7.0, True)
    assert blinded(only(mariadb, first, Statement("db", "DROP TABLE t", 8.0))) == [(Cause.DDL, T)]


def test_a_statement_within_a_transaction_does_not_end_it() -> None:
    insert = Statement("db", "INSERT INTO t VALUES (1)", 8.0)
    done = only(mysql(), began(1), BEGIN, insert, rows(row(None, {"id": 2, "v": None})), COMMIT)
    assert blinded(done) == [(Cause.UNREADABLE, None)]
    assert told(done) == [(2, "insert", {"id": "2", "v": None})]


def test_definitions_are_looked_up_anew_behind_another_one() -> None:
    tables = {T: TABLE}
    assembler = Assembler(tables.get, mariadb=False)
    only(assembler, began(1), BEGIN, rows(row(None, {"id": 1})), Committed(9.0))
    tables[T] = Table(T, TABLE.columns, ("v",))
    only(assembler, began(2), Statement("db", "ALTER TABLE t DROP PRIMARY KEY", 8.0))
    done = only(assembler, began(3), BEGIN, rows(row(None, {"id": 1, "v": "x"})), Committed(9.0))
    assert told(done)[0][0] == "x"
    tables[T] = TABLE
    fed(assembler, Rotated())
    assert told(only(assembler, began(4), BEGIN, rows(row(None, {"id": 1, "v": "x"})), Committed(9.0)))[0][0] == 1


def test_a_transaction_whose_end_was_not_understood_ends_where_the_next_begins() -> None:
    assembler = mysql()
    ended = fed(assembler, began(1), BEGIN, rows(row(None, {"id": 1})), began(2), BEGIN, Committed(9.0))
    first, second = ended
    assert first.transaction is not None
    assert (first.transaction.xid, first.transaction.commit.text()) == (1, f"logged:b.000001/300 gtids:{U}:1")
    assert second == Ended(GtidSet.parse(f"{U}:2"), None)


def test_of_too_large_a_transaction_it_is_told_where_its_keys_lie() -> None:
    many = rows(*(row(None, {"id": n}) for n in range(20)))
    done = only(mysql(changes_max=10), began(1), BEGIN, many, rows(row(None, {"id": 99})), Committed(9.0))
    assert done.changes == ()
    spans = tuple(((n,), (n,)) for n in (*range(20), 99))
    assert done.blind == (Blindness(Cause.GAP, T, TOO_LARGE, spans=spans),)


def test_a_transaction_of_wide_rows_is_told_without_values_and_one_of_long_keys_by_stretches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(half, "VALUES_BYTES", 1_000)
    monkeypatch.setattr(half, "KEYS_BYTES", 150)

    def told_of(count: int) -> Transaction:
        assembler = mysql()
        events = [rows(row(None, {"id": n, "v": "x"}), size=100) for n in range(count)]
        done = only(assembler, began(1), BEGIN, *events, Committed(9.0))
        assert (assembler.events, assembler.bytes) == (count, 100 * count)
        return done

    assert {change.after is None for change in told_of(10).changes} == {False}
    wide = told_of(11)
    assert (told(wide), wide.blind) == ([(n, "insert", None) for n in range(11)], ())
    long = told_of(19)
    assert (long.changes, blinded(long)) == ((), [(Cause.GAP, T)])


def test_what_was_prepared_is_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "VALUES_BYTES", 300)
    monkeypatch.setattr(assemble, "KEYS_BYTES", 16)
    assembler = mysql()

    def start(number: int) -> None:
        change = rows(row(None, {"id": number, "v": "x"}), size=100)
        begin = Statement("db", f"XA START X'6{number}',X'',1", 8.0)
        fed(assembler, began(number), begin, change, Prepared(b"1:6%d:" % number, 8.0))

    def decided(number: int) -> Transaction:
        return only(assembler, began(10 + number), Statement("db", f"XA COMMIT X'6{number}',X'',1", 9.0))

    for number in range(1, 7):
        start(number)
    assert [told(decided(number)) for number in (2, 3)] == [[(2, "insert", None)], [(3, "insert", None)]]
    assert told(decided(6)) == [(6, "insert", {"id": "6", "v": "x"})]
    assert blinded(decided(1)) == [(Cause.UNREADABLE, None)], "even its keys were let go of"


def test_only_what_is_asked_for_is_kept() -> None:
    assembler = mysql(only=lambda change: change.key == (2,), changes_max=1)
    events = [rows(row(None, {"id": n, "v": "x"}), size=100) for n in range(4)]
    done = only(assembler, began(1), BEGIN, *events, Committed(9.0))
    assert (told(done), assembler.bytes) == ([(2, "insert", {"id": "2", "v": "x"})], 100)


def test_xa_is_told_when_it_is_committed() -> None:
    assembler = mysql()
    change = rows(row(None, {"id": 1, "v": "x"}))
    (prepared,) = fed(
        assembler, began(1), Statement("db", "XA START X'61',X'',1", 8.0), change, Prepared(b"1:61:", 8.0)
    )
    assert prepared == Ended(GtidSet.parse(f"{U}:1"), None)
    done = only(assembler, began(2), Statement("db", "XA COMMIT X'61',X'',1", 9.0))
    assert (done.xid, told(done), done.blind) == (2, [(1, "insert", {"id": "1", "v": "x"})], ())
    assert assembler.lost == []


def test_xa_that_is_rolled_back_never_was() -> None:
    assembler = mysql()
    change = rows(row(None, {"id": 1}))
    fed(assembler, began(1), Statement("db", "XA START X'61',X'',1", 8.0), change, Prepared(b"1:61:", 8.0))
    (ended,) = fed(assembler, began(2), Statement("db", "XA ROLLBACK X'61',X'',1", 9.0))
    assert ended.transaction is None


def test_xa_prepared_before_anybody_followed_may_have_touched_anything() -> None:
    done = only(mysql(), began(2), Statement("db", "XA COMMIT X'61',X'',1", 9.0))
    assert blinded(done) == [(Cause.UNREADABLE, None)]


def test_xa_on_mariadb_is_lost_to_the_stream_as_well() -> None:
    assembler = Assembler({T: TABLE}.get, mariadb=True)
    first, second = (Began(DomainGtids.parse(f"0-1-{n}"), n, 7.0, n == 2) for n in (1, 2))
    fed(assembler, first, rows(row(None, {"id": 1})), Prepared(b"1:61:", 8.0))
    done = only(assembler, second, Statement("db", "XA COMMIT X'61',X'',1", 9.0))
    assert told(done) == [(1, "insert", {"id": "1"})]
    assert [(one.cause, one.table) for one in assembler.lost] == [(Cause.UNREADABLE, T)]


def test_what_has_no_id_is_a_gap() -> None:
    assembler = mysql()
    (ended,) = fed(assembler, Began(None, 0, 7.0), BEGIN, rows(row(None, {"id": 1})), Committed(9.0))
    assert (ended.transaction, [one.cause for one in assembler.lost]) == (None, [Cause.GAP])
    assembler.lost.clear()
    fed(assembler, Idle(), rows(row(None, {"id": 1})))
    assert [one.cause for one in assembler.lost] == [Cause.GAP], "rows outside any transaction"


def test_what_came_from_the_leader_is_not_told_whatever_it_was() -> None:
    def origin(gtid: DomainGtids | GtidSet) -> Origin:
        return Origin(False, "another") if gtid == GtidSet.of({U: [(9, 9)]}) else Origin(True)

    assembler = mysql(origin_of=origin)
    ended = fed(
        assembler,
        *(began(5), BEGIN, rows(row(None, {"id": 1, "v": "x"})), Unreadable("compressed"), Committed(9.0)),
        *(began(6), Statement("db", "TRUNCATE t", 9.0)),
        *(began(9), BEGIN, rows(row(None, {"id": 2, "v": "x"})), Committed(9.0)),
    )
    assert [one.gtid for one in ended] == [GtidSet.of({U: [(n, n)]}) for n in (5, 6, 9)]
    assert [one.transaction is not None for one in ended] == [False, False, True]
    assert ended[2].transaction is not None
    assert told(ended[2].transaction) == [(2, "insert", {"id": "2", "v": "x"})]
    assert ended[2].transaction.origin == "another"
    assert assembler.lost == []


def test_a_table_that_is_nobodys_business_is_asked_for_each_time() -> None:
    asked: list[TableName] = []
    other = TableName("db", "other")
    assembler = Assembler(asked.append, mariadb=False)
    change = rows(row(None, {"id": 1, "v": "x"}), table=other)
    (ended,) = fed(assembler, began(5), BEGIN, change, change, Committed(9.0))
    assert ended.transaction is None
    assert asked == [other, other]
