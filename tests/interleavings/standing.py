"""The bracketed rule over ticks beside a leader whose rows have no versions, and whose change stream says whether they
stood still. Its looks tell by positions what they show at least and at most, as MariaDB's and MySQL's do: what was
visible before, what was logged after. Contents come back (`contents`), which is what versions would tell apart.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any

from interleavings.rules import JUDGED, said_of
from interleavings.watermark import See
from verifier.bracket import Ask, Bracket, Rows, Stage
from verifier.change import Batch, Change, Operation, Transaction
from verifier.gtid import GtidSet
from verifier.look import Look, Publishes, Row
from verifier.position import Position, Tick
from verifier.standing import Witness
from verifier.table import TableName
from verifier.view import NoView, Shown
from verifier.window import InFlight, TransactionWindow

_TABLE = TableName("db", "t")
_TICKS = TableName("db", "ticks")
_ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
Numbers = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """A bracket, with what was asked before the look that it waits for, and in the end the log (True: a change of the
    judged row)."""

    stage: Stage
    waits: object
    before: Numbers | int | None
    version: int | None
    looks: tuple[object, ...]
    log: tuple[bool, ...] | None
    bracket: Bracket = field(compare=False)


@dataclass(slots=True)
class _Kept:
    """The window as its owner would show it."""

    window: TransactionWindow
    without: str

    def in_flight(
        self, table: TableName, leader: Look[Any], follower: Look[Any], publishes: Publishes, *, barrier: Position
    ) -> InFlight:
        if self.without == "the stream":
            return InFlight()
        return self.window.in_flight(table, leader, follower, publishes, barrier=barrier)

    def read_through(self) -> Position | None:
        return self.window.read_through

    def tells(self, table: TableName) -> bool:
        return True

    def opened(self, leader: Look[Any], follower: Look[Any], name: str) -> int:
        return 1

    def closed(self, ticket: int) -> None:
        return


@dataclass(frozen=True, slots=True)
class _Stands:
    at: Position

    def position(self) -> Position:
        return self.at


@dataclass(frozen=True, slots=True)
class StandingRule:
    """`contents[version]`: what the row holds after so many changes of it; None: there is no row. `without` takes one
    condition away."""

    contents: tuple[int | None, ...]
    without: str = ""

    def start(self) -> Standing:
        return self._state(Bracket(frozenset({JUDGED}), Publishes.TOGETHER))

    def sees(self, state: Hashable) -> tuple[See, ...]:
        assert isinstance(state, Standing)
        if state.stage is Stage.DONE:
            return (See.LOGGED,) if state.log is None else ()
        match state.bracket.ask:
            case Ask.LEADER_ROWS if state.before is None:
                return (See.SHOWN,)
            case Ask.LEADER_ROWS:
                return (See.LEADER_ROW if state.version is None else See.LOGGED,)
            case Ask.FOLLOWER_ROWS:
                return (See.FOLLOWER_TICK if state.before is None else See.FOLLOWER_ROW,)
            case Ask.FOLLOWER_POSITION:
                return (See.FOLLOWER_TICK,)
            case Ask.LEADER_MARK:
                return (See.LOGGED,)
        return (See.TICKS_BEGUN,)

    def told(self, state: Hashable, what: See, answer: Any) -> Standing:
        assert isinstance(state, Standing)
        bracket = state.bracket
        if state.stage is Stage.DONE:
            return replace(state, log=answer)
        match bracket.ask:
            case Ask.LEADER_ROWS if what is See.SHOWN:
                return replace(state, before=answer)
            case Ask.LEADER_ROWS if what is See.LEADER_ROW:
                return replace(state, version=answer[0])
            case Ask.LEADER_ROWS:
                assert isinstance(state.before, tuple)
                assert state.version is not None
                low = self._ids(state.before)
                high = low if "what was logged after it" in self.without else self._ids(_all(answer))
                if self.without == "what was visible before it":
                    low = high
                return self._state(bracket.looked(Look(self._rows(state.version), low, high, Shown(low))))
            case Ask.FOLLOWER_ROWS if what is See.FOLLOWER_TICK:
                return replace(state, before=answer)
            case Ask.FOLLOWER_ROWS:
                assert isinstance(state.before, int)
                tick = Tick(state.before)
                return self._state(bracket.looked(Look(self._rows(answer), tick, tick, NoView())))
            case Ask.FOLLOWER_POSITION:
                return self._state(bracket.stood(Tick(answer)))
            case Ask.LEADER_MARK:
                return self._state(bracket.marked(self._ids(() if "X" in self.without else _all(answer))))
        fresh = 0 if self.without == "waiting for the tick" else answer + 1
        return self._state(bracket.stood(Tick(fresh)))

    def verdict(self, state: Hashable) -> str:
        assert isinstance(state, Standing)
        assert state.log is not None
        assert state.bracket.r1 is not None
        barrier = self._ids(_all(state.log))
        witness = Witness(_TABLE, _Stands(barrier), _Kept(self._window(state.log, barrier), self.without))
        witness.began(state.bracket.r1)
        findings = witness.testify(state.bracket, state.bracket.findings(), 0.0)
        assert findings is not None
        finding = findings[JUDGED]
        said = said_of(finding)
        return f"undecided: {finding.outcome.value}" if said == "undecided" else said

    def _window(self, log: tuple[bool, ...], barrier: Position) -> TransactionWindow:
        window = TransactionWindow()
        window.begin(self._ids(()))
        window.set_mark(self._ids(()))
        window.add(Batch(tuple(self._transaction(n, judged) for n, judged in enumerate(log, 1)), barrier))
        return window

    def _transaction(self, number: int, judged: bool) -> Transaction:
        change = Change(_TABLE if judged else _TICKS, JUDGED, Operation.UPDATE)
        return Transaction(0, self._ids((number,)), 0.0, (change,))

    def _ids(self, numbers: Numbers) -> GtidSet:
        return GtidSet.of({_ORIGIN: [(number, number) for number in numbers]})

    def _rows(self, version: int) -> Rows:
        held = self.contents[version]
        return {} if held is None else {JUDGED: Row({"id": "1", "v": str(held)}, held, None)}

    def _state(self, bracket: Bracket) -> Standing:
        looks = tuple(
            None if look is None else (tuple(row.digest for row in look.value.values()), look.low, look.high)
            for look in (bracket.r1, bracket.f1, bracket.r2, bracket.f2)
        )
        return Standing(bracket.stage, (bracket.position, bracket.mark), None, None, looks, None, bracket)


def _all(log: tuple[bool, ...]) -> Numbers:
    return tuple(range(1, len(log) + 1))
