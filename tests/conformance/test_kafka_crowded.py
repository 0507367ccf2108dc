"""A backlog on a real broker of which only a little may wait at a time: both clients hold back and go on as they are
told, and nothing is left out."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from random import Random

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
from connectors.kafka.pressure import Pressure
from connectors.kafka.stream import KafkaStream
from verifier.position import Lsn
from verifier.table import Column, Family, Table, TableName

pytestmark = pytest.mark.kafka

NAMES = ("a", "b", "c", "d")
TABLES = {
    name: Table(name, (Column("id", Family.INTEGER, "integer"),), ("id",))
    for name in (TableName("public", one) for one in NAMES)
}
Row = tuple[str, object]


def sent(stack: KafkaStack, prefix: str) -> list[list[Row]]:
    """What the transactions changed; some tables rest for long."""
    chance, broker = Random(7), MemoryBroker()
    source, transactions = Source(broker, prefix), []
    for name in NAMES:
        broker.topic(f"{prefix}.public.{name}")
    for number in range(3_000):
        names = NAMES if number % 1_000 < 200 else NAMES[number // 1_000 : number // 1_000 + 2]
        rows: list[Row] = [(chance.choice(names), key) for key in range(chance.randrange(4))]
        source.begin()
        for order, (name, key) in enumerate(rows, 1):
            source.row(order, key, name)  # type: ignore[arg-type]
        counts = {name: sum(one == name for one, _ in rows) for name in NAMES}
        source.end(**{name: count for name, count in counts.items() if count})
        transactions.append(rows)
    send(broker, stack.bootstrap)
    return transactions


@pytest.mark.parametrize("client", [ConfluentConsumer, KafkaPythonConsumer], ids=["confluent", "kafka-python"])
def test_a_backlog_of_which_little_may_wait_comes_whole_and_in_order(
    client: Callable[[str, str], Consumer], kafka_servers: KafkaStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_stream, "_RECORDS", 100)
    prefix = kafka_servers.prefix()
    transactions = sent(kafka_servers, prefix)
    consumer = client(kafka_servers.bootstrap, "test")
    found: list[list[Row]] = []
    crowded = 0
    with closing(KafkaStream(consumer, Decoder(prefix, RECOMMENDED, TABLES.get), prefix, keep_max=300)) as stream:
        pressure: Pressure = stream._pressure
        pressure._ends_max = 300
        cut = {f"{prefix}.public.{name}:0": 0 for name in NAMES} | {f"{prefix}.transaction:0": 0}
        assert stream.start(cut, Lsn(0)) == Lsn(0)
        deadline = time.monotonic() + 90
        while len(found) < len(transactions) and time.monotonic() < deadline:
            batch = stream.poll(changes_max=100, seconds_max=0.5)
            assert batch.blind == ()
            found += [[(one.table.name, one.key[0]) for one in each.changes] for each in batch.transactions]
            crowded += bool(pressure.paused)
    assert found == transactions
    assert crowded > 0
