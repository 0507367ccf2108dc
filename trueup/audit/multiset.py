"""A table without a key on one follower: the two multisets of row hashes, compared by the rules of evidence.

Equal digests are a match, as they are of a chunk. Otherwise both sides are counted hash by hash. If the leader stood
still meanwhile, what differs is proven (`verifier.stillness`). If it did not, only hashes count that several looks one
after the other found with the very same two counts, each follower's look behind everything that the leader's showed:
probable, and `repeated`. What keeps changing is in flight, and unverified in the end. Rows cannot be named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from trueup.audit.report import Json, Tally, how_compared, table_entry
from trueup.audit.tools import Tools
from verifier.compare import NO_KEY, Comparison
from verifier.digest import Digest
from verifier.drift import Certainty, Evidence, Method, Verdict
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.journal import ChunkResult
from verifier.keyrange import ALL, Chunk
from verifier.look import Look, Publishes
from verifier.multiset import MULTISET_MAX, Apart, Surplus
from verifier.ports import Replica
from verifier.position import Position
from verifier.stillness import StillPoint, snapshot_evidence, still_point, unsettled
from verifier.table import Table
from verifier.window import Settled

REPEATS = 8
"""Looks that must find the same two counts of a hash, one after the other. More than for a row by its key: equal rows
come and go, and a count that changes back and forth between few values can look steady for a while."""
_POLL_SECONDS = 0.05
_PAUSE_SECONDS = 0.2
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
    replica: Replica
    compared: Comparison
    tally: Tally = field(default_factory=Tally)
    problem: str | None = None
    missed: bool = False
    interrupted: bool = False
    exact: bool = True
    evidence: Evidence | None = None
    in_flight: int = 0
    _follows: bool = True

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
        ours = self.tools.leader.digest(self.compared.leader, ALL).value
        theirs = self.replica.digest(self.compared.follower, ALL).value
        if ours == theirs:
            self._found(Verdict.MATCH, ours, theirs)
            return
        deadline = began + self.tools.settle.give_up_seconds
        countable = max(ours.rows, theirs.rows) <= MULTISET_MAX
        pair = self._look(deadline, countable=countable)
        steady, times = _apart(pair), 1
        while not (pair.equal or pair.evidence):
            if times >= REPEATS and self._follows:
                break
            self._pause(deadline, "the rows that differ kept changing while they were looked at")
            before = replace(pair, counts=None)
            del pair  # two sides of counts are held at a time, not four
            pair = self._look(deadline, countable=countable)
            steady, times = _steadied(steady, before, pair, times)
        self._conclude(pair, steady)

    def _conclude(self, pair: _Pair, steady: Apart | None) -> None:
        if pair.equal:
            self._found(Verdict.MATCH, pair.leader, pair.follower)
            return
        self.evidence = pair.evidence or Evidence(Certainty.PROBABLE, Method.REPEATED, dict(pair.positions))
        self.exact = steady is not None
        whole = _apart(pair)
        if whole is None or steady is None:
            counted = _by_count(pair.leader, pair.follower)
        elif pair.evidence:
            counted = whole.surplus()
        else:
            counted, self.in_flight = steady.surplus(), len(whole) - len(steady)
        self.tally.kinds.update(missing=counted.leader, extra=counted.follower)
        self._found(Verdict.DRIFT, pair.leader, pair.follower)

    def _found(self, verdict: Verdict, ours: Digest, theirs: Digest) -> None:
        self.tally.add(ChunkResult(Chunk(self.compared.leader.name, ALL, 0), self.follower, verdict, ours, theirs))

    def _look(self, deadline: float, *, countable: bool) -> _Pair:
        """Both sides, the follower's look behind everything that the leader's shows."""
        leader, compared = self.tools.leader, self.compared
        mark = leader.mark()
        ours = _read(leader, compared.leader, countable)
        position = leader.position()
        point = still_point(mark, ours.view, position)
        theirs, settled = self._follow(position, deadline, countable)
        evidence = None
        if point is not None and self._plain(point, ours, theirs, settled):
            evidence = snapshot_evidence(point, theirs)
        (left, ours_counts), (right, their_counts) = ours.value, theirs.value
        counts = None if ours_counts is None or their_counts is None else (ours_counts, their_counts)
        return _Pair(left, right, counts, evidence, {"leader": position.text(), "follower_high": theirs.high.text()})

    def _plain(self, point: StillPoint, ours: Look[_Value], theirs: Look[_Value], settled: Settled | None) -> bool:
        after = self.tools.leader.mark(theirs.high)
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

    def _pause(self, deadline: float, why: str, seconds: float = _PAUSE_SECONDS) -> None:
        if self.tools.stop():
            self.interrupted = True
            raise _TooLate("stopped before the table was judged")
        if self.tools.clock.now() > deadline:
            if not self._follows:
                why = "the follower follows nobody, and the leader was written to meanwhile; compare at rest"
            raise _TooLate(f"in flight for longer than {self.tools.settle.give_up_seconds:g} s: {why}")
        self.tools.clock.sleep(seconds)


def _read(replica: Replica, table: Table, countable: bool) -> Look[_Value]:
    if not countable:
        digest = replica.digest(table, ALL)
        return Look((digest.value, None), digest.low, digest.high, digest.view)
    look = replica.multiset(table)
    counts = look.value
    total = Digest(sum(counts.values()), sum(value * count for value, count in counts.items()) % (1 << 64))
    return Look((total, counts), look.low, look.high, look.view)


def _apart(pair: _Pair) -> Apart | None:
    return None if pair.counts is None else Apart.between(*pair.counts)


def _steadied(steady: Apart | None, before: _Pair, later: _Pair, times: int) -> tuple[Apart | None, int]:
    """What is left of the steady difference after one more look, and how many looks in a row have found it."""
    if steady is None or later.counts is None:
        same = (before.leader, before.follower) == (later.leader, later.follower)
        return steady, times + 1 if same else 1
    kept = steady.steady(*later.counts)
    return (kept, times + 1) if len(kept) else (_apart(later), 1)


def _by_count(ours: Digest, theirs: Digest) -> Surplus:
    """What the digests alone tell: at least so many rows."""
    more = ours.rows - theirs.rows
    return Surplus(max(more, 0), max(-more, 0)) if more else Surplus(1, 1)
