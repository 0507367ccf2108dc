"""However partitions are interleaved, whatever is sent again and wherever we restart: the same transactions, once, in
commit order, none missing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from random import Random

from fixtures.debezium_connector import TRANSACTIONS, Sent, Topics, send, transactions
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.columns import Columns
from connectors.debezium.event import Begin, End, RowEvent
from connectors.debezium.pending import Partition
from connectors.debezium.run import Run
from verifier.change import Change, Operation
from verifier.position import Lsn
from verifier.table import TableName

State = tuple[dict[Partition, int], Lsn | None]


def run_of(rows: Sequence[RowEvent]) -> Run:
    """The same rows of one table, as they are decoded many at a time."""
    (table,) = {row.table for row in rows if row.table is not None}
    told = Columns(table, [row.change.key for row in rows if row.change], ["u"] * len(rows), None, lambda _: {})
    counts = [(xid, len(list(group))) for xid, group in groupby(row.xid for row in rows)]
    return Run(table, counts, [row.order for row in rows], told, rows[0].fields, 0.0)


class Reader:
    """Reads partitions in any order and checks every transaction that comes out."""

    def __init__(self, topics: Topics, expected: list[Sent]) -> None:
        self.topics = topics
        self.expected = expected
        self.delivered: list[Lsn] = []

    def open(self, state: State, keep_max: int) -> None:
        offsets, through = state
        self.positions = {place: offsets.get(place, 0) for place in self.topics.logs}
        self.assembler = TransactionAssembler(through, keep_max=keep_max)
        self.assembler.begin_at(self.positions, TRANSACTIONS)

    def state(self) -> State:
        return self.assembler.cut(), self.assembler.delivered

    def step(self, random: Random) -> bool:
        """Read a few messages of one partition; False when all is read."""
        open_places = [place for place, log in self.topics.logs.items() if self.positions[place] < len(log)]
        if not open_places:
            return False
        place = random.choice(open_places)
        first = self.positions[place]
        read = self.topics.logs[place][first : first + random.randint(1, 6)]
        if random.random() < 0.5:
            self._at_once(place, first, read)
        else:
            for offset, event in enumerate(read, first):
                if isinstance(event, RowEvent):
                    self.assembler.row(place, offset, event)
                else:
                    self.assembler.boundary(place, offset, event)
        self.positions[place] = first + len(read)
        return True

    def _at_once(self, place: Partition, first: int, read: list[Begin | End | RowEvent]) -> None:
        """As the stream does with what is as usual."""
        rows = [event for event in read if isinstance(event, RowEvent)]
        ends = [(offset, event) for offset, event in enumerate(read, first) if isinstance(event, End)]
        if rows:
            self.assembler.run(place, range(first, first + len(read)), run_of(rows))
        elif self.assembler.delivered is None:
            for offset, event in enumerate(read, first):
                if not isinstance(event, RowEvent):
                    self.assembler.boundary(place, offset, event)
        else:
            self.assembler.ends(place, [offset for offset, _ in ends], [event for _, event in ends])
            self.assembler.passed(place, first + len(read) - 1)

    def take(self, room: int) -> None:
        before = self.assembler.delivered
        for found in self.assembler.take(room):
            behind = [sent for sent in self.expected if before is None or sent.commit.value > before.value]
            want = behind[0] if before is not None else next(s for s in behind if s.xid == found.xid)
            assert (found.xid, found.commit) == (want.xid, want.commit)
            if not found.blind:
                assert found.changes == want.changes
            before = found.commit
            self.delivered.append(found.commit)
        assert self.assembler.noticed() == ()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 3), st.integers(0, 3), st.sampled_from([3, 1000]))
def test_every_transaction_once_in_commit_order(seed: int, crashes: int, restarts: int, keep_max: int) -> None:
    random = Random(seed)
    sent = transactions(random, random.randint(1, 12))
    reader = Reader(send(random, sent, crashes=crashes), sent)
    states: list[State] = [({}, Lsn(0))]
    reader.open(states[0], keep_max)
    while True:
        more = reader.step(random)
        if random.random() < 0.5 or not more:
            reader.take(random.randint(1, 8))
            states.append(reader.state())
        if restarts and (random.random() < 0.1 or not more):
            restarts -= 1
            reader.open(random.choice(states), keep_max)
        elif not more:
            break
    reader.take(10_000)
    assert reader.assembler.delivered == sent[-1].commit
    assert set(reader.delivered) == {transaction.commit for transaction in sent}


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 2))
def test_the_first_start_misses_nothing_behind_its_first_barrier(seed: int, crashes: int) -> None:
    random = Random(seed)
    sent = transactions(random, random.randint(1, 12))
    topics = send(random, sent, crashes=crashes)
    then = random.randint(0, len(topics.appended))
    later = random.randint(then, len(topics.appended))
    ends = {place: topics.appended[:then].count(place) for place in topics.logs}
    ends[TRANSACTIONS] = topics.appended[:later].count(TRANSACTIONS)
    reader = Reader(topics, sent)
    reader.open((ends, None), 1000)
    first: Lsn | None = None
    while reader.step(random):
        if random.random() < 0.5:
            reader.take(random.randint(1, 8))
        if reader.assembler.delivered is None:
            assert reader.assembler.cut() == {}
        elif first is None:
            first = reader.assembler.delivered
    reader.take(10_000)
    if any(isinstance(event, End) for event in topics.logs[TRANSACTIONS][ends[TRANSACTIONS] :]):
        assert reader.assembler.delivered == sent[-1].commit
    first = first or reader.assembler.delivered
    if first is not None:
        behind = [transaction.commit for transaction in sent if transaction.commit.value > first.value]
        assert [commit for commit in dict.fromkeys(reader.delivered) if commit in behind] == behind


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**63), st.integers(0, 3))
def test_what_was_sent_again_does_not_pile_up(seed: int, crashes: int) -> None:
    """Once a later transaction was delivered from every partition, nothing is kept and a restart rereads nothing."""
    random = Random(seed)
    everywhere = tuple(Change(TableName("s", name), (key,), Operation.UPDATE) for name in "abc" for key in (0, 1))
    first, later = transactions(random, 12), Sent(99, Lsn(9900), everywhere)
    reader = Reader(send(random, first, crashes=crashes), [*first, later])
    for message in later.messages(2):  # once: behind a copy of it nothing would lie
        reader.topics.append(message)
    states: list[State] = [({}, Lsn(0))]
    for _ in range(3):
        reader.open(random.choice(states), 1000)
        while reader.step(random):
            reader.take(8)
            states.append(reader.state())
        reader.take(10_000)
        assert reader.assembler.delivered == Lsn(9900)
        assert reader.assembler.held.kept == 0
        assert reader.assembler.cut() == {place: len(log) for place, log in reader.topics.logs.items()}
