"""What waits in memory while a backlog is read stays within bounds, however much the broker has and in whatever order
its partitions come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer, Source

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.debezium.pending import Partition
from connectors.kafka import stream as kafka_stream
from connectors.kafka.port import Polled
from connectors.kafka.pressure import ENDS_MAX, Pressure
from connectors.kafka.stream import KafkaStream
from verifier.change import Change
from verifier.errors import Unreachable
from verifier.position import Lsn
from verifier.table import Column, Family, Table, TableName

NAMES = [TableName("public", name) for name in ("a", "b", "ein Tisch")]
TABLES = {name: Table(name, (Column("id", Family.INTEGER, "integer"),), ("id",)) for name in NAMES}
TOPICS = ("p.public.a", "p.public.b", "p.public.ein_Tisch")
READ_AT_ONCE, KEPT_MAX, TRANSACTIONS = 40, 100, 1_500


@dataclass
class Watched(MemoryConsumer):
    """Sees what waits whenever something is read."""

    see: Callable[[], None] = lambda: None

    def poll(self, records_max: int, seconds_max: float) -> Polled:
        self.see()
        return super().poll(records_max, seconds_max)


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_stream, "_RECORDS", READ_AT_ONCE)


def reading(broker: MemoryBroker) -> tuple[KafkaStream, list[tuple[int, int]]]:
    """From the beginning; and how many rows and how many ENDs waited each time that more was read."""
    waiting: list[tuple[int, int]] = []
    consumer = Watched(broker)
    stream = KafkaStream(
        consumer, Decoder("p", RECOMMENDED, TABLES.get), "p", keep_max=KEPT_MAX, seconds=lambda: consumer.waited
    )
    consumer.see = lambda: waiting.append((stream._assembler.held.kept, len(stream._assembler)))
    places = {f"{topic}:0": 0 for topic in ("p.transaction", *TOPICS)}
    stream.start(places, Lsn(5))
    return stream, waiting


@pytest.mark.parametrize("first", ["p.transaction", *TOPICS])
def test_the_rows_that_wait_are_bounded_whatever_is_read_first(first: str) -> None:
    broker = MemoryBroker()
    for topic in (first, "p.transaction", *TOPICS):  # the client reads them in this order
        broker.topic(topic)
    source = Source(broker)
    for number in range(TRANSACTIONS):
        source.transaction(number, number + 1, table=("a", "b", "ein Tisch")[number % 3])
    broker.logs["p.public.ein_Tisch", 0] += broker.logs.pop(("p.public.ein Tisch", 0))
    stream, waiting = reading(broker)
    found: list[Change] = []
    while len(found) < 2 * TRANSACTIONS:
        batch = stream.poll(changes_max=50, seconds_max=1.0)
        assert batch.blind == ()
        found += [change for transaction in batch.transactions for change in transaction.changes]
    assert [change.key[0] for change in found] == [key for n in range(TRANSACTIONS) for key in (n, n + 1)]
    rows, ends = map(max, zip(*waiting, strict=True))
    assert KEPT_MAX < rows <= KEPT_MAX + 2 * READ_AT_ONCE, "it waited, and not for ever"
    assert ends <= ENDS_MAX + READ_AT_ONCE


def test_the_ends_that_wait_for_a_row_are_bounded() -> None:
    broker = MemoryBroker()
    for topic in ("p.transaction", *TOPICS):
        broker.topic(topic)
    source = Source(broker)
    source.transaction(1, table="a")
    held, broker.logs["p.public.a", 0] = broker.logs["p.public.a", 0], []
    for _ in range(ENDS_MAX + 2_000):
        source.transaction()
    stream, waiting = reading(broker)
    for _ in range(10):
        assert stream.poll(changes_max=50, seconds_max=2.0).transactions == ()
    most = max(ends for _, ends in waiting)
    assert ENDS_MAX < most <= ENDS_MAX + READ_AT_ONCE
    broker.logs["p.public.a", 0] = held
    taken = 0
    while taken < ENDS_MAX + 2_001:
        taken += len(stream.poll(changes_max=5_000, seconds_max=1.0).transactions)


def test_the_order_is_not_resumed_before_half_as_many_ends_wait() -> None:
    """What the client fetched of it ahead was thrown away when it was paused."""
    broker = MemoryBroker()
    for topic in ("p.transaction", *TOPICS):
        broker.topic(topic)
    source, order = Source(broker), ("p.transaction", 0)
    for number in range(6):
        source.transaction(number, table="a")
    held, broker.logs["p.public.a", 0] = broker.logs["p.public.a", 0], []
    stream, _ = reading(broker)
    consumer = MemoryConsumer(broker)
    stream._pressure = Pressure(consumer, "p", order, rows_max=KEPT_MAX, ends_max=4)
    assert stream.poll(changes_max=9, seconds_max=1.0).transactions == ()
    paused = []
    for row in held:
        broker.logs["p.public.a", 0].append(row)
        assert len(stream.poll(changes_max=9, seconds_max=1.0).transactions) == 1
        paused.append(order in consumer.paused)
    assert paused == [True, True, True, True, False, False]


def test_a_topic_that_appears_while_the_order_is_paused_does_not_stop_it_for_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client is told anew what to read, and would hold what it held."""
    monkeypatch.setattr(kafka_stream, "_RECORDS", 2)
    broker = MemoryBroker()
    for topic in ("p.transaction", *TOPICS):
        broker.topic(topic)
    source, rows = Source(broker), ("p.public.a", 0)
    for number in range(20):
        source.transaction(number, table="a")
    held, broker.logs[rows] = broker.logs[rows], []
    stream, _ = reading(broker)
    stream._pressure._ends_max = 4
    assert stream.poll(changes_max=9, seconds_max=1.0).transactions == ()
    broker.logs[rows] += held[:2]
    broker.topic("p.public.late")
    taken = sum(len(stream.poll(changes_max=9, seconds_max=20.0).transactions) for _ in range(3))
    assert ("p.public.late", 0) in stream._positions
    broker.logs[rows] += held[2:]
    for _ in range(40):
        taken += len(stream.poll(changes_max=9, seconds_max=1.0).transactions)
    assert taken == 20


@pytest.mark.parametrize("table", ["a", "b"])
@pytest.mark.parametrize("ends_max", [ENDS_MAX, 4])
def test_rows_sent_again_whose_ends_were_read_before_a_restart_do_not_stop_the_stream(
    table: str, ends_max: int
) -> None:
    """More than may wait, and the connector sent nothing else of their table for a while."""
    broker = MemoryBroker()
    for topic in ("p.transaction", *TOPICS):
        broker.topic(topic)
    source, many = Source(broker), 3 * KEPT_MAX
    for number in range(many):
        source.transaction(number, table="a")
    order, rows = ("p.transaction", 0), ("p.public.a", 0)
    delivered, through = len(broker.logs[rows]), Lsn(source.commit)
    for place in (order, rows):
        broker.logs[place] += broker.logs[place]
    cut = {"p.transaction:0": len(broker.logs[order]), "p.public.a:0": delivered, "p.public.b:0": 0}
    for number in range(10):
        source.transaction(number, table=table)
    stream, waiting = reading(broker)
    stream._pressure._ends_max = ends_max
    stream.start(cut, through)
    found: list[Change] = []
    for _ in range(20):
        batch = stream.poll(changes_max=50, seconds_max=2.0)
        assert batch.blind == ()
        found += [change for transaction in batch.transactions for change in transaction.changes]
    assert [(change.table.name, change.key[0]) for change in found] == [(table, number) for number in range(10)]
    assert stream._assembler.held.kept <= KEPT_MAX, "it does not wait crowded"
    assert max(rows for rows, _ in waiting) <= KEPT_MAX + 2 * READ_AT_ONCE


def test_a_broker_that_is_away_when_the_order_is_to_be_read_once_more_is_asked_again() -> None:
    broker = MemoryBroker()
    source, order = Source(broker), ("p.transaction", 0)
    for topic in ("p.transaction", *TOPICS):
        broker.topic(topic)
    for number in range(2 * KEPT_MAX):
        source.transaction(number, table="a")
    stream, _ = reading(broker)
    stream.start({"p.transaction:0": len(broker.logs[order]), "p.public.a:0": 0}, Lsn(source.commit))
    errors, bounds = [Unreachable("away")], stream._consumer.bounds

    def asked(places: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        if errors:
            raise errors.pop()
        return bounds(places)

    stream._consumer.bounds = asked  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        stream.poll(changes_max=50, seconds_max=10.0)
    assert stream._assembler.held.kept > KEPT_MAX
    stream.poll(changes_max=50, seconds_max=1.0)
    assert stream._assembler.held.kept <= KEPT_MAX


def test_wide_rows_that_wait_are_bounded_by_their_bytes_and_keep_their_values() -> None:
    broker = MemoryBroker()
    for topic in (*TOPICS, "p.transaction"):
        broker.topic(topic)
    source = Source(broker)
    text = "x" * 2_000
    for number in range(300):
        source.begin()
        source.row(1, number, "ab"[number % 2], after={"id": number, "v": text})
        source.end(**{"ab"[number % 2]: 1})
    stream, _ = reading(broker)
    stream._pressure._rows_max, stream._pressure._bytes_max = 1_000, 50_000
    waits: list[int] = []
    stream._consumer._consumer.see = lambda: waits.append(stream._assembler.held.bytes)  # type: ignore[attr-defined]
    found: list[Change] = []
    for _ in range(300):
        batch = stream.poll(changes_max=10, seconds_max=1.0)
        found += [change for transaction in batch.transactions for change in transaction.changes]
    assert [change.key[0] for change in found] == list(range(300))
    assert all(change.after is not None for change in found)
    assert 50_000 < max(waits) < 50_000 + 2 * READ_AT_ONCE * 2_500
