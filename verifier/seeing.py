"""Judge a batch of keys by the visibility rule (DESIGN 3.1): two looks, then the stream, then verdicts.

First cheap looks at row hashes: most keys are equal and done. Only keys that differ are looked at again as whole
rows, and that second pair of looks is judged by the rule on its own, so that the columns shown are the proven ones.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from verifier.bracketing import compared
from verifier.compare import Comparison
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
    """A pair of looks with what the rule asks for around them."""

    leader: Look[Any]
    follower: Look[Any]
    barrier: Position
    settled: Settled
    ticket: int


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
    _looks: _Looks | None = None
    _looked_at: float = 0.0
    _closer: frozenset[Key] = frozenset()
    _done: dict[Key, Outcome] = field(default_factory=dict)

    def advance(self, now: float) -> Again | Mapping[Key, Outcome]:
        if self._looks is None:
            self._look(now)
        looks = self._looks
        assert looks is not None
        flight = self._flight(looks)
        if not flight.ready:
            if now - self._looked_at < self.give_up_seconds:
                return Again(now + _STREAM_POLL_SECONDS)
            flight = InFlight(all=True, why=flight.why)
        self.sight.closed(looks.ticket)
        self._looks = None
        if self._closer:
            self._judge_rows(looks, flight)
            return self._done
        self._judge_digests(looks, flight)
        return self.advance(now) if self._closer else self._done

    def abandon(self) -> None:
        """Forget the open looks: the window need not keep anything for them."""
        if self._looks is not None:
            self.sight.closed(self._looks.ticket)
            self._looks = None

    def _look(self, now: float) -> None:
        keys = self._closer or self.keys
        ours, theirs = self.compared.leader, self.compared.follower
        settled = Settled(self.follower.position(), self.follower.mark())
        calls: list[Callable[[], Look[Any]]] = (
            [lambda: self.leader.rows(ours, keys), lambda: self.follower.rows(theirs, keys)]
            if self._closer
            else [lambda: self.leader.point_digests(ours, keys), lambda: self.follower.point_digests(theirs, keys)]
        )
        leader, follower = self.gather(calls)
        ticket = self.sight.opened(leader, follower, self.follower.name)
        try:
            barrier = self.leader.position()
        except BaseException:
            self.sight.closed(ticket)
            raise
        self._looks = _Looks(leader, follower, barrier, settled, ticket)
        self._looked_at = now

    def _flight(self, looks: _Looks) -> InFlight:
        return self.sight.in_flight(
            self.compared.leader.name,
            looks.leader,
            looks.follower,
            self.follower.publishes,
            barrier=looks.barrier,
            settled=looks.settled,
        )

    def _judge_digests(self, looks: _Looks, flight: InFlight) -> None:
        verdicts = judge(looks.leader.value, looks.follower.value, flight, self.keys)
        self._done.update(dict.fromkeys(verdicts.matched, Equal()))
        self._done.update(dict.fromkeys(verdicts.in_flight, Moving(verdicts.why or "in flight")))
        self._closer = frozenset(verdicts.drifted)

    def _judge_rows(self, looks: _Looks, flight: InFlight) -> None:
        ours: Mapping[Key, Row] = looks.leader.value
        theirs: Mapping[Key, Row] = looks.follower.value
        verdicts = judge(digests(ours), digests(theirs), flight, self._closer)
        self._done.update(dict.fromkeys(verdicts.matched, Equal()))
        self._done.update(dict.fromkeys(verdicts.in_flight, Moving(verdicts.why or "in flight")))
        if verdicts.drifted and not self.sight.tells(self.compared.leader.name):
            self._done.update(dict.fromkeys(verdicts.drifted, Moving("the stream does not tell of this table")))
            return
        through = self.sight.read_through()
        evidence = visibility_evidence(looks.leader, looks.follower, through or looks.barrier)
        for key in verdicts.drifted:
            self._done[key] = compared(self.compared.leader, ours.get(key), theirs.get(key), evidence)
