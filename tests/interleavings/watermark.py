"""The bracketed rule over ticks: a leader that counts a row up, and a follower that shows its commits in order, and
nothing else that would tell a position.

Ticks are transactions like any other, one after the other, because each waits for the row lock of the one before. The
leader shows commits in whatever order (its views tell ids, as PostgreSQL's do), or in the order of its log and tells
nothing else (`logless`). `chain` transactions change the row that is judged.
"""

from __future__ import annotations

import enum
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from interleavings.model import FIRST_ID, State, _snapshot, _with
from interleavings.reachable import reachable
from interleavings.rules import JUDGED, rows_of, said_of
from verifier.bracket import Ask, Bracket, Rows, Stage
from verifier.look import Look, Publishes
from verifier.position import NOWHERE, Tick
from verifier.view import NoView, Shown, View


class See(enum.Enum):
    """What the rule may find out in one step."""

    LEADER_ROW = "leader's row"  # (version, view)
    LEADER_TICK = "leader's tick"
    TICKS_BEGUN = "how many ticks have begun"
    LEADER_MARK = "leader's mark"
    FOLLOWER_ROW = "follower's row"
    FOLLOWER_TICK = "follower's tick"
    SHOWN = "numbers of the transactions that the leader shows"
    LOGGED = "the leader's log, True: a change of the judged row"


@dataclass(slots=True)
class TickWorld:
    """All states that can be reached. Transactions below `chain` change the judged row, the others are ticks."""

    chain: int
    ticks: int
    logless: bool
    states: list[State] = field(default_factory=list)
    successors: list[list[int]] = field(default_factory=list)
    seen: dict[See, list[object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.states, self.successors = reachable(State(), self._steps)
        for what in See:
            self.seen[what] = [self._see(state, what) for state in self.states]

    def _steps(self, state: State) -> Iterator[State]:
        for tx in range(self.chain + self.ticks):
            after = self._leader_step(state, tx)
            if after is not None:
                yield after
        if state.shown < len(state.log):
            yield _with(state, shown=state.shown + 1)

    def _leader_step(self, state: State, tx: int) -> State | None:
        if tx not in state.written:
            locked = tx not in (0, self.chain) and tx - 1 not in state.visible
            if locked:
                return None
            return _with(state, begun=(*state.begun, tx), written=state.written | {tx})
        if tx not in state.log:
            return _with(state, log=(*state.log, tx))
        if tx in state.visible or (self.logless and len(state.visible) != state.log.index(tx)):
            return None
        return _with(state, visible=state.visible | {tx})

    def _see(self, state: State, what: See) -> object:
        match what:
            case See.LEADER_ROW:
                view: View = NoView() if self.logless else _snapshot(state.begun, state.visible)
                return self._versions(state.visible), view
            case See.LEADER_TICK:
                return len(state.visible) - self._versions(state.visible)
            case See.TICKS_BEGUN:
                return sum(tx >= self.chain for tx in state.begun)
            case See.LEADER_MARK:
                return FIRST_ID + len(state.begun)
            case See.FOLLOWER_ROW:
                return self._versions(state.log[: state.shown])
            case See.FOLLOWER_TICK:
                return state.shown - self._versions(state.log[: state.shown])
            case See.SHOWN:
                return tuple(number for number, tx in enumerate(state.log, 1) if tx in state.visible)
            case See.LOGGED:
                return tuple(tx < self.chain for tx in state.log)

    def _versions(self, shown: Any) -> int:
        return sum(tx < self.chain for tx in shown)


@dataclass(frozen=True, slots=True)
class TickState:
    """A bracket with the tick that was read before the look that it waits for."""

    stage: Stage
    position: int | None
    mark: object
    before: int | None
    versions: tuple[object, ...]
    bracket: Bracket = field(compare=False)


@dataclass(frozen=True, slots=True)
class WatermarkRule:
    """`holds[version]`: is there a row after so many changes of it? `ahead`: how many ticks beyond the one that is
    shown others must write; None: the rule has one begun itself. `without` feeds the unchanged code a lie."""

    logless: bool
    holds: tuple[bool, ...]
    ahead: int | None = None
    without: str = ""

    def start(self) -> TickState:
        return self._state(Bracket(frozenset({JUDGED}), Publishes.TOGETHER))

    def sees(self, state: Hashable) -> tuple[See, ...]:
        assert isinstance(state, TickState)
        if state.stage is Stage.DONE:
            return ()
        ahead = See.TICKS_BEGUN if self.ahead is None else See.LEADER_TICK
        match state.bracket.ask:
            case Ask.LEADER_ROWS if self.logless and state.before is None:
                return (See.LEADER_TICK,)
            case Ask.LEADER_ROWS:
                return (See.LEADER_ROW,)
            case Ask.FOLLOWER_ROWS:
                return (See.FOLLOWER_TICK if state.before is None else See.FOLLOWER_ROW,)
            case Ask.FOLLOWER_POSITION:
                return (See.FOLLOWER_TICK,)
            case Ask.LEADER_MARK if not self.logless:
                return (See.LEADER_MARK,)
        return (ahead,)

    def told(self, state: Hashable, what: See, answer: Any) -> TickState:
        assert isinstance(state, TickState)
        bracket = state.bracket
        match bracket.ask:
            case Ask.LEADER_ROWS | Ask.FOLLOWER_ROWS if what in (See.LEADER_TICK, See.FOLLOWER_TICK):
                return replace(state, before=answer)
            case Ask.LEADER_ROWS:
                version, view = answer
                if state.before is not None:
                    view = Shown(Tick(state.before))
                return self._state(bracket.looked(Look(self._rows(version), NOWHERE, NOWHERE, view)))
            case Ask.FOLLOWER_ROWS:
                low = Tick(state.before or 0)
                return self._state(bracket.looked(Look(self._rows(answer), low, low, NoView())))
            case Ask.FOLLOWER_POSITION:
                return self._state(bracket.stood(Tick(answer)))
            case Ask.LEADER_POSITION:
                if self.without == "waiting for the tick":
                    return self._state(bracket.stood(Tick(0)))
                return self._state(bracket.stood(self._fresh(answer)))
        if self.without == "X":
            return self._state(bracket.marked(Tick(0) if self.logless else 0))
        return self._state(bracket.marked(self._fresh(answer) if self.logless else answer))

    def verdict(self, state: Hashable) -> str:
        assert isinstance(state, TickState)
        return said_of(state.bracket.findings()[JUDGED])

    def _fresh(self, answer: int) -> Tick:
        return Tick(answer + (1 if self.ahead is None else self.ahead))

    def _rows(self, version: int) -> Rows:
        return rows_of(version, self.holds)

    def _state(self, bracket: Bracket) -> TickState:
        looks = (bracket.r1, bracket.f1, bracket.r2, bracket.f2)
        versions = tuple(None if look is None else tuple(row.digest for row in look.value.values()) for look in looks)
        position = bracket.position.value if isinstance(bracket.position, Tick) else None
        return TickState(bracket.stage, position, bracket.mark, None, versions, bracket)
