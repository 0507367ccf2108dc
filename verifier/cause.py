"""Why does a follower's row differ? What can be told from the row's states on the leader, and what cannot.

The leader's changes of one key led it through a chain of states. A follower that is not in the last one has applied a
change wrongly, or somebody else wrote to it. Each way to go wrong is tried on the chain, in each way in which
followers apply changes (`Applying`), and whatever ends in the row that the follower shows is a possible cause. If all
that is known leaves one, that is the cause; if it leaves several, the cause is unknown and they are named. Nothing is
guessed.

Values alone rarely decide: who lost the last change holds the same row as who applied an older one again after it. Two
more things are known and take possibilities away.

* *Seen*: rules of evidence found the row equal after a change. Nothing up to that change was applied wrongly.
* *Written*: where rows have versions, what the follower had applied, and what the leader had written at most, when the
  row's present version was written (`verifier.written`). A version that is older than a change does not hold it; one
  that was written after everything had been applied was not written by any change in its turn.

Two assumptions remain. A row that equals what a wrong application would leave was not made so by chance: an altered
value or a stranger's write is a value that the leader did not have. And where every change was looked at at once
(`prompt`), the row was right before the first step that is known, nobody else wrote between a change and its look, and
no follower adds where it should set (sums are tried for changes that were lost, doubled or reordered).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from verifier.change import Operation
from verifier.drift import DriftCause
from verifier.replay import ABSENT, ANYTHING, Applying, Entry, Replayed, State, replay, states_of

STEPS_MAX = 12
"""So many of the latest changes are tried; older ones count as not known. The work grows with the third power."""


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the key. `after` is what the event told of the row: its columns in canonical text, some may be
    missing; None for a delete, and where the stream carries no values."""

    operation: Operation
    after: Mapping[str, str | None] | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """`base` is the state before the first step, `now` the leader's present row (the state after the last one)."""

    base: State
    steps: tuple[Step, ...]
    now: State


@dataclass(frozen=True, slots=True)
class Known:
    """What else is known; steps are counted from 1, 0 is the base. None: nothing.

    `seen`: the row was found equal, by a rule of evidence, when this step (or a later one) was the last one applied.
    `passed`: when the follower's row was written, this step and all before it had been applied; 0: all that is older
    than the chain. `existed`: when it was written, no step after this one existed on the leader. `prompt`: the follower
    was looked at at once after every step. `foreign`: whether somebody else than replication wrote the row. `ways`: how
    this follower may apply changes.
    """

    seen: int | None = None
    passed: int | None = None
    existed: int | None = None
    prompt: bool = False
    foreign: bool | None = None
    ways: frozenset[Applying] = frozenset(Applying)


class Fits(enum.Enum):
    """Does a possibility end in the row that the follower shows?"""

    NO = "no"
    PERHAPS = "perhaps"  # values that would tell are not known
    YES = "yes"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`cause`, with the `step` at fault where that is known. `possible`: all causes that are left if it is unknown.
    `holds`: the latest step after which the leader's row was what the follower shows; None if it never was."""

    cause: DriftCause
    step: int | None = None
    holds: int | None = None
    possible: frozenset[DriftCause] = frozenset()

    def why(self) -> str:
        """In words, without values."""
        if self.cause is not DriftCause.UNKNOWN:
            return _WORDS[self.cause]
        if not self.possible:
            return "the changes that are known do not reach back far enough"
        causes = [one for one in DriftCause if one in self.possible]
        return "not decidable: " + ", or ".join(_WORDS[one] for one in causes)


_WORDS = {
    DriftCause.LOST: "the change never took effect",
    DriftCause.DOUBLED: "the change took effect twice",
    DriftCause.REORDERED: "the change took effect after a later one",
    DriftCause.ALTERED: "the change arrived with a value that the leader never had",
    DriftCause.ROGUE: "somebody else wrote the row on the follower",
}


@dataclass(frozen=True, slots=True)
class _Possible:
    cause: DriftCause
    step: int
    fits: Fits


def explain(chain: Chain, follower: State, known: Known) -> Explanation:
    """Why `follower` (the row that it shows, all compared columns) is not `chain.now`."""
    chain, known, dropped = _shortened(chain, known)
    states = states_of(chain.base, chain.steps, chain.now)
    holds = next((k for k in range(len(states) - 1, -1, -1) if fits(states[k], follower, chain.now) is Fits.YES), None)
    found = list(_applied_wrongly(chain, states, follower, known))
    sure = [one for one in found if one.fits is Fits.YES]
    if not sure:
        found += _altered(chain, states, follower, known)
    rest = sure or found
    if _may_be_rogue(chain, follower, known, bool(sure)) or (not rest and known.foreign is not False):
        rest = [*rest, _Possible(DriftCause.ROGUE, 0, Fits.YES)]
    causes = {one.cause for one in rest}
    held = None if holds is None else holds + dropped
    if len(causes) != 1 or (causes == {DriftCause.ROGUE} and not _reaches_back(chain, known)):
        return Explanation(DriftCause.UNKNOWN, None, held, frozenset(causes))
    (cause,) = causes
    step = max(one.step for one in rest)
    return Explanation(cause, step + dropped if step else None, held)


def _shortened(chain: Chain, known: Known) -> tuple[Chain, Known, int]:
    """The last `STEPS_MAX` steps, with what is known told of them."""
    dropped = len(chain.steps) - STEPS_MAX
    if dropped <= 0:
        return chain, known, 0
    base = states_of(chain.base, chain.steps, chain.now)[dropped]

    def later(step: int | None) -> int | None:
        return None if step is None or step < dropped else step - dropped

    existed = None if known.existed is None else max(0, known.existed - dropped)
    told = Known(later(known.seen), later(known.passed), existed, known.prompt, known.foreign, known.ways)
    return Chain(base, chain.steps[dropped:], chain.now), told, dropped


def _applied_wrongly(chain: Chain, states: Sequence[State], follower: State, known: Known) -> Iterator[_Possible]:
    for cause, step, order in _orders(len(chain.steps)):
        best = Fits.NO
        for applying in known.ways:
            run = replay(chain.steps, states, order, applying)
            fit = fits(run.states[-1], follower, chain.now)
            if fit is not Fits.NO and _timely(run, order, known) and _witnessed(run, order, states, follower, known):
                best = fit if best is not Fits.YES else best
        if best is not Fits.NO and known.foreign is not True:
            yield _Possible(cause, step, best)


def _orders(steps: int) -> Iterator[tuple[DriftCause, int, tuple[Entry, ...]]]:
    """Every wrong order in which the steps may have been applied, with the step at fault."""
    plain = tuple(Entry(step, step) for step in range(1, steps + 1))
    for i in range(steps):
        yield DriftCause.LOST, i + 1, plain[:i]  # and all behind it
        if i + 1 < steps:
            yield DriftCause.LOST, i + 1, plain[:i] + plain[i + 1 :]
        for j in range(i, steps):
            late = Entry(i + 1, j + 1, late=True)
            yield DriftCause.DOUBLED, i + 1, (*plain[: j + 1], late, *plain[j + 1 :])
            if j > i:
                inside = Entry(i + 1, j + 1)  # whoever swaps changes does so before he publishes either
                yield DriftCause.REORDERED, i + 1, (*plain[:i], *plain[i + 1 : j + 1], inside, *plain[j + 1 :])


def _altered(chain: Chain, states: Sequence[State], follower: State, known: Known) -> list[_Possible]:
    if known.foreign is True:
        return []
    order = tuple(Entry(step, step) for step in range(1, len(chain.steps) + 1))
    found = []
    for i in range(len(chain.steps)):
        for applying in known.ways - {Applying.ADDING}:
            run = replay(chain.steps, states, order, applying, altered=i + 1)
            fit = fits(run.states[-1], follower, chain.now)
            if fit is not Fits.NO and _timely(run, order, known) and _witnessed(run, order, states, follower, known):
                found.append(_Possible(DriftCause.ALTERED, i + 1, Fits.PERHAPS))
                break
    return found


def _may_be_rogue(chain: Chain, follower: State, known: Known, explained: bool) -> bool:
    """A write of somebody else can leave anything; a former value only by chance, but a row's absence any time."""
    if known.foreign is not None:
        return known.foreign
    if explained and follower.values is not None:
        return False
    if not known.prompt or known.seen == len(chain.steps) or known.passed == len(chain.steps):
        return True
    # Looked at at once: whoever wrote did so before the steps that nobody has looked at yet, and these did not mend it.
    states = states_of(chain.base, chain.steps, chain.now)
    order = tuple(Entry(step, step) for step in range((known.seen or 0) + 1, len(states)))
    columns = {name for state in (*states, follower) for name in state.values or ()}
    for begin in (ABSENT, State(dict.fromkeys(columns, ANYTHING))):
        for applying in known.ways - {Applying.ADDING}:
            run = replay(chain.steps, states, order, applying, begin=begin)
            if not run.ended and fits(run.states[-1], follower, chain.now) is not Fits.NO:
                return True
    return False


def _reaches_back(chain: Chain, known: Known) -> bool:
    """Is it sure that nothing went wrong before the chain began? Else a row that nothing explains may be older."""
    if known.seen is not None or known.foreign or known.passed == len(chain.steps):
        return True
    return known.prompt and bool(chain.steps)


def _timely(run: Replayed, order: Sequence[Entry], known: Known) -> bool:
    """Did the run come to its end, and can it have written the row's version when it wrote it last? An absent row has
    none."""
    if run.ended:
        return False
    if run.states[-1] == ABSENT:
        return True
    written = order[run.wrote] if run.wrote is not None else Entry(0, 0)
    if known.passed is not None and not (
        known.passed < written.slot or (written.late and known.passed == written.slot)
    ):
        return False
    return known.existed is None or written.slot <= known.existed


def _witnessed(run: Replayed, order: Sequence[Entry], states: Sequence[State], shown: State, known: Known) -> bool:
    """Could the row have been found equal with step `seen`, or a later one, as the last one applied?"""
    if known.seen is None:
        return True
    passing = (*run.states[:-1], shown)
    for place, state in enumerate(passing):
        before = max((one.slot for one in order[:place]), default=0)
        after = order[place].slot + order[place].late if place < len(order) else len(states)
        for applied in range(max(before, known.seen), after):  # what may be published as applied at this place
            if fits(state, states[applied], None) is not Fits.NO:
                return True
    return False


def fits(state: State, shown: State, now: State | None) -> Fits:
    """Is `shown` this state? `now`: only the columns in which the two differ must be known for a clear yes."""
    if state.values is None or shown.values is None:
        return Fits.YES if state.values is None and shown.values is None else Fits.NO
    if any(name in shown.values and value != shown.values[name] for name, value in state.values.items()):
        return Fits.NO
    if state.whole:
        return Fits.YES
    needed = shown.values.keys() if now is None or now.values is None else _differing(shown, now)
    return Fits.YES if needed and all(name in state.values for name in needed) else Fits.PERHAPS


def _differing(one: State, other: State) -> frozenset[str]:
    if one.values is None or other.values is None:
        present = one.values or other.values or {}
        return frozenset(present)
    names = one.values.keys() & other.values.keys()
    return frozenset(name for name in names if one.values[name] != other.values[name])
