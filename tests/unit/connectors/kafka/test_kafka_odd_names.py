"""Tables whose names Kafka does not allow in topics: found, paused and watched like any other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer, Source

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.debezium.naming import topic_of
from connectors.kafka.stream import KafkaStream
from verifier.change import Blindness, Cause
from verifier.position import Lsn
from verifier.table import Column, Family, Table, TableName

ODD, PLAIN = TableName("public", "ein Tisch"), TableName("public", "t")
TABLES = {name: Table(name, (Column("id", Family.INTEGER, "integer"),), ("id",)) for name in (ODD, PLAIN)}
TOPIC = "p.public.ein_Tisch"


class Counting(MemoryConsumer):
    """Counts how often it is asked for the topics that there are."""

    asked = 0

    def partitions(self) -> Mapping[str, Sequence[int]]:
        self.asked += 1
        return super().partitions()


class Odd(Source):
    """Sends rows of such a table to the topic that Debezium would choose."""

    def row(self, order: int, key: int, table: str = "t", **changes: object) -> None:
        super().row(order, key, table, **changes)
        place = (f"{self.prefix}.public.{table}", 0)
        if topic_of(self.prefix, f"public.{table}") != place[0]:
            rows = self.broker.logs.pop(place)
            self.broker.logs.setdefault((topic_of(self.prefix, f"public.{table}"), 0), []).extend(rows)


@pytest.fixture
def broker() -> MemoryBroker:
    made = MemoryBroker()
    for topic in ("p.transaction", "p.public.t", TOPIC):
        made.topic(topic)
    return made


def opened(broker: MemoryBroker, keep_max: int = 100) -> tuple[KafkaStream, Counting]:
    consumer = Counting(broker)
    decoder = Decoder("p", RECOMMENDED, TABLES.get)
    stream = KafkaStream(
        consumer, decoder, "p", keep_max=keep_max, patience_seconds=30.0, seconds=lambda: consumer.waited
    )
    stream.start(dict.fromkeys(("p.transaction:0", "p.public.t:0", f"{TOPIC}:0"), 0), Lsn(5))
    return stream, consumer


def test_names_are_spelled_as_debezium_spells_them() -> None:
    assert topic_of("p", ODD) == topic_of("p", "public.ein Tisch") == TOPIC
    assert topic_of("p", TableName("a-b.c", "Straße$")) == "p.a-b.c.Stra_e_"


def test_while_its_rows_are_waited_for_the_others_are_paused(broker: MemoryBroker) -> None:
    stream, consumer = opened(broker, keep_max=5)
    source = Odd(broker)
    source.transaction(1, table=ODD.name)
    for key in range(8):
        source.transaction(key)
    rows, broker.logs[TOPIC, 0] = broker.logs[TOPIC, 0], []
    assert stream.poll(changes_max=9, seconds_max=1.0).transactions == ()
    assert consumer.paused == {("p.public.t", 0)}
    broker.logs[TOPIC, 0] = rows
    assert len(stream.poll(changes_max=9, seconds_max=1.0).transactions) == 9


def test_its_topic_is_known_and_not_looked_for_again_and_again(broker: MemoryBroker) -> None:
    stream, consumer = opened(broker)
    source = Odd(broker)
    source.begin()
    source.end(**{ODD.name: 1})
    before = consumer.asked
    stream.poll(changes_max=9, seconds_max=4.0)
    assert consumer.asked == before, "only where a topic is missing, or every five seconds"


def test_that_it_is_compacted_is_seen(broker: MemoryBroker) -> None:
    broker.compacted = {TOPIC}
    stream, _ = opened(broker)
    source = Odd(broker)
    source.begin()
    source.end(**{ODD.name: 1})
    (given_up,) = stream.poll(changes_max=9, seconds_max=5.0).transactions
    said = f"1 of 1 events of transaction 1 never arrived; {TOPIC} is compacted"
    assert given_up.blind == (Blindness(Cause.GAP, ODD, said),)


def test_characters_are_counted_as_java_does() -> None:
    names = {"tä": "p.public.t_", "t😀.x": "p.public.t__.x", "x" * 300: "p.public." + "x" * 240}
    assert {name: topic_of("p", TableName("public", name)) for name in names} == names
