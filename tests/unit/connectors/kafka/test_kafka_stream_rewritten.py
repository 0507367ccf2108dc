"""A log that was cut back or rewritten, as an unclean election of a leader leaves it: noticed at a restart and while
reading, and never suspected where nothing happened."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer, Source

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.debezium.pending import Partition
from connectors.kafka.port import Polled
from connectors.kafka.stream import KafkaStream
from verifier.change import Batch, Blindness, Cause
from verifier.errors import Unreachable
from verifier.table import Column, Family, Table, TableName

T = TableName("public", "t")
TABLES = {T: Table(T, (Column("id", Family.INTEGER, "integer"),), ("id",))}
ROWS, ORDER = ("p.public.t", 0), ("p.transaction", 0)
_GAP = (Blindness(Cause.GAP, None, "kafka no longer holds our offsets of p.public.t:0"),)


class Bench:
    def __init__(self) -> None:
        self.broker = MemoryBroker(epoch=3)
        self.broker.topic("p.transaction")
        self.broker.topic("p.public.t")
        self.source = Source(self.broker)

    def open(self, after: Batch | None = None) -> None:
        self.consumer = MemoryConsumer(self.broker)
        decoder = Decoder("p", RECOMMENDED, TABLES.get)
        self.stream = KafkaStream(self.consumer, decoder, "p", seconds=lambda: self.consumer.waited)
        self.stream.start(after.offsets if after else {}, after.read_through if after else None)

    def poll(self) -> Batch:
        return self.stream.poll(changes_max=100, seconds_max=1.0)

    def keys(self) -> list[object]:
        return [change.key[0] for one in self.poll().transactions for change in one.changes]

    def rows(self, *keys: int) -> Batch:
        for key in keys:
            self.source.transaction(key)
        return self.poll()


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.open()
    return made


def rewrite(bench: Bench, at: int) -> None:
    """Another message lies there."""
    key, value = bench.broker.logs[ROWS][at]
    assert value is not None
    bench.broker.logs[ROWS][at] = key, json.dumps({**json.loads(value), "ts_ms": 1}).encode()


def cut_and_rewritten(bench: Bench) -> None:
    del bench.broker.logs[ROWS][1:]
    bench.source.transaction(7, 8, 9)


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("damage", [lambda bench: rewrite(bench, 2), cut_and_rewritten])
def test_another_message_where_the_last_one_was_read_is_a_gap(
    bench: Bench, damage: Callable[[Bench], None], running: bool
) -> None:
    journaled = bench.rows(1, 2, 3)
    damage(bench)
    bench.source.transaction(4)
    bench.broker.epoch = 4
    if not running:
        bench.open(journaled)
    assert bench.poll().blind == _GAP
    after = bench.rows(5)
    assert [change.key for one in after.transactions for change in one.changes] == [(5,)]
    bench.open(after)
    assert (bench.keys(), bench.poll().blind) == ([], ())


def test_a_log_that_was_cut_back_is_a_gap_as_soon_as_something_follows(bench: Bench) -> None:
    journaled = bench.rows(1, 2, 3)
    del bench.broker.logs[ROWS][2:]
    bench.open(journaled)
    assert bench.poll().blind == _GAP


@pytest.mark.parametrize("waiting", [0, 1])
def test_a_restart_on_the_same_log_reads_nothing_twice_and_suspects_nothing(bench: Bench, waiting: int) -> None:
    if waiting:
        bench.rows(1, 2)
        bench.source.begin()
        bench.source.row(1, 3)
        journaled = bench.poll()
        bench.open(journaled)
        bench.source.end(t=1)
    else:
        journaled = bench.rows(1, 2, 3)
        bench.open(journaled)
        bench.source.transaction(3)
    assert bench.keys() == [3]
    again = bench.rows(4)
    assert ([change.key for one in again.transactions for change in one.changes], again.blind) == ([(4,)], ())


def test_what_retention_took_away_proves_nothing_and_is_no_gap(bench: Bench) -> None:
    journaled = bench.rows(1, 2, 3)
    bench.broker.first = {ROWS: 3}
    bench.open(journaled)
    assert bench.poll().blind == ()
    bench.broker.epoch = 4
    assert [change.key for one in bench.rows(4).transactions for change in one.changes] == [(4,)]


def test_another_leader_of_the_same_log_is_no_gap_and_what_is_paused_stays_so(bench: Bench) -> None:
    bench.rows(1, 2)
    bench.stream._consumer.pause([ORDER], True)
    bench.broker.epoch = 4
    bench.source.row(1, 3)
    assert bench.poll().blind == ()
    assert bench.consumer.paused == {ORDER}
    bench.stream._consumer.pause([ORDER], False)
    assert (bench.rows(5).blind, bench.consumer.positions[ROWS]) == ((), 4)


@dataclass
class Elected(MemoryConsumer):
    """The partition of the rows alone has another leader than before, which does not answer at first."""

    away: bool = False

    def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        if self.away and partitions:
            self.away = False
            raise Unreachable("the new leader does not answer")
        return super().bounds(partitions)

    def poll(self, records_max: int, seconds_max: float) -> Polled:
        found = super().poll(records_max, seconds_max)
        return replace(found, runs=[one if one.place == ROWS else replace(one, epoch=3) for one in found.runs])


def test_a_leader_that_does_not_answer_once_elected_loses_nothing(bench: Bench) -> None:
    """Neither of its partition nor of the others, of which something came with what it sent."""
    bench.consumer = consumer = Elected(bench.broker)
    bench.stream = KafkaStream(consumer, Decoder("p", RECOMMENDED, TABLES.get), "p", seconds=lambda: consumer.waited)
    bench.stream.start({}, None)
    bench.rows(1, 2)
    bench.broker.epoch, consumer.away = 4, True
    bench.source.transaction(3)
    with pytest.raises(Unreachable, match="new leader"):
        bench.poll()
    batch = bench.poll()
    assert ([change.key for one in batch.transactions for change in one.changes], batch.blind) == ([(3,)], ())
