"""Check one invariant: read, judge, and let what is wrong grow old before it counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from verifier.errors import Permanent, Temporary
from verifier.excerpt import Hide
from verifier.invariant import EqualByKey, Finding, Invariant, Standing, Violations, sample_of, shown_row, unequal
from verifier.ports import Answer, Clock, Replica
from verifier.ripening import Judged, Ripening, Sight, Wrong
from verifier.sides import LOOKS_ACROSS, POLL_SECONDS, CheckPolicy, Reader
from verifier.table import Value


@dataclass(slots=True)
class Checker:
    """Checks one invariant again and again; remembers what was wrong, how, and since when. `hide`: what of values
    samples may show, by the name of their column in the answer (either one's, where two are compared); None: all."""

    invariant: Invariant
    endpoints: Mapping[str, Replica]
    leader: str
    clock: Clock
    policy: CheckPolicy = field(default_factory=CheckPolicy)
    hide: Hide | None = None
    _reader: Reader = field(init=False)
    _ripening: Ripening = field(init=False)

    def __post_init__(self) -> None:
        one = self.invariant
        self._reader = Reader(one.name, self.endpoints, self.leader, self.clock, self.policy)
        across = isinstance(one, EqualByKey) and one.left.endpoint != one.right.endpoint
        looks = LOOKS_ACROSS if across else 1
        self._ripening = Ripening(one.grace_seconds, looks, self.policy.wait_max_seconds)

    @property
    def ripening(self) -> bool:
        """The last look left something open that a look soon after it may decide; never for longer than the grace, the
        policy's wait, and the looks that are needed."""
        return self._ripening.open

    @property
    def again_seconds(self) -> float:
        """How soon that is: a few times within the grace, without keeping the server busy."""
        return max(POLL_SECONDS, self.invariant.grace_seconds / 5)

    def check(self) -> Finding:
        """The standing now; what cannot be read is `unverified` with the reason, never an exception."""
        try:
            invariant = self.invariant
            return self._violations(invariant) if isinstance(invariant, Violations) else self._equal(invariant)
        except (Temporary, Permanent) as problem:
            self.interrupted()
            return Finding(self.invariant.name, Standing.UNVERIFIED, self.clock.now(), reason=str(problem))

    def interrupted(self) -> None:
        """Nobody looks for a while: what is young by now begins anew."""
        self._ripening.interrupted()

    def settled(self) -> Finding:
        """Check until nothing that was open at the first look is open any more, or that has taken too long: for a
        one-shot check. What counted meanwhile is told even if it is gone by then."""
        finding = self.check()
        violated = finding
        while self.ripening:
            self.clock.sleep(self.again_seconds)
            finding = self.check()
            violated = finding if finding.standing is Standing.VIOLATED else violated
        return violated if violated.standing is Standing.VIOLATED else finding

    def _violations(self, invariant: Violations) -> Finding:
        began = self.clock.now()
        answer = self._reader.answer(invariant.endpoint, invariant.sql)
        places = _places(answer, invariant)
        wrong = [Wrong.of(tuple(row[i] for i in places), row) for row in answer.rows]
        now = self.clock.now()
        judged = self._ripening.take(Sight(wrong, complete=not answer.truncated), now, began)
        counting = judged.counting[: self.policy.sample_max]
        shown = [shown_row(answer.columns, answer.rows[i], self.hide) for i in counting]
        return self._finding(judged, shown, now)

    def _equal(self, invariant: EqualByKey) -> Finding:
        began = self.clock.now()
        sides = self._reader.both(invariant)
        keys = unequal(sides.left, sides.right)
        wrong = [Wrong.of(key, (sides.left.get(key), sides.right.get(key))) for key in keys]
        now = self.clock.now()
        judged = self._ripening.take(Sight(wrong, sides.moved), now, began)
        shown = [keys[i] for i in judged.counting[: self.policy.sample_max]]
        besides = sides.besides or (self._reader.names(invariant.right) if shown and self.hide is not None else ())
        sample = sample_of(sides.columns, shown, sides.left, sides.right, self.hide, besides)
        return self._finding(judged, sample, now)

    def _finding(self, judged: Judged, sample: Sequence[Mapping[str, Value]], now: float) -> Finding:
        count = len(judged.counting)
        return Finding(self.invariant.name, judged.standing, now, count, tuple(sample), judged.more, judged.reason)


def _places(answer: Answer, invariant: Violations) -> list[int]:
    """Where the key's columns are in the answer. Permanent if one is not there."""
    missing = [name for name in invariant.key if name not in answer.columns]
    if missing:
        raise Permanent(
            f"SQL of {invariant.name!r} on {invariant.endpoint}: returns no column {missing[0]!r}, which `key` names; "
            f"there are {', '.join(answer.columns)}"
        )
    return [answer.columns.index(name) for name in invariant.key]
