"""What a consumer group has committed, as each client tells it of a real broker."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from stack.native import KafkaStack

from connectors.kafka.committed import GroupOffsets
from verifier.errors import Misconfigured, Temporary

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("client", ["confluent", "kafka-python"])
def test_both_clients_tell_what_was_committed_and_where_partitions_end(client: str, kafka_stack: KafkaStack) -> None:
    name = kafka_stack.prefix()
    admin = AdminClient({"bootstrap.servers": kafka_stack.bootstrap})
    admin.create_topics([NewTopic(f"{name}.public.t", 3, 1)])[f"{name}.public.t"].result(30)
    offsets = GroupOffsets(client, kafka_stack.bootstrap, f"connect-{name}", name, reader=f"trueup-{name}")
    assert offsets.committed() == {}
    sink = Consumer({"bootstrap.servers": kafka_stack.bootstrap, "group.id": f"connect-{name}"})
    sink.commit(offsets=[TopicPartition(f"{name}.public.t", 1, 7)], asynchronous=False)
    sink.close()
    places = [(f"{name}.public.t", number) for number in range(3)]
    assert offsets.committed() == offsets.committed(places) == {places[1]: 7}
    assert offsets.committed(places[:1]) == offsets.committed([(f"{name}.absent", 0)]) == {}
    others = GroupOffsets(client, kafka_stack.bootstrap, f"connect-{name}", f"{name}x", reader=f"trueup-{name}")
    assert others.committed() == {}
    others.close()
    assert offsets.ends([*places, (f"{name}.absent", 0)]) == dict.fromkeys(places, 0)
    offsets.close()


def test_a_broker_that_is_not_there_and_a_client_that_there_is_not() -> None:
    with pytest.raises(Misconfigured, match="unknown kafka client 'third'"):
        GroupOffsets("third", "127.0.0.1:1", "connect-a", "a", reader="trueup-a")
    with pytest.raises(Temporary, match="does not answer"):
        GroupOffsets("kafka-python", "127.0.0.1:1", "connect-a", "a", reader="trueup-a").ends([("t", 0)])
