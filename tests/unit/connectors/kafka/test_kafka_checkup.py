"""What `trueup doctor` says of a connector's topics."""

from __future__ import annotations

from fixtures.debezium_broker import MemoryBroker, MemoryConsumer

from connectors.kafka.checkup import topics


def told(broker: MemoryBroker) -> list[tuple[str, str]]:
    return [(remark.level, remark.what) for remark in topics(MemoryConsumer(broker), "p")]


def test_topics_that_can_carry_a_stream() -> None:
    broker = MemoryBroker()
    assert told(broker) == [("note", "kafka has no topic p.transaction yet: whole transactions cannot be told")]
    broker.topic("p.public.t")
    broker.topic("other.public.t")
    assert told(broker) == [("error", "kafka has no topic p.transaction yet: whole transactions cannot be told")]
    broker.topic("p.transaction")
    assert told(broker) == [("ok", "2 kafka topics of p, none of them compacted")]
    broker.compacted = {"p.public.t", "other.public.t"}
    assert told(broker) == [
        (
            "error",
            "kafka topic p.public.t is compacted: changes may be thrown away before they are read, and leave gaps",
        )
    ]
    broker.topic("p.transaction", 3)
    ((level, what),) = told(broker)
    assert (level, what.partition(",")[0]) == ("error", "kafka topic p.transaction has 3 partitions")
    broker.down = True
    assert told(broker) == [("error", "kafka in memory does not answer: is it running")]
