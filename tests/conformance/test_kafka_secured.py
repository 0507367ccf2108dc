"""A broker that wants a login over an encrypted connection: right, wrong and changed passwords, with both clients."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest
from confluent_kafka import Producer
from stack.certificates import KEY_PASSWORD
from stack.kafka import PASSWORD
from stack.native import KafkaStack

from connectors.kafka.access import settings_of
from connectors.kafka.checkup import topics
from connectors.kafka.clients import consumer_of, sink_of
from connectors.kafka.committed import GroupOffsets
from connectors.kafka.port import Consumer
from connectors.kafka.steady import Steady
from reconciler.ports import Event
from verifier.errors import Forbidden, Temporary

pytestmark = pytest.mark.kafka
CLIENTS = ("confluent", "kafka-python")
WRONG = "hunter2"


def login(stack: KafkaStack, password: str, *, user: str = "trueup", mechanism: str = "PLAIN") -> Mapping[str, str]:
    return settings_of(
        protocol="SASL_SSL", mechanism=mechanism, user=user, password=password, ca=str(stack.broker.certificates.ca)
    )


@contextmanager
def consuming(client: str, stack: KafkaStack, settings: Mapping[str, str]) -> Iterator[Consumer]:
    consumer = consumer_of(client, stack.broker.secured, "trueup-secured", settings)
    try:
        yield consumer
    finally:
        consumer.close()


def written(stack: KafkaStack, *values: str) -> str:
    """A topic with these messages."""
    topic = f"{stack.prefix()}.secured"
    add(stack, topic, *values)
    return topic


def add(stack: KafkaStack, topic: str, *values: str) -> None:
    producer = Producer({"bootstrap.servers": stack.bootstrap})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0


def read(consumer: Consumer, count: int) -> list[bytes | None]:
    found: list[bytes | None] = []
    until = time.monotonic() + 60
    while len(found) < count and time.monotonic() < until:
        found.extend(value for run in consumer.poll(100, 0.2).runs for value in run.values)
    return found


def refused(call: Callable[[], object]) -> str:
    """What the refusal says, which must come without the password."""
    with pytest.raises(Forbidden, match="refuses us") as caught:
        call()
    assert WRONG not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_right_password_and_ones_own_certificate(client: str, kafka_stack: KafkaStack) -> None:
    topic = written(kafka_stack, "a", "b")
    certificates = kafka_stack.broker.certificates
    settings = {
        **login(kafka_stack, PASSWORD),
        "ssl.certificate.location": str(certificates.client),
        "ssl.key.location": str(certificates.client_key),
        "ssl.key.password": KEY_PASSWORD,
    }
    with consuming(client, kafka_stack, settings) as consumer:
        assert consumer.partitions()[topic] == [0]
        assert consumer.made([topic]).keys() == {topic}
        assert list(consumer.compacted([topic])) == []
        consumer.assign({(topic, 0): 0})
        assert read(consumer, 2) == [b"a", b"b"]
    offsets = GroupOffsets(
        client, kafka_stack.broker.secured, "nobody", "t", reader="trueup-secured", settings=lambda: settings
    )
    assert (offsets.committed(), offsets.ends([(topic, 0)])) == ({}, {(topic, 0): 2})
    offsets.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_password_is_named_and_the_right_one_is_enough_to_go_on(client: str, kafka_stack: KafkaStack) -> None:
    word = [WRONG]
    offsets = GroupOffsets(
        client, kafka_stack.broker.secured, "nobody", "t", reader="trueup-secured",
        settings=lambda: login(kafka_stack, word[0]),
    )  # fmt: skip

    def asked() -> None:
        with consuming(client, kafka_stack, login(kafka_stack, WRONG)) as consumer:
            consumer.partitions()

    refused(asked)
    refused(offsets.committed)
    refused(lambda: offsets.ends([("t", 0)]))
    word[0] = PASSWORD
    assert offsets.committed() == {}
    assert ("t", 0) not in offsets.ends([("t", 0)])
    offsets.close()


@pytest.mark.parametrize("client", CLIENTS)
def test_a_password_that_is_changed_while_we_read(client: str, kafka_stack: KafkaStack) -> None:
    topic, user = written(kafka_stack, "a"), kafka_stack.prefix()
    kafka_stack.broker.admit(user, "first")
    with consuming(client, kafka_stack, login(kafka_stack, "first", user=user, mechanism="SCRAM-SHA-256")) as consumer:
        steady = Steady(consumer)
        steady.assign({(topic, 0): 0})
        assert read(consumer, 1) == [b"a"]
        kafka_stack.broker.admit(user, "second")
        add(kafka_stack, topic, "b")

        def until_refused() -> None:
            until = time.monotonic() + 60
            while time.monotonic() < until:
                try:
                    consumer.poll(100, 0.2)
                except Temporary:  # the connection that it had
                    continue

        refused(until_refused)
    with consuming(client, kafka_stack, login(kafka_stack, "second", user=user, mechanism="SCRAM-SHA-256")) as consumer:
        consumer.assign({(topic, 0): 1})
        assert read(consumer, 1) == [b"b"]


def test_events_wait_for_the_right_password(kafka_stack: KafkaStack) -> None:
    prefix, word = kafka_stack.prefix(), [WRONG]
    sink = sink_of(kafka_stack.broker.secured, prefix, lambda: login(kafka_stack, word[0]))
    event = Event("id1", "drift", "k", {"specversion": "1.0", "id": "id1", "data": {}})
    assert f"the right to write {prefix}.*" in refused(lambda: sink.send([event]))
    word[0] = PASSWORD
    assert sink.send([event]) == ["id1"]
    sink.close()


def test_doctor_names_a_refusal(kafka_stack: KafkaStack) -> None:
    with consuming("confluent", kafka_stack, login(kafka_stack, WRONG)) as consumer:
        (remark,) = topics(consumer, "p")
    assert (remark.level, "refuses us" in remark.what, WRONG in remark.what) == ("error", True, False)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_broker_that_nobody_vouches_for_is_not_spoken_to(client: str, kafka_stack: KafkaStack) -> None:
    settings = {name: value for name, value in login(kafka_stack, PASSWORD).items() if name != "ssl.ca.location"}

    def asked() -> None:
        with consuming(client, kafka_stack, settings) as consumer:
            consumer.partitions()

    with pytest.raises(Temporary, match="certificate") as caught:
        asked()
    assert PASSWORD not in str(caught.value)
