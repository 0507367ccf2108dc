"""What every `ChangeStream` must do, told on the same workload to each kind of stream."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections.abc import Iterator, Mapping

import pytest
from fixtures.binlog_worlds import BINLOG_WORLDS
from fixtures.debezium_worlds import LINES, ORDERS, STREAM_WORLDS, Done, Step, StreamWorld
from fixtures.kafka_binlog_worlds import KAFKA_BINLOG_WORLDS

from connectors.kafka.kafka_python import KafkaPythonConsumer
from verifier.change import Batch, Blindness, Cause, Transaction
from verifier.errors import Temporary
from verifier.gtid import Logged
from verifier.ports import ChangeStream
from verifier.position import Position
from verifier.table import TableName

_numbers = itertools.count(1)
_WORLDS = STREAM_WORLDS | BINLOG_WORLDS | KAFKA_BINLOG_WORLDS
_MARKS = {
    "confluent": [pytest.mark.kafka, pytest.mark.postgres],
    "kafka-python": [pytest.mark.kafka, pytest.mark.postgres],
    "pgoutput": [pytest.mark.postgres],
    **{name: [] if "memory" in name else [pytest.mark.mysql] for name in BINLOG_WORLDS},
    **{name: [pytest.mark.kafka, pytest.mark.mysql] for name in KAFKA_BINLOG_WORLDS},
    "memory": [],
}


@pytest.fixture(scope="module", params=[pytest.param(name, marks=_MARKS[name]) for name in _WORLDS])
def standing(request: pytest.FixtureRequest) -> Iterator[StreamWorld]:
    yield from _WORLDS[request.param](request)


@pytest.fixture
def world(standing: StreamWorld) -> StreamWorld:
    standing.fresh()
    return standing


class Reader:
    """A consumer that journals: transactions at or below what it journaled are recognised and left out."""

    def __init__(self, world: StreamWorld) -> None:
        self.world = world
        self.stream: ChangeStream | None = None
        self.offsets: Mapping[str, int] = {}
        self.through: Position | None = None
        self.transactions: list[Transaction] = []
        self.blind: list[Blindness] = []
        self.states: list[tuple[Mapping[str, int], Position | None]] = []

    def open(self) -> Reader:
        self.stream = self.world.open()
        self.through = self.stream.start(self.offsets, self.through)
        return self

    def close(self) -> None:
        assert self.stream is not None
        self.stream.close()

    def poll(self, changes_max: int = 1000) -> Batch:
        assert self.stream is not None
        batch = self.stream.poll(changes_max=changes_max, seconds_max=0.5)
        known = self.through
        self.transactions.extend(t for t in batch.transactions if known is None or not known.covers(t.commit))
        self.blind.extend(batch.blind)
        if batch.read_through is not None and (known is None or batch.read_through.covers(known)):
            self.through, self.offsets = batch.read_through, batch.offsets
        self.states.append((self.offsets, self.through))
        return batch

    def catch_up(self, position: Position, *, seconds: float = 60.0, changes_max: int = 1000) -> list[Transaction]:
        """Read until everything that committed at or before `position` was delivered; all that was."""
        deadline = time.monotonic() + seconds
        while self.through is None or not self.through.covers(position):
            try:
                self.poll(changes_max)
            except Temporary:
                time.sleep(0.1)
            assert time.monotonic() < deadline, f"not read through {position} within {seconds} s: {self.through}"
        return [transaction for transaction in self.transactions if transaction.changes or transaction.blind]


@pytest.fixture
def reader(world: StreamWorld) -> Iterator[Reader]:
    """At the present, knowing where that is."""
    made = Reader(world).open()
    made.catch_up(insert(world, 1).after)
    made.transactions.clear()
    made.states.clear()  # before, a poll may have brought nothing yet
    yield made
    made.close()
    if getattr(world, "client", None) is KafkaPythonConsumer:
        gc.collect()  # a socket that it left open is told of here, and not in another test


def number() -> int:
    return next(_numbers)


def insert(world: StreamWorld, rows: int) -> Done:
    return world.commit(*[Step("insert", ORDERS, (number(),)) for _ in range(rows)])


def told(transaction: Transaction) -> list[tuple[str, tuple[int | str, ...], str]]:
    return [(change.table.name, change.key, change.operation.value) for change in transaction.changes]


def defining(world: StreamWorld, *steps: Step) -> list[Done]:
    """Steps one of which is no row change: one transaction, or one for each step."""
    return [world.commit(step) for step in steps] if world.apart else [world.commit(*steps)]


def blinded(done: Done) -> list[tuple[Cause, TableName]]:
    causes = {"truncate": Cause.TRUNCATE, "alter": Cause.DDL}
    return [(causes[step.verb], step.table) for step in done.steps if step.verb in causes]


def end(position: Position) -> Position:
    return position.binlog if isinstance(position, Logged) else position


def agree(got: list[Transaction], done: list[Done]) -> None:
    """The very transactions, in commit order, each with its id, its position and its changes in their order."""
    assert [told(transaction) for transaction in got] == [transaction.told() for transaction in done]
    assert [transaction.xid for transaction in got] == [transaction.xid for transaction in done]
    for transaction, known in zip(got, done, strict=True):
        assert not known.before.covers(transaction.commit)
        assert known.after.covers(transaction.commit)


def workload(world: StreamWorld) -> list[Done]:
    a, b, c, d = (number() for _ in range(4))
    done = [
        world.commit(Step("insert", ORDERS, (a,)), Step("insert", LINES, (1, a)), Step("insert", ORDERS, (b,))),
        world.commit(Step("update", ORDERS, (a,))),
    ]
    world.roll_back(Step("insert", ORDERS, (c,)), Step("delete", ORDERS, (a,)))
    return [
        *done,
        world.commit(Step("rekey", ORDERS, (b,), (d,)), Step("rekey", LINES, (1, a), (2, a))),
        world.commit(Step("delete", ORDERS, (a,)), Step("insert", ORDERS, (a,)), Step("update", ORDERS, (a,))),
        world.commit(Step("insert", ORDERS, (b,)), Step("delete", ORDERS, (d,)), Step("delete", LINES, (2, a))),
    ]


def test_whole_transactions_in_commit_order(world: StreamWorld, reader: Reader) -> None:
    done = workload(world)
    agree(reader.catch_up(done[-1].after), done)
    assert reader.blind == []
    assert not any(transaction.blind for transaction in reader.transactions)


def test_commit_positions_are_where_the_log_ended(world: StreamWorld, reader: Reader) -> None:
    done = [insert(world, 1) for _ in range(10)]
    got = reader.catch_up(done[-1].after)
    agree(got, done)
    if not world.exact:
        return  # ids, and places inside transactions: between where the log ended before and after, as `agree` asserts
    exact = sum(end(transaction.commit) == end(known.after) for transaction, known in zip(got, done, strict=True))
    assert exact >= 3, "a heartbeat may write behind a commit before we ask, but not behind nearly each"


def test_a_truncate_blinds_its_table_at_its_place(world: StreamWorld, reader: Reader) -> None:
    first = insert(world, 1)
    truncated = defining(world, Step("insert", LINES, (1, number())), Step("truncate", ORDERS))
    done = [first, *truncated, insert(world, 1)]
    got = reader.catch_up(done[-1].after)
    agree(got, done)
    assert [[(b.cause, b.table) for b in transaction.blind] for transaction in got] == [blinded(one) for one in done]


def test_a_changed_definition_blinds_its_table(world: StreamWorld, reader: Reader) -> None:
    first = insert(world, 1)
    altered = defining(world, Step("alter", ORDERS), Step("insert", ORDERS, (number(),)))
    done = [first, *altered, insert(world, 1)]
    got = reader.catch_up(done[-1].after)
    assert [told(transaction) for transaction in got] == [transaction.told() for transaction in done]
    assert [[(b.cause, b.table) for b in transaction.blind] for transaction in got] == [blinded(one) for one in done]


def test_the_barrier_follows_an_idle_leader(world: StreamWorld, reader: Reader) -> None:
    for _ in range(2):
        world.grow()
        assert reader.catch_up(world.position()) == []


def test_nothing_committed_at_or_below_the_barrier_is_still_to_come(world: StreamWorld, reader: Reader) -> None:
    """Writers commit at the same time; a position taken after a commit returned, once covered, has its transaction."""
    known: list[Done] = []

    def write() -> None:
        for _ in range(20):
            known.append(insert(world, 2))
            world.roll_back(Step("insert", ORDERS, (number(),)))

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    checked = 0
    while checked < 60:
        reader.poll(changes_max=5)
        delivered = {transaction.xid for transaction in reader.transactions}
        covered = [done for done in list(known) if reader.through is not None and reader.through.covers(done.after)]
        assert [done for done in covered if done.xid not in delivered] == []
        checked = len(covered)
    for writer in writers:
        writer.join()
    commits = [transaction.commit for transaction in reader.transactions]
    if world.exact:
        assert all(later.covers(earlier) for earlier, later in itertools.pairwise(commits))
    assert {transaction.xid: told(transaction) for transaction in reader.transactions if transaction.changes} == {
        done.xid: done.told() for done in known
    }


def test_a_restart_from_any_journaled_offsets_misses_nothing(world: StreamWorld, reader: Reader) -> None:
    done = workload(world) + workload(world)
    reader.catch_up(done[-1].after, changes_max=1)
    commits = {transaction.xid: transaction.commit for transaction in reader.transactions}
    reader.close()
    for offsets, through in reader.states[:: max(1, len(reader.states) // 4)]:
        again = Reader(world)
        again.offsets, again.through = offsets, through
        assert through is not None
        got = again.open().catch_up(done[-1].after, changes_max=1)
        again.close()
        behind = [known for known in done if not through.covers(commits[known.xid])]  # a heartbeat may lie in `after`
        agree([transaction for transaction in got if transaction.xid in {known.xid for known in done}], behind)
    reader.open()


def test_what_feeds_it_may_start_again(world: StreamWorld, reader: Reader) -> None:
    done = workload(world)
    reader.catch_up(done[1].after)
    world.disturb()
    done += workload(world)
    world.disturb()
    reader.close()
    reader.open()
    done += workload(world)
    agree(reader.catch_up(done[-1].after, seconds=60), done)
    assert reader.blind == []


def test_acknowledged_offsets_may_be_forgotten(world: StreamWorld, reader: Reader) -> None:
    for _ in range(3):
        done = insert(world, 3)
        agree(reader.catch_up(done.after), [done])
        assert reader.stream is not None
        reader.stream.acknowledge(reader.offsets)
        reader.transactions.clear()
        reader.close()
        reader.open()


def test_lost_offsets_are_a_gap_and_the_stream_goes_on(world: StreamWorld, reader: Reader) -> None:
    reader.close()
    insert(world, 3)
    world.lose()
    reader.open()
    done = [insert(world, 1)]
    reader.through = None if reader.through is None else reader.through
    deadline = time.monotonic() + 60
    while not [blindness for blindness in reader.blind if blindness.cause is Cause.GAP]:
        reader.poll()
        assert time.monotonic() < deadline, "no gap was told"
    assert all(blindness.table is None for blindness in reader.blind)
    while not world.exact and reader.poll().read_through is None:  # the present begins with what is told first
        world.grow()
    done.append(insert(world, 2))
    got = reader.catch_up(done[-1].after)
    agree([transaction for transaction in got if transaction.xid == done[-1].xid], [done[-1]])


def test_tables_are_named_with_their_schema(world: StreamWorld, reader: Reader) -> None:
    done = insert(world, 1)
    (got,) = reader.catch_up(done.after)
    assert got.changes[0].table == TableName("public", "orders")
