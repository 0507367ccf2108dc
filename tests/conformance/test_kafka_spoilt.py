"""A batch whose bytes rotted on the broker's disk: no client hands it out, and nobody goes on behind it in silence."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

import pytest
from confluent_kafka import Producer
from stack.native import KafkaStack

from connectors.debezium.pending import Partition
from connectors.kafka.confluent import ConfluentConsumer
from connectors.kafka.kafka_python import KafkaPythonConsumer
from connectors.kafka.port import Consumer

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def spoilt(kafka_servers: KafkaStack) -> str:
    """A topic of three batches, of which the second is not what was sent."""
    topic = f"{kafka_servers.prefix()}.spoilt"
    producer = Producer({"bootstrap.servers": kafka_servers.bootstrap})
    for value in (b"first", b"second", b"third"):
        producer.produce(topic, value, b"k", 0)
        assert producer.flush(20) == 0
    (log,) = (kafka_servers.broker.home / "data" / f"{topic}-0").glob("*.log")
    with log.open("r+b") as file:
        at = file.read().index(b"second")
        file.seek(at)
        file.write(b"sEcond")
    return topic


@pytest.mark.parametrize("client", [ConfluentConsumer, KafkaPythonConsumer], ids=["confluent", "kafka-python"])
def test_a_batch_that_is_spoilt_is_lost_and_what_comes_behind_it_can_be_read(
    client: Callable[[str, str], Consumer], kafka_servers: KafkaStack, spoilt: str
) -> None:
    values: list[bytes | None] = []
    lost: list[Partition] = []
    deadline = time.monotonic() + 60
    with closing(client(kafka_servers.bootstrap, "test")) as consumer:
        consumer.assign({(spoilt, 0): 0})
        while not lost:
            polled = consumer.poll(1, 0.2)
            values.extend(value for run in polled.runs for value in run.values)
            lost.extend(polled.lost)
            assert time.monotonic() < deadline
        assert (values, lost) == ([b"first"], [(spoilt, 0)])
        consumer.assign({(spoilt, 0): 2})
        while len(values) < 2:
            values.extend(value for run in consumer.poll(1, 0.2).runs for value in run.values)
            assert time.monotonic() < deadline
    assert values == [b"first", b"third"]
