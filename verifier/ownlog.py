"""Why does a follower's row differ, told by the follower's own log: what it wrote of the row, in order.

Values alone rarely tell, because who lost the last change shows the same row as who applied an older one again after
it. A follower that keeps a log of its own (a subscriber with `wal_level=logical`, a replica that logs what it applies)
has written down each of its images, and with each the leader's transaction that it came with. So nothing is left to
possibilities: the last image is the row, and what stands before it says whether it is there because nothing came after
it (lost), because it came again (doubled), or because it came late (reordered).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifier.cause import Chain, Explanation, Fits, fits
from verifier.change import Operation
from verifier.drift import DriftCause
from verifier.replay import ABSENT, Applying, Entry, State, replay, states_of


@dataclass(frozen=True, slots=True)
class Image:
    """What one write of the follower's made of the key: `after` (ABSENT: deleted it). `step`: the change of the chain
    (from 1) with whose transaction it came, 0: with one before the chain; None: with one that touched other rows alone.
    `foreign`: it did not come from the leader at all."""

    after: State
    step: int | None = None
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class OwnLog:
    """All images of the key since some moment. The leader's changes up to step `before` may have been applied earlier
    than that. `ways`: how this follower may apply changes."""

    images: tuple[Image, ...]
    before: int = 0
    ways: frozenset[Applying] = frozenset({Applying.WHOLE})


def read(chain: Chain, follower: State, log: OwnLog) -> Explanation | None:
    """The cause, or the causes that are left; None if the log does not tell it: the last image is not the row that the
    follower shows, the row was wrong before the log began, or somebody adds where he should set."""
    states = states_of(chain.base, chain.steps, chain.now)
    holds = next((k for k in range(len(states) - 1, -1, -1) if fits(states[k], follower, chain.now) is Fits.YES), None)
    images = _effective(log.images)
    if not images:
        return _never_came(chain, states, follower, log.before + 1, holds)
    last = images[-1]
    if fits(last.after, follower, None) is Fits.NO or _is(last.after, states[-1]):
        return None
    if last.foreign:
        return Explanation(DriftCause.ROGUE, None, holds)
    if last.step == 0 and not _is(last.after, states[0]):
        return None  # wrong before the chain began, or not known what it was
    if last.step is not None and _is(last.after, states[last.step]):
        if not _overtaken(images, last.step):
            return _never_came(chain, states, follower, last.step + 1, holds)
        return _told(_possible(images, states, last.step, log), last.step, holds)
    return _out_of_place(chain, states, follower, log, images, holds)


def _out_of_place(
    chain: Chain, states: Sequence[State], follower: State, log: OwnLog, images: Sequence[Image], holds: int | None
) -> Explanation | None:
    """The last image is not what the change that it came with made of the leader's row."""
    last = images[-1]
    first = last.step is not None and log.before == last.step - 1 and len(images) == 1
    if first and _is(last.after, states[log.before]):
        return None  # did it come and change nothing? What stood there before is not in the log
    steps = [k for k in range(len(states) - 1) if _is(last.after, states[k])]
    if not steps:
        return _no_state(chain, states, log, images, holds)
    late = [k for k in steps if last.step is not None or _overtaken(images, k)]
    causes = {cause for k in late for cause in _possible(images, states, k, log)}
    if not late:
        # It came out of its turn, and nothing later before it. Was what is missing lost, or did it find no row?
        if _never_came(chain, states, follower, max(steps) + 1, holds) is None:
            return None
        causes = {DriftCause.LOST, DriftCause.REORDERED}
    return _told(causes, max(late, default=0), holds)


def _no_state(
    chain: Chain, states: Sequence[State], log: OwnLog, images: Sequence[Image], holds: int | None
) -> Explanation | None:
    """The last image is none of the leader's states: columns of several, of a row that was wrong before, or altered."""
    last = images[-1]
    inserts = last.step is not None and chain.steps[last.step - 1].operation is Operation.INSERT
    if Applying.ADDING in log.ways or (Applying.CHANGED in log.ways and len(images) == 1 and not inserts):
        return None  # the row may have been wrong before the log began
    if Applying.CHANGED in log.ways and len(images) > 1:
        held = images[-2].after
        if last.step is not None and _is(_changed(chain, states, last.step, held), last.after):
            # Applied well to a row that was wrong before it: look there.
            earlier = Chain(chain.base, chain.steps[: last.step - 1], states[last.step - 1])
            before = min(log.before, last.step - 1)
            return read(earlier, held, OwnLog(tuple(images[:-1]), before, log.ways))
        late = [k for k in range(1, len(states)) if _is(_changed(chain, states, k, held), last.after)]
        causes = {_in_turn(images, k, log) for k in late}
        if len(causes) == 1 and None not in causes:
            return Explanation(causes.pop() or DriftCause.UNKNOWN, max(late), holds)
        if late:
            return None
    if last.step is None:
        # A transaction that had not touched the row wrote it: a trigger of the follower's, or a change of another row.
        return Explanation(DriftCause.UNKNOWN, None, holds, frozenset({DriftCause.ALTERED, DriftCause.ROGUE}))
    return Explanation(DriftCause.ALTERED, last.step, holds)


def _changed(chain: Chain, states: Sequence[State], step: int, held: State) -> State:
    """`held` after this step, by a follower that sets what a change changed."""
    return replay(chain.steps, states, (Entry(step, step),), Applying.CHANGED, begin=held).states[-1]


def _in_turn(images: Sequence[Image], step: int, log: OwnLog) -> DriftCause | None:
    """The last image is `step` once more, or late. None: not known."""
    if any(one.step == step for one in images[:-1]):
        return DriftCause.DOUBLED
    return DriftCause.REORDERED if step > log.before else None


def _effective(images: Sequence[Image]) -> list[Image]:
    """Without those that left the row as it was, each with the columns that it did not tell."""
    found: list[Image] = []
    for one in images:
        held = found[-1].after if found else None
        after = one.after
        if held is not None and held.values and after.values and not after.whole:
            values = {**held.values, **after.values}
            after = State(values, held.whole)
        if held is None or held != after:
            found.append(Image(after, one.step, one.foreign))
    return found


def _never_came(
    chain: Chain, states: Sequence[State], follower: State, step: int, holds: int | None
) -> Explanation | None:
    """Nothing wrote the row since the change before `step`. None if that change would have written nothing either."""
    if step > len(chain.steps):
        return None
    inserts = chain.steps[step - 1].operation is Operation.INSERT
    if inserts is not (follower == ABSENT):
        return None
    return Explanation(DriftCause.LOST, step, holds)


def _overtaken(images: Sequence[Image], step: int) -> bool:
    """Had a later change of the leader's been applied before the last image?"""
    return any(one.step is not None and one.step > step for one in images[:-1])


def _told(causes: set[DriftCause], step: int, holds: int | None) -> Explanation:
    if len(causes) > 1:
        return Explanation(DriftCause.UNKNOWN, None, holds, frozenset(causes))
    return Explanation(causes.pop(), step or None, holds)


def _possible(images: Sequence[Image], states: Sequence[State], step: int, log: OwnLog) -> set[DriftCause]:
    """The last image is what the row was after `step`, and came too late. Had it come in its turn, too?"""
    if any(not one.foreign and _is(one.after, states[step]) for one in images[:-1]):
        return {DriftCause.DOUBLED}
    if step > log.before:
        return {DriftCause.REORDERED}
    return {DriftCause.DOUBLED, DriftCause.REORDERED}


def _is(image: State, state: State) -> bool:
    """As far as both are told."""
    if image.values is None or state.values is None:
        return image.values is None and state.values is None
    both = image.values.keys() & state.values.keys()
    return bool(both) and all(image.values[name] == state.values[name] for name in both)
