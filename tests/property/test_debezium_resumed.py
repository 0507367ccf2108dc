"""MariaDB's connector dies and goes on in the middle of transactions: all of their rows are told, each once, in order,
whatever is read first and wherever trueup itself begins again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

from fixtures.debezium_broker import MemoryBroker, MemoryConsumer
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED_BINLOG
from connectors.debezium.pending import Partition
from connectors.debezium.source_binlog import BinlogSource
from connectors.kafka.port import Polled
from connectors.kafka.stream import KafkaStream
from verifier.change import Blindness, Transaction
from verifier.gtid import DomainGtids
from verifier.position import Position
from verifier.table import Column, Family, Key, Table, TableName

NAMES = ("a", "b", "c")
TABLES = {
    name: Table(name, (Column("id", Family.INTEGER, "int(11)"),), ("id",))
    for name in (TableName("db", one) for one in NAMES)
}
Row = tuple[str, str, int, int]
"""Table, operation, key, and its event's offset in the binlog."""


@dataclass
class Connector:
    """Sends `log`, transaction by transaction; `confirmed` is where it goes on after its death: a transaction, and how
    many of its rows the broker has."""

    broker: MemoryBroker
    chance: Random
    log: list[list[Row]] = field(default_factory=list)
    confirmed: tuple[int, int] = (0, 0)

    def write(self) -> None:
        """A transaction of the leader: some rows, of which a change of the key is two in one place."""
        rows: list[Row] = []
        for _ in range(self.chance.randrange(5)):
            table, key = self.chance.choice(NAMES), self.chance.randrange(3)
            place = 1000 * len(self.log) + 10 * len(rows)
            operations = self.chance.choice((("c",), ("u",), ("d",), ("d", "c")))
            rows += [(table, operation, key + index, place) for index, operation in enumerate(operations)]
        self.log.append(rows)

    def run(self) -> None:
        """From where it goes on until it dies somewhere, or has sent all."""
        number, done = self.confirmed
        steps = self.chance.randrange(1, 40)
        while number < len(self.log) and steps > 0:
            xid, rows = f"0-1-{6 + number}", self.log[number]
            self._order({"status": "BEGIN", "id": xid})
            sent = 0
            for row in rows[done:]:
                if (steps := steps - 1) <= 0:
                    return self._dies(number, done, sent)
                sent += 1
                self._row(xid, sent, row)
            tables = Counter(row[0] for row in rows[done:])
            counts = [{"data_collection": f"db.{name}", "event_count": count} for name, count in tables.items()]
            if (steps := steps - 1) <= 0:
                return self._dies(number, done, sent)
            self._order({"status": "END", "id": xid, "event_count": sent, "data_collections": counts, "ts_ms": 1})
            number, done = number + 1, 0
        last = max(number - 1, 0)
        self.confirmed = (last, len(self.log[last]) if self.log else 0)
        return None

    def _dies(self, number: int, done: int, sent: int) -> None:
        """What it sent since it was confirmed last may have been confirmed up to anywhere."""
        places = [(n, k) for n in range(self.confirmed[0], number) for k in range(len(self.log[n]) + 1)]
        places += [(number, k) for k in range(done + sent + 1)]
        self.confirmed = self.chance.choice([place for place in places if place >= self.confirmed])

    def _row(self, xid: str, order: int, row: Row) -> None:
        table, operation, key, place = row
        source = {"db": "db", "table": table, "gtid": xid, "snapshot": "false", "file": "b.1", "pos": place, "row": 0}
        event = {
            "op": operation, "after": None if operation == "d" else {"id": key}, "source": source, "ts_ms": 2,
            "transaction": {"id": xid, "total_order": order, "data_collection_order": order},
        }  # fmt: skip
        self.broker.append((f"p.db.{table}", 0), {"id": key}, event)

    def _order(self, message: object) -> None:
        self.broker.append(("p.transaction", 0), {}, message)


@dataclass
class Unsteady(MemoryConsumer):
    """Reads some partitions further than others, and in another order whenever it is told what to read."""

    chance: Random = field(default_factory=Random)

    def assign(self, positions: Mapping[Partition, int]) -> None:
        super().assign(positions)
        order = list(self.positions)
        self.chance.shuffle(order)
        self.positions = {place: self.positions[place] for place in order}

    def poll(self, records_max: int, seconds_max: float) -> Polled:
        asleep: set[Partition] = {place for place in self.positions if self.chance.random() < 0.5}
        paused, self.paused = self.paused, self.paused | asleep
        polled = super().poll(self.chance.choice((1, 3, 4000)), seconds_max)
        self.paused = paused
        return polled


def leader() -> Position:
    return DomainGtids.parse("0-1-5")


@dataclass
class Reader:
    """Reads what the connector sent and journals what came, as a service does; `told` is what was new of it."""

    broker: MemoryBroker
    chance: Random
    keep_max: int
    offsets: Mapping[str, int] = field(default_factory=dict)
    through: Position | None = None
    told: list[Transaction] = field(default_factory=list)
    blind: list[Blindness] = field(default_factory=list)

    def open(self) -> None:
        decoder = Decoder("p", RECOMMENDED_BINLOG, TABLES.get, BinlogSource(mariadb=True, present=leader))
        consumer = Unsteady(self.broker, chance=self.chance)
        self.stream = KafkaStream(consumer, decoder, "p", keep_max=self.keep_max, seconds=lambda: consumer.waited)
        self.stream.start(self.offsets, self.through)

    def poll(self) -> None:
        batch = self.stream.poll(changes_max=self.chance.choice((1, 1000)), seconds_max=0.5)
        self.told.extend(
            one for one in batch.transactions if self.through is None or not self.through.covers(one.commit)
        )
        self.blind.extend(batch.blind)
        if batch.read_through is not None:
            self.through, self.offsets = batch.read_through, batch.offsets


def covers(blindness: Blindness, table: TableName, key: Key) -> bool:
    if blindness.table is None:  # nobody knows: too much waits
        return True
    return blindness.table == table and any(low <= key <= high for low, high in blindness.spans or ())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([2, 100_000]))
def test_each_row_is_told_once_wherever_the_connector_died(seed: int, keep_max: int) -> None:
    chance, broker = Random(seed), MemoryBroker()
    for topic in ("p", "p.transaction", *(f"p.db.{name}" for name in NAMES)):
        broker.topic(topic)
    connector, reader = Connector(broker, chance), Reader(broker, chance, keep_max)
    reader.open()
    first = {"status": "END", "id": "0-1-5", "event_count": 0, "data_collections": [], "ts_ms": 1}
    broker.append(("p.transaction", 0), {}, first)
    while reader.through is None:
        reader.poll()
    for turn in range(400):
        if turn < 12:
            connector.write()
        if turn < 30:
            connector.run()
            if chance.random() < 0.1:
                reader.stream.close()
                reader.open()
        reader.poll()
        if turn > 30 and len(reader.told) == len(connector.log):
            break
    assert [one.xid for one in reader.told] == list(range(6, 6 + len(connector.log)))
    for rows, one in zip(connector.log, reader.told, strict=True):
        expected = [(TableName("db", table), (key,)) for table, _, key, _ in rows]
        found = [(change.table, change.key) for change in one.changes]
        if keep_max > 2:
            assert (found, one.blind) == (expected, ())
        else:  # only where keys lie is told of what is too large
            lost = set(expected) - set(found)
            assert [place for place in lost if not any(covers(blindness, *place) for blindness in one.blind)] == []
    assert keep_max == 2 or reader.blind == []
