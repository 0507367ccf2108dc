"""A schema registry that goes away while Avro is followed: known shapes are read on, new ones wait for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from fixtures.databases import Database
from fixtures.proxy import TcpProxy
from stack.debezium import avro
from stack.native import KafkaStack
from stack.registry import Registry

from connectors.debezium.avro import AvroReader
from connectors.debezium.avro_registry import SchemaRegistry
from connectors.debezium.connect import Connect
from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import Modes
from connectors.kafka.confluent import ConfluentConsumer
from connectors.kafka.stream import KafkaStream
from verifier.change import Batch
from verifier.errors import Temporary
from verifier.table import Column, Family, Table, TableName

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]
T = TableName("public", "t")
TABLE = Table(T, (Column("id", Family.INTEGER, "integer"), Column("v", Family.TEXT, "text")), ("id",))


@pytest.fixture
def between(schema_registry: Registry) -> Iterator[TcpProxy]:
    """Between us and the registry; Kafka Connect has its own way there."""
    proxy = TcpProxy(schema_registry.port)
    yield proxy
    proxy.close()


def test_what_was_written_while_the_registry_was_away_is_told_when_it_is_back(
    database: Database, kafka_stack: KafkaStack, schema_registry: Registry, between: TcpProxy
) -> None:
    database.sql("create table t (id int primary key, v text)")
    more = {**avro(schema_registry.url), "snapshot.mode": "no_data"}
    prefix = kafka_stack.capture(database.cluster, database.name, [str(T)], more=more)
    modes = Modes.of(Connect(kafka_stack.connect_url).config(prefix))
    url = schema_registry.confluent_url.replace(f":{schema_registry.port}", f":{between.port}")
    deadline = time.monotonic() + 60
    with (
        closing(SchemaRegistry(url)) as registry,
        closing(ConfluentConsumer(kafka_stack.bootstrap, prefix)) as consumer,
    ):
        decoder = Decoder(prefix, modes, {T: TABLE}.get, avro=AvroReader(registry, prefix).read)
        stream = KafkaStream(consumer, decoder, prefix)
        stream.start({}, None)
        batches: list[Batch] = []

        def read(*keys: int) -> None:
            while [key for one in batches for key in _keys(one)] != list(keys):
                batches.append(stream.poll(changes_max=100, seconds_max=0.5))
                assert time.monotonic() < deadline, batches

        database.sql("insert into t values (1, 'a')")
        read(1)
        between.stop()
        database.sql("insert into t values (2, 'b')")
        read(1, 2)
        database.sql("alter table t add w int")
        database.sql("insert into t values (3, 'c', 1)")
        said: list[str] = []
        while len(said) < 3:
            try:
                batches.append(stream.poll(changes_max=100, seconds_max=0.5))
            except Temporary as error:
                said.append(str(error))
            assert time.monotonic() < deadline, batches
        assert {text.partition(":")[0] for text in said} == {"schema registry at http"}
        assert [key for one in batches for key in _keys(one)] == [1, 2]
        between.start()
        database.sql("insert into t values (4, 'd', 2)")
        read(1, 2, 3, 4)
        assert [letter for one in batches for letter in one.letters] == []


def _keys(batch: Batch) -> list[Any]:
    return [change.key[0] for transaction in batch.transactions for change in transaction.changes]
