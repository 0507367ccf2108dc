"""A stream whose topics hold anything at all: it never fails, every message that it does not understand is kept and
counted, and of what such a message may have told a key or a table is blind. What is whole comes through."""

from __future__ import annotations

import json
from collections.abc import Iterator

from fixtures.debezium_broker import MemoryBroker, MemoryConsumer, Source
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.debezium.decoder import Decoder
from connectors.debezium.event import Unreadable
from connectors.debezium.modes import RECOMMENDED
from connectors.kafka.stream import KafkaStream
from verifier.change import Blindness, Cause, DeadLetter
from verifier.table import Column, Family, Key, Table, TableName

T = TableName("public", "t")
TABLES = {T: Table(T, (Column("id", Family.INTEGER, "integer"),), ("id",))}
ROWS, ORDER, HEART = ("p.public.t", 0), ("p.transaction", 0), ("__debezium-heartbeat.p", 0)

_ROW = {
    "before": None, "after": {"id": 7}, "op": "c", "ts_ms": 1,
    "source": {"schema": "public", "table": "t", "lsn": 5, "txId": 1, "snapshot": "false"},
    "transaction": {"id": "1:10", "total_order": 1, "data_collection_order": 1},
}  # fmt: skip
_scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=6)
_json = st.recursive(
    _scalars,
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.text(max_size=6), one, max_size=3),
    max_leaves=6,
)
_near = st.builds(lambda field, value: {**_ROW, field: value}, st.sampled_from(sorted(_ROW)), _json)
_bytes = st.binary(max_size=40) | (_json | _near).map(lambda value: json.dumps(value).encode())
_junk = st.tuples(
    st.sampled_from([ROWS, ROWS, ORDER, HEART]),
    st.none() | st.binary(max_size=6) | st.just(b'{"id": 5}'),
    st.none() | _bytes,
)


def _odd(broker: MemoryBroker) -> Iterator[tuple[str, int, int]]:
    """Where the messages lie that nobody can understand."""
    decoder = Decoder("p", RECOMMENDED, TABLES.get)
    for (topic, partition), log in broker.logs.items():
        for offset, (key, value) in enumerate(log):
            try:
                decoder.decode(topic, key, value)
            except Unreadable:
                yield topic, partition, offset


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 50) | _junk, min_size=1, max_size=12))
def test_whatever_lies_in_the_topics_nothing_is_lost_in_silence(
    messages: list[int | tuple[tuple[str, int], bytes | None, bytes | None]],
) -> None:
    broker = MemoryBroker()
    for topic, _ in (ORDER, ROWS, HEART):
        broker.topic(topic)
    source, consumer = Source(broker), MemoryConsumer(broker)
    decoder = Decoder("p", RECOMMENDED, TABLES.get)
    stream = KafkaStream(consumer, decoder, "p", patience_seconds=5.0, seconds=lambda: consumer.waited)
    stream.start({}, None)
    source.transaction(0)  # the present is known from here on
    wanted: list[Key] = [(0,)]
    for one in messages:
        if isinstance(one, int):
            source.transaction(one)
            wanted.append((one,))
        else:
            place, key, value = one
            broker.logs[place].append((key, value))
    letters: list[DeadLetter] = []
    blind: list[Blindness] = []
    told: list[Key] = []
    for _ in range(12):
        batch = stream.poll(changes_max=100, seconds_max=2.0)
        letters += batch.letters
        blind += [*batch.blind, *(gap for one in batch.transactions for gap in one.blind)]
        told += [key for one in batch.transactions for key in one.keys().get(T, ())]
    assert consumer.positions == {place: len(log) for place, log in broker.logs.items()}
    assert sorted((one.topic, one.partition, one.offset) for one in letters) == sorted(_odd(broker))
    unreadable = [one for one in blind if one.cause is Cause.UNREADABLE]
    assert len(unreadable) >= len(letters)
    for letter in letters:
        mine = [
            one for one in unreadable if f"{letter.topic}:{letter.partition} at offset {letter.offset}: " in one.detail
        ]
        assert [one.table in (T, None) for one in mine] == [True]
        assert letter.topic != ORDER[0] or mine[0].table is None
    if not blind:
        rest = iter(told)  # a row may be among them that takes another's place in its transaction
        assert all(key in rest for key in wanted), "in this order"
