"""How the two sides of an invariant are read.

On one endpoint they are one statement, so one snapshot. Across endpoints both are read at compatible positions:

    first   one side: the leader's if one is, else either follower
    P1      the leader's position: at or above everything that anybody can have shown by now
    second  the other side, a follower, once it has applied P1
    P2      the leader's position again
    again   the first side once more, behind P2: the leader when everything that the second side can have shown is
            visible there too, a follower once it has applied P2

A key with the same value in `first` and `again` had it, as far as anybody can see, at the second side's moment too. A
key that moved is undecided. Values may also go away and come back in between, which no user's SELECT can rule out; so
the same difference must be found by `LOOKS_ACROSS` such looks, and values that go to and fro (a counter of 0 and 1)
need a grace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, replace

from verifier.errors import Permanent, Temporary
from verifier.invariant import EqualByKey, GroupKey, Side, by_key, unequal
from verifier.look import Look, Publishes
from verifier.ports import Answer, Clock, Replica
from verifier.position import Position
from verifier.table import Value
from verifier.view import Mark

LOOKS_ACROSS = 4
POLL_SECONDS = 0.05

Sums = dict[GroupKey, Value]


@dataclass(frozen=True, slots=True)
class CheckPolicy:
    """`rows_max` per SELECT, `sample_max` violators kept, `seconds_max` per statement, `wait_max_seconds` for a
    follower to apply what the leader had written, and for a check beyond its grace."""

    rows_max: int = 100_000
    sample_max: int = 20
    seconds_max: float = 30.0
    wait_max_seconds: float = 10.0


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides, key to value, without the keys that `moved` while they were read. `columns` of either, and `besides`
    what the other one calls them (empty: nobody told)."""

    columns: tuple[str, ...]
    left: Sums
    right: Sums
    moved: Set[GroupKey] = frozenset()
    besides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reader:
    """Asks the endpoints of the invariant `name`. Raises Temporary and Permanent."""

    name: str
    endpoints: Mapping[str, Replica]
    leader: str
    clock: Clock
    policy: CheckPolicy

    def answer(self, endpoint: str, sql: str) -> Answer:
        """Of one SELECT, at once."""
        return self._ask(Side(endpoint, sql), self.policy.rows_max).value

    def both(self, invariant: EqualByKey) -> Sides:
        left, right = invariant.left, invariant.right
        if left.endpoint == right.endpoint:
            return self._one_statement(left, right)
        if right.endpoint == self.leader:
            found = self._across(right, left)
            return replace(found, left=found.right, right=found.left)
        return self._across(left, right)

    def names(self, side: Side) -> tuple[str, ...]:
        """What the side calls its columns. No row is read for it."""
        return self._ask(Side(side.endpoint, f"select * from ({_bare(side.sql)}\n) r where 1 = 0"), 1).value.columns

    def _one_statement(self, left: Side, right: Side) -> Sides:
        sql = (
            f"select 'left' as side, l.* from ({_bare(left.sql)}\n) l "
            f"union all select 'right', r.* from ({_bare(right.sql)}\n) r"
        )
        answer = self._ask(Side(left.endpoint, sql), 2 * self.policy.rows_max).value
        halves = {
            side: Answer(answer.columns[1:], tuple(r[1:] for r in answer.rows if r[0] == side), answer.truncated)
            for side in ("left", "right")
        }
        ours = by_key(halves["left"], f"left side of {self.name!r}")
        return Sides(answer.columns[1:], ours, by_key(halves["right"], f"right side of {self.name!r}"))

    def _across(self, leading: Side, following: Side) -> Sides:
        """`leading` is the leader's side if either is."""
        leader = self._endpoint(self.leader)
        first = self._sums(leading, self._ask(leading, self.policy.rows_max))
        second = self._once_applied(following, leader.position())
        theirs = self._sums(following, second)
        if leading.endpoint == self.leader:
            # A commit can show on a follower before it shows on its leader.
            look = self._ask_behind(leading, leader.mark(second.high))
        else:
            look = self._once_applied(leading, leader.position())
        again = self._sums(leading, look)
        if len(look.value.columns) != len(second.value.columns):
            raise Permanent(
                f"the two sides of {self.name!r} return {len(look.value.columns)} and {len(second.value.columns)} "
                "columns; need the same key columns and one value on both"
            )
        moved = frozenset(unequal(first, again))
        ours = {key: value for key, value in first.items() if key not in moved}
        kept = {key: value for key, value in theirs.items() if key not in moved}
        return Sides(second.value.columns, ours, kept, moved, look.value.columns)

    def _once_applied(self, side: Side, position: Position) -> Look[Answer]:
        """A follower's answer that surely shows everything at or below `position`."""
        follower = self._endpoint(side.endpoint)
        self._until(lambda: follower.position().covers(position), f"{side.endpoint} did not apply {position}")
        # Which one publishes its position before it shows: what had begun by now must have ended.
        mark = follower.mark() if follower.publishes is Publishes.BEFORE_SHOWING else 0
        look = self._ask_behind(side, mark)
        if not look.low.covers(position):
            raise Temporary(f"{side.endpoint} went back behind {position}, or is another server by now")
        return look

    def _ask_behind(self, side: Side, mark: Mark) -> Look[Answer]:
        """An answer whose statement began when everything that `mark` stands for had ended (0: at once)."""
        deadline = self.clock.now() + self.policy.wait_max_seconds
        while True:
            look = self._ask(side, self.policy.rows_max)
            if mark == 0 or look.view.ended_below(mark):
                return look
            if self.clock.now() >= deadline:
                raise Temporary(
                    f"a transaction on {side.endpoint} has been open for {self.policy.wait_max_seconds:g} s"
                )
            self.clock.sleep(POLL_SECONDS)

    def _until(self, reached: Callable[[], bool], failure: str) -> None:
        deadline = self.clock.now() + self.policy.wait_max_seconds
        while not reached():
            if self.clock.now() >= deadline:
                raise Temporary(f"{failure} within {self.policy.wait_max_seconds:g} s")
            self.clock.sleep(POLL_SECONDS)

    def _ask(self, side: Side, rows_max: int) -> Look[Answer]:
        found = self._endpoint(side.endpoint)
        return found.ask(side.sql, rows_max=rows_max, seconds_max=self.policy.seconds_max)

    def _sums(self, side: Side, look: Look[Answer]) -> Sums:
        return by_key(look.value, f"SQL of {self.name!r} on {side.endpoint}")

    def _endpoint(self, name: str) -> Replica:
        try:
            return self.endpoints[name]
        except KeyError:
            known = ", ".join(sorted(self.endpoints))
            raise Permanent(f"invariant {self.name!r}: no endpoint {name!r}; there are {known}") from None


def _bare(sql: str) -> str:
    return sql.strip().rstrip(";")
