"""The stream over a broker in memory: starts, restarts, late topics, lost offsets, poison, patience, pauses."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer, Source

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.debezium.pending import Partition
from connectors.kafka import offsets
from connectors.kafka.dead_letters import without_values
from connectors.kafka.pressure import Pressure
from connectors.kafka.stream import KafkaStream
from verifier.change import Batch, Blindness, Cause
from verifier.errors import Misconfigured, Temporary
from verifier.position import Lsn, Position, Tick
from verifier.spans import TOO_LARGE
from verifier.table import Column, Family, Table, TableName

T, LATE = TableName("public", "t"), TableName("public", "late")
TABLES = {name: Table(name, (Column("id", Family.INTEGER, "integer"),), ("id",)) for name in (T, LATE)}


class Bench:
    """One broker, one source, and streams over them with a clock that moves when the consumer waits."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.broker.topic("p.transaction")
        self.broker.topic("p.public.t")
        self.source = Source(self.broker)

    def open(
        self, at: Mapping[str, int] | None = None, through: Position | None = None, *, keep_max: int = 100
    ) -> KafkaStream:
        self.consumer = MemoryConsumer(self.broker)
        self.stream = KafkaStream(
            self.consumer, Decoder("p", RECOMMENDED, TABLES.get), "p", keep_max=keep_max, patience_seconds=30.0,
            seconds=lambda: self.consumer.waited,
        )  # fmt: skip
        self.started = self.stream.start(at or {}, through)
        return self.stream

    def again(self, journaled: Batch) -> None:
        """The same one starts once more."""
        self.started = self.stream.start(journaled.offsets, journaled.read_through)

    def poll(self, seconds: float = 1.0, changes_max: int = 100) -> Batch:
        return self.stream.poll(changes_max=changes_max, seconds_max=seconds)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def keys(batch: Batch) -> list[list[object]]:
    return [[change.key[0] for change in transaction.changes] for transaction in batch.transactions]


def test_the_first_start_is_at_the_present(bench: Bench) -> None:
    bench.source.transaction(1)
    bench.open()
    assert bench.started is None
    assert bench.poll() == Batch()
    bench.source.transaction(2, 3)
    batch = bench.poll()
    assert keys(batch) == [[2, 3]]
    assert (batch.read_through, batch.events) == (Lsn(20), 2)
    assert (batch.connector_at, batch.broker_at) == (2000.0, 1003.0)
    assert offsets.read(batch.offsets) == {("p.transaction", 0): 4, ("p.public.t", 0): 3}
    assert offsets.marks(batch.offsets).keys() == {("p.transaction", 0), ("p.public.t", 0)}


class Busy(MemoryConsumer):
    """A broker to which a whole transaction is appended right after the first question for ends."""

    source: Source

    def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        found = super().bounds(partitions)
        if self.source.xid == 0:
            self.source.transaction(1)
        return found


def test_what_is_committed_while_the_ends_are_taken_is_not_delivered_in_part(bench: Bench) -> None:
    consumer = Busy(bench.broker)
    consumer.source = bench.source
    stream = KafkaStream(consumer, Decoder("p", RECOMMENDED, TABLES.get), "p", seconds=lambda: consumer.waited)
    stream.start({}, None)
    bench.source.transaction(2)
    assert keys(stream.poll(changes_max=9, seconds_max=1.0)) == [[2]]


def test_a_restart_reads_from_the_first_row_that_was_not_delivered(bench: Bench) -> None:
    bench.open()
    bench.source.transaction(1)
    bench.source.begin()
    bench.source.row(1, 2)
    batch = bench.poll()
    assert batch.offsets["p.public.t:0"] == 1
    bench.source.row(2, 3)
    bench.source.end(t=2)
    bench.open(batch.offsets, batch.read_through)
    assert bench.started == Lsn(10)
    again = bench.poll()
    assert keys(again) == [[2, 3]]
    assert bench.open(again.offsets, again.read_through).poll(changes_max=9, seconds_max=0.1).transactions == ()


def test_a_topic_that_appears_later_is_read_from_its_beginning(bench: Bench) -> None:
    bench.open()
    bench.source.transaction(1)
    first = bench.poll()
    bench.source.transaction(7, table="late")
    batch = bench.poll(seconds=2)
    assert keys(batch) == [[7]]
    assert batch.offsets["p.public.late:0"] == 1
    bench.open(first.offsets, first.read_through)
    assert keys(bench.poll()) == [[7]]


def test_a_connector_that_has_sent_nothing_yet_is_waited_for() -> None:
    bench = Bench()
    bench.broker.logs.clear()
    bench.open()
    assert bench.poll() == Batch()
    bench.source.transaction(1)
    assert keys(bench.poll(seconds=2)) == [[1]]


@pytest.mark.parametrize("gone", ["retention", "made anew", "deleted"])
def test_lost_offsets_are_a_gap_and_the_stream_goes_on_at_the_present(bench: Bench, gone: str) -> None:
    bench.open()
    bench.source.transaction(1)
    journaled = bench.poll()
    bench.source.transaction(2)
    place = ("p.public.t", 0)
    if gone == "retention":
        bench.broker.first[place] = 2
    elif gone == "made anew":
        bench.broker.logs[place] = []
    else:
        del bench.broker.logs[place]
        with pytest.raises(Temporary, match=r"kafka does not know p\.public\.t:0, which was read before"):
            bench.open(journaled.offsets, journaled.read_through)
        bench.consumer.waited += 11.0
    bench.again(journaled)
    assert bench.started is None
    batch = bench.poll()
    assert batch.blind == (Blindness(Cause.GAP, None, "kafka no longer holds our offsets of p.public.t:0"),)
    assert (batch.read_through, batch.offsets) == (None, {})
    bench.source.transaction(3)
    after = bench.poll(seconds=6)
    assert keys(after) == [[3]]
    assert after.read_through == Lsn(30)


@pytest.mark.parametrize("running", [True, False])
def test_a_topic_that_the_broker_does_not_know_for_a_moment_is_no_gap(bench: Bench, running: bool) -> None:
    """It was just started. What is not known some minutes later is another story."""
    bench.open()
    bench.source.transaction(1)
    journaled = bench.poll()
    place, key = ("p.public.t", 0), 2
    for _ in range(2):
        log = bench.broker.logs.pop(place)
        bench.consumer.unknown = {place}
        for _ in range(3):
            bench.consumer.waited += 3.0
            with pytest.raises(Temporary, match="was the broker just started"):
                bench.poll() if running else bench.again(journaled)
        bench.broker.logs[place] = log
        bench.consumer.unknown.clear()
        if not running:
            bench.again(journaled)
            assert bench.started == journaled.read_through
        bench.source.transaction(key)
        journaled = bench.poll()
        assert (journaled.blind, keys(journaled)) == ((), [[key]])
        bench.consumer.waited += 100.0
        key += 1


@pytest.mark.parametrize("running", [True, False])
def test_a_topic_made_anew_is_a_gap_even_where_it_holds_our_offsets_again(bench: Bench, running: bool) -> None:
    bench.broker.made = {"p.public.t": 2**127 + 1, "p.transaction": 5}
    bench.open()
    bench.source.transaction(1)
    journaled = bench.poll()
    assert offsets.made(journaled.offsets) == {"p.public.t": 2**127 + 1, "p.transaction": 5}
    bench.broker.made["p.public.t"] = 7
    if not running:
        bench.open(journaled.offsets, journaled.read_through)
    batch = bench.poll(seconds=6)
    assert batch.blind == (Blindness(Cause.GAP, None, "kafka no longer holds our offsets of p.public.t:0"),)
    bench.source.transaction(3)
    after = bench.poll(seconds=6)
    assert keys(after) == [[3]]
    assert after.offsets["p.public.t#made"] == 7
    bench.open(after.offsets, after.read_through)
    assert bench.poll(seconds=6).blind == ()


def test_rows_that_a_compacted_topic_has_lost_are_a_gap_that_names_it(bench: Bench) -> None:
    bench.broker.compacted = {"p.public.t"}
    bench.open()
    bench.source.begin()
    bench.source.end(t=1)
    batch = bench.poll(seconds=5.0)
    (blindness,) = batch.transactions[0].blind
    assert (blindness.cause, blindness.table) == (Cause.GAP, T)
    assert blindness.detail == "1 of 1 events of transaction 1 never arrived; p.public.t is compacted"


def test_offsets_lost_while_reading_are_a_gap_too(bench: Bench) -> None:
    bench.open()
    bench.source.transaction(1)
    bench.poll()
    bench.source.transaction(2)
    bench.broker.first["p.transaction", 0] = 4
    batch = bench.poll()
    assert [blindness.cause for blindness in batch.blind] == [Cause.GAP]
    bench.source.transaction(3)
    assert keys(bench.poll()) == [[3]]


def test_poison_is_kept_whole_and_blinds_its_table_and_the_rest_goes_on(bench: Bench) -> None:
    bench.open()
    bench.source.begin()
    bench.source.row(1, 1)
    bench.broker.append(("p.public.t", 0), {"id": 2}, b"\x01junk")
    bench.source.row(3, 3)
    bench.source.end(t=3)
    batch = bench.poll()
    (blindness,) = batch.blind
    assert (blindness.cause, blindness.table) == (Cause.UNREADABLE, T)
    assert blindness.detail.startswith("p.public.t:0 at offset 1: ")
    assert blindness.keys == ((2,),), "its key was understood"
    (letter,) = batch.letters
    assert keys(batch) == [], "its row may yet come"
    batch = bench.poll()
    assert keys(batch) == [[1, 3]]
    assert [(b.table, b.keys) for b in batch.transactions[0].blind] == [(T, ((2,),))]
    assert (letter.topic, letter.partition, letter.offset, letter.at) == ("p.public.t", 0, 1, 1001.0)
    assert (letter.key, letter.value, letter.fault) == (b'{"id": 2}', b"\x01junk", "JSONDecodeError")
    assert batch.offsets["p.public.t:0"] == 3, "behind the letter: whoever journals the offsets has to keep it"
    bench.source.transaction(4)
    assert keys(bench.poll()) == [[4]]
    assert bench.poll().offsets["p.public.t:0"] == 4


def test_poison_whose_key_is_poison_too_blinds_its_whole_table(bench: Bench) -> None:
    bench.open()
    bench.source.begin()
    bench.broker.logs["p.public.t", 0].append((b"\xff", b"\x00junk"))
    bench.broker.append(("p.public.t", 0), {"id": 2}, b"\x00junk")
    bench.source.end(t=2)
    assert [(one.table, one.keys) for one in bench.poll().blind] == [(T, None), (T, ((2,),))]
    (found,) = bench.poll().transactions
    assert [(one.table, one.keys) for one in found.blind] == [(T, None)]


def test_a_row_that_comes_behind_its_transaction_is_told_by_itself(bench: Bench) -> None:
    """A message that nobody understands was taken for it."""
    bench.broker.topic("p.public.t", 2)
    bench.open()
    bench.broker.append(("p.public.t", 1), {"id": 9}, b"junk of another transaction")
    bench.source.begin()
    bench.source.end(t=1)
    assert [one.keys for one in bench.poll().blind] == [((9,),)]
    assert [one.keys for one in bench.poll().transactions[0].blind] == [((9,),)]
    bench.source.row(1, 4)
    assert [(one.table, one.keys) for one in bench.poll().blind] == [(T, ((4,),))]
    bench.source.row(1, 4)
    bench.source.transaction(5)
    assert keys(bench.poll()) == [[5]]


def test_dead_letters_that_were_not_journaled_come_again(bench: Bench) -> None:
    bench.open()
    bench.source.transaction(1)
    journaled = bench.poll()
    bench.broker.append(("p.public.t", 0), {"id": 2}, b"\x01junk")
    assert [letter.offset for letter in bench.poll().letters] == [1]
    bench.broker.append(("p.public.t", 0), {"id": 3}, b"\x00more")
    bench.stream._read(0.0)  # read, and the batch with them never handed out
    bench.stream.start(journaled.offsets, journaled.read_through)
    assert [letter.offset for letter in bench.poll().letters] == [1, 2]
    assert bench.poll().letters == ()


def test_what_an_error_quotes_is_not_told() -> None:
    assert without_values("invalid literal for int() with base 10: 'secret'") == (
        "invalid literal for int() with base 10: ..."
    )
    assert without_values("b'x' and \"y\" of col") == "... and ... of col"


def test_poison_in_the_order_itself_blinds_everything(bench: Bench) -> None:
    bench.open()
    bench.source.transaction(1)
    bench.source.boundary({"status": "HALF", "id": "9:9"})
    bench.source.transaction(2)
    batch = bench.poll()
    assert [(blindness.cause, blindness.table) for blindness in batch.blind] == [(Cause.UNREADABLE, None)]
    assert keys(batch) == [[1], [2]]


def test_a_row_that_never_comes_stops_the_stream_for_a_while_only(bench: Bench) -> None:
    bench.open()
    bench.source.begin()
    bench.source.end(t=1)
    bench.source.transaction(2)
    assert bench.poll(seconds=29.0).transactions == ()
    batch = bench.poll(seconds=5.0)
    assert [[(b.cause, b.table) for b in t.blind] for t in batch.transactions] == [[(Cause.GAP, T)], []]
    assert keys(batch) == [[], [2]]


def test_a_transaction_too_large_is_followed_by_number_only(bench: Bench) -> None:
    bench.open(keep_max=5)
    bench.source.transaction(*range(20))
    bench.source.transaction(1)
    batch = bench.poll()
    assert keys(batch) == [[], [1]]
    assert [[(b.cause, b.table) for b in t.blind] for t in batch.transactions] == [[(Cause.GAP, T)], []]
    (blind,) = batch.transactions[0].blind
    assert (blind.detail, blind.spans) == (TOO_LARGE, tuple(((key,), (key,)) for key in range(20)))


def test_rows_wait_when_their_ends_do_not_come(bench: Bench) -> None:
    bench.open(keep_max=5)
    order = bench.broker.logs.pop(("p.transaction", 0))
    for key in range(8):
        bench.source.transaction(key)
    held, bench.broker.logs["p.transaction", 0] = bench.broker.logs["p.transaction", 0], order
    assert bench.poll().transactions == ()
    assert bench.consumer.paused == {("p.public.t", 0)}
    order.extend(held)
    assert keys(bench.poll()) == [[key] for key in range(8)]
    assert bench.poll().offsets["p.public.t:0"] == 8
    assert bench.consumer.paused == set()


def test_batches_are_about_as_large_as_asked_for(bench: Bench) -> None:
    bench.open()
    for number in range(5):
        bench.source.transaction(number, number + 10)
    sizes = [len(bench.poll(changes_max=3).transactions) for _ in range(3)]
    assert sizes == [2, 2, 1]


def test_an_outage_is_told_and_nothing_is_lost(bench: Bench) -> None:
    bench.open()
    bench.source.transaction(1)
    bench.broker.down = True
    with pytest.raises(Temporary, match="does not answer"):
        bench.poll()
    bench.broker.down = False
    assert keys(bench.poll()) == [[1]]


@pytest.mark.parametrize("junk", [False, True])
def test_a_leader_that_cannot_describe_its_table_is_waited_for(bench: Bench, junk: bool) -> None:
    """Else its rows would be taken for those of a table that nobody verifies."""
    away = [True]

    def table_of(name: TableName) -> Table | None:
        if away:
            raise Temporary("the leader does not answer")
        return TABLES.get(name)

    bench.open()
    decoder = Decoder("p", RECOMMENDED, table_of)
    bench.stream = KafkaStream(bench.consumer, decoder, "p", seconds=lambda: bench.consumer.waited)
    bench.stream.start({"p.public.t:0": 0, "p.transaction:0": 0}, Lsn(5))
    if junk:
        bench.broker.append(("p.public.t", 0), {"id": 9}, b"junk")
    bench.source.transaction(1, 2)
    for _ in range(3):
        with pytest.raises(Temporary, match="leader"):
            bench.poll()
    away.clear()
    batches = [bench.poll() for _ in range(3)]
    assert [key for batch in batches for key in keys(batch)] == [[1, 2]]
    assert [letter.offset for batch in batches for letter in batch.letters] == ([0] if junk else [])


def test_the_backlog_is_what_has_not_been_read(bench: Bench) -> None:
    bench.open()
    bench.source.transaction(1, 2)
    assert bench.stream.backlog() == 4
    bench.poll()
    assert bench.stream.backlog() == 0


def test_acknowledged_offsets_go_to_the_group(bench: Bench) -> None:
    bench.open().acknowledge({"p.public.t:0": 5})
    assert bench.broker.commits == [{("p.public.t", 0): 5}]
    bench.stream.close()
    assert bench.consumer.closed


def test_an_order_in_several_partitions_is_none(bench: Bench) -> None:
    bench.broker.topic("p.transaction", 2)
    with pytest.raises(Misconfigured, match="has 2 partitions, needs exactly 1"):
        bench.open()


def test_a_position_of_another_engine_is_refused(bench: Bench) -> None:
    with pytest.raises(Misconfigured, match="another leader"):
        bench.open({"p.transaction:0": 1}, Tick(5))


def test_offsets_are_written_and_read_back() -> None:
    places = {("a.b:c", 3): 7, ("x", 0): 0}
    assert offsets.read(offsets.written(places)) == places
    with pytest.raises(ValueError, match="not a topic"):
        offsets.read({"lsn": 5})


def test_ends_wait_when_their_rows_do_not_come(bench: Bench) -> None:
    bench.consumer = MemoryConsumer(bench.broker)
    bench.stream = KafkaStream(bench.consumer, Decoder("p", RECOMMENDED, TABLES.get), "p", keep_max=5)
    bench.stream._pressure = Pressure(bench.consumer, "p", ("p.transaction", 0), rows_max=5, ends_max=3)
    bench.stream._seconds = lambda: bench.consumer.waited
    bench.broker.topic("p.public.late")
    bench.stream.start({"p.public.t:0": 0, "p.public.late:0": 0, "p.transaction:0": 0}, Lsn(5))
    held = ("p.public.t", 0)
    bench.source.transaction(1)
    for key in range(8):
        bench.source.transaction(key, table="late")
    rows, bench.broker.logs[held] = bench.broker.logs[held], []
    assert bench.poll().transactions == ()
    assert bench.consumer.paused == {("p.transaction", 0), ("p.public.late", 0)}, "all but what the head waits for"
    bench.broker.logs[held] = rows
    assert keys(bench.poll()) == [[1], *([key] for key in range(8))]
    bench.poll()
    assert bench.consumer.paused == set()
