"""A broker that goes away between two questions, which belong together: nothing is half done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer, Source

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.debezium.pending import Partition
from connectors.kafka.stream import KafkaStream
from verifier.change import Batch, Blindness, Cause
from verifier.errors import Temporary, Unreachable
from verifier.table import Column, Family, Table, TableName

T, LATE = TableName("public", "t"), TableName("public", "late")
TABLES = {name: Table(name, (Column("id", Family.INTEGER, "integer"),), ("id",)) for name in (T, LATE)}
ROWS, ORDER = ("p.public.t", 0), ("p.transaction", 0)


@dataclass
class Leaving(MemoryConsumer):
    """Is away for one question of each kind in `away`, once it has answered as many as are said there."""

    away: dict[str, int] = field(default_factory=dict)

    def _asked(self, what: str) -> None:
        left = self.away.get(what)
        if left is not None:
            self.away[what] = left - 1
            if left == 0:
                del self.away[what]
                raise Unreachable("kafka in memory went away")

    def made(self, topics: Collection[str]) -> Mapping[str, int]:
        self._asked("made")
        return super().made(topics)

    def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        self._asked("bounds")
        return super().bounds(partitions)


class Bench:
    def __init__(self) -> None:
        self.broker = MemoryBroker(epoch=3, made={"p.transaction": 1, "p.public.t": 1})
        for topic in ("p.transaction", "p.public.t"):
            self.broker.topic(topic)
        self.source = Source(self.broker)
        self.consumer = Leaving(self.broker)
        self.described = True
        self.stream = KafkaStream(
            self.consumer, Decoder("p", RECOMMENDED, self.table), "p", seconds=lambda: self.consumer.waited
        )
        self.stream.start({}, None)
        self.source.transaction(1)
        assert told(self.poll()) == [1]

    def table(self, name: TableName) -> Table | None:
        if not self.described:
            raise Temporary("the leader is away")
        return TABLES.get(name)

    def poll(self, seconds: float = 6.0) -> Batch:
        return self.stream.poll(changes_max=100, seconds_max=seconds)


def told(batch: Batch) -> list[object]:
    return [change.key[0] for one in batch.transactions for change in one.changes]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def again(poll: Callable[[], Batch]) -> Batch:
    """After the outage."""
    with pytest.raises(Temporary):
        poll()
    return poll()


def test_a_topic_that_appears_just_then_is_read_all_the_same(bench: Bench) -> None:
    bench.source.transaction(2, table="late")
    bench.consumer.away["made"] = 1  # those that are known are asked for first
    assert told(again(bench.poll)) == [2]


def test_where_a_topic_was_made_anew_just_then_the_stream_goes_on_at_the_present(bench: Bench) -> None:
    for key in range(2, 9):
        bench.source.transaction(key)
    bench.poll()
    bench.broker.logs[ROWS], bench.broker.made["p.public.t"] = [], 2
    bench.consumer.away["made"] = 1
    gap = again(bench.poll).blind
    assert gap == (Blindness(Cause.GAP, None, "kafka no longer holds our offsets of p.public.t:0"),)
    while (batch := bench.poll()).blind:
        assert batch.blind == gap
    bench.source.transaction(9)
    assert told(bench.poll()) == [9]


def test_what_could_not_be_decoded_is_read_again_although_the_broker_left_just_then(bench: Bench) -> None:
    bench.source.transaction(2)
    journaled = bench.poll()
    bench.stream.start(journaled.offsets, journaled.read_through)  # now what was read last is read once more
    bench.consumer.paused.add(ORDER)  # here it has not come yet
    bench.source.transaction(3)
    bench.described = False
    bench.consumer.away["bounds"] = 0
    with pytest.raises(Unreachable):
        bench.poll()
    with pytest.raises(Temporary, match="the leader is away"):
        bench.poll()
    bench.described = True
    bench.consumer.paused.clear()
    assert told(bench.poll()) == [3]
