"""The changes of one key, read back from topics within limits."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.debezium.pending import Partition
from connectors.kafka import history
from connectors.kafka.history import KafkaHistory, Limits
from verifier.change import Operation
from verifier.position import Lsn
from verifier.table import Column, Family, Table, TableName
from verifier.trace import CUT

ORDERS = TableName("public", "orders")
TABLE = Table(ORDERS, (Column("id", Family.INTEGER, "bigint"), Column("status", Family.TEXT, "text")), ("id",))
ENDS: Partition = ("p.transaction", 0)


class Topics:
    """Transactions of one row each, as a connector sends them; two partitions, by key."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.broker.topic("p.public.orders", 2)
        self.broker.topic("p.transaction")
        self.broker.topic("p.public.others")

    def send(self, xid: int, key: int, operation: str, status: str | None, *, end: bool = True) -> None:
        row = None if status is None else {"id": key, "status": status}
        source = {"schema": "public", "table": "orders", "txId": xid, "lsn": xid * 100, "snapshot": "false"}
        block = {"id": f"{xid}:{xid * 100}", "total_order": 1, "data_collection_order": 1}
        value = {"before": None, "after": row, "source": source, "op": operation, "ts_ms": 1, "transaction": block}
        place = ("p.public.orders", key % 2)
        self.broker.append(place, {"id": key}, value)
        if operation == "d":
            self.broker.append(place, {"id": key}, None)
        if end:
            counts = [{"data_collection": "public.orders", "event_count": 1}]
            told = {"status": "END", "id": f"{xid}:{xid * 100 + 50}", "event_count": 1, "data_collections": counts}
            self.broker.append(ENDS, {"id": str(xid)}, {**told, "ts_ms": xid * 1000})

    def history(self, **limits: Any) -> KafkaHistory:
        decoder = Decoder("p", RECOMMENDED, lambda name: TABLE if name == ORDERS else None)
        return KafkaHistory(MemoryConsumer(self.broker), decoder, "p", Limits(**limits))


def test_the_life_of_a_row_is_told_in_order_and_nobody_elses() -> None:
    topics = Topics()
    topics.send(1, 7, "c", "new")
    topics.send(2, 8, "c", "other")
    topics.send(3, 7, "u", "paid")
    topics.send(4, 9, "c", "same partition")
    topics.send(5, 7, "d", None)
    told = topics.history().changes(ORDERS, (7,))
    assert [(one.transaction, one.operation, one.after) for one in told.changes] == [
        ("1", Operation.INSERT, {"id": "7", "status": "new"}),
        ("3", Operation.UPDATE, {"id": "7", "status": "paid"}),
        ("5", Operation.DELETE, None),
    ]
    assert [one.commit for one in told.changes] == [Lsn(150), Lsn(350), Lsn(550)]
    assert [one.committed_at for one in told.changes] == [1.0, 3.0, 5.0]
    assert [one.place for one in told.changes] == [f"p.public.orders:1@{offset}" for offset in (0, 1, 3)]
    assert (told.since, told.note) == (Lsn(150), "")
    assert [one.commit for one in topics.history().changes(ORDERS, (7,), Lsn(150)).changes] == [Lsn(350), Lsn(550)]
    assert topics.broker.commits == []


def test_a_key_that_never_changed_and_a_table_without_a_topic() -> None:
    topics = Topics()
    topics.send(1, 7, "c", "new")
    assert topics.history().changes(ORDERS, (70,)).changes == ()
    told = topics.history().changes(TableName("public", "nothing"), (1,))
    assert (told.changes, told.note) == ((), "the broker has no topic of public.nothing")


def test_only_the_newest_messages_are_read_and_it_is_known_from_where_on() -> None:
    topics = Topics()
    for xid in range(1, 30):
        topics.send(xid, 7, "u", f"s{xid}")
    told = topics.history(messages=10).changes(ORDERS, (7,))
    assert [one.transaction for one in told.changes] == [str(xid) for xid in range(25, 30)]  # half of ten per partition
    assert told.since == Lsn(2550)  # the ends reach further back, the rows do not


def test_of_wide_rows_the_newest_are_told_and_from_where_on(monkeypatch: pytest.MonkeyPatch) -> None:
    topics = Topics()
    for xid in range(1, 10):
        topics.send(xid, 7, "u", "x" * 1_000)
    monkeypatch.setattr(history, "RECALLED_BYTES", 4_000)
    told = topics.history().changes(ORDERS, (7,))
    assert [one.transaction for one in told.changes] == ["7", "8", "9"]
    assert (told.since, told.note) == (Lsn(650), CUT)


def test_a_change_whose_transaction_has_no_end_is_told_of_and_left_out() -> None:
    topics = Topics()
    topics.send(1, 7, "c", "new")
    topics.send(2, 7, "u", "cut off", end=False)
    told = topics.history().changes(ORDERS, (7,))
    assert [one.transaction for one in told.changes] == ["1"]
    assert told.note == "of 1 changes the transaction's end was not found, so they are left out"


def test_reading_ends_in_time() -> None:
    topics = Topics()
    topics.send(1, 7, "c", "new")
    ticks = iter(range(0, 1000, 40))
    decoder = Decoder("p", RECOMMENDED, lambda name: TABLE)
    history = KafkaHistory(MemoryConsumer(topics.broker), decoder, "p", Limits(seconds=30.0), lambda: next(ticks))
    told = history.changes(ORDERS, (7,))
    assert told.note == "not everything within the limits could be read in time"
