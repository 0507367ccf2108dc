"""Rows sent again that are more than may wait, on a real broker: both clients let the order be read once more."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

import pytest
from fixtures.debezium_broker import MemoryBroker, Source
from fixtures.debezium_sending import send
from stack.native import KafkaStack

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.kafka import stream as kafka_stream
from connectors.kafka.confluent import ConfluentConsumer
from connectors.kafka.kafka_python import KafkaPythonConsumer
from connectors.kafka.port import Consumer
from connectors.kafka.stream import KafkaStream
from verifier.change import Change
from verifier.position import Lsn
from verifier.table import Column, Family, Table, TableName

pytestmark = pytest.mark.kafka

T = TableName("public", "t")
TABLES = {T: Table(T, (Column("id", Family.INTEGER, "integer"),), ("id",))}
KEPT_MAX, MANY, NEW = 100, 2_000, 50


def sent(stack: KafkaStack, prefix: str) -> tuple[dict[str, int], Lsn]:
    """Transactions, the same once more, and new ones; and where a reader stood that had read both ENDs of each, and the
    rows the first time they came."""
    broker = MemoryBroker()
    source = Source(broker, prefix)
    for number in range(MANY):
        source.transaction(number)
    through = Lsn(source.commit)
    order, rows = (f"{prefix}.transaction", 0), (f"{prefix}.public.t", 0)
    for place in (order, rows):
        broker.logs[place] *= 2
    cut = {f"{order[0]}:0": len(broker.logs[order]), f"{rows[0]}:0": MANY}
    for number in range(NEW):
        source.transaction(number)
    send(broker, stack.bootstrap)
    return cut, through


@pytest.mark.parametrize("client", [ConfluentConsumer, KafkaPythonConsumer], ids=["confluent", "kafka-python"])
def test_rows_sent_again_whose_ends_were_read_before_do_not_stop_the_stream(
    client: Callable[[str, str], Consumer], kafka_servers: KafkaStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_stream, "_RECORDS", 40)  # else all of them come before any can be held back
    prefix = kafka_servers.prefix()
    cut, through = sent(kafka_servers, prefix)
    consumer = client(kafka_servers.bootstrap, "test")
    found: list[Change] = []
    with closing(KafkaStream(consumer, Decoder(prefix, RECOMMENDED, TABLES.get), prefix, keep_max=KEPT_MAX)) as stream:
        assert stream.start(cut, through) == through
        deadline = time.monotonic() + 60
        while len(found) < NEW and time.monotonic() < deadline:
            batch = stream.poll(changes_max=100, seconds_max=0.5)
            assert batch.blind == ()
            found += [change for transaction in batch.transactions for change in transaction.changes]
        assert [change.key[0] for change in found] == list(range(NEW))
        assert batch.read_through == Lsn(through.value + 10 * NEW)
        stood = dict(batch.offsets)
    assert stood[f"{prefix}.public.t:0"] == 2 * MANY + NEW
