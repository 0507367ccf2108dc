"""A table without a key on one follower: the two multisets of row hashes, compared by the rules of evidence.

Equal digests are a match if the leader's did not change around the follower's. Otherwise both sides are counted hash by
hash. If the leader stood still meanwhile, what differs is proven (`verifier.stillness`). If it did not, the hashes that
differed are looked at again, each follower's look behind everything that the leader's showed, until enough looks one
after the other have found the very same two counts: equal, or different (probable, `repeated`). What keeps changing is
in flight, and unverified in the end. Rows cannot be named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from trueup.audit.report import Json, Tally, how_compared, table_entry
from trueup.audit.tools import Tools
from verifier.compare import NO_KEY, Comparison
from verifier.digest import EMPTY, MODULUS, Digest
from verifier.drift import Certainty, Evidence, Method, Verdict
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.journal import ChunkResult
from verifier.keyrange import ALL, Chunk
from verifier.look import Look, Publishes
from verifier.multiset import MULTISET_MAX, Surplus, Suspects
from verifier.ports import Placed
from verifier.position import NOWHERE, Position
from verifier.stillness import StillPoint, snapshot_evidence, still_point, unsettled
from verifier.table import Table
from verifier.window import Settled

REPEATS = 8
"""Looks that must find the same two counts of a hash, one after the other. More than for a row by its key: equal rows
come and go, and counts that change back and forth between few values can look steady, or equal, for a while."""
_POLL_SECONDS = 0.05
_PAUSE_SECONDS = 0.2
_MOVED = "rows that differed kept changing while they were looked at"
_UNADDRESSED = "rows cannot be addressed, because the table has no key: they were counted by their content"


_Value: TypeAlias = tuple[Digest, Mapping[int, int] | None]


class _TooLate(Exception):
    """Patience ended; says what for."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """One look at each side. `evidence` is there if they compare plainly. `counts` is None where there are too many
    rows to count each hash: the digests alone are compared then."""

    leader: Digest
    follower: Digest
    counts: tuple[Mapping[int, int], Mapping[int, int]] | None
    evidence: Evidence | None
    positions: Mapping[str, str]

    @property
    def equal(self) -> bool:
        return self.leader == self.follower


@dataclass(slots=True)
class MultisetAudit:
    """One keyless table on one follower. After `run`: counts in `tally`, why it is in doubt in `problem`; `missed` if a
    server stayed away, `interrupted` if the user stopped it."""

    tools: Tools
    follower: str
    replica: Placed
    compared: Comparison
    leader: Placed
    tally: Tally = field(default_factory=Tally)
    problem: str | None = None
    missed: bool = False
    interrupted: bool = False
    exact: bool = True
    evidence: Evidence | None = None
    in_flight: int = 0
    _waited: float = 0.0
    """Seconds that brakes took, which are no part of anybody's patience."""
    _follows: bool = True
    _blind: bool = False
    _last: _Pair = field(default_factory=lambda: _Pair(EMPTY, EMPTY, None, None, {}))
    """The latest looks, without their counts."""

    def run(self) -> None:
        """Never raises what a server says: it is the table's `problem`."""
        since: float | None = None
        while True:
            try:
                self._judge()
                return
            except _TooLate as late:
                self.problem = str(late)
                return
            except Permanent as problem:
                self.problem = str(problem)
                return
            except Temporary as problem:
                now = self.tools.clock.now()
                since = now if since is None else since
                if self.tools.stop() or now - since > self.tools.retry_seconds:
                    self.problem, self.missed = str(problem), True
                    return
                self.tools.clock.sleep(problem.delay_seconds)

    def entry(self, scheme: str, why: str, seconds: float) -> Json:
        """The report's element for this table and follower."""
        compared = self.compared
        problem = self.problem or (compared.problem if compared.problem != NO_KEY else None)
        how: dict[str, Any] = how_compared(compared, why)
        in_flight = [f"{self.in_flight} more row hashes kept changing while they were looked at"]
        how["remarks"] = [_UNADDRESSED, *how["remarks"], *(in_flight if self.in_flight else ())]
        how["multiset"] = {
            "exact": self.exact,
            "evidence": self.evidence.certainty.value if self.evidence else None,
            "method": self.evidence.method.value if self.evidence else None,
            "positions": dict(self.evidence.positions) if self.evidence else {},
        }
        return table_entry(
            compared.leader.name,
            self.follower,
            self.tally,
            scheme=scheme,
            excluded=compared.excluded,
            findings=compared.findings,
            problem=problem,
            seconds=seconds,
            how=how,
        )

    def _judge(self) -> None:
        began = self.tools.clock.now()
        ours, theirs = self._glance()
        if ours == theirs:
            self._found(Verdict.MATCH, ours, theirs)
            return
        deadline = began + self.tools.settle.give_up_seconds
        countable = max(ours.rows, theirs.rows) <= MULTISET_MAX
        pair = self._look(deadline, countable=countable)
        suspects = _suspects(pair)
        times = 1
        while not self._decided(pair, suspects, times):
            try:
                self._pause(deadline, _MOVED)
                before = (pair.leader, pair.follower)
                del pair  # two sides of counts are held at a time, not four
                pair = self._look(deadline, countable=countable)
            except _TooLate:
                if self.interrupted or suspects is None or not (self._repeatable and suspects.steady(REPEATS)):
                    raise
                self._repeated(suspects)
                return
            times = times + 1 if (pair.leader, pair.follower) == before else 1
            suspects = suspects.looked(*pair.counts, REPEATS) if suspects and pair.counts else _suspects(pair)
        self._conclude(pair, suspects)

    def _glance(self) -> tuple[Digest, Digest]:
        """The two digests. They are told as equal only if the leader's was the same before and after the follower's
        look: a row that came in between can make up for one that is missing, because rows have no keys."""
        leader, table = self.leader, self.compared.leader
        self._hold()
        mark = leader.mark()
        ours = leader.digest(table, ALL)
        self._spent(ours.value.rows)
        theirs = self.replica.digest(self.compared.follower, ALL).value
        if ours.value == theirs and not (leader.mark() == mark and ours.view.ended_below(mark)):
            self._spent(ours.value.rows)
            return leader.digest(table, ALL).value, theirs
        return ours.value, theirs

    def _decided(self, pair: _Pair, suspects: Suspects | None, times: int) -> bool:
        """Whether the looks are enough. `times`: how many in a row have found the same two digests."""
        if pair.evidence is not None or (pair.equal and times > 1):
            return True
        if suspects is None:
            return self._repeatable and times >= REPEATS
        return len(suspects) == 0 or (self._repeatable and suspects.steady(REPEATS) == len(suspects))

    def _conclude(self, pair: _Pair, suspects: Suspects | None) -> None:
        if pair.equal or (suspects is not None and not len(suspects)):
            self._found(Verdict.MATCH, pair.leader, pair.follower)
        elif pair.evidence is None and suspects is not None:
            self._repeated(suspects)
        else:
            self.exact = pair.counts is not None
            told = Suspects.between(*pair.counts).surplus() if pair.counts else _by_count(pair.leader, pair.follower)
            self._differs(told, pair.evidence or _by_repetition(pair))

    def _repeated(self, suspects: Suspects) -> None:
        self.in_flight = len(suspects) - suspects.steady(REPEATS)
        self._differs(suspects.surplus(REPEATS), _by_repetition(self._last))

    def _differs(self, told: Surplus, evidence: Evidence) -> None:
        self.evidence = evidence
        self.tally.kinds.update(missing=told.leader, extra=told.follower)
        self._found(Verdict.DRIFT, self._last.leader, self._last.follower)

    def _found(self, verdict: Verdict, ours: Digest, theirs: Digest) -> None:
        name = self.compared.leader.name
        self.tally.add(ChunkResult(Chunk(name, ALL, 0), self.follower, verdict, ours, theirs))
        self.tools.watcher.rows_read(name, ours.rows, suspects=0, drifted=sum(self.tally.kinds.values()))

    def _look(self, deadline: float, *, countable: bool) -> _Pair:
        """Both sides, the follower's look behind everything that the leader's shows."""
        leader, compared = self.leader, self.compared
        self._hold()
        mark = leader.mark()
        ours = _read(leader, compared.leader, countable)
        self._spent(ours.value[0].rows)
        position = self._written()
        point = still_point(mark, ours.view, position)
        theirs, settled = self._follow(position, deadline, countable)
        evidence = None
        if point is not None and self._plain(point, ours, theirs, settled):
            evidence = snapshot_evidence(point, theirs)
        (left, ours_counts), (right, their_counts) = ours.value, theirs.value
        counts = None if ours_counts is None or their_counts is None else (ours_counts, their_counts)
        positions = {"leader": position.text(), "follower_high": theirs.high.text()}
        self._last = _Pair(left, right, None, evidence, positions)
        return replace(self._last, counts=counts)

    @property
    def _repeatable(self) -> bool:
        """Looks that find the same again and again may decide: the follower is behind what the leader shows, or nobody
        can tell where either stands. (Not where a leader that can tell has moved, and the follower follows nobody.)"""
        return self._follows or self._blind

    def _written(self) -> Position:
        """How far the leader's log is written. A leader that tells none cannot be followed, nor seen to stand still."""
        try:
            return self.leader.position()
        except Forbidden:
            raise
        except Permanent:
            self._blind, self._follows = True, False
            return NOWHERE

    def _plain(self, point: StillPoint, ours: Look[_Value], theirs: Look[_Value], settled: Settled | None) -> bool:
        after = self.leader.mark(theirs.high)
        if not self._follows:  # it is never late, and compares plainly with a leader that stood still
            return after == point.mark
        return not unsettled(point, ours, theirs, self.replica.publishes, mark_after=after, settled=settled)

    def _follow(self, position: Position, deadline: float, countable: bool) -> tuple[Look[_Value], Settled | None]:
        """The follower, once it shows everything through `position`."""
        replica, table = self.replica, self.compared.follower
        first = replica.publishes is Publishes.BEFORE_SHOWING
        settled: Settled | None = None
        while self._follows:
            try:
                applied = replica.position()
            except Forbidden:
                raise
            except Permanent:
                self._follows = False
                break
            if applied.covers(position):
                settled = settled or (Settled(position, replica.mark()) if first else None)
                look = _read(replica, table, countable)
                if settled.holds_for(look) if settled else look.low.covers(position):
                    return look, settled
            self._pause(deadline, "waited for the follower to apply what the leader shows", _POLL_SECONDS)
        return _read(replica, table, countable), None

    def _hold(self) -> None:
        """Wait while a brake holds, and until the rate allows to read more: the table comes whole, and is paid for."""
        brakes, began = self.tools.brakes, self.tools.clock.now()
        if brakes is not None:
            brakes.hold(self.compared.leader.name)
            brakes.admit(0)
            self._waited += self.tools.clock.now() - began
            if self.tools.stop():
                self.interrupted = True
                raise _TooLate("stopped before the table was judged")

    def _spent(self, rows: int) -> None:
        """So many of the leader's rows were read."""
        if self.tools.brakes is not None:
            self.tools.brakes.read(0, rows)

    def _pause(self, deadline: float, why: str, seconds: float = _PAUSE_SECONDS) -> None:
        if self.tools.stop():
            self.interrupted = True
            raise _TooLate("stopped before the table was judged")
        if self.tools.clock.now() > deadline + self._waited:
            if not self._follows:
                why = "the follower follows nobody, and the leader was written to meanwhile; compare at rest"
            raise _TooLate(f"in flight for longer than {self.tools.settle.give_up_seconds:g} s: {why}")
        self.tools.clock.sleep(seconds)


def _read(replica: Placed, table: Table, countable: bool) -> Look[_Value]:
    if not countable:
        digest = replica.digest(table, ALL)
        return Look((digest.value, None), digest.low, digest.high, digest.view)
    look = replica.multiset(table)
    counts = look.value
    rows = total = 0
    for value, count in counts.items():
        rows, total = rows + count, (total + value * count) % MODULUS
    return Look((Digest(rows, total), counts), look.low, look.high, look.view)


def _suspects(pair: _Pair) -> Suspects | None:
    """None of two that are equal, or that cannot be counted."""
    return Suspects.between(*pair.counts) if pair.counts and not pair.equal else None


def _by_repetition(pair: _Pair) -> Evidence:
    return Evidence(Certainty.PROBABLE, Method.REPEATED, dict(pair.positions))


def _by_count(ours: Digest, theirs: Digest) -> Surplus:
    """What the digests alone tell: at least so many rows."""
    more = ours.rows - theirs.rows
    return Surplus(max(more, 0), max(-more, 0)) if more else Surplus(1, 1)
