"""The bracketed rule (DESIGN 3.2): proof for a batch of suspect keys without a change stream.

Two leader reads that find the same row version enclose a follower read that shows at least everything which was
committed at the first: so the leader's row stood still all the while, and a different row on the follower is drift.

    R1  read the leader           P1  its position          wait until the follower has applied P1
        (publishes before showing: until every local transaction that had an id by then has ended)
    F1  read the follower         X   the leader's next id
    R2  read the leader, once every transaction below X has ended: a commit may reach a follower before it is
        visible on its own leader, and such a one has an id below X
    P2, F2   the same once more for keys that both leader reads lack: inserted and deleted in between looks absent
        twice, but the follower cannot show the same row version before and after applying the delete

`Bracket` decides and reads nothing: it says what it needs to be told next (`ask`) and takes the answer, giving the
next state, so every interleaving with the world can be explored over this very code (tests/simulation).
`verifier.bracketing` drives it over replicas.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from verifier.drift import Certainty, Evidence, Kind, Method
from verifier.look import Look, Publishes, Row
from verifier.position import Position
from verifier.table import Key
from verifier.view import Mark

T = TypeVar("T")
Rows = Mapping[Key, Row]


class Ask(enum.Enum):
    """What the rule needs to be told next."""

    LEADER_ROWS = "leader rows"
    LEADER_POSITION = "leader position"
    LEADER_MARK = "leader mark"
    FOLLOWER_POSITION = "follower position"
    FOLLOWER_MARK = "follower mark"
    FOLLOWER_ROWS = "follower rows"


class Stage(enum.Enum):
    """Where a bracket is; the names of the reads are those of the rule."""

    R1 = "first leader read"
    P1 = "leader position"
    APPLIED = "waiting for the follower to apply"
    LOCAL = "follower's next transaction id"
    F1 = "follower read"
    X = "leader's next transaction id"
    R2 = "second leader read"
    P2 = "leader position after the second read"
    APPLIED_2 = "waiting for the follower to apply again"
    LOCAL_2 = "follower's next transaction id again"
    F2 = "second follower read"
    DONE = "done"


_ASKS = {
    Stage.R1: Ask.LEADER_ROWS,
    Stage.P1: Ask.LEADER_POSITION,
    Stage.APPLIED: Ask.FOLLOWER_POSITION,
    Stage.LOCAL: Ask.FOLLOWER_MARK,
    Stage.F1: Ask.FOLLOWER_ROWS,
    Stage.X: Ask.LEADER_MARK,
    Stage.R2: Ask.LEADER_ROWS,
    Stage.P2: Ask.LEADER_POSITION,
    Stage.APPLIED_2: Ask.FOLLOWER_POSITION,
    Stage.LOCAL_2: Ask.FOLLOWER_MARK,
    Stage.F2: Ask.FOLLOWER_ROWS,
}


class Outcome(enum.Enum):
    """What one pass says about a key."""

    EQUAL = "equal"  # the follower's row equals one of the leader's two
    DRIFT = "drift"  # proven
    STEADY = "steady"  # differed all the while, but the engine has no row versions to prove it
    MOVING = "moving"  # changed during the pass: look again


@dataclass(frozen=True, slots=True)
class Finding:
    """One key's outcome of one pass. `kind` and `evidence` are None unless it is drift or steady; `leader` and
    `follower` are the rows that were compared, None where absent."""

    outcome: Outcome
    kind: Kind | None = None
    leader: Row | None = None
    follower: Row | None = None
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Bracket:
    """One pass over `keys`. Feed it answers until `stage` is DONE; an answer that leaves the stage as it was means
    that the world is not ready: wait, then ask the same again."""

    keys: frozenset[Key]
    publishes: Publishes
    stage: Stage = Stage.R1
    position: Position | None = None
    mark: Mark | None = None
    r1: Look[Rows] | None = None
    f1: Look[Rows] | None = None
    r2: Look[Rows] | None = None
    f2: Look[Rows] | None = None

    @property
    def ask(self) -> Ask:
        """What to find out next; KeyError when done."""
        return _ASKS[self.stage]

    @property
    def wanted(self) -> frozenset[Key]:
        """The keys that the next read of rows must ask for: those that are still open."""
        if self.stage in (Stage.X, Stage.R2):
            return self._differing(_told(self.f1))
        if self.stage is Stage.F2:
            return self._absent_twice(_told(self.r2))
        return self.keys

    def looked(self, look: Look[Rows]) -> Bracket:
        """The answer to LEADER_ROWS and FOLLOWER_ROWS."""
        if self.stage is Stage.R1:
            return replace(self, r1=look, stage=Stage.P1)
        if self.stage is Stage.R2:
            if not look.view.ended_below(self._marked()):
                return self
            return replace(self, r2=look, mark=None, stage=Stage.P2 if self._absent_twice(look) else Stage.DONE)
        if not self._shows_everything(look):
            return self
        if self.stage is Stage.F1:
            return replace(self, f1=look, mark=None, stage=Stage.X if self._differing(look) else Stage.DONE)
        return replace(self, f2=look, stage=Stage.DONE)

    def stood(self, position: Position) -> Bracket:
        """The answer to LEADER_POSITION and FOLLOWER_POSITION."""
        if self.stage in (Stage.P1, Stage.P2):
            return replace(self, position=position, stage=Stage.APPLIED if self.stage is Stage.P1 else Stage.APPLIED_2)
        if not position.covers(_told(self.position)):
            return self
        local, read = (Stage.LOCAL, Stage.F1) if self.stage is Stage.APPLIED else (Stage.LOCAL_2, Stage.F2)
        return replace(self, stage=local if self.publishes is Publishes.BEFORE_SHOWING else read)

    def marked(self, mark: Mark) -> Bracket:
        """The answer to LEADER_MARK and FOLLOWER_MARK."""
        following = {Stage.LOCAL: Stage.F1, Stage.X: Stage.R2, Stage.LOCAL_2: Stage.F2}
        return replace(self, mark=mark, stage=following[self.stage])

    def findings(self) -> Mapping[Key, Finding]:
        """Every key's outcome; ValueError before the pass is done."""
        if self.stage is not Stage.DONE or self.r1 is None or self.f1 is None:
            raise ValueError(f"the bracket is not done: {self.stage.value}")
        differing = self._differing(self.f1)
        return {key: self._finding(key) if key in differing else Finding(Outcome.EQUAL) for key in self.keys}

    def _shows_everything(self, look: Look[Rows]) -> bool:
        """Everything at or below `position` is shown by this follower look."""
        if not look.low.covers(_told(self.position)):
            return False  # the follower went back, or is another server by now
        return self.publishes is not Publishes.BEFORE_SHOWING or look.view.ended_below(self._marked())

    def _marked(self) -> Mark:
        if self.mark is None:
            raise ValueError("the bracket was not told the mark that this stage waits for")
        return self.mark

    def _differing(self, f1: Look[Rows]) -> frozenset[Key]:
        ours, theirs = _told(self.r1).value, f1.value
        return frozenset(key for key in self.keys if not _same(ours.get(key), theirs.get(key)))

    def _absent_twice(self, r2: Look[Rows]) -> frozenset[Key]:
        """Differing keys that neither leader read found: the follower has a row there."""
        first, second = _told(self.r1).value, r2.value
        open_keys = self._differing(_told(self.f1))
        return frozenset(key for key in open_keys if key not in first and key not in second)

    def _finding(self, key: Key) -> Finding:
        first, second = _told(self.r1).value.get(key), _told(self.r2).value.get(key)
        follower = _told(self.f1).value.get(key)
        if _same(second, follower):
            return Finding(Outcome.EQUAL)
        if first is None and second is None:
            again = _told(self.f2).value.get(key)
            if again is None:
                return Finding(Outcome.EQUAL)
            held, kind = _held(follower, again), Kind.EXTRA
        else:
            held, kind = _held(first, second), Kind.MISSING if follower is None else Kind.MISMATCHED
        return Finding(held, kind, second, follower, self._evidence(held)) if held else Finding(Outcome.MOVING)

    def _evidence(self, outcome: Outcome) -> Evidence:
        first, second = _told(self.f1), _told(self.r2)
        positions = {
            "leader": _told(self.r1).high.text(),
            "follower_low": first.low.text(),
            "follower_high": first.high.text(),
            "leader_again": second.high.text(),
        }
        if self.f2 is not None:
            positions["follower_again"] = self.f2.low.text()
        if outcome is Outcome.DRIFT:
            return Evidence(Certainty.PROVEN, Method.BRACKETED, positions)
        return Evidence(Certainty.PROBABLE, Method.REPEATED, positions)


def _told(answer: T | None) -> T:
    if answer is None:
        raise ValueError("the bracket was not told what this stage needs")
    return answer


def _same(one: Row | None, other: Row | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.digest == other.digest


def _held(one: Row | None, other: Row | None) -> Outcome | None:
    """Did two reads of one server find the same row version? DRIFT: yes; STEADY: equal contents, version unknown."""
    if one is None or other is None or one.digest != other.digest:
        return None
    if one.version is None or other.version is None:
        return Outcome.STEADY
    return Outcome.DRIFT if one.version == other.version else None
