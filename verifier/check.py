"""Check one invariant: read, judge, and let a difference across endpoints grow old before it counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from verifier.errors import Permanent, Temporary
from verifier.invariant import (
    EqualByKey,
    Finding,
    GroupKey,
    Invariant,
    Side,
    Standing,
    Violations,
    by_key,
    same,
    sample_of,
    unequal,
)
from verifier.look import Look
from verifier.ports import Answer, Clock, Replica
from verifier.table import Value
from verifier.view import Mark

_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class CheckPolicy:
    """`rows_max` per SELECT, `sample_max` violators kept, `seconds_max` per statement, `wait_max_seconds` for a
    follower to apply what the leader had written."""

    rows_max: int = 100_000
    sample_max: int = 20
    seconds_max: float = 30.0
    wait_max_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class _Unequal:
    """A key with these two values since then, in that many looks."""

    left: Value
    right: Value
    since: float
    looks: int


@dataclass(slots=True)
class Checker:
    """Checks one invariant again and again; remembers since when each key has been unequal."""

    invariant: Invariant
    endpoints: Mapping[str, Replica]
    leader: str
    clock: Clock
    policy: CheckPolicy = field(default_factory=CheckPolicy)
    _since: dict[GroupKey, _Unequal] = field(default_factory=dict)
    _violated_since: float | None = None
    _last: str | None = None

    @property
    def ripening(self) -> bool:
        """Something was unequal at the last look, and has not been for long enough to count."""
        return self._last == _IN_GRACE

    def check(self) -> Finding:
        """The standing now; what cannot be read is `unverified` with the reason, never an exception."""
        try:
            invariant = self.invariant
            finding = self._violations(invariant) if isinstance(invariant, Violations) else self._equal(invariant)
        except (Temporary, Permanent) as problem:
            finding = Finding(self.invariant.name, Standing.UNVERIFIED, self.clock.now(), reason=str(problem))
        self._last = finding.reason
        return finding

    def settled(self) -> Finding:
        """Check until the grace has passed for whatever is unequal: for a one-shot check."""
        finding = self.check()
        while self.ripening:
            self.clock.sleep(max(_POLL_SECONDS, self.invariant.grace_seconds / 5))
            finding = self.check()
        return finding

    def _violations(self, invariant: Violations) -> Finding:
        answer = self._ask(invariant.endpoint, invariant.sql).value
        now = self.clock.now()
        if not answer.rows:
            self._violated_since = None
            return Finding(invariant.name, Standing.HOLDS, now)
        if self._violated_since is None:
            self._violated_since = now
        sample = tuple(dict(zip(answer.columns, row, strict=True)) for row in answer.rows[: self.policy.sample_max])
        finding = Finding(invariant.name, Standing.VIOLATED, now, len(answer.rows), sample, answer.truncated)
        return _grace(finding, now - self._violated_since < invariant.grace_seconds)

    def _equal(self, invariant: EqualByKey) -> Finding:
        columns, left, right = self._both(invariant)
        now = self.clock.now()
        keys = unequal(left, right)
        self._since = {key: self._aged(key, left.get(key), right.get(key), now) for key in keys}
        # Two endpoints have no common moment: sums may move to and fro between the reads, so one look is not enough.
        looks = 1 if invariant.left.endpoint == invariant.right.endpoint else 2
        ripe = [key for key in keys if self._ripe(self._since[key], now, looks)]
        if not keys:
            return Finding(invariant.name, Standing.HOLDS, now)
        shown = ripe or keys
        sample = sample_of(columns, shown[: self.policy.sample_max], left, right)
        finding = Finding(
            invariant.name, Standing.VIOLATED, now, len(shown), sample, len(shown) > self.policy.sample_max
        )
        return _grace(finding, not ripe)

    def _aged(self, key: GroupKey, left: Value, right: Value, now: float) -> _Unequal:
        known = self._since.get(key)
        if known is not None and same(known.left, left) and same(known.right, right):
            return replace(known, looks=known.looks + 1)
        return _Unequal(left, right, now, 1)

    def _ripe(self, unequal_key: _Unequal, now: float, looks: int) -> bool:
        return unequal_key.looks >= looks and now - unequal_key.since >= self.invariant.grace_seconds

    def _both(self, invariant: EqualByKey) -> tuple[tuple[str, ...], dict[GroupKey, Value], dict[GroupKey, Value]]:
        left, right = invariant.left, invariant.right
        if left.endpoint == right.endpoint:
            return self._one_statement(invariant)
        if right.endpoint == self.leader:
            columns, theirs, ours = self._across(right, left)
            return columns, ours, theirs
        return self._across(left, right)

    def _one_statement(
        self, invariant: EqualByKey
    ) -> tuple[tuple[str, ...], dict[GroupKey, Value], dict[GroupKey, Value]]:
        """Both SELECTs as one statement, so that both saw the same snapshot."""
        sql = (
            f"select 'left' as side, l.* from ({_bare(invariant.left.sql)}) l "
            f"union all select 'right', r.* from ({_bare(invariant.right.sql)}) r"
        )
        answer = self._ask(invariant.left.endpoint, sql).value
        halves = {
            side: Answer(answer.columns[1:], tuple(r[1:] for r in answer.rows if r[0] == side), answer.truncated)
            for side in ("left", "right")
        }
        left = by_key(halves["left"], f"left side of {invariant.name!r}")
        return answer.columns[1:], left, by_key(halves["right"], f"right side of {invariant.name!r}")

    def _across(
        self, leading: Side, following: Side
    ) -> tuple[tuple[str, ...], dict[GroupKey, Value], dict[GroupKey, Value]]:
        """Leader, follower once it has applied that much, leader again; keys that moved meanwhile are left out."""
        what = repr(self.invariant.name)
        leader, follower = self._endpoint(leading.endpoint), self._endpoint(following.endpoint)
        first = by_key(self._ask(leading.endpoint, leading.sql).value, f"SQL of {what} on {leading.endpoint}")
        written = leader.position()
        self._until(lambda: follower.position().covers(written), f"{following.endpoint} did not apply {written}")
        answer = self._ask_behind(following, follower.mark()).value
        theirs = by_key(answer, f"SQL of {what} on {following.endpoint}")
        # A commit can show on a follower before it shows on its leader: the second look must be behind it.
        second = self._ask_behind(leading, leader.mark()).value
        again = by_key(second, f"SQL of {what} on {leading.endpoint}")
        moved = set(unequal(first, again))
        ours = {key: value for key, value in first.items() if key not in moved}
        return answer.columns, ours, {key: value for key, value in theirs.items() if key not in moved}

    def _ask_behind(self, side: Side, mark: Mark) -> Look[Answer]:
        """An answer whose statement began when every transaction with an id below `mark` had ended (0: at once)."""
        deadline = self.clock.now() + self.policy.wait_max_seconds
        while True:
            look = self._ask(side.endpoint, side.sql)
            if mark == 0 or look.view.ended_below(mark):
                return look
            if self.clock.now() >= deadline:
                raise Temporary(
                    f"a transaction on {side.endpoint} has been open for {self.policy.wait_max_seconds:g} s"
                )
            self.clock.sleep(_POLL_SECONDS)

    def _until(self, reached: Callable[[], bool], failure: str) -> None:
        deadline = self.clock.now() + self.policy.wait_max_seconds
        while not reached():
            if self.clock.now() >= deadline:
                raise Temporary(f"{failure} within {self.policy.wait_max_seconds:g} s")
            self.clock.sleep(_POLL_SECONDS)

    def _ask(self, endpoint: str, sql: str) -> Look[Answer]:
        return self._endpoint(endpoint).ask(sql, rows_max=self.policy.rows_max, seconds_max=self.policy.seconds_max)

    def _endpoint(self, name: str) -> Replica:
        try:
            return self.endpoints[name]
        except KeyError:
            known = ", ".join(sorted(self.endpoints))
            raise Permanent(f"invariant {self.invariant.name!r}: no endpoint {name!r}; there are {known}") from None


_IN_GRACE = "unequal, but not yet seen for long enough"


def _grace(finding: Finding, young: bool) -> Finding:
    return replace(finding, standing=Standing.UNVERIFIED, reason=_IN_GRACE) if young else finding


def _bare(sql: str) -> str:
    return sql.strip().rstrip(";")
