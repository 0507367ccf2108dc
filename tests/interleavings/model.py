"""A leader and one faithful follower in so few steps that all their interleavings can be visited.

A transaction of the leader gets its id, writes its row (waiting for the row lock), writes its commit record, and only
then becomes visible and lets go of the lock: between the last two a follower may already have it. A follower applies
the log in order and does two things per transaction: a standby shows it and then publishes the position, a subscriber
publishes and then shows. `chain` transactions change the row that is judged, `others` a second one.

Versions of the judged row count the transactions of the chain that it has seen. Any two versions differ, which hides
nothing; what a version holds (a row or its absence) is the rules' own affair.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from interleavings.reachable import reachable
from verifier.look import Publishes
from verifier.view import NoView, Snapshot, View

FIRST_ID = 100
FIRST_LOCAL_ID = 500


class See(enum.Enum):
    """What a rule may find out about the world in one step."""

    LEADER_LOOK = "leader look"  # (version, position, view)
    LEADER_POSITION = "leader position"
    LEADER_MARK = "leader mark"
    LEADER_LOG = "leader log"  # the stream, read through the leader's position of this moment
    FOLLOWER_LOOK = "follower look"  # (version, view)
    FOLLOWER_POSITION = "follower position"
    FOLLOWER_MARK = "follower mark"


@dataclass(frozen=True, slots=True)
class Shape:
    """The size of the world. `early` lets a transaction have its id before it gets the row lock, so that ids, commits
    and visibility each have an order of their own."""

    publishes: Publishes
    chain: int = 3
    others: int = 1
    early: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """`begun` in the order of ids, `log` in the order of commits; `shown` and `published` count log entries."""

    begun: tuple[int, ...] = ()
    written: frozenset[int] = frozenset()
    log: tuple[int, ...] = ()
    visible: frozenset[int] = frozenset()
    shown: int = 0
    published: int = 0


@dataclass(slots=True)
class World:
    """All states that can be reached, numbered, with their successors and what can be seen in each."""

    shape: Shape
    states: list[State] = field(default_factory=list)
    successors: list[list[int]] = field(default_factory=list)
    seen: dict[See, list[object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.states, self.successors = reachable(State(), lambda state: _steps(state, self.shape))
        for what in See:
            self.seen[what] = [_see(state, what, self.shape) for state in self.states]

    @property
    def quiet(self) -> int:
        """The state in which everything has committed and is applied, shown and published."""
        return next(number for number, following in enumerate(self.successors) if not following)


def _steps(state: State, shape: Shape) -> Iterator[State]:
    for tx in range(shape.chain + shape.others):
        after = _leader_step(state, tx, shape)
        if after is not None:
            yield after
    after = _follower_step(state, shape.publishes)
    if after is not None:
        yield after


def _leader_step(state: State, tx: int, shape: Shape) -> State | None:
    locked = tx < shape.chain and tx > 0 and tx - 1 not in state.visible
    begun = state.begun if tx in state.begun else (*state.begun, tx)
    if tx not in state.written:
        if shape.early and tx not in state.begun:
            return _with(state, begun=begun)
        return None if locked else _with(state, begun=begun, written=state.written | {tx})
    if tx not in state.log:
        return _with(state, log=(*state.log, tx))
    return None if tx in state.visible else _with(state, visible=state.visible | {tx})


def _follower_step(state: State, publishes: Publishes) -> State | None:
    if publishes is Publishes.AFTER_SHOWING:
        if state.published < state.shown:
            return _with(state, published=state.shown)
        return _with(state, shown=state.shown + 1) if state.shown < len(state.log) else None
    if state.shown < state.published:
        return _with(state, shown=state.published)
    return _with(state, published=state.published + 1) if state.published < len(state.log) else None


def _with(state: State, **changed: object) -> State:
    values = {name: getattr(state, name) for name in State.__slots__}
    return State(**(values | changed))


def _see(state: State, what: See, shape: Shape) -> object:
    match what:
        case See.LEADER_LOOK:
            version = sum(tx < shape.chain for tx in state.visible)
            return version, len(state.log), _snapshot(state.begun, state.visible)
        case See.LEADER_POSITION:
            return len(state.log)
        case See.LEADER_MARK:
            return FIRST_ID + len(state.begun)
        case See.LEADER_LOG:
            return tuple((FIRST_ID + state.begun.index(tx), tx < shape.chain) for tx in state.log)
        case See.FOLLOWER_LOOK:
            return sum(tx < shape.chain for tx in state.log[: state.shown]), _local_view(state, shape)
        case See.FOLLOWER_POSITION:
            return state.published
        case See.FOLLOWER_MARK:
            return FIRST_LOCAL_ID + state.published if shape.publishes is Publishes.BEFORE_SHOWING else 0


@cache
def _snapshot(begun: tuple[int, ...], visible: frozenset[int]) -> View:
    """As PostgreSQL makes them: `xmax` is one more than the highest id that has *ended*, so ids at or above it may
    well be running."""
    ended = [index for index, tx in enumerate(begun) if tx in visible]
    below = max(ended) + 1 if ended else 0
    running = frozenset(FIRST_ID + index for index in range(below) if begun[index] not in visible)
    return Snapshot(min(running, default=FIRST_ID + below), FIRST_ID + below, running)


def _local_view(state: State, shape: Shape) -> View:
    if shape.publishes is not Publishes.BEFORE_SHOWING:
        return NoView()
    return Snapshot(FIRST_LOCAL_ID + state.shown, FIRST_LOCAL_ID + state.shown)
