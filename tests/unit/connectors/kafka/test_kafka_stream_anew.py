"""A connector that did not go on where it had been: what it lost is a gap, told once and again where the hole ends."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer, Source

from connectors.debezium.beginnings import BEGAN_ANEW
from connectors.debezium.decoder import Decoder
from connectors.debezium.event import TOOK_A_SNAPSHOT
from connectors.debezium.modes import RECOMMENDED
from connectors.debezium.run import Run
from connectors.kafka.stream import KafkaStream
from verifier.change import Batch, Blindness
from verifier.position import Lsn, Position
from verifier.table import Column, Family, Table, TableName

T, LATE = TableName("public", "t"), TableName("public", "late")
TABLES = {name: Table(name, (Column("id", Family.INTEGER, "integer"),), ("id",)) for name in (T, LATE)}


class Bench:
    """A broker, and what PostgreSQL's connector sends to it: events spelled as its JSON converter does."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        for topic in ("p.transaction", "p.public.t", "p.public.late"):
            self.broker.topic(topic)
        self.source = Source(self.broker)

    def open(self, at: Mapping[str, int] | None = None, through: Position | None = None) -> None:
        consumer = MemoryConsumer(self.broker)
        decoder = Decoder("p", RECOMMENDED, TABLES.get)
        self.stream = KafkaStream(consumer, decoder, "p", seconds=lambda: consumer.waited)
        self.stream.start(at or {}, through)

    def poll(self) -> Batch:
        return self.stream.poll(changes_max=100, seconds_max=1.0)

    def told(self) -> tuple[list[object], tuple[Blindness, ...], Position | None]:
        """Keys, what is lost, and how far the stream has been read."""
        batch = self.poll()
        keys: list[object] = [change.key[0] for transaction in batch.transactions for change in transaction.changes]
        return keys, batch.blind, batch.read_through

    def send(self, table: str, key: int, event: Mapping[str, object], source: Mapping[str, object]) -> None:
        names = {"schema": "public", "table": table}
        where = {"version": "3.6.3.Final", "snapshot": "false", "db": "d", **source, **names}
        value = {"before": None, "after": {"id": key}, "source": where, **event, "ts_ms": 2_000_000}
        self.broker.append((f"p.public.{table}", 0), {"id": key}, json.dumps(value, separators=(",", ":")).encode())

    def snapshot(self, lsn: int | None, *keys: int, table: str = "t", kind: str = "") -> None:
        """Its rows, as they were seen of 3.6.3 (`tests/golden/data/debezium_pg_payloads.json`)."""
        for index, key in enumerate(keys):
            said = kind or ("first" if index == 0 else "last" if index == len(keys) - 1 else "true")
            source = {"snapshot": said, "sequence": f'[null,"{lsn}"]', "txId": 763, "lsn": lsn}
            self.send(table, key, {"transaction": None, "op": "r"}, source)

    def transaction(self, commit: int, *keys: int, before: int | None = 1, table: str = "t") -> None:
        """One that commits there, `before` being the last commit that the connector knows of."""
        self.source.begin()
        said = f'[null,"{commit}"]' if before is None else f'["{before}","{commit}"]'
        for order, key in enumerate(keys, 1):
            block = {"id": f"{self.source.xid}:{commit}", "total_order": order, "data_collection_order": order}
            self.send(table, key, {"transaction": block, "op": "u"}, {"sequence": said, "lsn": commit})
        self.source.commit = commit - 10
        self.source.end(**{table: len(keys)})


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.open()
    made.transaction(10, 1)
    assert made.told() == ([1], (), Lsn(10))
    return made


def test_a_snapshot_that_is_taken_anew_is_a_gap_and_so_is_the_first_transaction_behind_it(bench: Bench) -> None:
    bench.snapshot(60, 1, 2, 3)
    assert bench.told() == ([], (TOOK_A_SNAPSHOT,), Lsn(10)), "once for all its rows"
    bench.snapshot(60, 4, 5, table="late")
    assert bench.told() == ([], (), Lsn(10)), "it is the same one"
    bench.transaction(20, 6)
    assert bench.told() == ([6], (), Lsn(20)), "that was sent before it, and lies before the hole's end"
    bench.transaction(70, 7)
    assert bench.told() == ([7], (TOOK_A_SNAPSHOT,), Lsn(70)), "what is lost lies before it"
    bench.transaction(80, 8)
    bench.snapshot(60, 9, table="late")
    assert bench.told() == ([8], (), Lsn(80)), "its last rows came late"
    bench.snapshot(100, 1)
    assert bench.told() == ([], (TOOK_A_SNAPSHOT,), Lsn(80)), "another one"


def test_a_blocking_snapshot_is_taken_for_one_that_lost_something(bench: Bench) -> None:
    """Its rows do not say that the connector went on where it had stopped for it."""
    bench.snapshot(60, 1, kind="true")
    assert bench.told() == ([], (TOOK_A_SNAPSHOT,), Lsn(10))
    bench.transaction(50, 2)
    bench.transaction(70, 3)
    assert bench.told() == ([2, 3], (TOOK_A_SNAPSHOT,), Lsn(70))


def test_an_incremental_snapshot_loses_nothing(bench: Bench) -> None:
    bench.snapshot(None, 1, 2, kind="incremental")
    bench.transaction(70, 3)
    assert bench.told() == ([3], (), Lsn(70))


def test_a_snapshot_from_before_the_present_is_none(bench: Bench) -> None:
    made = Bench()
    made.open()
    made.snapshot(5, 1, 2)
    made.transaction(10, 3, before=None)
    made.snapshot(5, 4, table="late")
    assert made.told() == ([3], (), Lsn(10))
    made.snapshot(5, 5, table="late")
    assert made.told() == ([], (), Lsn(10))


def test_rows_of_a_snapshot_that_were_not_read_before_a_restart_are_a_gap(bench: Bench) -> None:
    bench.transaction(70, 2)
    batch = bench.poll()
    bench.snapshot(60, 1, table="late")
    bench.open(batch.offsets, batch.read_through)
    assert bench.told() == ([], (TOOK_A_SNAPSHOT,), Lsn(70)), "nobody remembers whether it was told"
    bench.transaction(80, 3)
    assert bench.told() == ([3], (), Lsn(80)), "its hole had ended"


def test_the_hole_behind_a_snapshot_that_was_told_is_told_behind_a_restart_too(bench: Bench) -> None:
    """Looks may stand where nobody told anything until the first transaction from behind the hole has come."""
    bench.snapshot(60, 1, 2)
    bench.snapshot(60, 3, 4, table="late")
    batch = bench.poll()
    assert (batch.blind, batch.read_through) == ((TOOK_A_SNAPSHOT,), Lsn(10))
    bench.open(batch.offsets, batch.read_through)
    bench.transaction(70, 5)
    keys, blind, through = bench.told()
    assert (keys, set(blind), through) == ([5], {TOOK_A_SNAPSHOT}, Lsn(70))
    batch = bench.poll()
    bench.open(batch.offsets, batch.read_through)
    bench.transaction(80, 6)
    assert bench.told() == ([6], (), Lsn(80)), "the hole has ended"


@pytest.mark.parametrize("plain", [True, False])
def test_a_transaction_before_which_the_connector_knows_of_none_is_a_gap(bench: Bench, plain: bool) -> None:
    """Its offsets are gone, and it took no snapshot (`no_data`), perhaps while nobody read the stream."""
    batch = bench.poll()
    bench.open(batch.offsets, batch.read_through)
    bench.transaction(70, 2, 3, before=None)
    if not plain:
        bench.broker.append(("p.public.t", 0), {"id": 9}, None)
        bench.send("t", 9, {"transaction": None, "op": "m"}, {})
    assert bench.told() == ([2, 3], (BEGAN_ANEW,), Lsn(70))
    bench.transaction(80, 4, before=70)
    batch = bench.poll()
    assert (batch.blind, batch.read_through) == ((), Lsn(80))
    bench.source.xid -= 2
    bench.transaction(70, 2, 3, before=None)
    bench.transaction(80, 4, before=70)
    bench.transaction(90, 5, before=80)
    assert bench.told() == ([5], (), Lsn(90)), "it only sent them again"
    bench.open(batch.offsets, batch.read_through)
    assert bench.told() == ([5], (), Lsn(90))


def test_what_a_column_says_begins_nothing(bench: Bench) -> None:
    decoder = Decoder("p", RECOMMENDED, TABLES.get)

    def event(**after: object) -> bytes:
        value = {
            "before": None, "after": {"id": 1, **after},
            "source": {"snapshot": "false", "sequence": '["1","2"]', "schema": "public", "table": "t"},
            "transaction": {"id": "7:5", "total_order": 1}, "op": "c", "ts_ms": 1,
        }  # fmt: skip
        return json.dumps(value, separators=(",", ":")).encode()

    for odd in (event(doc='{"sequence":"[null,1]"}'), event(sequence="[null,1]")):
        assert isinstance(decoder.rows("p.public.t", [b'{"id":1}'], [odd]), Run)
        assert not decoder.decode("p.public.t", b'{"id":1}', odd).anew  # type: ignore[union-attr]
