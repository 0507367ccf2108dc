"""What nobody sent through the connector, on a real broker: junk between its messages, and a topic taken away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from fixtures.debezium_worlds import ORDERS, STREAM_WORLDS, KafkaWorld, Step

from verifier.change import Batch, Cause
from verifier.errors import Temporary
from verifier.ports import ChangeStream
from verifier.position import Position

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[KafkaWorld]:
    for made in STREAM_WORLDS["confluent"](request):
        yield cast(KafkaWorld, made)


def read(stream: ChangeStream, through: Position) -> list[Batch]:
    batches: list[Batch] = []
    deadline = time.monotonic() + 60
    while not (batches and batches[-1].read_through is not None and batches[-1].read_through.covers(through)):
        with suppress(Temporary):  # a topic that is being made has no leader yet
            batches.append(stream.poll(changes_max=100, seconds_max=0.5))
        assert time.monotonic() < deadline, batches
    return batches


def test_junk_is_kept_whole_and_a_topic_made_anew_is_a_gap(world: KafkaWorld) -> None:
    stream = world.open()
    stream.start({}, None)
    started = read(stream, world.commit(Step("insert", ORDERS, (1,))).after)[-1]
    topic = f"{world.prefix}.public.orders"
    producer = Producer({"bootstrap.servers": world.stack.bootstrap})
    junk = [(b'{"id": 7}', b"\x00\xffjunk"), (b"\xff", b"[1"), (None, b'{"op": "u"}')]
    for key, value in junk:
        producer.produce(topic, value, key, 1, headers={"from": b"nobody"})
    assert producer.flush(20) == 0
    batches = read(stream, world.commit(Step("insert", ORDERS, (2,))).after)
    assert [change.key for batch in batches for one in batch.transactions for change in one.changes] == [(2,)]
    deadline = time.monotonic() + 60
    while sum(len(batch.letters) for batch in batches) < 3 and time.monotonic() < deadline:
        batches.append(stream.poll(changes_max=100, seconds_max=0.5))
    letters = [letter for batch in batches for letter in batch.letters]
    assert [(one.topic, one.partition, one.key, one.value) for one in letters] == [(topic, 1, *both) for both in junk]
    assert {one.headers for one in letters} == {(("from", b"nobody"),)}
    blind = [(one.cause, one.table, one.keys) for batch in batches for one in batch.blind]
    assert blind == [(Cause.UNREADABLE, ORDERS, ((7,),)), *[(Cause.UNREADABLE, ORDERS, None)] * 2]
    stream.close()

    admin = AdminClient({"bootstrap.servers": world.stack.bootstrap})
    admin.delete_topics([topic])[topic].result(timeout=20)
    while topic in admin.list_topics(timeout=10).topics:
        time.sleep(0.05)
    admin.create_topics([NewTopic(topic, 3, 1)])[topic].result(timeout=20)
    for place in range(3):  # as long as it was
        for _ in range(started.offsets.get(f"{topic}:{place}", 0)):
            producer.produce(topic, None, b'{"id": 7}', place)
    assert producer.flush(20) == 0
    again = world.open()
    assert again.start(started.offsets, started.read_through) is None
    deadline = time.monotonic() + 60
    while not (lost := again.poll(changes_max=100, seconds_max=0.5).blind):
        assert time.monotonic() < deadline
    assert [(one.cause, one.table) for one in lost] == [(Cause.GAP, None)]
    assert topic in lost[0].detail
    again.close()
