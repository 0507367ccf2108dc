"""What the transaction at the head of the order waits for over a broker in memory, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer, Source

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.debezium.pending import Partition
from connectors.kafka import stream as kafka_stream
from connectors.kafka.port import Polled
from connectors.kafka.pressure import ENDS_MAX
from connectors.kafka.stream import KafkaStream
from verifier.change import Batch, Cause
from verifier.position import Lsn
from verifier.table import Column, Family, Table, TableName

T, OTHER = TableName("public", "t"), TableName("public", "other")
TABLES = {name: Table(name, (Column("id", Family.INTEGER, "integer"),), ("id",)) for name in (T, OTHER)}
PARTS = [("p.public.t", 0), ("p.public.t", 1)]
KEPT_MAX = 50


@dataclass
class Busy(MemoryConsumer):
    """A broker to which the connector sends one more transaction of another table whenever something was read. A `slow`
    one takes so long to answer, and told of two messages more than are read, not of all."""

    source: Source | None = None
    slow: float = 0.0

    def high(self, partition: Partition) -> int | None:
        high = super().high(partition)
        return high if high is None or not self.slow else min(high, self.positions[partition] + 2)

    def poll(self, records_max: int, seconds_max: float) -> Polled:
        found = super().poll(records_max, seconds_max)
        if self.source is not None:
            self.source.transaction(7, table="other")
            self.waited += 1.0
        self.waited += self.slow
        return found


class Bench:
    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.broker.topic("p.transaction")
        self.broker.topic("p.public.t", 2)
        self.broker.topic("p.public.other")
        self.source = Source(self.broker)
        self.consumer = Busy(self.broker)
        self.stream = KafkaStream(
            self.consumer, Decoder("p", RECOMMENDED, TABLES.get), "p", keep_max=KEPT_MAX, patience_seconds=30.0,
            seconds=lambda: self.consumer.waited,
        )  # fmt: skip
        self.stream.start({"p.transaction:0": 0, "p.public.t:0": 0, "p.public.t:1": 0, "p.public.other:0": 0}, Lsn(5))

    def poll(self, seconds: float = 1.0) -> Batch:
        return self.stream.poll(changes_max=100, seconds_max=seconds)

    def junk(self, key: int = 9) -> None:
        self.broker.append(PARTS[1], {"id": key}, b"junk")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def told(batch: Batch) -> list[tuple[list[object], list[object]]]:
    """Keys of each transaction, and those (None: all) that it is blind for."""
    return [([one.key[0] for one in each.changes], [one.keys for one in each.blind]) for each in batch.transactions]


def test_what_nobody_understands_is_no_row_that_lies_where_nobody_has_read_yet(bench: Bench) -> None:
    """Its key would be lost where we are started anew in between, and the message would lack elsewhere."""
    bench.consumer.paused.add(PARTS[0])
    bench.source.transaction(4)
    bench.source.begin()
    bench.junk()
    bench.source.end(t=1)
    first = bench.poll()
    assert ([one.keys for one in first.blind], told(first)) == ([((9,),)], [])
    assert told(bench.poll()) == []
    bench.consumer.paused.clear()
    assert [told(bench.poll()) for _ in range(2)] == [[([4], [])], [([], [((9,),)])]]


def test_with_too_many_rows_waiting_any_of_the_table_may_have_changed(bench: Bench) -> None:
    bench.consumer.paused.add(PARTS[0])
    bench.source.transaction(4)
    bench.junk()
    for _ in range(KEPT_MAX + 1):
        bench.source.transaction(7, table="other")
    (first, *others) = [each for _ in range(3) for each in told(bench.poll())]
    assert first == ([], [None])
    assert others == [([7], [])] * (KEPT_MAX + 1)
    bench.consumer.paused.clear()
    assert [one.keys for one in bench.poll().blind] == [((4,),)], "it comes late"


def test_a_row_that_never_comes_does_not_stop_a_stream_that_is_never_read_to_its_end(bench: Bench) -> None:
    bench.source.begin()
    bench.source.end(t=1)
    bench.consumer.source = bench.source
    assert [told(bench.poll(3.0)) for _ in range(9)] == [[]] * 9
    batches = [bench.poll(3.0) for _ in range(3)]
    found = [one for batch in batches for one in batch.transactions]
    assert [(one.cause, one.table) for one in found[0].blind] == [(Cause.GAP, T)]
    assert [one.changes[0].key for one in found[1:]] == [(7,)] * (len(found) - 1)
    assert len(found) > 25


def test_a_row_that_never_comes_does_not_stop_a_stream_in_which_too_many_ends_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_stream, "_RECORDS", ENDS_MAX)
    bench.source.begin()
    bench.source.end(t=1)
    for _ in range(2 * ENDS_MAX):
        bench.source.transaction()
    assert told(bench.poll(25.0)) == []
    assert bench.consumer.paused == {("p.transaction", 0)}
    first = bench.poll(25.0).transactions[0]
    assert [(one.cause, one.table) for one in first.blind] == [(Cause.GAP, T)]


def test_rows_behind_one_that_never_comes_do_not_fill_the_memory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_stream, "_RECORDS", 20)
    bench.source.begin()
    bench.source.end(t=1)
    for key in range(10 * KEPT_MAX):
        bench.source.transaction(key)
    kept: list[int] = []
    found: list[tuple[list[object], list[object]]] = []
    while len(found) < 10 * KEPT_MAX + 1:
        batch = bench.poll(5.0)
        kept.append(bench.stream._assembler.held.kept)
        found += told(batch)
    assert found == [([], [None]), *[([key], []) for key in range(10 * KEPT_MAX)]]
    assert KEPT_MAX < max(kept) <= KEPT_MAX + 20
    assert bench.consumer.waited < 40.0


def test_rows_of_a_table_are_read_further_where_the_head_may_find_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_stream, "_RECORDS", 20)
    bench.source.transaction(4)
    late = bench.broker.logs[PARTS[0]].pop()
    for key in range(2 * KEPT_MAX):
        bench.source.transaction(key)
        bench.broker.logs[PARTS[1]].append(bench.broker.logs[PARTS[0]].pop())
    assert bench.poll(20.0).transactions == ()
    assert bench.consumer.paused == {PARTS[1], ("p.public.other", 0)}, "where so many rows wait it does not lie"
    bench.broker.logs[PARTS[0]].append(late)
    found = [one for _ in range(8) for one in told(bench.poll(1.0))]
    assert found == [([4], []), *[([key], []) for key in range(2 * KEPT_MAX)]]


def test_rows_that_are_still_being_read_are_not_given_up_where_they_may_be_gone_for_good(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last fetch told less than there was by then."""
    monkeypatch.setattr(kafka_stream, "_RECORDS", 1)
    bench.broker.compacted.add("p.public.t")
    bench.source.transaction(*range(10))
    bench.consumer.slow = 1.0
    bench.consumer.paused.add(PARTS[0])  # until its end was read
    assert told(bench.poll(3.0)) == []
    bench.consumer.paused.clear()
    found = [one for _ in range(4) for one in told(bench.poll(10.0))]
    assert found == [(list(range(10)), [])]
