"""A PostgreSQL leader, a connector that may go back and send again, and a sink that may go back to what it committed.

A transaction of the leader is written to the log (while it holds the row's lock) and then becomes visible. The
connector sends each one's row to a partition and then its END to the topic of transactions, at least once: after a
restart it goes on from any transaction that it has sent before. The sink puts the rows of the partition one after the
other, and commits, at any moment, how far it is; after a restart it goes on from there. `chain` transactions change the
row that is judged; `others` a second one, whose changes lie in the same partition. The reader of the stream has read
all that there is whenever it is asked; that it may be late is that it is asked early.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.event import End, RowEvent
from interleavings.gathering import Gathered, Gathering, unanswered
from interleavings.reachable import reachable
from verifier.change import Batch, Change, Operation
from verifier.furthest import Furthest, Place
from verifier.look import Look, Publishes
from verifier.offsets import AfterEnds, OffsetIndex
from verifier.position import Lsn
from verifier.table import Key, TableName
from verifier.view import NoView, Snapshot
from verifier.visibility import judge
from verifier.window import TransactionWindow

TABLE = TableName("public", "t")
JUDGED: Key = (1,)
OTHER: Key = (2,)
ROWS: Place = ("c.public.t", 0)
ENDS: Place = ("c.transaction", 0)
_FIRST_ID = 100
Sent = tuple[tuple[int, ...], tuple[int, ...]]
"""Transactions by the offsets of their rows, and of their ENDs."""


@dataclass(frozen=True, slots=True)
class State:
    """`log` in the order of commits; `cursor` is twice the place in the log that the connector is at, and one more once
    it has sent the row; `again` and `back` are the restarts that are left to connector and sink."""

    log: tuple[int, ...] = ()
    visible: frozenset[int] = frozenset()
    cursor: int = 0
    sent: Sent = ((), ())
    put: int = 0
    committed: int = 0
    again: int = 1
    back: int = 1


@dataclass(slots=True)
class SinkWorld:
    """All states that can be reached, numbered, with their successors and what can be seen in each."""

    chain: int = 2
    others: int = 0
    again: int = 1
    back: int = 1
    states: list[State] = field(default_factory=list)
    successors: list[list[int]] = field(default_factory=list)
    seen: dict[Any, list[object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.states, self.successors = reachable(State(again=self.again, back=self.back), self._steps)
        self.seen = {
            "leader look": [(self._version(one.visible), self._view(one)) for one in self.states],
            "log": [one.log for one in self.states],
            "committed": [one.committed for one in self.states],
            "follower look": [self._version(one.sent[0][: one.put]) for one in self.states],
            "sent": [one.sent for one in self.states],
        }

    def _steps(self, state: State) -> Iterator[State]:
        for tx in range(self.chain + self.others):
            held = 0 < tx < self.chain and tx - 1 not in state.visible  # the row is locked
            if tx not in state.log and not held:
                yield replace(state, log=(*state.log, tx))
            elif tx in state.log and tx not in state.visible:
                yield replace(state, visible=state.visible | {tx})
        rows, ends = state.sent
        at, sent = divmod(state.cursor, 2)
        if at < len(state.log):
            tx = state.log[at]
            more = (rows, (*ends, tx)) if sent else ((*rows, tx), ends)
            yield replace(state, cursor=state.cursor + 1, sent=more)
        if state.again:
            for earlier in range(0, state.cursor, 2):
                yield replace(state, cursor=earlier, again=state.again - 1)
        if state.put < len(rows):
            yield replace(state, put=state.put + 1)
        if state.committed < state.put:
            yield replace(state, committed=state.put)
            if state.back:
                yield replace(state, put=state.committed, back=state.back - 1)

    def _version(self, held: frozenset[int] | tuple[int, ...]) -> int:
        """Of the judged row: the leader's latest, or what the sink put last, which may be something again."""
        chain = [tx for tx in held if tx < self.chain]
        if isinstance(held, frozenset):
            return max(chain, default=-1) + 1
        return chain[-1] + 1 if chain else 0

    def _view(self, state: State) -> Snapshot:
        every = range(self.chain + self.others)
        hidden = frozenset(_FIRST_ID + tx for tx in every if tx not in state.visible)
        return Snapshot(min(hidden, default=_FIRST_ID + len(every)), _FIRST_ID + len(every), hidden)


@dataclass(frozen=True, slots=True)
class SinkRule(Gathering):
    """`verifier.offsets` with the visibility rule. `joins`: the reader begins at some moment, behind all that was
    delivered by then, and an earlier look has told a fence. `without` takes one condition away."""

    world: SinkWorld
    joins: bool = False
    without: str = ""

    def told(self, state: Hashable, what: str, answer: Any) -> Gathered:
        assert isinstance(state, Gathered)
        return Gathered((*state.answers, (self.named(state, what), answer)))

    def verdict(self, state: Hashable) -> str:
        assert isinstance(state, Gathered)
        found = {self._judged(state, rows_first) for rows_first in (True, False)}
        return next((one for one in found if one.startswith("drift")), "equal" if found == {"equal"} else "undecided")

    def asks(self, name: str) -> str:
        return _ASKS[name]

    def following(self, state: Gathered) -> list[str]:
        """The last thread waits for the others."""
        theirs: tuple[str, ...] = ("lo", "their look", "ends")
        if self.without == "offsets before the look":
            theirs = ("their look", "lo", "ends")
        last: tuple[str, ...]
        threads, last = [("our look",), (*(("begin", "fence") if self.joins else ()), *theirs)], ("barrier", "read")
        if self.without == "the barrier":
            threads, last = [*threads, ("read",)], ()
        if self.without == "read through the ends":  # the stream was read last before the look
            threads, last = [threads[0], ("ends", "lo", "their look")], ("barrier",)
        return unanswered(state, *threads) or unanswered(state, last)

    def _judged(self, state: Gathered, rows_first: bool) -> str:
        version, view = state.get("our look")
        log: tuple[int, ...] = state.get("barrier") or ()
        reader = _Reader(self.without, rows_first, self.world.chain)
        reader.begin(state.get("begin"))
        if self.joins:
            reader.read(state.get("fence"))
            reader.index.fence(_lengths(state.get("fence")), reader.index.epoch)
        reader.read(state.get("ends"))
        ends, epoch = _lengths(state.get("ends")), reader.index.epoch
        reader.index.fence(ends, epoch)
        low = reader.index.surely({ROWS: state.get("lo")}, [ROWS])
        if low is None:
            return "undecided"
        barrier = Lsn(10 * len(log))
        high = low if self.without == "the leader's position above" else barrier
        proviso = (
            None if self.without == "read through the ends" else AfterEnds(reader.index, {ROWS: ends[ROWS]}, epoch)
        )
        reader.read(state.get("read") or state.get("ends"))
        ours = Look(version, barrier, barrier, view)
        theirs = Look(
            state.get("their look"), low, high, NoView(), None if self.without == "read through the ends" else proviso
        )
        flight = reader.window.in_flight(TABLE, ours, theirs, Publishes.ROW_BY_ROW, barrier=barrier)
        verdicts = judge({JUDGED: ours.value}, {JUDGED: theirs.value}, flight, [JUDGED])
        if verdicts.in_flight:
            return "undecided"
        return "drift: mismatched" if verdicts.drifted else "equal"


class _Reader:
    """The stream as it is read: the real assembler, index and window, fed with what lies in the topics."""

    def __init__(self, without: str, rows_first: bool, chain: int) -> None:
        self.without, self.rows_first, self.chain = without, rows_first, chain
        settled = count(step=10).__next__  # whenever it is asked, ten seconds have passed
        self.index, self.window = OffsetIndex(settled), TransactionWindow()
        self.at = {ROWS: 0, ENDS: 0}
        self.commits: dict[int, Lsn] = {}

    def begin(self, sent: Sent | None) -> None:
        """At what was sent by then; None: at the beginning, before anything was."""
        known = 0
        for tx in (sent or ((), ()))[1]:
            self.commits.setdefault(tx, Lsn(10 * len(self.commits) + 10))
        known = 10 * len(self.commits)
        self.assembler = TransactionAssembler(Lsn(known))
        if self.without == "any wait for what is sent again":
            self.index.furthest = Blind()
        self.assembler.noted = _Deaf(self.index) if self.without == "copies" else self.index
        self.at = _lengths(sent or ((), ()))
        # What was read and not delivered by then is read again.
        open_rows = [offset for offset, tx in enumerate((sent or ((), ()))[0]) if tx not in self.commits]
        self.at[ROWS] = min([self.at[ROWS], *open_rows])
        self.assembler.begin_at(self.at, ENDS)
        self.window.begin(Lsn(known))
        self.window.set_mark(_FIRST_ID + max(self.commits, default=-1) + 1)
        self.index.read(dict(self.at), Lsn(known))
        if sent is None or self.without == "a begin that is unsettled":
            self._certain()

    def read(self, sent: Sent) -> None:
        rows, ends = sent
        for place in (ROWS, ENDS) if self.rows_first else (ENDS, ROWS):
            for offset in range(self.at[place], len(rows if place == ROWS else ends)):
                tx = (rows if place == ROWS else ends)[offset]
                if place == ROWS:
                    key = JUDGED if tx < self.chain else OTHER
                    change = Change(TABLE, key, Operation.UPDATE)
                    event = RowEvent(_FIRST_ID + tx, 1, TABLE, change, None, ("id",), None)
                    self.assembler.row(ROWS, offset, event)
                else:
                    commit = self.commits.setdefault(tx, Lsn(10 * len(self.commits) + 10))
                    end = End(_FIRST_ID + tx, commit, 1, (("public.t", 1),), 0.0)
                    self.assembler.boundary(ENDS, offset, end)
                self.at[place] = offset + 1
                if not self.rows_first:  # as soon as it can be; else only once all was read
                    self._take()
        self._take()
        self.index.read(self.assembler.cut(), self.assembler.delivered)
        if self.without == "any wait for what is sent again" and self.index.unsettled:
            self._certain()

    def _certain(self) -> None:
        """As if a new transaction had come."""
        self.index.ended()
        self.index.fence(dict(self.at), self.index.epoch)
        self.index.read(dict(self.at), self.assembler.delivered)

    def _take(self) -> None:
        taken = tuple(self.assembler.take(1000))
        self.window.add(Batch(taken, self.assembler.delivered))


class Blind(Furthest):
    """Does not see how far a partition had come, so that any new transaction ends the doubt."""

    def came(self, place: Place, xid: Hashable, number: int, *, seen: bool) -> None:
        pass


@dataclass(slots=True)
class _Deaf:
    """Does not hear of copies."""

    index: OffsetIndex
    furthest: Furthest = field(default_factory=Blind)

    def delivered(self, lasts: Any, before: Any) -> None:
        self.index.delivered(lasts, before)

    def ended(self) -> None:
        self.index.ended()

    def again(self) -> None:
        pass


def _lengths(sent: Sent) -> dict[Place, int]:
    return {ROWS: len(sent[0]), ENDS: len(sent[1])}


_ASKS = {
    "our look": "leader look",
    "lo": "committed",
    "their look": "follower look",
    "ends": "sent",
    "begin": "sent",
    "fence": "sent",
    "read": "sent",
    "barrier": "log",
}
