"""Leaders with global transaction ids, and the visibility rule over them, in steps for the explorer.

MySQL: a transaction is written to the binlog (and owned), becomes visible, and only then is in the executed set; a
replica takes the same steps for each transaction that it applies. MariaDB: a transaction is written to the binlog, and
becomes visible in that order; a replica shows it together with its row in the table of positions, and then tells it in
the variable. `chain` transactions change the row that is judged, one after the other; `others` a second row. Unless
`ordered`, engines commit the others before or after the chain as they like: MySQL on both sides, MariaDB in a domain of
their own on the replica.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from interleavings.gathering import Gathered, Gathering, unanswered
from interleavings.reachable import reachable
from verifier.change import Batch, Change, Operation, Transaction
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.look import Look, Publishes
from verifier.position import Position
from verifier.table import Key, TableName
from verifier.view import Shown
from verifier.visibility import judge
from verifier.window import TransactionWindow

TABLE = TableName("db", "t")
JUDGED: Key = (1,)
OTHER: Key = (2,)
_ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


class Engine(enum.Enum):
    MARIADB = "mariadb"
    MYSQL = "mysql"


class Step(enum.IntEnum):
    """How far one server is with a transaction. Told: by a variable of the server."""

    NONE = 0
    LOGGED = 1  # on a replica: being applied
    VISIBLE = 2
    TOLD = 3


class Seen(enum.Enum):
    """What a rule may find out in one step; each on the leader and on the follower."""

    TOLD = "the transactions told by the variable"
    OWNED = "those being committed or applied"
    LOOK = "those visible"
    LOG = "the log"


Asked = tuple[str, Seen]
Held = frozenset[tuple[int, int]]
"""Transactions with their numbers, which rise along the log."""


@dataclass(frozen=True, slots=True)
class State:
    """Steps by transaction, and the order of the leader's log."""

    leader: tuple[Step, ...]
    follower: tuple[Step, ...]
    log: tuple[int, ...] = ()


@dataclass(slots=True)
class Servers:
    """All states that can be reached, numbered, with their successors and what can be seen in each."""

    engine: Engine
    chain: int
    others: int
    ordered: bool
    states: list[State] = field(default_factory=list)
    successors: list[list[int]] = field(default_factory=list)
    seen: dict[Any, list[object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        none = (Step.NONE,) * (self.chain + self.others)
        self.states, self.successors = reachable(State(none, none), self._steps)
        for who in ("leader", "follower"):
            for what in Seen:
                self.seen[who, what] = [self._see(state, who, what) for state in self.states]

    def _steps(self, state: State) -> Iterator[State]:
        for tx in range(self.chain + self.others):
            at = state.leader[tx]
            held = 0 < tx < self.chain and state.leader[tx - 1] < Step.VISIBLE  # the row is locked
            if at is Step.NONE and not held:
                yield replace(state, leader=_with(state.leader, tx), log=(*state.log, tx))
            elif self._commits(state, tx):
                yield replace(state, leader=_with(state.leader, tx))
            if tx in state.log and self._follows(state, tx):
                yield replace(state, follower=_with(state.follower, tx))

    def _commits(self, state: State, tx: int) -> bool:
        at = state.leader[tx]
        if at is Step.LOGGED:
            return self._may_show(state, state.leader, tx, self.ordered or self._mariadb)
        return at is Step.VISIBLE and not self._mariadb  # nobody asks MariaDB for its variable

    def _follows(self, state: State, tx: int) -> bool:
        at = state.follower[tx]
        if at is Step.LOGGED:
            return self._may_show(state, state.follower, tx, self.ordered)
        if at is Step.VISIBLE and self._mariadb:  # its variable tells one transaction after the other
            return self._before(state, tx, self.ordered, state.follower, Step.TOLD)
        return at is not Step.TOLD

    def _may_show(self, state: State, steps: tuple[Step, ...], tx: int, ordered: bool) -> bool:
        return self._before(state, tx, ordered, steps, Step.VISIBLE)

    def _before(self, state: State, tx: int, ordered: bool, steps: tuple[Step, ...], least: Step) -> bool:
        """Have all that must come before it come so far?"""
        before = state.log[: state.log.index(tx)]
        alike = [one for one in before if ordered or (one < self.chain) is (tx < self.chain)]
        return all(steps[one] >= least for one in alike)

    def _see(self, state: State, who: str, what: Seen) -> Held:
        steps = state.leader if who == "leader" else state.follower
        wanted = {
            Seen.TOLD: (Step.TOLD,),
            Seen.OWNED: (Step.LOGGED, Step.VISIBLE),
            Seen.LOOK: (Step.VISIBLE, Step.TOLD),
            Seen.LOG: (Step.LOGGED, Step.VISIBLE, Step.TOLD),
        }[what]
        return frozenset((tx, number) for number, tx in enumerate(state.log, 1) if steps[tx] in wanted)

    @property
    def _mariadb(self) -> bool:
        return self.engine is Engine.MARIADB


def _with(steps: tuple[Step, ...], tx: int) -> tuple[Step, ...]:
    return (*steps[:tx], Step(steps[tx] + 1), *steps[tx + 1 :])


@dataclass(frozen=True, slots=True)
class IdentifiedRule(Gathering):
    """DESIGN 3.1 with two positions on each side. Both looks come in any order, then the barrier, then the stream is
    read. `joins`: the stream starts at some moment, not at the beginning. `without` takes one condition away."""

    servers: Servers
    joins: bool = False
    prunes: bool = False
    without: str = ""

    def told(self, state: Hashable, what: Asked, answer: Any) -> Gathered:
        assert isinstance(state, Gathered)
        name = self.named(state, what)
        answers = {**dict(state.answers), name: answer}
        whose, _, told = name.partition(" ")
        if told in ("high", "told") and self.without in ("", "holes"):  # together they say what may be visible by now
            answers[f"{whose} owned"], answers[name] = answers[f"{whose} owned"] | answer, frozenset()
        return Gathered(tuple(sorted(answers.items(), key=lambda one: one[0])))

    def verdict(self, state: Hashable) -> str:
        assert isinstance(state, Gathered)
        leader, follower = self._leader(state), self._follower(state)
        window = self._window(state)
        if self.prunes:
            window.prune([leader.view], [follower.low])
        early = self.without == "barrier behind the looks"
        barrier = self._ids(frozenset()) if early else self._logged(state, "barrier")
        flight = window.in_flight(TABLE, leader, follower, Publishes.TOGETHER, barrier=barrier)
        verdicts = judge({JUDGED: leader.value}, {JUDGED: follower.value}, flight, [JUDGED])
        if verdicts.in_flight:
            return "undecided"
        return "drift: mismatched" if verdicts.drifted else "equal"

    def asks(self, name: str) -> Asked:
        return _ASKS[name]

    def following(self, state: Gathered) -> list[str]:
        """The last thread waits for the others."""
        *early, late = self._threads()
        return unanswered(state, *early) or unanswered(state, late)

    def _threads(self) -> tuple[tuple[str, ...], ...]:
        if self._mariadb:
            ours, theirs, barrier, begin = ("our look",), ("their low", "their look"), ("barrier log",), (
                ("begin log", "mark log")
            )  # fmt: skip
        else:
            ours = ("our low", "our look", "our owned", "our high")
            theirs = ("their low", "their look", "their owned", "their high")
            barrier = ("barrier owned", "barrier told")
            begin = ("begin owned", "begin told", "mark owned", "mark told")
        joined = (begin,) if self.joins else ()
        if self.without == "barrier behind the looks":
            return (*joined, ours, theirs, ("log",), ())
        if self.without == "what is owned (barrier)":  # only a stream that was read no further tells the difference
            return (*joined, ours, theirs, ("log",), barrier)
        return (*joined, ours, theirs, (*barrier, "log"))

    def _leader(self, state: Gathered) -> Look[int]:
        visible = state["our look"]
        version = sum(tx < self.servers.chain for tx, _ in visible)
        if self._mariadb:
            place = _place(visible)  # what is visible is always the beginning of the log
            return Look(version, place, place, Shown(place))
        early = self.without != "the leader's set before its look"
        low, high = self._ids(state["our low" if early else "our high"]), self._logged(state, "our")
        return Look(version, low, high, Shown(low))

    def _follower(self, state: Gathered) -> Look[int]:
        visible = state["their look"]
        version = sum(tx < self.servers.chain for tx, _ in visible)
        low = self._ids(state["their low"])
        if self._mariadb:
            high = low if self.without == "the table of positions" else self._ids(visible)
        else:
            if self.without == "the follower's set before its look":
                low = self._ids(state["their high"])
            if self.without == "holes":
                last = max((number for _, number in state["their low"]), default=0)
                low = self._ids(frozenset((0, number) for number in range(1, last + 1)))
            high = self._logged(state, "their")
        return Look(version, low, high, Shown(low))

    def _logged(self, state: Gathered, whose: str) -> Position:
        """What may be visible by now: MySQL's ids that were owned and then those executed; MariaDB's log."""
        if self._mariadb:
            return Logged(self._ids(state[f"{whose} log"]), _place(state[f"{whose} log"]))
        told = state.get(f"{whose} told") or state.get(f"{whose} high") or frozenset()
        owned = frozenset[tuple[int, int]]() if self.without == f"what is owned ({whose})" else state[f"{whose} owned"]
        return self._ids(owned | told)

    def _window(self, state: Gathered) -> TransactionWindow:
        window, begin = TransactionWindow(), self._ids(frozenset())
        begin = self._logged(state, "begin") if self.joins else self._read(frozenset(), begin)
        window.begin(begin)
        unmarked = not self.joins or self.without == "mark of the stream's start"
        window.set_mark(self._read(frozenset(), self._ids(frozenset())) if unmarked else self._logged(state, "mark"))
        log = sorted(state["log"], key=lambda one: one[1])
        arrived = [self._transaction(tx, number) for tx, number in log]
        half = len(arrived) // 2
        window.add(Batch(tuple(arrived[:half]), self._read(frozenset(log[:half]), begin)))
        window.add(Batch(tuple(arrived), self._read(frozenset(log), begin)))  # what came before comes again
        return window

    def _transaction(self, tx: int, number: int) -> Transaction:
        key = JUDGED if tx < self.servers.chain else OTHER
        commit = Logged(self._ids(frozenset({(tx, number)})), _place(frozenset({(tx, number)})))
        return Transaction(0, commit, 0.0, (Change(TABLE, key, Operation.UPDATE),))

    def _read(self, log: Held, begin: Position) -> Position:
        """Through where the stream has been read."""
        known = begin.gtids if isinstance(begin, Logged) else begin
        ids = self._ids(log)
        if isinstance(ids, GtidSet):
            return ids.union(known) if isinstance(known, GtidSet) else ids
        assert isinstance(known, DomainGtids)
        place = begin.binlog if isinstance(begin, Logged) else _place(frozenset())
        return Logged(ids.union(known), max((_place(log), place), key=lambda one: one.offset))

    def _ids(self, held: Held) -> DomainGtids | GtidSet:
        if self._mariadb:
            apart = 0 if self.servers.ordered else 1
            return DomainGtids.of((apart * (tx >= self.servers.chain), 1, number) for tx, number in held)
        return GtidSet.of({_ORIGIN: [(number, number) for _, number in held]})

    @property
    def _mariadb(self) -> bool:
        return self.servers.engine is Engine.MARIADB


def _place(log: Held) -> Binlog:
    """Behind the last of them."""
    return Binlog("b.000001", 10 * max((number for _, number in log), default=0))


_WHO = {"our": "leader", "their": "follower", "barrier": "leader", "begin": "leader", "mark": "leader"}
_WHAT = {
    "low": Seen.TOLD,
    "look": Seen.LOOK,
    "owned": Seen.OWNED,
    "high": Seen.TOLD,
    "told": Seen.TOLD,
    "log": Seen.LOG,
}
_ASKS: dict[str, Asked] = {
    **{f"{whose} {what}": (who, seen) for whose, who in _WHO.items() for what, seen in _WHAT.items()},
    "log": ("leader", Seen.LOG),
}
