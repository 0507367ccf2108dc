"""The native stack does what the integration tests rely on: rows reach Kafka in seconds, kills heal, nothing stays."""

from __future__ import annotations

import json
import time
import urllib.request
import uuid
from collections.abc import Iterator
from decimal import Decimal

import pytest
from confluent_kafka import Consumer
from fixtures.databases import Database, TrioDatabase
from stack.debezium import avro
from stack.mysql_servers import MysqlPair
from stack.native import KafkaStack
from stack.registry import Registry

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

_SCHEMA = "create table orders (id int primary key, amount numeric(12,2) not null)"


def _changes(stack: KafkaStack, topic: str) -> Iterator[dict[str, object]]:
    """Decoded change events of a topic from its beginning; fails when 90 s pass without one."""
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
        while time.monotonic() - waiting_since < 90:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None and message.value() is not None:
                yield json.loads(message.value())
                waiting_since = time.monotonic()
    finally:
        consumer.close()
    pytest.fail(f"no event on {topic} for 90 s")


def test_a_row_reaches_kafka(kafka_stack: KafkaStack, trio_database: TrioDatabase) -> None:
    leader = trio_database.leader
    leader.sql(_SCHEMA)
    leader.sql("insert into orders values (1, 9.50)")
    name = kafka_stack.capture(leader.cluster, leader.name, ["public.orders"])
    changes = _changes(kafka_stack, f"{name}.public.orders")
    first = next(changes)
    assert (first["op"], first["after"]["id"]) == ("r", 1)

    leader.sql("insert into orders values (2, 3.00)")
    second = next(changes)
    assert (second["op"], second["after"]["id"]) == ("c", 2)
    changes.close()


@pytest.mark.mysql
def test_a_sink_copies_rows_from_events_in_avro_to_another_engine(
    kafka_stack: KafkaStack, schema_registry: Registry, database: Database, mariadb_pair: MysqlPair
) -> None:
    database.sql(_SCHEMA)
    database.sql("insert into orders values (1, 9.50), (2, 3.00)")
    follower = mariadb_pair.leader
    follower.sql(f"create database {database.name}")
    follower.sql(_SCHEMA, database=database.name)
    written = avro(schema_registry.url)
    name = kafka_stack.capture(database.cluster, database.name, ["public.orders"], more=written)
    kafka_stack.deliver([f"{name}.public.orders"], follower, database.name, more=written)
    database.sql("update orders set amount = 4.25, id = 3 where id = 2")
    database.sql("delete from orders where id = 1")

    until = time.monotonic() + 60
    while (rows := follower.sql("select id, amount from orders", database=database.name)) != [(3, Decimal("4.25"))]:
        assert time.monotonic() < until, f"{rows}, not within 60 s"
        time.sleep(0.05)
    with urllib.request.urlopen(f"{schema_registry.confluent_url}/subjects", timeout=10) as answer:
        assert {f"{name}.public.orders-key", f"{name}.public.orders-value"} <= set(json.load(answer))
    kafka_stack.release_all()
    follower.sql(f"drop database {database.name}")


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
    deadline = time.monotonic() + 60  # one that is deleted while it begins makes its slot once more
    while not leader.sql(f"{slots} and active", (leader.name,)):
        assert time.monotonic() < deadline, "the connector does not read its slot"
        time.sleep(0.1)
    kafka_stack.release(name)
    assert leader.sql(slots, (leader.name,)) == []
