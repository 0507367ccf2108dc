"""The life of a row as the leader's log tells it, and where the follower stopped agreeing.

Changes come from a `History`: a log that can be read back (Kafka, a binlog), or what a daemon kept of one that cannot
(`verifier.remembered`). This module lines them up with the two rows and asks `verifier.cause`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from verifier.canonical import same, standing_for
from verifier.cause import Chain, Explanation, Known, Step, explain
from verifier.change import Operation
from verifier.excerpt import Hide
from verifier.ownlog import Image
from verifier.position import Position, parse
from verifier.replay import ABSENT, UNKNOWN, State
from verifier.table import Key, Table, TableName, Value
from verifier.weight import text_bytes

RECALLED_BYTES = 32 << 20
"""Values of changes that are read back at once: of 3,000 changes of a row of 10 kB."""
CUT = "the older changes are left out, for their values are too large together"
_CHANGE_BYTES = 400


@dataclass(frozen=True, slots=True)
class Traced:
    """One change of one key. `transaction` is the leader's id of it as text, `committed_at` seconds since the epoch on
    the leader's clock, `received_at` the same on trueup's. `before` and `after` hold values as the log spelled them, of
    the columns that it told; `place` is where in the log it lies, for people. `origin`: in a follower's own log, the
    leader's commit that it came with, as text; None: it was made there."""

    commit: Position
    operation: Operation
    after: Mapping[str, Value] | None = None
    before: Mapping[str, Value] | None = None
    committed_at: float | None = None
    received_at: float | None = None
    transaction: str = ""
    place: str = ""
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Recalled:
    """The changes of one key, oldest first. No change behind `since` is missing; None: nobody knows from where on they
    are complete. `note` says in words what was not read, or why."""

    changes: tuple[Traced, ...] = ()
    since: Position | None = None
    note: str = ""


class Newest:
    """The newest changes of a key whose values fit, oldest first. `cut`: the commit of the last that was left out."""

    def __init__(self) -> None:
        self._changes: deque[Traced] = deque()
        self._bytes = 0
        self.cut: Position | None = None

    def add(self, one: Traced) -> None:
        """Behind those before."""
        self._changes.append(one)
        self._bytes += _traced_bytes(one)
        while self._bytes > RECALLED_BYTES and len(self._changes) > 1:
            gone = self._changes.popleft()
            self._bytes -= _traced_bytes(gone)
            self.cut = gone.commit

    def behind(self, since: Position | None) -> tuple[Traced, ...]:
        """Those that committed behind `since` (None: all)."""
        return tuple(one for one in self._changes if since is None or not since.covers(one.commit))


def _traced_bytes(one: Traced) -> int:
    return _CHANGE_BYTES + sum(text_bytes(row.values()) for row in (one.before, one.after) if row is not None)


class History(Protocol):
    """Where the changes of a key can be read back."""

    def changes(self, table: TableName, key: Key, since: Position | None = None) -> Recalled:
        """Of the key, behind `since` (None: as far back as the limits of the history allow). Temporary, Forbidden or
        Permanent if the log cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """What both sides show: values by column, None for an absent row."""

    leader: Mapping[str, Value] | None
    follower: Mapping[str, Value] | None


def hidden(recalled: Recalled, hide: Hide | None) -> Recalled:
    """The changes with what may be told of their values; `hide` None: all."""
    if hide is None:
        return recalled
    changes = tuple(
        replace(one, after=hidden_row(one.after, hide), before=hidden_row(one.before, hide)) for one in recalled.changes
    )
    return replace(recalled, changes=changes)


def hidden_row(row: Mapping[str, Value] | None, hide: Hide) -> Mapping[str, Value] | None:
    """One row with what may be told of its values."""
    return None if row is None else {name: hide(name, value) for name, value in row.items()}


def applied(recalled: Recalled, through: Position) -> Recalled:
    """Only what a follower that stands at `through` has applied."""
    return replace(recalled, changes=tuple(one for one in recalled.changes if through.covers(one.commit)))


def explained(table: Table, recalled: Recalled, rows: Rows, known: Known) -> Explanation:
    """Why the follower's row is not the leader's. `table` has the compared columns; only they count."""
    recalled, rows = _told_alike(table, recalled, rows)
    return explain(chain_of(table, recalled.changes, rows.leader), state_of(table, rows.follower), known)


def _told_alike(table: Table, recalled: Recalled, rows: Rows) -> tuple[Recalled, Rows]:
    """With every value that is near enough to the leader's, the follower's or the one before it in that one's spelling:
    states are told apart by text. It is not held against all others, of which there may be tens of thousands."""
    near = [column for column in table.columns if column.tolerance is not None and column.tolerance.near]
    if not near:
        return recalled, rows
    present: dict[str, list[Value]] = {column.name: [] for column in near}
    before: dict[str, tuple[Value, ...]] = {}

    def spelled(row: Mapping[str, Value] | None, *, now: bool = False) -> Mapping[str, Value] | None:
        if row is None:
            return None
        found = dict(row)
        for column in near:
            name = column.name
            if name not in found:
                continue
            for one in (*present[name], *before.get(name, ())):
                if same(column, one, found[name]):
                    found[name] = one
                    break
            else:
                if now:
                    present[name].append(found[name])
                else:
                    before[name] = (found[name],)
        return found

    both = Rows(spelled(rows.leader, now=True), spelled(rows.follower, now=True))
    changes = tuple(replace(one, before=spelled(one.before), after=spelled(one.after)) for one in recalled.changes)
    return replace(recalled, changes=changes), both


def chain_of(table: Table, changes: Sequence[Traced], now: Mapping[str, Value] | None) -> Chain:
    """The changes as steps, in canonical text, from what the row was before them to the leader's present row."""
    steps = tuple(Step(one.operation, _values(table, one.after)) for one in changes)
    return Chain(_base(table, changes, now), steps, state_of(table, now))


def changed_columns(changes: Sequence[Traced], table: Table | None = None) -> list[tuple[str, ...] | None]:
    """For each change the columns that it changed, in the order of the event; None where that is not known."""
    found: list[tuple[str, ...] | None] = []
    held: Mapping[str, Value] | None = None
    for one in changes:
        before = one.before if one.before is not None else held
        after = one.after or {}
        if one.operation is not Operation.UPDATE:
            found.append(tuple(after))
        elif before is None:
            found.append(None)
        else:
            found.append(tuple(name for name, value in after.items() if name in before and before[name] != value))
        held = {**(held or {}), **after} if one.operation is not Operation.DELETE else {}
    return found


def _base(table: Table, changes: Sequence[Traced], now: Mapping[str, Value] | None) -> State:
    if not changes:
        return state_of(table, now)
    first = changes[0]
    if first.operation is Operation.INSERT:
        return ABSENT
    before = _values(table, first.before)
    if not before or not before.keys() >= {column.name for column in table.columns}:
        return UNKNOWN  # a key alone is no row
    return State(before)


def state_of(table: Table, values: Mapping[str, Value] | None) -> State:
    """A row in canonical text."""
    told = _values(table, values)
    return ABSENT if told is None else State(told)


def _values(table: Table, values: Mapping[str, Value] | None) -> dict[str, Value] | None:
    if values is None:
        return None
    found: dict[str, Value] = {}
    for column in table.columns:
        if column.name in values:
            value = values[column.name]
            try:
                found[column.name] = standing_for(column, value)
            except (ValueError, ArithmeticError):
                found[column.name] = value  # as it is: it may still be the same text on both sides
    return found


def images_of(table: Table, own: Recalled, recalled: Recalled) -> tuple[Image, ...]:
    """What a follower's own log has of the key, lined up with the leader's changes of it (`recalled`)."""
    steps = {_id(one.commit.text()): number for number, one in enumerate(recalled.changes, 1)}
    found = []
    for one in own.changes:
        step = None if one.origin is None else steps.get(_id(one.origin))
        if one.origin is not None and step is None and recalled.since is not None:
            step = 0 if recalled.since.covers(parse(one.origin)) else None
        found.append(Image(_image(table, one), step, one.origin is None))
    return tuple(found)


def _image(table: Table, one: Traced) -> State:
    if one.operation is Operation.DELETE:
        return ABSENT
    values = _values(table, one.after)
    if values is None:
        return UNKNOWN
    return State(values, values.keys() >= {column.name for column in table.columns})


def _id(text: str) -> str:
    """Of a commit as text, what is the same on every server: without the place in the leader's own binlog."""
    return text.partition(" ")[2] if text.startswith("logged:") else text
