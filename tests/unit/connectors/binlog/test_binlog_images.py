"""What sessions may log otherwise than the server is set: parts of rows, compressed events, changes of documents."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.binlog_wire import QUERY, ROWS, J, T, recorded, sealed, told

from verifier.change import Blindness, Cause

WRITE, UPDATE, DELETE = 30, 31, 32
_NULLS = b"\0"


def _int(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _imaged(kind: int, bits: bytes, rows: bytes) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """What is told of one event of MySQL with rows of `t` (id, v, n); `bits`: the columns that it has."""
    events = list(recorded("mysql"))
    at = next(index for index, event in enumerate(events) if event[4] == kind and event[19:25] == _table_t())
    other = sealed(events[at][:29] + b"\3" + bits + rows + bytes(4))
    before, _, _ = told(events[:at], "mysql")
    changes, blind, _ = told([*events[:at], other, events[at + 1]], "mysql")
    new = changes[len(before) :]
    assert all(one.table == T for one in new)
    return (
        [(*one.key, one.operation.value, dict(one.after or {})) for one in new],
        [(one.cause, one.table, one.detail) for one in blind if one.cause is not Cause.DDL],
    )


def _table_t() -> bytes:
    return next(event[19:25] for event in recorded("mysql") if event[4] == WRITE)


@pytest.mark.parametrize(
    ("kind", "bits", "rows", "changes"),
    [
        (UPDATE, b"\1\4", _NULLS + _int(1) + _NULLS + _int(77), [(1, "update", {"id": "1", "n": "77"})]),
        (UPDATE, b"\1\4", _NULLS + _int(1) + b"\1", [(1, "update", {"id": "1", "n": None})]),
        (UPDATE, b"\1\1", _NULLS + _int(1) + _NULLS + _int(9), [(1, "delete", {}), (9, "insert", {"id": "9"})]),
        (WRITE, b"\5", _NULLS + _int(8) + _int(80), [(8, "insert", {"id": "8", "n": "80"})]),
        (UPDATE, b"\5\5", (_NULLS + _int(1) + _int(10)) * 2, [(1, "update", {"id": "1", "n": "10"})]),  # NOBLOB
    ],
)
def test_rows_of_which_only_parts_are_logged_tell_those(kind: int, bits: bytes, rows: bytes, changes: object) -> None:
    assert _imaged(kind, bits, rows) == (changes, [])


def test_a_key_that_was_not_logged_blinds_its_table() -> None:
    """MINIMAL leaves out a key that its default filled."""
    found = _imaged(WRITE, b"\4", _NULLS + _int(5))
    assert found == ([], [(Cause.KEYLESS, T, "the key column id was not logged (binlog_row_image)")])


def test_a_row_of_defaults_alone_blinds_its_table() -> None:
    """MINIMAL logs nothing of it: no byte says that there is a row."""
    assert _imaged(WRITE, b"\0", b"") == ([], [(Cause.UNREADABLE, T, "rows without columns")])


def test_a_document_of_which_only_the_change_was_logged_blinds_its_table() -> None:
    _, blind, _ = told(recorded("mysql"), "mysql")
    assert [(one.table, one.detail) for one in blind if one.cause is Cause.UNREADABLE] == [
        (J, "of a document only its change was logged (set binlog_row_value_options='')")
    ]


def _compressed(engine: str, kinds: tuple[int, ...], number: int) -> list[Blindness]:
    """What is blind where the first event of these kinds is one of this number."""
    events = list(recorded(engine))
    at = next(index for index, event in enumerate(events) if event[4] in kinds)
    events[at] = sealed(events[at][:4] + bytes([number]) + events[at][5:])
    _, blind, _ = told(events, engine)
    return [one for one in blind if one.table is None]


@pytest.mark.parametrize("number", range(166, 172))
def test_compressed_rows_of_mariadb_blind_everything_and_name_the_cure(number: int) -> None:
    (blind,) = _compressed("mariadb", ROWS, number)
    assert (blind.cause, blind.detail) == (Cause.UNREADABLE, "compressed rows (set log_bin_compress=OFF)")


def test_a_compressed_statement_of_mariadb_blinds_everything_and_names_the_cure() -> None:
    (blind,) = _compressed("mariadb", (QUERY,), 165)
    assert (blind.cause, blind.detail) == (Cause.UNREADABLE, "a compressed statement (set log_bin_compress=OFF)")


def test_a_compressed_transaction_of_mysql_blinds_everything_and_names_the_cure() -> None:
    (blind,) = _compressed("mysql", (WRITE,), 40)
    assert blind.cause is Cause.UNREADABLE
    assert blind.detail == "compressed transactions (set binlog_transaction_compression=OFF)"
