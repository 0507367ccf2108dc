"""Events in Avro while the registry is away: the stream says so, and goes on where it stopped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fixtures.avro_events import Registered
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer

from connectors.debezium.avro import PATIENCE_SECONDS, AvroReader
from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.kafka import offsets
from connectors.kafka.stream import KafkaStream
from verifier.change import Batch, Cause
from verifier.errors import Forbidden, Temporary
from verifier.table import Column, Family, Table, TableName

T = TableName("public", "t")
TABLE = Table(T, (Column("id", Family.INTEGER, "integer"),), ("id",))


def struct(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "struct", "name": name, "optional": False, "fields": list(fields)}


def of(kind: str, field: str, **more: object) -> dict[str, Any]:
    return {"type": kind, "optional": True, "field": field} | more


ID = of("int32", "id")
ROW = struct(
    "Envelope",
    struct("Value", ID) | {"optional": True, "field": "after"},
    struct("Source", of("string", "schema"), of("string", "table")) | {"field": "source"},
    struct("Block", of("string", "id"), of("int64", "total_order")) | {"field": "transaction"},
    of("string", "op"),
    of("int64", "ts_ms"),
)
COUNT = struct("Count", of("string", "data_collection"), of("int64", "event_count"))
BOUNDARY = struct(
    "Boundary",
    of("string", "status"), of("string", "id"), of("int64", "event_count"), of("int64", "ts_ms"),
    {"type": "array", "items": COUNT, "optional": True, "field": "data_collections"},
)  # fmt: skip


class Away(Registered):
    """A registry that does not answer, or refuses us, until it is asked `after` times more."""

    def __init__(self, problem: Exception, after: int = 0) -> None:
        super().__init__()
        self.problem: Exception | None = problem
        self.after = after

    def schema(self, number: int) -> str:
        self.after -= 1
        if self.problem is not None and self.after < 0:
            raise self.problem
        return super().schema(number)


class Writer:
    def __init__(self, broker: MemoryBroker, registry: Registered) -> None:
        self.broker, self.registry = broker, registry

    def __call__(self, topic: str, schema: dict[str, Any], payload: object, key: object = None) -> None:
        def wire(schema: dict[str, Any], payload: object) -> bytes:
            return self.registry.write(json.dumps({"schema": schema, "payload": payload}).encode())

        told = wire(struct("Key", ID), key) if key else None
        self.broker.logs[topic, 0].append((told, wire(schema, payload)))

    def transaction(self, xid: int, *rows: int) -> None:
        nothing = {"event_count": None, "data_collections": None}
        self("p.transaction", BOUNDARY, {"status": "BEGIN", "id": f"{xid}:{xid}", "ts_ms": 1} | nothing)
        for order, row in enumerate(rows, start=1):
            block = {"id": f"{xid}:{xid}", "total_order": order}
            source = {"schema": "public", "table": "t"}
            event = {"after": {"id": row}, "source": source, "transaction": block, "op": "c", "ts_ms": 2}
            self("p.public.t", ROW, event, {"id": row})
        counts = {
            "event_count": len(rows),
            "data_collections": [{"data_collection": "public.t", "event_count": len(rows)}],
        }
        self("p.transaction", BOUNDARY, {"status": "END", "id": f"{xid}:{xid}", "ts_ms": 3} | counts)


def keys(batch: Batch) -> list[list[object]]:
    return [[change.key[0] for change in transaction.changes] for transaction in batch.transactions]


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize(
    "problem",
    [Temporary("it does not answer"), Forbidden("the registry refuses us"), AssertionError("a fault of ours")],
)
def test_what_cannot_be_decoded_yet_is_read_again_and_nothing_is_skipped(problem: Exception, after: int) -> None:
    broker, registry = MemoryBroker(), Away(problem, after)
    broker.topic("p.transaction")
    broker.topic("p.public.t")
    consumer = MemoryConsumer(broker)
    decoder = Decoder("p", RECOMMENDED, {T: TABLE}.get, avro=AvroReader(registry).read)
    stream = KafkaStream(consumer, decoder, "p", seconds=lambda: consumer.waited)
    stream.start({}, None)
    write = Writer(broker, registry)
    write.transaction(1, 7, 8)
    write.transaction(2, 9)
    for _ in range(3):
        with pytest.raises(type(problem)):
            stream.poll(changes_max=9, seconds_max=1.0)
    registry.problem = None
    batch = stream.poll(changes_max=9, seconds_max=1.0)
    assert keys(batch) == [[7, 8], [9]]
    assert batch.transactions[0].changes[0].after == {"id": "7"}
    assert (batch.blind, batch.letters, batch.events) == ((), (), 3)
    assert offsets.read(batch.offsets) == {("p.transaction", 0): 4, ("p.public.t", 0): 3}


@pytest.mark.parametrize("away", [False, True])
def test_a_message_with_a_schema_that_nobody_has_is_kept_as_a_dead_letter_and_the_rest_goes_on(away: bool) -> None:
    broker, registry = MemoryBroker(), Away(Temporary("it does not answer"))
    broker.topic("p.public.t")  # read before the END of the first transaction
    broker.topic("p.transaction")
    consumer = MemoryConsumer(broker)
    reader = AvroReader(registry, "p.", seconds=lambda: consumer.waited)
    decoder = Decoder("p", RECOMMENDED, {T: TABLE}.get, avro=reader.read)
    stream = KafkaStream(consumer, decoder, "p", seconds=lambda: consumer.waited)
    registry.problem = None
    stream.start({}, None)
    write = Writer(broker, registry)
    write.transaction(1, 7)
    junk = b"\0\xff\xff\xff\xffbinary of somebody else"
    broker.logs["p.public.t", 0].append((None, junk))
    write.transaction(2, 8)
    if away:
        registry.problem = Temporary("it does not answer")
    for _ in range(20):
        consumer.waited += PATIENCE_SECONDS / 20 if not away else PATIENCE_SECONDS
        with pytest.raises(Temporary):
            stream.poll(changes_max=9, seconds_max=1.0)
    if away:
        return  # then it waits for ever, and loses nothing
    consumer.waited += PATIENCE_SECONDS
    batches = [stream.poll(changes_max=9, seconds_max=1.0) for _ in range(3)]
    assert [row for batch in batches for row in keys(batch)] == [[7], [8]]
    (letter,) = [letter for batch in batches for letter in batch.letters]
    assert (letter.topic, letter.offset, letter.value, letter.fault) == ("p.public.t", 1, junk, "ValueError")
    blind = [one for batch in batches for one in batch.blind]
    assert [(one.cause, one.table, one.keys) for one in blind] == [(Cause.UNREADABLE, T, None)]
