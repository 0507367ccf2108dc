"""A recorded session of the connector, from its messages to whole transactions.

The recording (`debezium_semantics.json`) has TOAST, deletes, key changes, replica identities, savepoints, messages,
truncates, an incremental snapshot and heartbeats with their action query; the statements stand at the assertions.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.decoder import Decoder
from connectors.debezium.event import Aside, RowEvent
from connectors.debezium.modes import Modes
from verifier.change import Cause, Transaction
from verifier.position import Lsn
from verifier.table import Column, Family, Table, TableName

RECORDED = json.loads((Path(__file__).parent / "data" / "debezium_semantics.json").read_text())
_INTEGER, _TEXT = (Family.INTEGER, "integer"), (Family.TEXT, "text")


def _table(name: str, key: tuple[str, ...], **columns: tuple[Family, str]) -> Table:
    return Table(TableName("public", name), tuple(Column(c, *kind) for c, kind in columns.items()), key)


TABLES = {
    table.name: table
    for table in (
        _table(
            "big", ("id",), id=_INTEGER, n=_INTEGER, txt=_TEXT, arr=(Family.ARRAY, "integer[]"),
            by=(Family.BYTES, "bytea"), js=(Family.JSON, "jsonb"),
        ),
        _table("nopk", (), a=_INTEGER, b=_TEXT),
        _table("pkchg", ("id",), id=_INTEGER, v=_TEXT),
        _table("fullri", ("id",), id=_INTEGER, v=_TEXT, w=(Family.DECIMAL, "numeric(6,2)")),
    )
}  # fmt: skip


def feed(assembler: TransactionAssembler) -> list[Transaction]:
    decoder = Decoder("s1", Modes(), TABLES.get)
    offsets: dict[str, int] = {}
    found: list[Transaction] = []
    for topic, key, value in RECORDED:
        if topic.startswith("----") or topic == "s1.notif":
            continue
        offset = offsets[topic] = offsets.get(topic, -1) + 1
        event = decoder.decode(topic, key and key.encode(), value and value.encode())
        if isinstance(event, RowEvent):
            assembler.row((topic, 0), offset, event)
        elif isinstance(event, Aside):
            assembler.passed((topic, 0), offset)
        else:
            assembler.boundary((topic, 0), offset, event)
        found += assembler.take(1000)
    return found


@pytest.fixture(scope="module")
def session() -> list[Transaction]:
    return [
        transaction for transaction in feed(TransactionAssembler(Lsn(0))) if transaction.changes or transaction.blind
    ]


def told(transaction: Transaction) -> list[tuple[str, tuple[int | str, ...], str, object]]:
    return [(c.table.name, c.key, c.operation.value, c.after) for c in transaction.changes]


def test_the_session_as_transactions(session: list[Transaction]) -> None:
    assert [(t.xid, told(t), [(b.cause, b.table and b.table.name) for b in t.blind]) for t in session] == [
        # update big set n = 2: the large columns were left alone and are not known
        (835, [("big", (1,), "update", {"id": "1", "n": "2"})], []),
        (836, [("big", (1,), "delete", None)], []),
        (837, [], [(Cause.KEYLESS, "nopk")]),
        # update pkchg set id = 101 where id = 1
        (838, [("pkchg", (1,), "delete", None), ("pkchg", (101,), "insert", {"id": "101", "v": "v1"})], []),
        (839, [("fullri", (1,), "update", {"id": "1", "v": "a", "w": "2.20"})], []),
        (840, [("fullri", (1,), "delete", None)], []),
        (841, [("pkchg", (201,), "insert", {"id": "201", "v": "t1"}),
               ("pkchg", (201,), "update", {"id": "201", "v": "t2"}),
               ("pkchg", (201,), "delete", None), ("pkchg", (201,), "insert", {"id": "201", "v": "t3"})], []),
        # insert 300; savepoint; insert 301; rollback to savepoint; commit
        (842, [("pkchg", (300,), "insert", {"id": "300", "v": "rolledback"})], []),
        (845, [], [(Cause.TRUNCATE, "nopk"), (Cause.TRUNCATE, "fullri")]),
        (858, [("pkchg", (2,), "update", {"id": "2", "v": "after"})], []),
    ]  # fmt: skip


def test_commits_are_the_ends_of_the_commit_records(session: list[Transaction]) -> None:
    assert {t.xid: t.commit for t in session}[841] == Lsn(24439656)
    assert session[0].committed_at == 1795210578.362


def test_transactions_of_nothing_move_the_barrier() -> None:
    assembler = TransactionAssembler(Lsn(0))
    found = feed(assembler)
    assert len(found) == sum('"status":"END"' in (value or "") for _, _, value in RECORDED) == 70
    assert found[-1].changes == ()
    assert assembler.delivered == found[-1].commit == Lsn(24482152)


def test_nothing_waits_at_the_end() -> None:
    assembler = TransactionAssembler(Lsn(0))
    feed(assembler)
    assert (assembler.held.kept, assembler.stuck()) == (0, None)
    assert assembler.noticed() == ()
    assert assembler.cut()["s1.transaction", 0] == sum(topic == "s1.transaction" for topic, _, _ in RECORDED)
