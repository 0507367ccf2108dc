"""When something that was found wrong counts, and when an invariant may be said to hold although something is.

A rule that two transactions keep is broken for a moment again and again, on a busy shop at every look somewhere else.
So a look decides nothing by itself. Looks one after the other are a *round*, and what is seen in it grows old by its
own identity: its name (a key) and everything shown of it (the values), because a key that is unequal in another way at
each look may well have been equal in between.

* `violated`: something was wrong in the very same way at every look for the grace, and at as many looks as are needed.
* `holds`: everything that the round's first look could not call right was seen right at a later one. What came later
  says nothing about that first moment; it is the next round's.
* `unverified`: neither, yet or, once the round has lasted for the grace and the patience, at all. A key that is wrong
  at every look, each time in another way, is either busy or broken, and nobody can tell which.

What counts goes on counting, from round to round, until a look shows it gone or different. What is too young at the
end of a round begins anew in the next one: between rounds nobody looked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from verifier.invariant import GroupKey, Standing, comparable
from verifier.table import Value

REMEMBERED = 10_000
"""How many things that are wrong are remembered from look to look, for each invariant."""
IN_GRACE = "something is unequal, or moving, and was not yet seen so for long enough"


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something a look found wrong. `name` says what (empty: nobody can tell it from others), `shown` in what way."""

    name: GroupKey
    shown: tuple[Decimal | str | None, ...]

    @classmethod
    def of(cls, name: GroupKey, shown: Sequence[Value]) -> Wrong:
        return cls(name, tuple(map(comparable, shown)))


@dataclass(frozen=True, slots=True)
class Sight:
    """One look: what was `wrong`, the names that it could not judge (`undecided`: they moved meanwhile), and whether it
    saw everything (`complete`). All other names are right."""

    wrong: Sequence[Wrong]
    undecided: Collection[GroupKey] = ()
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Judged:
    """`counting`: which of the look's `wrong` count (indexes). `more`: others may, but not all can be remembered."""

    standing: Standing
    counting: Sequence[int] = ()
    more: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Age:
    since: float
    looks: int
    ripe: bool


@dataclass(slots=True)
class Ripening:
    """The memory of one invariant. `looks`: how many must find the same thing wrong (1 where one look is one moment).
    `patience_seconds`: how much longer than the grace a round may last. Bounded by `remember_max` things."""

    grace_seconds: float
    looks: int
    patience_seconds: float
    remember_max: int = REMEMBERED
    _ages: dict[Wrong, _Age] = field(default_factory=dict)
    _owed: set[GroupKey] = field(default_factory=set)
    """Names that the round's first look could not call right, and none has since; those that count among them."""
    _owed_all: bool = False
    """There were too many of them: only a look that finds everything right will do."""
    _began: float | None = None
    _made: int = 0

    @property
    def open(self) -> bool:
        """A round is under way: look again soon."""
        return self._began is not None

    def interrupted(self) -> None:
        """A look failed, so nobody knows what happened meanwhile: what was young begins anew."""
        self._end()

    def take(self, sight: Sight, now: float, began: float | None = None) -> Judged:
        """What the look that ended `now` (seconds since the epoch) decides. It may show a moment as old as its
        beginning (None: it took no time), so what it finds wrong was so for certain only from the first look's end to
        this one's beginning."""
        if self.looks == 1 and not self.grace_seconds:
            standing = Standing.VIOLATED if sight.wrong else Standing.HOLDS
            return Judged(standing, range(len(sight.wrong)), more=not sight.complete)
        began = now if began is None else began
        forgot = self._age(sight.wrong, now, began)
        counting = [i for i, one in enumerate(sight.wrong) if one in self._ages and self._ages[one].ripe]
        owed = self._narrowed(sight, now)
        lasted = began - self._began if self._began is not None else 0.0
        given_up = owed and self._made >= self.looks and lasted >= self.grace_seconds + self.patience_seconds
        if given_up or not owed:
            self._end()
        if counting:
            return Judged(Standing.VIOLATED, counting, more=forgot or not sight.complete)
        if not owed:
            return Judged(Standing.HOLDS)
        reason = self._why_given_up() if given_up else IN_GRACE
        return Judged(Standing.UNVERIFIED, range(len(sight.wrong)), more=not sight.complete, reason=reason)

    def _age(self, wrong: Sequence[Wrong], now: float, began: float) -> bool:
        """Remember what is wrong, what was known already first; True if not all of it could be."""
        known = {one: self._ages[one] for one in wrong if one in self._ages}
        ages = {one: self._older(age, began) for one, age in known.items()}
        forgot = False
        for one in wrong:
            if one in ages:
                continue
            if len(ages) >= self.remember_max:
                forgot = True
                break
            ages[one] = self._older(_Age(now, 0, ripe=False), began)
        self._ages = ages
        return forgot

    def _older(self, age: _Age, began: float) -> _Age:
        looks = age.looks + 1
        ripe = age.ripe or (looks >= self.looks and began - age.since >= self.grace_seconds)
        return _Age(age.since, looks, ripe)

    def _narrowed(self, sight: Sight, now: float) -> bool:
        """Take away the names that this look saw right; True if any are left that do not count. The first look begins
        the round. What counts stays among them: it is not right for that, and counts no more if it changes."""
        wrong = {one.name for one in sight.wrong}
        doubtful = {one.name for one in sight.wrong if one not in self._ages or not self._ages[one].ripe}
        doubtful.update(sight.undecided)
        not_right = wrong | doubtful
        if self._began is None:
            self._began, self._made = now, 0
            self._owed_all = len(not_right) > self.remember_max
            self._owed = set() if self._owed_all else not_right
        elif sight.complete:  # else what is not shown may be wrong all the same
            self._owed_all = self._owed_all and bool(not_right)
            self._owed &= not_right
        self._made += 1
        return bool(self._owed - (wrong - doubtful)) or (self._owed_all and (bool(doubtful) or not sight.complete))

    def _end(self) -> None:
        self._began, self._owed_all = None, False
        self._owed.clear()
        self._ages = {one: age for one, age in self._ages.items() if age.ripe}

    def _why_given_up(self) -> str:
        lasted = self.grace_seconds + self.patience_seconds
        return (
            f"something was unequal, or moving, at every look for {lasted:g} s, and never the same for "
            f"{self.grace_seconds:g} s, so it is busy or broken; give a longer grace, name violators by a `key`, or "
            "compare where it is at rest"
        )
