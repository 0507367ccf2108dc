"""Applying the changes of one key in some order, as followers do it, to see where that leads.

Followers apply changes in different ways, and a wrong order shows differently in each (`Applying`). In the right order
all of them end in the leader's state.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Protocol, TypeAlias

from verifier.change import Operation


@dataclass(frozen=True, slots=True, eq=False)
class OneOf:
    """A value that may be any of `cells` (None: any at all): equal to each of them."""

    cells: tuple[object, ...] | None

    def __eq__(self, other: object) -> bool:
        return self.cells is None or other in self.cells

    def __hash__(self) -> int:
        return 0


Cell: TypeAlias = str | OneOf | None


@dataclass(frozen=True, slots=True)
class State:
    """What a key held. `values` None: there was no such row. Unless `whole`, columns may be missing because nobody told
    them."""

    values: Mapping[str, Cell] | None
    whole: bool = True


ABSENT = State(None)
UNKNOWN = State({}, whole=False)
"""There was a row, of which nothing is known."""


ANYTHING = OneOf(None)


class Told(Protocol):
    """A change, as far as its event told it."""

    @property
    def operation(self) -> Operation: ...
    @property
    def after(self) -> Mapping[str, str | None] | None: ...


class Applying(enum.Enum):
    """How a follower applies a change."""

    WHOLE = "whole"  # the row becomes the event's, whatever was there: an upsert
    KNOWN = "known"  # the same, but an update finds its row or does nothing, an insert finds none or does nothing
    STRICT = "strict"  # as KNOWN, but an insert that finds a row ends all applying, for everybody to see
    CHANGED = "changed"  # an update sets the columns that it changed; the rest as KNOWN
    ADDING = "adding"  # an update adds to the numbers that it changed; the rest as CHANGED


@dataclass(frozen=True, slots=True)
class Entry:
    """`step` (from 1) is applied when `slot` was due; `late`: after the step of that slot, or any time later."""

    step: int
    slot: int
    late: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """`states[k]` after the first k entries; `wrote`: index of the last entry that wrote the row, None: none did.
    `ended`: the follower would have stopped on the way."""

    states: tuple[State, ...]
    wrote: int | None
    ended: bool = False


def states_of(base: State, steps: Sequence[Told], now: State | None = None) -> tuple[State, ...]:
    """The leader's states: before the first step, after it, and so on; the last one is `now` where it is given. Columns
    that an event did not tell are those of the state before."""
    columns: set[str] = set(now.values or ()) if now is not None else set()
    if not columns:
        columns = {name for step in steps for name in step.after or ()}
    states = [base]
    for step in steps:
        states.append(_after(states[-1], step, columns))
    if now is not None:
        states[-1] = now
    return tuple(states)


def replay(
    steps: Sequence[Told],
    states: Sequence[State],
    order: Sequence[Entry],
    applying: Applying,
    *,
    altered: int | None = None,
    begin: State | None = None,
) -> Replayed:
    """Apply the steps in this order to `begin` (None: the leader's state before the first of them). The step `altered`
    carries any values in whatever it writes."""
    found = [states[0] if begin is None else begin]
    wrote: int | None = None
    ended = False
    for place, entry in enumerate(order):
        step, before, after = steps[entry.step - 1], states[entry.step - 1], states[entry.step]
        if applying is Applying.STRICT and step.operation is Operation.INSERT:
            ended = ended or found[-1] != ABSENT
        state = _applied(found[-1], step, before, after, applying, altered == entry.step)
        if state is not found[-1]:
            wrote = place
        found.append(state)
    return Replayed(tuple(found), wrote, ended)


def _after(before: State, step: Told, columns: set[str]) -> State:
    if step.operation is Operation.DELETE:
        return ABSENT
    if step.after is None:
        return UNKNOWN
    kept = before.values or {} if step.operation is Operation.UPDATE else {}
    values = {**kept, **step.after}
    return State(values, columns <= values.keys())


def _applied(held: State, step: Told, before: State, after: State, applying: Applying, altered: bool) -> State:
    if step.operation is Operation.DELETE:
        return held if held == ABSENT else State(None)  # another object: something was written
    update = step.operation is Operation.UPDATE
    if applying is not Applying.WHOLE and (held == ABSENT) is update:
        return held
    if after.values is None or step.after is None:
        return UNKNOWN
    if update and before == UNKNOWN and held != before and applying in (Applying.CHANGED, Applying.ADDING):
        return _unclear(held, step.after, applying)
    new: dict[str, Cell] = {name: after.values.get(name) for name in step.after}
    complete = after.whole and after.values.keys() <= new.keys()
    if applying in (Applying.CHANGED, Applying.ADDING) and update and before.values:
        new = {name: cell for name, cell in new.items() if name not in before.values or before.values[name] != cell}
        complete = False
    if applying is Applying.ADDING and update:
        lost = (before.values or {}).keys() - (held.values or {}).keys() if not held.whole else ()
        new = {name: _added(held, before, name, cell) for name, cell in new.items() if name not in lost}
    if altered:
        new = dict.fromkeys(new, ANYTHING)
    kept = (held.values or {}) if update else {}
    return State({**kept, **new}, complete or (update and held.whole and held.values is not None))


def _unclear(held: State, told: Mapping[str, str | None], applying: Applying) -> State:
    """The state if it is not known which of the told columns the step changed, or by how much."""
    kept: dict[str, Cell] = {}
    for name, cell in (held.values or {}).items():
        if name not in told:
            kept[name] = cell
        elif applying is Applying.CHANGED:
            kept[name] = OneOf((cell, told[name]))
    return State(kept, whole=False)


def _added(held: State, before: State, name: str, value: Cell) -> Cell:
    """The held number and what the step added to it; the step's own value where these are no numbers."""
    own, old = (held.values or {}).get(name), (before.values or {}).get(name)
    if not isinstance(own, str) or not isinstance(old, str) or not isinstance(value, str):
        return value
    try:
        total = Decimal(own) + Decimal(value) - Decimal(old)
    except InvalidOperation:
        return value
    return format(total.normalize(), "f") if total.is_finite() else value
