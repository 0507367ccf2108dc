"""What is remembered of a stream that cannot be read again: complete behind a position, of limited size, told once."""

from __future__ import annotations

from collections import UserDict

from verifier.change import Batch, Blindness, Cause, Change, Operation, Transaction
from verifier.position import Lsn
from verifier.remembered import Remembered
from verifier.table import TableName

ITEMS, OTHERS = TableName("public", "items"), TableName("public", "others")


def _changed(at: int, *keys: int, table: TableName = ITEMS, text: str = "x", blind: bool = False) -> Transaction:
    changes = tuple(Change(table, (key,), Operation.UPDATE, {"id": str(key), "text": text}) for key in keys)
    return Transaction(at, Lsn(at), float(at), changes, (Blindness(Cause.TRUNCATE, table),) if blind else ())


def _begun(**limits: int) -> Remembered:
    remembered = Remembered(**limits)
    remembered.add(Batch((), Lsn(100)), 0.5)
    return remembered


def _commits(remembered: Remembered, key: int, table: TableName = ITEMS) -> tuple[list[str], str | None]:
    told = remembered.changes(table, (key,))
    return [one.commit.text() for one in told.changes], None if told.since is None else told.since.text()


def test_the_changes_of_a_key_come_back_in_order_with_what_is_known_of_them() -> None:
    remembered = _begun()
    remembered.add(Batch((_changed(110, 1, 2), _changed(120, 1, text="y")), Lsn(130)), 7.0)
    first, second = remembered.changes(ITEMS, (1,)).changes
    assert (first.commit, first.transaction, first.committed_at, first.received_at) == (Lsn(110), "110", 110.0, 7.0)
    assert (second.operation, second.after) == (Operation.UPDATE, {"id": "1", "text": "y"})
    assert _commits(remembered, 1) == (["lsn:0/6E", "lsn:0/78"], "lsn:0/64")
    assert _commits(remembered, 3) == ([], "lsn:0/64")
    assert [one.commit for one in remembered.changes(ITEMS, (1,), Lsn(110)).changes] == [Lsn(120)]


def test_rows_that_a_stream_decodes_when_they_are_read_are_told_as_plain_ones() -> None:
    remembered = _begun()
    row = UserDict({"id": "1", "text": "lazy"})
    change = Change(ITEMS, (1,), Operation.INSERT, row)
    remembered.add(Batch((Transaction(1, Lsn(110), 1.0, (change,)),), Lsn(110)), 1.0)
    (told,) = remembered.changes(ITEMS, (1,)).changes
    assert type(told.after) is dict
    assert told.after == row


def test_before_the_stream_has_begun_nothing_is_complete() -> None:
    remembered = Remembered()
    remembered.add(Batch((_changed(90, 1),), None), 0.0)
    assert _commits(remembered, 1) == ([], None)
    remembered.add(Batch((_changed(95, 1),), Lsn(100)), 0.0)
    assert _commits(remembered, 1) == ([], "lsn:0/64")


def test_what_is_delivered_again_is_told_once() -> None:
    remembered = _begun()
    batch = Batch((_changed(110, 1), _changed(120, 1)), Lsn(120))
    remembered.add(batch, 1.0)
    remembered.add(batch, 2.0)
    assert _commits(remembered, 1)[0] == ["lsn:0/6E", "lsn:0/78"]


def test_the_oldest_are_forgotten_first_and_it_is_known_from_where_on_all_is_told() -> None:
    remembered = _begun(changes_max=3)
    for at in range(110, 160, 10):
        remembered.add(Batch((_changed(at, 1 + at % 20 // 10),), Lsn(at)), float(at))
    assert remembered.kept == 3
    assert _commits(remembered, 1) == (["lsn:0/8C"], "lsn:0/78")
    assert _commits(remembered, 2) == (["lsn:0/82", "lsn:0/96"], "lsn:0/78")


def test_large_values_are_bounded_by_their_size() -> None:
    remembered = _begun(bytes_max=50_000)
    for at in range(200, 300):
        remembered.add(Batch((_changed(at, at, text="z" * 10_000),), Lsn(at)), 1.0)
    assert 1 <= remembered.kept <= 5


def test_wide_rows_count_whatever_comes_behind_them() -> None:
    remembered = _begun(bytes_max=50_000)
    for at in range(200, 300, 2):
        wide, narrow = _changed(at, *range(9), text="z" * 10_000), _changed(at + 1, at, table=OTHERS)
        remembered.add(Batch((wide, narrow), Lsn(at + 1)), 1.0)
    assert 1 <= remembered.kept <= 11


def test_a_bulk_load_is_not_remembered_and_its_table_not_complete_before_it() -> None:
    remembered = _begun()
    remembered.add(Batch((_changed(110, 1), _changed(115, 1, table=OTHERS)), Lsn(115)), 1.0)
    remembered.add(Batch((_changed(120, *range(6_000)), _changed(130, 1)), Lsn(130)), 2.0)
    assert _commits(remembered, 1) == (["lsn:0/82"], "lsn:0/78")
    assert _commits(remembered, 1, OTHERS) == (["lsn:0/73"], "lsn:0/64")
    assert remembered.kept == 3


def test_both_changes_of_a_key_in_one_transaction_are_told() -> None:
    remembered = _begun()
    twice = Transaction(9, Lsn(110), 1.0, (*_changed(110, 1, 2).changes, Change(ITEMS, (1,), Operation.DELETE)))
    remembered.add(Batch((twice,), Lsn(110)), 1.0)
    told = remembered.changes(ITEMS, (1,)).changes
    assert [one.operation for one in told] == [Operation.UPDATE, Operation.DELETE]
    assert len(remembered.changes(ITEMS, (2,)).changes) == 1


def test_a_gap_forgets_everything_and_a_truncate_its_table() -> None:
    remembered = _begun()
    remembered.add(Batch((_changed(110, 1), _changed(111, 1, table=OTHERS)), Lsn(112)), 1.0)
    remembered.add(Batch((_changed(120, 2, blind=True),), Lsn(120)), 2.0)
    assert _commits(remembered, 1) == ([], "lsn:0/78")
    assert _commits(remembered, 2) == (["lsn:0/78"], "lsn:0/78")
    assert _commits(remembered, 1, OTHERS) == (["lsn:0/6F"], "lsn:0/64")
    remembered.add(Batch((), Lsn(200), blind=(Blindness(Cause.GAP),)), 3.0)
    assert _commits(remembered, 1, OTHERS) == ([], "lsn:0/C8")
    remembered.add(Batch((_changed(210, 1),), Lsn(210)), 4.0)
    assert _commits(remembered, 1) == (["lsn:0/D2"], "lsn:0/C8")


def test_a_table_of_which_the_stream_does_not_say_from_where_on_it_tells_again() -> None:
    remembered = _begun()
    remembered.add(Batch((), None, blind=(Blindness(Cause.UNREADABLE, ITEMS),)), 1.0)
    remembered.add(Batch((_changed(110, 1),), None), 2.0)
    assert _commits(remembered, 1) == ([], None)
    remembered.add(Batch((), Lsn(150)), 3.0)
    remembered.add(Batch((_changed(160, 1),), Lsn(160)), 4.0)
    assert _commits(remembered, 1) == (["lsn:0/A0"], "lsn:0/96")


def test_when_a_row_was_found_equal_is_kept_as_long_as_its_changes() -> None:
    remembered = _begun(changes_max=2)
    remembered.add(Batch((_changed(110, 1),), Lsn(110)), 1.0)
    remembered.found_equal("eu", ITEMS, {(1,): 5.0, (9,): 5.0})
    assert remembered.seen("eu", ITEMS, (1,)) == 5.0
    assert remembered.seen("us", ITEMS, (1,)) is None
    assert remembered.seen("eu", ITEMS, (9,)) is None
    remembered.add(Batch((_changed(120, 2), _changed(130, 3)), Lsn(130)), 6.0)
    assert remembered.seen("eu", ITEMS, (1,)) is None
