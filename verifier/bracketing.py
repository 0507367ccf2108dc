"""Judge a batch of keys without a change stream: drives `verifier.bracket` over two replicas, and recognises stillness.

The leader's next mark is asked before the first read. If it is the same after the follower's read, and
nothing was running at the first read, the leader stood still all the while, and plain comparison is proof
(`verifier.stillness`): the second leader read is saved. Otherwise the bracket goes on as it was.

Engines without row versions cannot prove that a row stood still between two equal reads, unless their change stream
does (`verifier.standing`). There the same difference must be found by `REPEATS` brackets one after the other, with the
same contents on both sides each time, and is then `probable`, by method `repeated`. The same holds where the leader
tells neither a position nor whether it stood still (an engine of which trueup knows no log): two leader reads enclose
the follower's, and nothing more can be asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from verifier.bracket import Ask, Bracket, Finding, Rows, Stage
from verifier.bracket import Outcome as Found
from verifier.canonical import differing_columns
from verifier.compare import Comparison
from verifier.drift import Certainty, Evidence, Kind, Method
from verifier.errors import Forbidden, Misconfigured, Permanent
from verifier.look import Look, Publishes, Row
from verifier.outcome import Again, Differs, Equal, Moving, Outcome
from verifier.ports import Placed
from verifier.position import of_one_log
from verifier.standing import Witness
from verifier.stillness import StillPoint, snapshot_evidence, still_point, unsettled
from verifier.table import Key, Table, Value
from verifier.view import Mark, NoView
from verifier.window import Settled

_POLL_SECONDS = 0.02
_PAUSE_SECONDS = 0.15
REPEATS = 3


@dataclass(slots=True)
class BracketJudging:
    """One pass over `keys` of one table on one follower. A pass that takes longer than `give_up_seconds` (a follower
    that does not apply, a transaction that stays open) ends with every key `Moving`, naming what it waited for."""

    leader: Placed
    follower: Placed
    compared: Comparison
    keys: Collection[Key]
    give_up_seconds: float = 30.0
    witness: Witness | None = None
    """What proves that rows without versions stood still; None: nothing does."""
    _bracket: Bracket | None = None
    _mark: Mark = 0
    _point: StillPoint | None = None
    _began: float = 0.0
    _settled: Settled | None = None
    _polls: int = field(default=0)
    _steady: dict[Key, tuple[int, Finding]] = field(default_factory=dict)
    """How many brackets found the key to differ in the same way, one after the other, and what they found."""
    _done: dict[Key, Outcome] = field(default_factory=dict)

    def advance(self, now: float) -> Again | Mapping[Key, Outcome]:
        if self._bracket is None:
            self._bracket = Bracket(frozenset(self.keys), self.follower.publishes)
            self._began, self._mark = now, self.leader.mark()
        while True:
            bracket = self._bracket
            if bracket.stage is Stage.DONE:
                findings: Mapping[Key, Finding] | None = bracket.findings()
                if self.witness is not None and findings is not None:
                    findings = self.witness.testify(bracket, findings, now)
                return Again(now + _POLL_SECONDS) if findings is None else self._ended(findings, now)
            following = self._answer(bracket)
            if isinstance(following, _Enclosed):
                return self._ended(following.findings, now)
            if isinstance(following, dict):
                return self._done | following
            if following is bracket:
                if now - self._began > self.give_up_seconds:
                    return self._done | dict.fromkeys(bracket.keys, Moving(f"waited for: {bracket.stage.value}"))
                self._polls += 1
                return Again(now + min(0.5, _POLL_SECONDS * 1.3 ** min(self._polls, 20)))
            self._bracket = following

    def abandon(self) -> None:
        """Nobody asks any more: let go of what the witness keeps."""
        if self.witness is not None:
            self.witness.ended()

    def _ended(self, findings: Mapping[Key, Finding], now: float) -> Again | Mapping[Key, Outcome]:
        """One bracket has spoken."""
        if again := self._conclude(findings):
            self._start_over(again, now)
            return Again(now + _PAUSE_SECONDS)
        return self._done

    def _answer(self, bracket: Bracket) -> Bracket | _Enclosed | dict[Key, Outcome]:
        """Ask the one question that the bracket has now; the whole result if the leader turns out to stand still."""
        if bracket.ask is Ask.LEADER_ROWS:
            return bracket.looked(self._looked(bracket))
        if bracket.ask is Ask.LEADER_POSITION:
            try:
                position = self.leader.position()
            except (Forbidden, Misconfigured):
                raise
            except Permanent:
                return self._enclosed(bracket)
            if bracket.stage is Stage.P1 and bracket.r1 is not None:
                self._point = still_point(self._mark, bracket.r1.view, position)
            return bracket.stood(position)
        if bracket.ask is Ask.FOLLOWER_POSITION:
            try:
                position = self.follower.position()
            except (Forbidden, Misconfigured):
                raise
            except Permanent:
                return self._beside(bracket)
            if bracket.position is not None and not of_one_log(bracket.position, position):
                return self._beside(bracket)  # it follows, but somebody else
            return bracket.stood(position)
        if bracket.ask is Ask.FOLLOWER_MARK:
            mark = self.follower.mark()
            assert bracket.position is not None
            self._settled = Settled(bracket.position, mark)
            return bracket.marked(mark)
        if bracket.ask is Ask.FOLLOWER_ROWS:
            return bracket.looked(self.follower.rows(self.compared.follower, bracket.wanted))
        assert bracket.f1 is not None
        mark = self.leader.mark(bracket.f1.high)
        return self._still(bracket, mark) or bracket.marked(mark)

    def _looked(self, bracket: Bracket) -> Look[Rows]:
        look = self.leader.rows(self.compared.leader, bracket.wanted)
        if self.witness is not None and bracket.stage is Stage.R1:
            self.witness.began(look)
        return look

    def _still(self, bracket: Bracket, mark_after: Mark) -> dict[Key, Outcome] | None:
        """Every outcome at once, if the leader stood still from the first read to this mark."""
        if self._point is None or bracket.r1 is None or bracket.f1 is None:
            return None
        r1, f1 = bracket.r1, bracket.f1
        publishes = self.follower.publishes
        if publishes is not Publishes.BEFORE_SHOWING and not f1.low.covers(self._point.position):
            return None
        if unsettled(self._point, r1, f1, publishes, mark_after=mark_after, settled=self._settled):
            return None
        evidence = snapshot_evidence(self._point, f1)
        return {key: self._compared(r1.value.get(key), f1.value.get(key), evidence) for key in bracket.keys}

    def _beside(self, bracket: Bracket) -> _Enclosed | dict[Key, Outcome]:
        """The follower tells no position: it follows nobody, so it is never late, and compares plainly with a leader
        that stood still. (A restored backup, an idle copy.)"""
        assert bracket.r1 is not None
        if self._point is None and isinstance(bracket.r1.view, NoView):
            return self._enclosed(bracket)
        ours, look = bracket.r1.value, self.follower.rows(self.compared.follower, bracket.keys)
        theirs = look.value
        if self._point is not None and self.leader.mark() == self._point.mark:
            evidence = snapshot_evidence(self._point, look)
            return {key: self._compared(ours.get(key), theirs.get(key), evidence) for key in bracket.keys}
        why = Moving("the follower follows nobody, and the leader was written to while they were read; compare at rest")
        return {key: Equal() if self._same(ours.get(key), theirs.get(key)) else why for key in bracket.keys}

    def _enclosed(self, bracket: Bracket) -> _Enclosed:
        """The leader cannot tell whether it stood still: it is read again after the follower, where they differ. What
        nobody can place in time is never proven."""
        assert bracket.r1 is not None
        ours = bracket.r1.value
        theirs = self.follower.rows(self.compared.follower, bracket.keys).value
        differing = [key for key in bracket.keys if not self._same(ours.get(key), theirs.get(key))]
        again: Rows = self.leader.rows(self.compared.leader, differing).value if differing else {}
        findings = dict.fromkeys(bracket.keys, Finding(Found.EQUAL))
        for key in differing:
            first, second, other = ours.get(key), again.get(key), theirs.get(key)
            if self._same(second, other):
                continue
            if not _equal(first, second):
                findings[key] = Finding(Found.MOVING)
                continue
            kind = Kind.EXTRA if second is None else Kind.MISSING if other is None else Kind.MISMATCHED
            evidence = Evidence(Certainty.PROBABLE, Method.REPEATED)
            findings[key] = Finding(Found.STEADY, kind, second, other, evidence)
        return _Enclosed(findings)

    def _conclude(self, findings: Mapping[Key, Finding]) -> list[Key]:
        """Take in what one bracket found; returns the keys that need another one before anything is said."""
        again: list[Key] = []
        for key, finding in findings.items():
            if finding.outcome is Found.STEADY:
                times, before = self._steady.get(key, (0, finding))
                times = times + 1 if _alike(before, finding) else 1
                self._steady[key] = (times, finding)
                if times < REPEATS:
                    again.append(key)
                    continue
            self._done[key] = self._outcome(finding)
        return again

    def _start_over(self, keys: Collection[Key], now: float) -> None:
        self._bracket = Bracket(frozenset(keys), self.follower.publishes)
        self._mark, self._point, self._settled = self.leader.mark(), None, None
        self._began, self._polls = now, 0

    def _outcome(self, finding: Finding) -> Outcome:
        if finding.outcome is Found.EQUAL:
            return Equal()
        if finding.outcome in (Found.DRIFT, Found.STEADY) and finding.evidence is not None:
            return self._compared(finding.leader, finding.follower, finding.evidence)
        return Moving("the row kept changing while it was looked at")

    def _same(self, ours: Row | None, theirs: Row | None) -> bool:
        """By digest, which is cheap, or else by value."""
        if ours is None or theirs is None or ours.digest == theirs.digest:
            return _equal(ours, theirs)
        return not differing_columns(self.compared.leader, ours.values, theirs.values)

    def _compared(self, ours: Row | None, theirs: Row | None, evidence: Evidence) -> Outcome:
        """By value: two spellings of the same value have different digests and are equal all the same."""
        return compared(self.compared.leader, ours, theirs, evidence)


@dataclass(frozen=True, slots=True)
class _Enclosed:
    """What two leader reads around one of the follower say, where no position and no mark can be asked."""

    findings: Mapping[Key, Finding]


def compared(table: Table, ours: Row | None, theirs: Row | None, evidence: Evidence) -> Outcome:
    """Equal, or the difference with the evidence that these rows may be compared."""
    if ours is None and theirs is None:
        return Equal()
    columns = differing_columns(table, _values(ours), _values(theirs))
    if ours is None or theirs is None:
        return Differs(Kind.EXTRA if ours is None else Kind.MISSING, columns, evidence)
    return Differs(Kind.MISMATCHED, columns, evidence) if columns else Equal()


def _alike(one: Finding, other: Finding) -> bool:
    """The same contents on both sides."""
    return _equal(one.leader, other.leader) and _equal(one.follower, other.follower)


def _equal(one: Row | None, other: Row | None) -> bool:
    return one is other if one is None or other is None else one.digest == other.digest


def _values(row: Row | None) -> Mapping[str, Value] | None:
    return row.values if row is not None else None
