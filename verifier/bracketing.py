"""Judge a batch of keys by the bracketed rule (DESIGN 3.2): `verifier.bracket` driven over two replicas.

One attempt is one pass of the rule. Where the engine keeps no row versions a pass proves nothing, and `Repeats`,
which outlives the attempts, counts how often a key showed the very same difference: often enough is `probable`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from verifier.bracket import Ask, Bracket, Finding, PassOutcome, Stage
from verifier.canonical import differing_columns
from verifier.compare import Comparison
from verifier.drift import Kind
from verifier.look import Row
from verifier.outcome import Again, Differs, Equal, Moving, Outcome
from verifier.ports import Replica
from verifier.table import Key, Value

_POLL_SECONDS = 0.02
_WAITS = {
    Stage.APPLIED: "the follower has not applied what the leader had committed",
    Stage.F1: "a transaction of the follower was still ending",
    Stage.R2: "an older transaction was still running on the leader",
    Stage.APPLIED_2: "the follower has not applied what the leader had committed",
    Stage.F2: "a transaction of the follower was still ending",
}


@dataclass(slots=True)
class Repeats:
    """How often in a row each key showed the same two contents, over the attempts at one table of one follower."""

    times: int = 3
    _seen: dict[Key, tuple[int | None, int | None, int]] = field(default_factory=dict)

    def again(self, key: Key, leader: Row | None, follower: Row | None) -> bool:
        """Count a steady difference; True once it was seen `times` times without a break."""
        ours, theirs = leader.digest if leader else None, follower.digest if follower else None
        before = self._seen.get(key)
        count = before[2] + 1 if before is not None and before[:2] == (ours, theirs) else 1
        self._seen[key] = (ours, theirs, count)
        return count >= self.times

    def forget(self, key: Key) -> None:
        self._seen.pop(key, None)


@dataclass(slots=True)
class BracketJudging:
    """One attempt at `keys`. After `give_up_seconds` without the world having become ready (the follower too far
    behind, an old transaction on the leader) every key is `Moving`, with the reason."""

    leader: Replica
    follower: Replica
    compared: Comparison
    keys: Collection[Key]
    repeats: Repeats
    give_up_seconds: float = 30.0
    _bracket: Bracket | None = None
    _began: float = 0.0

    def advance(self, now: float) -> Again | Mapping[Key, Outcome]:
        """Go through the rule as far as the world allows. A Temporary error leaves the pass where it was."""
        if self._bracket is None:
            self._bracket = Bracket(frozenset(self.keys), self.follower.publishes)
            self._began = now
        while self._bracket.stage is not Stage.DONE:
            stage = self._bracket.stage
            self._bracket = self._answer(self._bracket)
            if self._bracket.stage is stage:
                if now - self._began < self.give_up_seconds:
                    return Again(now + _POLL_SECONDS)
                return dict.fromkeys(self.keys, Moving(_WAITS[stage]))
        return {key: self._outcome(key, finding) for key, finding in self._bracket.findings().items()}

    def _answer(self, bracket: Bracket) -> Bracket:
        match bracket.ask:
            case Ask.LEADER_ROWS:
                return bracket.looked(self.leader.rows(self.compared.leader, bracket.wanted))
            case Ask.FOLLOWER_ROWS:
                return bracket.looked(self.follower.rows(self.compared.follower, bracket.wanted))
            case Ask.LEADER_POSITION:
                return bracket.stood(self.leader.position())
            case Ask.FOLLOWER_POSITION:
                return bracket.stood(self.follower.position())
            case Ask.LEADER_MARK:
                return bracket.marked(self.leader.mark())
            case Ask.FOLLOWER_MARK:
                return bracket.marked(self.follower.mark())

    def _outcome(self, key: Key, finding: Finding) -> Outcome:
        if finding.outcome is PassOutcome.STEADY and not self.repeats.again(key, finding.leader, finding.follower):
            return Moving("the same difference must be seen again: this engine has no row versions")
        if finding.outcome is PassOutcome.MOVING:
            self.repeats.forget(key)
            return Moving("the row kept changing on the leader")
        if finding.outcome is PassOutcome.EQUAL or finding.kind is None or finding.evidence is None:
            self.repeats.forget(key)
            return Equal()
        columns = differing_columns(self.compared.leader, _values(finding.leader), _values(finding.follower))
        if finding.kind is Kind.MISMATCHED and not columns:
            return Equal()  # other spelling, same values
        return Differs(finding.kind, columns, finding.evidence)


def _values(row: Row | None) -> Mapping[str, Value] | None:
    return row.values if row is not None else None
