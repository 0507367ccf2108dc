"""Judge a batch of keys by the visibility rule (DESIGN 3.1): looks, then the stream, then verdicts.

First cheap looks at row hashes: most keys are equal. Only keys that differ are looked at again at once, as whole rows,
and that second pair of looks is judged by the rule on its own, so that the columns shown are the proven ones. Both
pairs wait for the stream together: a stream that is late costs its delay once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from verifier.bracketing import compared
from verifier.compare import Comparison
from verifier.drift import differing
from verifier.look import Look, Publishes, Row
from verifier.outcome import Again, Equal, Moving, Outcome
from verifier.ports import Gather, Replica
from verifier.position import Position
from verifier.table import Key, TableName
from verifier.visibility import digests, judge, visibility_evidence
from verifier.window import InFlight, Settled

_STREAM_POLL_SECONDS = 0.02


class Sight(Protocol):
    """The transaction window as a judgement needs it; the owner of the stream implements it (and locks)."""

    def in_flight(
        self,
        table: TableName,
        leader: Look[Any],
        follower: Look[Any],
        publishes: Publishes,
        *,
        barrier: Position,
        settled: Settled | None = None,
    ) -> InFlight: ...

    def read_through(self) -> Position | None: ...

    def tells(self, table: TableName) -> bool:
        """Does the stream tell every change of this table, asked of its source now? A table can leave a publication
        without a word in the stream, and what nobody tells of looks like drift."""
        ...

    def opened(self, leader: Look[Any], follower: Look[Any], name: str) -> int:
        """These looks wait to be judged: keep what they need. `name`: the follower's. Returns a ticket for `closed`."""
        ...

    def closed(self, ticket: int) -> None: ...


@dataclass(frozen=True, slots=True)
class _Looks:
    """A pair of looks with what the rule asks for around them, the barrier aside."""

    leader: Look[Any]
    follower: Look[Any]
    settled: Settled
    ticket: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    """All looks of an attempt, and the leader's position taken after the last of them. `closer` are the keys whose
    hashes differed; `rows` the looks at them (None: none differed)."""

    hashes: _Looks
    rows: _Looks | None
    closer: frozenset[Key]
    barrier: Position
    since: float


@dataclass(slots=True)
class VisibilityJudging:
    """One attempt at `keys` of one table on one follower. `give_up_seconds` after its looks without the stream having
    come far enough, the looks are dropped and every key is `Moving`."""

    leader: Replica
    follower: Replica
    compared: Comparison
    keys: Collection[Key]
    sight: Sight
    gather: Gather[Any]
    give_up_seconds: float = 30.0
    _waiting: _Waiting | None = None
    _tickets: list[int] = field(default_factory=list)

    def advance(self, now: float) -> Again | Mapping[Key, Outcome]:
        if self._waiting is None:
            try:
                self._waiting = self._look(now)
            except BaseException:
                self.abandon()
                raise
        waiting = self._waiting
        flights = [self._flight(looks, waiting) for looks in (waiting.hashes, waiting.rows) if looks is not None]
        late = [flight.why for flight in flights if not flight.ready]
        if late:
            if now - waiting.since < self.give_up_seconds:
                return Again(now + _STREAM_POLL_SECONDS)
            flights = [InFlight(all=True, why=late[0])] * len(flights)
        done = self._judge_hashes(waiting, flights[0])
        if waiting.rows is not None:
            done |= self._judge_rows(waiting, waiting.rows, flights[1])
        self.abandon()
        return done

    def abandon(self) -> None:
        """Forget the open looks: the window need not keep anything for them."""
        for ticket in self._tickets:
            self.sight.closed(ticket)
        self._tickets.clear()
        self._waiting = None

    def _look(self, now: float) -> _Waiting:
        ours, theirs, keys = self.compared.leader, self.compared.follower, self.keys
        hashes = self._pair(
            [lambda: self.leader.point_digests(ours, keys), lambda: self.follower.point_digests(theirs, keys)]
        )
        closer = frozenset(key for key, _ in differing(hashes.leader.value, hashes.follower.value))
        rows = None
        if closer:
            rows = self._pair([lambda: self.leader.rows(ours, closer), lambda: self.follower.rows(theirs, closer)])
        return _Waiting(hashes, rows, closer, self.leader.position(), now)

    def _pair(self, calls: list[Callable[[], Look[Any]]]) -> _Looks:
        settled = Settled(self.follower.position(), self.follower.mark())
        leader, follower = self.gather(calls)
        ticket = self.sight.opened(leader, follower, self.follower.name)
        self._tickets.append(ticket)
        return _Looks(leader, follower, settled, ticket)

    def _flight(self, looks: _Looks, waiting: _Waiting) -> InFlight:
        return self.sight.in_flight(
            self.compared.leader.name,
            looks.leader,
            looks.follower,
            self.follower.publishes,
            barrier=waiting.barrier,
            settled=looks.settled,
        )

    def _judge_hashes(self, waiting: _Waiting, flight: InFlight) -> dict[Key, Outcome]:
        """The keys whose hashes were equal: they match, or are in flight even though both sides look alike."""
        equal = frozenset(self.keys) - waiting.closer
        verdicts = judge(waiting.hashes.leader.value, waiting.hashes.follower.value, flight, equal)
        done: dict[Key, Outcome] = dict.fromkeys(verdicts.matched, Equal())
        done.update(dict.fromkeys(verdicts.in_flight, Moving(verdicts.why or "in flight")))
        return done

    def _judge_rows(self, waiting: _Waiting, looks: _Looks, flight: InFlight) -> dict[Key, Outcome]:
        """The keys whose hashes differed, by the later looks alone."""
        ours: Mapping[Key, Row] = looks.leader.value
        theirs: Mapping[Key, Row] = looks.follower.value
        verdicts = judge(digests(ours), digests(theirs), flight, waiting.closer)
        done: dict[Key, Outcome] = dict.fromkeys(verdicts.matched, Equal())
        done.update(dict.fromkeys(verdicts.in_flight, Moving(verdicts.why or "in flight")))
        if verdicts.drifted and not self.sight.tells(self.compared.leader.name):
            done.update(dict.fromkeys(verdicts.drifted, Moving("the stream does not tell of this table")))
            return done
        through = self.sight.read_through()
        evidence = visibility_evidence(looks.leader, looks.follower, through or waiting.barrier)
        for key in verdicts.drifted:
            done[key] = compared(self.compared.leader, ours.get(key), theirs.get(key), evidence)
        return done
