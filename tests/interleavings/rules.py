"""The rules of evidence as machines for the explorer. Each verdict comes from the rule's own code in `verifier`.

`without` takes one necessary condition away, by feeding the unchanged code a lie: a mark of 0, which every view has
passed; another order of publishing; an older answer where a fresh one is due.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

from interleavings.model import FIRST_ID, See
from verifier.bracket import Ask, Bracket, Finding, Outcome, Rows, Stage
from verifier.change import Batch, Change, Operation, Transaction
from verifier.look import Look, Publishes, Row
from verifier.position import Tick
from verifier.stillness import StillPoint, still_point, unsettled
from verifier.table import Key, TableName
from verifier.view import Snapshot, View
from verifier.visibility import judge
from verifier.window import Settled, TransactionWindow

TABLE = TableName("public", "t")
JUDGED: Key = (1,)
OTHER: Key = (2,)
_ALL_ENDED = Snapshot(1 << 30, 1 << 30)


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that the visibility rule asks for around two looks; None is not asked yet."""

    valid_from: int | None = None
    valid_mark: int | None = None
    settled_position: int | None = None
    settled_mark: int | None = None
    leader: tuple[int, int, View] | None = None
    low: int | None = None
    follower: tuple[int, View] | None = None
    high: int | None = None
    log: tuple[tuple[int, bool], ...] | None = None


@dataclass(frozen=True, slots=True)
class VisibilityRule:
    """DESIGN 3.1. `settles`: ask the follower for position and mark before its look. `joins`: the stream starts at
    some moment, not at the beginning. `prunes`: forget what the window may forget before judging."""

    publishes: Publishes
    settles: bool = False
    joins: bool = False
    prunes: bool = False
    without: str = ""

    def start(self) -> Gathered:
        return Gathered() if self.joins else Gathered(valid_from=0, valid_mark=FIRST_ID)

    def sees(self, state: Hashable) -> tuple[See, ...]:
        assert isinstance(state, Gathered)
        if state.log is not None:
            return ()
        options = []
        if state.valid_from is None:
            options.append(See.LEADER_POSITION)
        elif state.valid_mark is None:
            options.append(See.LEADER_MARK)
        if state.leader is None:
            options.append(See.LEADER_LOOK)
        if self.settles and state.settled_position is not None and state.settled_mark is None:
            options.append(See.FOLLOWER_MARK)
        elif state.high is None:
            between = state.low is not None and state.follower is None
            options.append(See.FOLLOWER_LOOK if between else See.FOLLOWER_POSITION)
        return tuple(options) or (See.LEADER_LOG,)

    def told(self, state: Hashable, what: See, answer: Any) -> Gathered:
        assert isinstance(state, Gathered)
        match what:
            case See.LEADER_POSITION:
                return replace(state, valid_from=answer)
            case See.LEADER_MARK:
                return replace(state, valid_mark=0 if self.without == "mark of the stream's start" else answer)
            case See.LEADER_LOOK:
                return replace(state, leader=answer)
            case See.LEADER_LOG:
                return replace(state, log=answer)
            case See.FOLLOWER_LOOK:
                return replace(state, follower=answer)
            case See.FOLLOWER_MARK:
                return replace(state, settled_mark=0 if self.without == "local mark" else answer)
        if self.settles and state.settled_position is None:
            return replace(state, settled_position=answer)
        return replace(state, low=answer) if state.low is None else replace(state, high=answer)

    def verdict(self, state: Hashable) -> str:
        assert isinstance(state, Gathered)
        assert state.log is not None
        assert state.leader is not None
        assert state.follower is not None
        leader = Look(state.leader[0], Tick(state.leader[1]), Tick(state.leader[1]), state.leader[2])
        follower = Look(state.follower[0], Tick(_told(state.low)), Tick(_told(state.high)), state.follower[1])
        window = self._window(state)
        if self.prunes:
            window.prune([leader.view], [follower.low])
        settled = None
        if self.settles:
            settled = Settled(Tick(_told(state.settled_position)), _told(state.settled_mark))
        publishes = Publishes.TOGETHER if self.without == "widening" else self.publishes
        barrier = Tick(len(state.log))
        flight = window.in_flight(TABLE, leader, follower, publishes, barrier=barrier, settled=settled)
        verdicts = judge({JUDGED: leader.value}, {JUDGED: follower.value}, flight, [JUDGED])
        if verdicts.in_flight:
            return "undecided"
        return "drift: mismatched" if verdicts.drifted else "equal"

    def _window(self, state: Gathered) -> TransactionWindow:
        window = TransactionWindow()
        window.begin(Tick(_told(state.valid_from)))
        window.set_mark(_told(state.valid_mark))
        log = state.log or ()
        arrived = [_transaction(xid, at, judged) for at, (xid, judged) in enumerate(log, 1)]
        window.add(Batch(tuple(arrived[: len(arrived) // 2]), Tick(len(arrived) // 2)))
        window.add(Batch(tuple(arrived), Tick(len(arrived))))  # what came before comes again
        return window


@dataclass(frozen=True, slots=True)
class BracketState:
    """A bracket, equal to another one in the same stage that saw the same versions."""

    stage: Stage
    position: int | None
    mark: int | None
    versions: tuple[object, ...]
    bracket: Bracket = field(compare=False)


@dataclass(frozen=True, slots=True)
class BracketRule:
    """DESIGN 3.2. `holds[version]`: is there a row after so many changes of it?"""

    publishes: Publishes
    holds: tuple[bool, ...]
    damaged: Row | bool | None = False  # what the follower shows instead of its row, if not False
    without: str = ""

    def start(self) -> BracketState:
        local = self.without == "local wait"
        return self._state(Bracket(frozenset({JUDGED}), Publishes.TOGETHER if local else self.publishes))

    def sees(self, state: Hashable) -> tuple[See, ...]:
        assert isinstance(state, BracketState)
        return () if state.stage is Stage.DONE else (_SEES[state.bracket.ask],)

    def told(self, state: Hashable, what: See, answer: Any) -> BracketState:
        assert isinstance(state, BracketState)
        bracket = state.bracket
        match what:
            case See.LEADER_LOOK:
                return self._state(bracket.looked(self._leader_look(bracket, *answer)))
            case See.FOLLOWER_LOOK:
                return self._state(bracket.looked(self._follower_look(bracket, *answer)))
            case See.LEADER_MARK:
                return self._state(bracket.marked(0 if self.without == "X" else answer))
            case See.FOLLOWER_MARK:
                return self._state(bracket.marked(answer))
            case See.FOLLOWER_POSITION if self.without == "waiting for P1" and bracket.position is not None:
                return self._state(bracket.stood(bracket.position))
        return self._state(bracket.stood(Tick(answer)))

    def verdict(self, state: Hashable) -> str:
        assert isinstance(state, BracketState)
        return said_of(state.bracket.findings()[JUDGED])

    def _leader_look(self, bracket: Bracket, version: int, position: int, view: View) -> Look[Rows]:
        if self.without == "second leader read" and bracket.stage is Stage.R2 and bracket.r1 is not None:
            return Look(dict(bracket.r1.value), Tick(position), Tick(position), _ALL_ENDED)
        return Look(rows_of(version, self.holds), Tick(position), Tick(position), view)

    def _follower_look(self, bracket: Bracket, version: int, view: View) -> Look[Rows]:
        assert bracket.position is not None  # the follower was seen to have applied it, a true lower bound
        rows = rows_of(version, self.holds)
        if not isinstance(self.damaged, bool):
            rows = {JUDGED: self.damaged} if self.damaged is not None else {}
        if self.without == "second follower read" and bracket.stage is Stage.F2 and bracket.f1 is not None:
            rows = dict(bracket.f1.value)
        return Look(rows, bracket.position, bracket.position, view)

    def _state(self, bracket: Bracket) -> BracketState:
        looks = (bracket.r1, bracket.f1, bracket.r2, bracket.f2)
        versions = tuple(None if look is None else _version(look) for look in looks)
        position = bracket.position.value if isinstance(bracket.position, Tick) else None
        return BracketState(bracket.stage, position, bracket.mark, versions, bracket)


_SEES = {
    Ask.LEADER_ROWS: See.LEADER_LOOK,
    Ask.LEADER_POSITION: See.LEADER_POSITION,
    Ask.LEADER_MARK: See.LEADER_MARK,
    Ask.FOLLOWER_ROWS: See.FOLLOWER_LOOK,
    Ask.FOLLOWER_POSITION: See.FOLLOWER_POSITION,
    Ask.FOLLOWER_MARK: See.FOLLOWER_MARK,
}


@dataclass(frozen=True, slots=True)
class Stood:
    """What the snapshot rule has asked for so far."""

    mark: int | None = None
    first: tuple[int, int, View] | None = None
    position: int | None = None
    settled_position: int | None = None
    settled_mark: int | None = None
    leader: tuple[int, int, View] | None = None
    low: int | None = None
    follower: tuple[int, View] | None = None
    after: int | None = None


@dataclass(frozen=True, slots=True)
class SnapshotRule:
    """DESIGN 3.3. `reuses`: the look that establishes the still point is also the one that is compared."""

    publishes: Publishes
    reuses: bool = False
    without: str = ""

    def start(self) -> Stood:
        return Stood()

    def sees(self, state: Hashable) -> tuple[See, ...]:
        assert isinstance(state, Stood)
        if state.after is not None:
            return ()
        if state.mark is None:
            return (See.LEADER_MARK,)
        if state.first is None:
            return (See.LEADER_LOOK,)
        if state.position is None:
            return (See.LEADER_POSITION,)
        options = [] if state.leader is not None else [See.LEADER_LOOK]
        if state.settled_position is not None and state.settled_mark is None:
            options.append(See.FOLLOWER_MARK)
        elif state.follower is None:
            options.append(See.FOLLOWER_POSITION if state.low is None else See.FOLLOWER_LOOK)
        return tuple(options) or (See.LEADER_MARK,)

    def told(self, state: Hashable, what: See, answer: Any) -> Stood:
        assert isinstance(state, Stood)
        match what:
            case See.LEADER_MARK:
                if state.mark is None:
                    return replace(state, mark=answer)
                return replace(state, after=state.mark if self.without == "second mark" else answer)
            case See.LEADER_LOOK:
                if state.first is None:
                    return replace(state, first=answer, leader=answer if self.reuses else None)
                return replace(state, leader=answer)
            case See.LEADER_POSITION:
                return replace(state, position=answer)
            case See.FOLLOWER_LOOK:
                return replace(state, follower=answer)
            case See.FOLLOWER_MARK:
                return replace(state, settled_mark=answer)
        if self.publishes is Publishes.BEFORE_SHOWING and state.settled_position is None:
            return replace(state, settled_position=answer)
        return replace(state, low=answer)

    def verdict(self, state: Hashable) -> str:
        assert isinstance(state, Stood)
        assert state.first is not None
        assert state.leader is not None
        assert state.follower is not None
        view = _ALL_ENDED if self.without == "nothing running" else state.first[2]
        point = still_point(_told(state.mark), view, Tick(_told(state.position)))
        if point is None:
            return "undecided"
        ours, theirs = state.leader[0], state.follower[0]
        leader = Look(ours, Tick(state.leader[1]), Tick(state.leader[1]), state.leader[2])
        low = point.position if self.without == "waiting for the follower" else Tick(_told(state.low))
        follower = Look(theirs, low, low, state.follower[1])
        if self._refuses(state, point, leader, follower):
            return "undecided"
        return "equal" if ours == theirs else "drift: mismatched"

    def _refuses(self, state: Stood, point: StillPoint, leader: Look[int], follower: Look[int]) -> str:
        publishes, settled = self.publishes, None
        if self.without == "local mark":
            publishes = Publishes.TOGETHER
        elif state.settled_position is not None:
            applied = point.position if self.without == "waiting for the follower" else Tick(state.settled_position)
            settled = Settled(applied, _told(state.settled_mark))
        return unsettled(point, leader, follower, publishes, mark_after=_told(state.after), settled=settled)


def rows_of(version: int, holds: tuple[bool, ...]) -> dict[Key, Row]:
    """What a look shows of the judged row after so many changes of it."""
    return {JUDGED: Row({"id": "1", "v": str(version)}, version, str(version))} if holds[version] else {}


def said_of(finding: Finding) -> str:
    """A bracket's finding in the explorer's words."""
    if finding.outcome is Outcome.DRIFT and finding.kind is not None:
        return f"drift: {finding.kind.value}"
    return "equal" if finding.outcome is Outcome.EQUAL else "undecided"


def _transaction(xid: int, position: int, judged: bool) -> Transaction:
    change = Change(TABLE, JUDGED if judged else OTHER, Operation.UPDATE)
    return Transaction(xid, Tick(position), 0.0, (change,))


def _version(look: Look[Any]) -> str:
    row = look.value.get(JUDGED)
    return "absent" if row is None else row.version or "?"


def _told(answer: int | None) -> int:
    assert answer is not None
    return answer
