"""What the assembler says when something is missing, unreadable, too large, or not the same log any more."""

from __future__ import annotations

import pytest

from connectors.debezium import pending, waiting
from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.event import Begin, End, RowEvent
from verifier.change import Blindness, Cause, Change, Operation
from verifier.position import Lsn
from verifier.table import TableName

A, B = TableName("s", "a"), TableName("s", "b")
ORDER = ("p.transaction", 0)


def row(xid: int, order: int, key: int, table: TableName = A, fields: tuple[str, ...] = ("id",)) -> RowEvent:
    return RowEvent(xid, order, table, Change(table, (key,), Operation.UPDATE), None, fields, None)


def end(xid: int, commit: int, *counts: tuple[TableName, int]) -> End:
    by_table = tuple((str(table), count) for table, count in counts)
    return End(xid, Lsn(commit), sum(count for _, count in counts), by_table, 1.0)


class Feed:
    """An assembler and the next offset of each partition."""

    def __init__(self, delivered: int | None = 0, **options: int) -> None:
        self.assembler = TransactionAssembler(None if delivered is None else Lsn(delivered), **options)
        self.assembler.begin_at({ORDER: 0}, ORDER)
        self.offsets: dict[tuple[str, int], int] = {}

    def offset(self, place: tuple[str, int]) -> int:
        self.offsets[place] = self.offsets.get(place, -1) + 1
        return self.offsets[place]

    def __call__(self, event: RowEvent | Begin | End, partition: int = 0) -> None:
        if isinstance(event, RowEvent):
            place = (f"p.{event.table}", partition)
            self.assembler.row(place, self.offset(place), event)
        else:
            self.assembler.boundary(ORDER, self.offset(ORDER), event)

    def take(self) -> list[tuple[int, list[object], list[tuple[Cause, TableName | None]]]]:
        return [
            (t.xid, [change.key for change in t.changes], [(b.cause, b.table) for b in t.blind])
            for t in self.assembler.take(1000)
        ]


def test_a_transaction_waits_for_all_its_rows_and_those_behind_wait_for_it() -> None:
    feed = Feed()
    for event in (end(1, 10, (A, 2)), end(2, 20, (B, 1)), row(2, 1, 5, B), row(1, 2, 8)):
        feed(event)
        assert feed.take() == []
    feed(row(1, 1, 7), partition=1)
    assert feed.take() == [(1, [(7,), (8,)], []), (2, [(5,)], [])]


def test_a_row_sent_twice_counts_once() -> None:
    feed = Feed()
    for event in (row(1, 1, 7), row(1, 1, 7), end(1, 10, (A, 2))):
        feed(event)
    assert feed.take() == []
    feed(row(1, 1, 7), partition=1)
    assert feed.take() == []
    feed(row(1, 2, 8))
    assert feed.take() == [(1, [(7,), (8,)], [])]


def test_one_that_never_completes_is_given_up_as_a_gap() -> None:
    feed = Feed()
    for event in (row(1, 1, 7), end(1, 10, (A, 1), (B, 1)), end(2, 20)):
        feed(event)
    given_up = feed.assembler.give_up()
    detail = "1 of 2 events of transaction 1 never arrived"
    assert given_up.blind == (Blindness(Cause.GAP, A, detail), Blindness(Cause.GAP, B, detail))
    assert [change.key for change in given_up.changes] == [(7,)]
    assert feed.take() == [(2, [], [])]
    feed(row(1, 2, 9, B))
    assert feed.assembler.cut() == {ORDER: 2, ("p.s.a", 0): 1, ("p.s.b", 0): 1}


def wide(xid: int, order: int, key: int, width: int = 100) -> RowEvent:
    change = Change(A, (key,), Operation.UPDATE, {"id": str(key), "v": "x" * width})
    return RowEvent(xid, order, A, change, None, ("id", "v"), None)


def images(feed: Feed) -> list[tuple[int, list[tuple[object, bool]]]]:
    """Of each transaction its keys, and whether their values are told."""
    return [(t.xid, [(one.key, one.after is not None) for one in t.changes]) for t in feed.assembler.take(1000)]


def test_values_of_a_transaction_of_wide_rows_are_let_go_and_then_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for room, most in (("VALUES_BYTES", 500), ("KEYS_BYTES", 80)):
        monkeypatch.setattr(pending, room, most)
    monkeypatch.setattr(waiting, "VALUES_BYTES", 500)
    feed = Feed()
    for xid, count in ((1, 4), (2, 9), (3, 12)):
        for order in range(1, count + 1):
            feed(wide(xid, order, order), partition=order % 2)
    assert feed.assembler.held.bytes == 4 * 109 + 9 * 8
    for xid, count in ((1, 4), (2, 9)):
        feed(end(xid, 10 * xid, (A, count)))
        assert images(feed) == [(xid, [((order,), xid == 1) for order in range(1, count + 1)])]
    feed(end(3, 30, (A, 12)))
    (large,) = feed.assembler.take(9)
    assert (large.changes, [one.spans for one in large.blind]) == ((), [tuple(((n,), (n,)) for n in range(1, 13))])
    assert (feed.assembler.held.kept, feed.assembler.held.bytes) == (0, 0)


def test_of_too_much_that_waits_the_largest_lose_their_values_first_and_their_keys_last() -> None:
    feed = Feed()
    feed.assembler.held._bytes_max = 2_000
    for order in range(1, 20):  # the seventh is too much
        feed(wide(100 + order, 1, order, 300))
    held = feed.assembler.held.bytes
    assert 1_000 < held <= 2_000
    for order in range(1, 20):
        feed(end(100 + order, 10 * order, (A, 1)))
    told = images(feed)
    assert [(xid, [key for key, _ in keys]) for xid, keys in told] == [(100 + n, [(n,)]) for n in range(1, 20)]
    assert 300 * sum(valued for _, keys in told for _, valued in keys) < held
    feed.assembler.held._bytes_max = 100
    for order in range(1, 20):
        feed(wide(200 + order, 1, order, 300))
    assert feed.assembler.held.bytes <= 100
    assert feed.assembler.held.kept < 19, "of some not even the keys"
    for order in range(1, 20):
        feed(end(200 + order, 1_000 + order, (A, 1)))
    taken = feed.assembler.take(1000)
    keys = [
        *(c.key for t in taken for c in t.changes),
        *(span[0] for t in taken for b in t.blind for span in b.spans or ()),
    ]
    assert sorted(keys) == [(n,) for n in range(1, 20)], "each is told, by itself or where it lies"


def test_keys_of_a_large_transaction_are_let_go_and_it_is_told_where_they_lie() -> None:
    feed = Feed(keep_max=3)
    for order in range(1, 6):
        feed(row(1, order, order, A if order < 5 else B), partition=order % 2)
        feed(row(1, order, order, A if order < 5 else B), partition=order % 2)
    assert feed.assembler.held.kept == 0
    assert feed.assembler.cut()["p.s.a", 0] == 0
    feed(end(1, 10, (A, 4), (B, 1)))
    (large,) = feed.assembler.take(9)
    assert (large.changes, [(one.cause, one.table, one.spans) for one in large.blind]) == (
        (), [(Cause.GAP, A, (((1,), (1,)), ((2,), (2,)), ((3,), (3,)), ((4,), (4,)))), (Cause.GAP, B, (((5,), (5,)),))]
    )  # fmt: skip
    assert feed.assembler.cut()["p.s.a", 0] == 4


def test_an_unreadable_row_does_not_stop_its_transaction_and_blinds_its_table() -> None:
    feed = Feed()
    feed(row(1, 1, 7))
    feed.assembler.unread(("p.s.a", 0), feed.offset(("p.s.a", 0)), A, "junk")
    assert feed.assembler.noticed() == (Blindness(Cause.UNREADABLE, A, "junk"),)
    feed(end(1, 10, (A, 2)))
    assert feed.take() == [], "its rows may lie where nobody has read yet"
    feed.assembler.heard()
    assert feed.take() == [(1, [(7,)], [(Cause.UNREADABLE, A)])]
    feed(end(2, 20, (A, 1)))  # the unreadable message has been accounted for: this one is late
    assert feed.take() == []
    feed(row(2, 1, 9))
    assert feed.take() == [(2, [(9,)], [])]


def test_other_columns_than_before_are_a_change_of_the_definition_in_commit_order() -> None:
    feed = Feed()
    feed(row(2, 1, 2, fields=("id", "w")), partition=1)  # read first, committed second
    for event in (
        row(1, 1, 1),
        row(3, 1, 3, fields=("id", "w")),
        end(1, 10, (A, 1)),
        end(2, 20, (A, 1)),
        end(3, 30, (A, 1)),
    ):
        feed(event)
    taken = feed.assembler.take(10)
    assert [transaction.blind for transaction in taken] == [(), (Blindness(Cause.DDL, A, "+w"),), ()]


def test_a_log_that_went_back_is_a_gap() -> None:
    feed = Feed()
    for event in (end(1, 10), end(2, 20), end(1, 10)):
        feed(event)
    assert feed.take() == [(1, [], []), (2, [], [])]
    feed(end(2, 20))
    assert feed.assembler.noticed() == ()
    feed(end(7, 15))
    (noticed,) = feed.assembler.noticed()
    assert (noticed.cause, noticed.table) == (Cause.GAP, None)
    assert noticed.detail.startswith("transaction 7 at 0/F comes after later ones")


def test_the_first_start_skips_what_began_before() -> None:
    feed = Feed(None)
    feed(row(1, 2, 5))
    assert feed.assembler.cut() == {}
    feed(end(1, 10, (A, 2)))
    assert feed.assembler.delivered == Lsn(10)
    assert feed.assembler.cut() == {ORDER: 1, ("p.s.a", 0): 1}
    feed(Begin(2))
    feed(row(2, 1, 6))
    feed(end(2, 20, (A, 1)))
    assert feed.take() == [(2, [(6,)], [])]


def test_the_first_transaction_with_its_begin_is_whole() -> None:
    feed = Feed(None)
    for event in (Begin(2), row(2, 1, 6), end(2, 20, (A, 1))):
        feed(event)
    assert feed.assembler.delivered is None
    assert feed.take() == [(2, [(6,)], [])]
    assert feed.assembler.delivered == Lsn(20)
