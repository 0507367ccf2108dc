"""Judge a batch of keys by the visibility rule (DESIGN 3.1): looks, then the stream, then verdicts.

First cheap looks at row hashes: most keys are equal. Only keys that differ are looked at again at once, as whole rows,
and that second pair of looks is judged by the rule on its own, so that the columns shown are the proven ones. Both
pairs wait for the stream together: a stream that is late costs its delay once.

Keys that earlier looks could not judge because they are always in flight are *hot*: they are read as rows at once, and
where they are in flight again, the follower's row is held against the states that the stream told (`verifier.images`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from verifier.bracketing import compared
from verifier.compare import Comparison
from verifier.drift import Evidence, differing
from verifier.images import States, judge_image
from verifier.look import Look, Publishes, Row
from verifier.outcome import Again, Differs, Equal, Moving, Outcome
from verifier.ports import Gather, Replica
from verifier.position import Position
from verifier.table import Key, Table, TableName
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


class Seen(Protocol):
    """A leader as this rule asks it."""

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]: ...
    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]: ...
    def position(self) -> Position: ...


class Told(Protocol):
    """What the stream told of hot keys; the owner of the window implements it (and locks)."""

    def states(
        self,
        table: TableName,
        keys: Collection[Key],
        follower: Look[Any],
        publishes: Publishes,
        settled: Settled | None = None,
    ) -> Mapping[Key, States]:
        """Of those of `keys` whose states the stream told around a follower's look that may be judged."""
        ...


@dataclass(frozen=True, slots=True)
class _Looks:
    """A pair of looks with what the rule asks for around them, the barrier aside."""

    leader: Look[Any]
    follower: Look[Any]
    settled: Settled | None
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
    come far enough, the looks are dropped and every key is `Moving`. `hot`: those whose after-images are kept."""

    leader: Seen
    follower: Replica
    compared: Comparison
    keys: Collection[Key]
    sight: Sight
    gather: Gather[Any]
    give_up_seconds: float = 30.0
    hot: frozenset[Key] = frozenset()
    told: Told | None = None
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
        closer = self.hot.union(key for key, _ in differing(hashes.leader.value, hashes.follower.value))
        rows = None
        if closer:
            rows = self._pair([lambda: self.leader.rows(ours, closer), lambda: self.follower.rows(theirs, closer)])
        return _Waiting(hashes, rows, closer, self.leader.position(), now)

    def _pair(self, calls: list[Callable[[], Look[Any]]]) -> _Looks:
        settled = None
        if not self.follower.publishes.exact:
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
        through = self.sight.read_through()
        evidence = visibility_evidence(looks.leader, looks.follower, through or waiting.barrier)
        if self.told is not None and flight.judgeable and (hot := verdicts.in_flight & self.hot):
            done.update(self._by_images(self.told, looks, hot, evidence))
        for key in verdicts.drifted:
            done[key] = compared(self.compared.leader, ours.get(key), theirs.get(key), evidence)
        drifted = [key for key, outcome in done.items() if isinstance(outcome, Differs)]
        if drifted and not self.sight.tells(self.compared.leader.name):
            done.update(dict.fromkeys(drifted, Moving("the stream does not tell of this table")))
        return done

    def _by_images(
        self, told: Told, looks: _Looks, keys: frozenset[Key], evidence: Evidence
    ) -> Iterator[tuple[Key, Outcome]]:
        """Keys in flight that are always in flight: what the follower showed, held against what the stream told."""
        name, ours, theirs = self.compared.leader.name, looks.leader.value, looks.follower.value
        found = told.states(name, keys, looks.follower, self.follower.publishes, looks.settled)
        for key, states in found.items():
            state = {"state": states.shown[0].commit.text()}
            shown = replace(evidence, positions={**evidence.positions, **state})
            yield key, judge_image(self.compared.leader, states, ours.get(key), theirs.get(key), shown)
