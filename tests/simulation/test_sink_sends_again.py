"""A sink's follower never lacks what its offsets are said to show, however often the connector sends again.

Random worlds: transactions with rows in two partitions, sent by a producer whose partitions do not wait for each other,
at least once; a sink that puts each partition's rows in their order, commits what it has put and goes back to it. The
real assembler and index read it all. Whatever is said to be shown for sure is held against the rows that the sink put.

A reader that begins again does not know how far partitions were. So where it does, none of them waits longer for what
others overtake than it waits itself: for a second in these worlds, which last for ten.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

import pytest
from interleavings.sink import Blind

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.event import End, RowEvent
from verifier import offsets
from verifier.change import Change, Operation
from verifier.furthest import Place
from verifier.offsets import SETTLE_SECONDS, AfterEnds, OffsetIndex
from verifier.position import Lsn, Position
from verifier.table import TableName

A, B, ENDS = ("c.public.a", 0), ("c.public.b", 0), ("c.transaction", 0)
_KEYS = 3


@dataclass
class SinkWorld:
    """`log`: the rows of each transaction, by partition and key. `sent`: what lies in each partition, by transaction,
    number in it and key. `cursors`: up to which transaction each partition was sent. `late_seconds`: how long what was
    sent first may be overtaken. `restarts`: the reader does, too."""

    chance: random.Random
    late_seconds: float = math.inf
    restarts: bool = False
    now: float = 0.0
    leads: list[tuple[float, int]] = field(default_factory=list)
    log: list[list[tuple[Place, int]]] = field(default_factory=list)
    sent: dict[Place, list[tuple[int, int, int]]] = field(default_factory=lambda: {A: [], B: [], ENDS: []})
    cursors: dict[Place, int] = field(default_factory=lambda: {A: 0, B: 0, ENDS: 0})
    put: dict[Place, int] = field(default_factory=lambda: {A: 0, B: 0})
    committed: dict[Place, int] = field(default_factory=lambda: {A: 0, B: 0})
    read: dict[Place, int] = field(default_factory=lambda: {A: 0, B: 0, ENDS: 0})
    certain: int = 0

    def __post_init__(self) -> None:
        self.index = OffsetIndex(lambda: self.now)
        self._begin(Lsn(0))

    def _begin(self, delivered: Position) -> None:
        self.assembler = TransactionAssembler(delivered)
        self.assembler.noted = self.index
        self.assembler.begin_at(self.read, ENDS)

    def step(self) -> None:
        self.now += self.chance.choice((0.01, 0.1))
        steps = (self._commit, self._send, self._put, self._note, self._read, self._again, self._back, self._look)
        self.chance.choices((*steps, self._restart), (3, 12, 8, 5, 6, 1, 1, 8, int(self.restarts)))[0]()
        lead = max(self.cursors.values())
        if not self.leads or self.leads[-1][1] < lead:
            self.leads.append((self.now, lead))
        due = max((lead for at, lead in self.leads if at <= self.now - self.late_seconds), default=0)
        for place in self.cursors:
            self._send_to(place, due)

    def _restart(self) -> None:
        """The reader begins again where it journaled to."""
        self.read, delivered = dict(self.assembler.cut()), self.assembler.delivered
        assert delivered is not None
        self.index.begin()
        self._begin(delivered)

    def _commit(self) -> None:
        mixed = ((A,), (B,), (A, B), (A, A))
        places = (B,) if len(self.log) // 6 % 2 else self.chance.choice(mixed)  # at times nobody writes to A
        self.log.append([(place, self.chance.randrange(_KEYS)) for place in places])

    def _send(self) -> None:
        """What comes next in one partition, whatever the others have sent by then."""
        place = self.chance.choice((A, B, ENDS))
        self._send_to(place, min(len(self.log), self.cursors[place] + self.chance.randint(1, 5)))

    def _send_to(self, place: Place, due: int) -> None:
        while (tx := self.cursors[place]) < due:
            self.cursors[place] += 1
            rows = [(tx, number, key) for number, (where, key) in enumerate(self.log[tx], 1) if where == place]
            self.sent[place] += [(tx, 0, 0)] if place == ENDS else rows

    def _again(self) -> None:
        """The connector begins anew, at or before the first transaction of which it had not sent all."""
        whole = min(self.cursors.values())
        begin = self.chance.randint(max(0, whole - 6), whole)
        self.cursors, self.leads = dict.fromkeys(self.cursors, begin), []

    def _put(self) -> None:
        place = self.chance.choice((A, B))
        self.put[place] = min(len(self.sent[place]), self.put[place] + self.chance.randint(1, 3))

    def _note(self) -> None:
        self.committed = dict(self.put)

    def _back(self) -> None:
        self.put = dict(self.committed)

    def _read(self, whole: bool = False) -> None:
        places = [A, B, ENDS]
        self.chance.shuffle(places)
        for place in places:
            most = len(self.sent[place]) - self.read[place]
            for _ in range(most if whole else self.chance.randint(0, most)):
                offset, (tx, number, key) = self.read[place], self.sent[place][self.read[place]]
                self.read[place] += 1
                if place == ENDS:
                    rows = self.log[tx]
                    end = End(tx + 1, Lsn(10 * tx + 10), len(rows), tuple((p[0][2:], 1) for p, _ in rows), 0.0)
                    self.assembler.boundary(ENDS, offset, end)
                else:
                    table = TableName("public", place[0][-1])
                    change = Change(table, (key,), Operation.UPDATE)
                    self.assembler.row(place, offset, RowEvent(tx + 1, number, table, change, None, ("id",), None))
        self.assembler.take(100)
        self.index.read(self.assembler.cut(), self.assembler.delivered)

    def _look(self) -> None:
        """As `verifier.fed` does it: offsets, the follower's rows, the ends; judged when all that was read."""
        place = self.chance.choice((A, B))
        committed = dict(self.committed)
        if self.chance.random() < 0.5:
            self._put()
        shown: dict[int, int] = {}
        for tx, _, key in self.sent[place][: self.put[place]]:
            shown[key] = tx
        epoch, ends = self.index.epoch, {one: len(rows) for one, rows in self.sent.items()}
        self.index.fence(ends, epoch)
        low = self.index.surely(committed, [place])
        proviso = AfterEnds(self.index, {place: ends[place]}, epoch, "" if low is not None else "nothing is certain")
        self._read(whole=True)
        if low is None or proviso.refused() or proviso.lacking():
            return
        self.certain += 1
        assert isinstance(low, Lsn)
        for tx in range(low.value // 10):
            for where, key in self.log[tx]:
                assert where != place or shown.get(key, -1) >= tx, (place, key, shown, low, self.sent[place])


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "BEGIN_SECONDS", SETTLE_SECONDS)


def walked(seed: int, late_seconds: float = math.inf, *, restarts: bool = False, blind: bool = False) -> int:
    world = SinkWorld(random.Random(seed), late_seconds, restarts)
    if blind:
        world.index.furthest = Blind()
    for _ in range(200):
        world.step()
    return world.certain


def test_what_offsets_are_said_to_show_is_shown(seeds: range) -> None:
    assert sum(walked(seed) for seed in seeds) > 300


def test_it_is_not_where_a_transaction_elsewhere_ends_the_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "SETTLE_SECONDS", 0.0)
    with pytest.raises(AssertionError):
        sum(walked(seed, blind=True) for seed in range(8_000))


def test_nor_is_more_said_by_a_reader_that_began_again(seeds: range) -> None:
    late = 0.9 * SETTLE_SECONDS
    assert sum(walked(seed, late, restarts=True) for seed in seeds) > 300


def test_it_would_be_if_it_did_not_wait_for_what_may_be_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offsets, "BEGIN_SECONDS", 0.0)
    with pytest.raises(AssertionError):
        sum(walked(seed, 0.9, restarts=True) for seed in range(8_000))
