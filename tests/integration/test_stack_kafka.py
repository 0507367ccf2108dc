"""The native stack does what the integration tests rely on: rows reach Kafka in seconds, kills heal, nothing stays."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer
from fixtures.databases import TrioDatabase
from stack.native import KafkaStack

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

_SCHEMA = "create table orders (id int primary key, amount numeric(12,2) not null)"


def _changes(stack: KafkaStack, topic: str) -> Iterator[dict[str, object]]:
    """Decoded change events of a topic from its beginning; fails when 30 s pass without one."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.bootstrap,
            "group.id": str(uuid.uuid4()),
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 500,
            "log_level": 0,
        }
    )
    consumer.subscribe([topic])
    try:
        waiting_since = time.monotonic()
        while time.monotonic() - waiting_since < 30:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None and message.value() is not None:
                yield json.loads(message.value())
                waiting_since = time.monotonic()
    finally:
        consumer.close()
    pytest.fail(f"no event on {topic} for 30 s")


def test_a_row_reaches_kafka_within_seconds(kafka_stack: KafkaStack, trio_database: TrioDatabase) -> None:
    leader = trio_database.leader
    leader.sql(_SCHEMA)
    leader.sql("insert into orders values (1, 9.50)")
    name = kafka_stack.capture(leader.cluster, leader.name, ["public.orders"])
    changes = _changes(kafka_stack, f"{name}.public.orders")
    first = next(changes)
    assert (first["op"], first["after"]["id"]) == ("r", 1)

    started = time.monotonic()
    leader.sql("insert into orders values (2, 3.00)")
    second = next(changes)
    assert (second["op"], second["after"]["id"]) == ("c", 2)
    assert time.monotonic() - started < 5
    changes.close()


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["broker", "connect"])
def test_changes_written_while_a_server_is_dead_arrive(
    victim: str, kafka_stack: KafkaStack, trio_database: TrioDatabase
) -> None:
    leader = trio_database.leader
    leader.sql(_SCHEMA)
    name = kafka_stack.capture(leader.cluster, leader.name, ["public.orders"])
    leader.sql("insert into orders values (1, 1)")
    changes = _changes(kafka_stack, f"{name}.public.orders")
    assert next(changes)["after"]["id"] == 1
    changes.close()

    server = getattr(kafka_stack, victim)
    server.server.kill()
    leader.sql("insert into orders values (2, 2)")
    server.start()
    server.wait()
    seen = set()
    for change in _changes(kafka_stack, f"{name}.public.orders"):  # a kill may repeat events, never lose them
        seen.add(change["after"]["id"])
        if seen == {1, 2}:
            return


def test_release_leaves_no_slot_behind(kafka_stack: KafkaStack, trio_database: TrioDatabase) -> None:
    leader = trio_database.leader
    leader.sql(_SCHEMA)
    name = kafka_stack.capture(leader.cluster, leader.name, ["public.orders"])
    slots = "select slot_name from pg_replication_slots where database = %s"
    assert leader.sql(slots, (leader.name,)) == [(f"dbz_{name}",)]
    kafka_stack.release(name)
    assert leader.sql(slots, (leader.name,)) == []
