"""The stream of a MySQL leader over a broker in memory: where it begins, what holds an END up, and what the leader is
asked."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED_BINLOG
from connectors.debezium.source_binlog import BinlogSource
from connectors.kafka.pressure import ENDS_MAX
from connectors.kafka.stream import KafkaStream
from verifier.change import Batch, Cause
from verifier.gtid import GtidSet
from verifier.position import Position
from verifier.table import Column, Family, Table, TableName

T = TableName("db", "t")
TABLES = {T: Table(T, (Column("id", Family.INTEGER, "int(11)"),), ("id",))}
UUID = "3e11fa47-71ca-41e1-9e33-c80aa9429562"


def gtids(numbers: str) -> GtidSet:
    return GtidSet.parse(f"{UUID}:{numbers}")


@dataclass
class Bench:
    """A broker, and a leader that has executed `executed`; `asked` are the questions it was asked."""

    executed: str = "1-5"
    definitions: bool = True
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for topic in ("p.transaction", "p.db.t", *(["p"] if self.definitions else [])):
            self.broker.topic(topic)
        self.consumer = MemoryConsumer(self.broker)
        source = BinlogSource(mariadb=False, present=self.present, fence=self.fence)
        decoder = Decoder("p", RECOMMENDED_BINLOG, TABLES.get, source)
        self.stream = KafkaStream(self.consumer, decoder, "p", seconds=lambda: self.consumer.waited)
        assert self.stream.start({}, None) is None

    def present(self) -> Position:
        self.asked.append("present")
        return gtids(self.executed)

    def fence(self) -> tuple[Position, Position]:
        self.asked.append("fence")
        return gtids(self.executed), gtids(self.executed)

    def transaction(self, number: int, *keys: int) -> None:
        self.begin(number)
        self.rows(number, *keys)
        self.end(number, len(keys))

    def begin(self, number: int) -> None:
        xid = f"{UUID}:{number}"
        self.order({"status": "BEGIN", "id": xid, "ts_ms": 1, "event_count": None, "data_collections": None})

    def rows(self, number: int, *keys: int) -> None:
        xid = f"{UUID}:{number}"
        for order, key in enumerate(keys, start=1):
            source = {"db": "db", "table": "t", "gtid": xid, "snapshot": "false"}
            block = {"id": xid, "total_order": order, "data_collection_order": order}
            event = {
                "op": "c",
                "before": None,
                "after": {"id": key},
                "source": source,
                "ts_ms": 2,
                "transaction": block,
            }
            self.broker.append(("p.db.t", 0), {"id": key}, event)

    def end(self, number: int, rows: int) -> None:
        counts = [{"data_collection": "db.t", "event_count": rows}] if rows else []
        xid = f"{UUID}:{number}"
        self.order({"status": "END", "id": xid, "ts_ms": 3, "event_count": rows, "data_collections": counts})

    def order(self, message: object) -> None:
        self.broker.append(("p.transaction", 0), {}, message)

    def alter(self, number: int) -> None:
        source = {"db": "db", "table": "t", "gtid": f"{UUID}:{number}", "snapshot": "false", "ts_ms": 2}
        told = {
            "source": source,
            "ts_ms": 2,
            "databaseName": "db",
            "ddl": "alter table t add w int",
            "tableChanges": [],
        }
        self.broker.append(("p", 0), {}, told)

    def poll(self) -> Batch:
        return self.stream.poll(changes_max=9, seconds_max=1.0)


def told(batch: Batch) -> list[tuple[int, list[object], list[Cause]]]:
    return [(t.xid, [change.key[0] for change in t.changes], [b.cause for b in t.blind]) for t in batch.transactions]


def test_the_present_begins_where_the_leader_is_when_the_connector_is_seen_at_work() -> None:
    bench = Bench()
    assert bench.poll() == Batch()
    assert bench.asked == []
    bench.executed = "1-8"
    for number in (7, 8):
        bench.transaction(number, number)
    batch = bench.poll()
    assert (told(batch), batch.read_through) == ([], gtids("1-8"))
    bench.transaction(9, 9)
    assert told(bench.poll()) == [(9, [9], [])]
    assert bench.asked == ["present"]


def test_a_statement_is_delivered_before_the_end_behind_it_and_nothing_is_asked() -> None:
    bench = Bench()
    bench.transaction(5)
    bench.poll()
    bench.transaction(7, 1)
    bench.alter(6)
    assert told(bench.poll()) == [(6, [], [Cause.DDL])]
    assert told(bench.poll()) == [(7, [1], [])], "the statement may have another message"
    assert bench.poll().read_through == gtids("1-7")


def test_a_number_that_is_left_out_for_good_is_known_by_what_the_leader_says_and_what_comes_then() -> None:
    bench = Bench()
    bench.transaction(5)
    bench.poll()
    bench.executed = "1-7"
    bench.transaction(7, 1)  # 6 was a grant
    batch = bench.poll()
    assert (told(batch), batch.read_through) == ([(7, [1], [])], gtids("1-5:7"))
    assert bench.poll().read_through == gtids("1-5:7")
    bench.transaction(8, 2)
    batch = bench.poll()
    assert (told(batch), batch.read_through) == ([(8, [2], [])], gtids("1-8"))
    assert bench.asked == ["present", "fence"]


@pytest.mark.parametrize("late", [0.0, 0.4, 0.8])
def test_a_statement_whose_message_comes_a_little_behind_the_end_is_delivered_before_it(late: float) -> None:
    """A producer's partitions do not wait for each other."""
    bench = Bench()
    bench.transaction(5)
    bench.poll()
    bench.transaction(7, 1)
    found = told(bench.stream.poll(changes_max=9, seconds_max=late))
    bench.alter(6)
    for _ in range(3):
        found += told(bench.poll())
    assert found == [(6, [], [Cause.DDL]), (7, [1], [])]


def test_a_statement_behind_rows_that_came_seconds_after_their_end_is_delivered_before_the_next_one() -> None:
    """Behind a bulk load the producer still has megabytes for some partitions, while ENDs are sent at once."""
    bench = Bench()
    bench.transaction(5)
    bench.poll()
    bench.executed = "1-10"
    bench.transaction(7)  # 6 was a grant
    bench.end(8, 1)
    bench.transaction(10)
    found = [one for _ in range(4) for one in told(bench.poll())]
    bench.rows(8, 8)
    found += [one for _ in range(2) for one in told(bench.stream.poll(changes_max=9, seconds_max=0.3))]
    bench.alter(9)
    found += [one for _ in range(4) for one in told(bench.poll())]
    assert found == [(7, [], []), (8, [8], []), (9, [], [Cause.DDL]), (10, [], [])]


def test_ends_behind_numbers_that_are_left_out_wait_at_the_same_time() -> None:
    bench = Bench()
    bench.transaction(5)
    bench.poll()
    begun, found = bench.consumer.waited, []
    for number in range(6, 106):
        if number % 2:
            bench.transaction(number, number)
        bench.executed = f"1-{number}"
        found += told(bench.stream.poll(changes_max=9, seconds_max=0.1))
    waited = bench.consumer.waited - begun
    found += told(bench.stream.poll(changes_max=9, seconds_max=1.0))
    assert [number for number, _, _ in found][:45] == list(range(7, 97, 2))
    assert waited < 100 * 0.1 + 1.0


def test_transactions_of_rows_that_nobody_understands_wait_at_the_same_time() -> None:
    bench = Bench()
    bench.transaction(5)
    bench.poll()
    begun, found = bench.consumer.waited, []
    for number in range(6, 46):
        bench.executed = f"1-{number}"
        bench.begin(number)
        bench.broker.append(("p.db.t", 0), {"id": number}, b"\x00 not JSON")
        bench.end(number, 1)
    while len(found) < 40:
        found += told(bench.stream.poll(changes_max=9, seconds_max=1.0))
        assert bench.consumer.waited - begun < 5.0
    assert [number for number, _, _ in found] == list(range(6, 46))


def test_where_nobody_tells_of_statements_a_number_left_out_blinds_all_tables() -> None:
    bench = Bench(definitions=False)
    bench.transaction(5)
    bench.poll()
    bench.transaction(7, 1)
    (transaction,) = bench.poll().transactions
    assert [(b.cause, b.table) for b in transaction.blind] == [(Cause.DDL, None)]
    assert [change.key for change in transaction.changes] == [(1,)]


def test_a_statement_does_not_stop_a_stream_in_which_too_many_ends_wait() -> None:
    bench = Bench()
    bench.transaction(5)
    bench.poll()
    bench.alter(6)
    for number in range(7, 7 + 2 * ENDS_MAX):
        bench.transaction(number)
    (first,) = told(bench.stream.poll(changes_max=1, seconds_max=5.0))
    (second,) = told(bench.stream.poll(changes_max=1, seconds_max=5.0))
    assert (first, second) == ((6, [], [Cause.DDL]), (7, [], []))


@pytest.mark.parametrize("bound", ["_rows_max", "_bytes_max"])
def test_no_statement_is_waited_for_where_too_many_rows_or_too_large_ones_wait(bound: str) -> None:
    """It may have been of any table."""
    bench = Bench()
    bench.transaction(5)
    bench.poll()
    bench.consumer.paused.add(("p", 0))
    bench.alter(6)
    bench.transaction(7, *range(20))
    assert told(bench.poll()) == []
    setattr(bench.stream._pressure, bound, 10)
    bench.consumer.paused.clear()  # from now on it is read as what waits allows
    (found,) = bench.poll().transactions
    assert (found.xid, [(one.cause, one.table) for one in found.blind]) == (7, [(Cause.DDL, None)])
    assert told(bench.poll()) == [(6, [], [Cause.DDL])], "it comes late"
