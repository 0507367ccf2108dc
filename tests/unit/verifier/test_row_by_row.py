"""Looks at who shows transactions row by row, and looks that are judged with a proviso."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from verifier.change import Batch, Change, Operation, Transaction
from verifier.images import AfterImages
from verifier.look import Look, Publishes
from verifier.position import Tick
from verifier.table import Key, TableName, Value
from verifier.view import NoView, Snapshot
from verifier.window import InFlight, TransactionWindow

T, KEY = TableName("public", "t"), (1,)


def tx(at: int, *values: str) -> Transaction:
    """Changes the row so many times; commits at 10 times `at`."""
    changes = tuple(Change(T, KEY, Operation.UPDATE, {"v": value}) for value in values)
    return Transaction(100 + at, Tick(10 * at), 0.0, changes)


def fed(*transactions: Transaction) -> tuple[TransactionWindow, AfterImages]:
    window, images = TransactionWindow(), AfterImages()
    window.begin(Tick(0))
    window.set_mark(100)
    images.begin(Tick(0))
    images.watch(T, [KEY])
    batch = Batch(transactions, Tick(1000))
    images.add(batch, window.add(batch))
    return window, images


def look(low: int, high: int) -> Look[None]:
    return Look(None, Tick(10 * low), Tick(10 * high), NoView())


@pytest.mark.parametrize(
    ("low", "high", "publishes", "values"),
    [
        (1, 3, Publishes.ROW_BY_ROW, ["b", "c", "d", "e"]),
        (1, 3, Publishes.TOGETHER, ["b", "d", "e"]),
        (2, 2, Publishes.ROW_BY_ROW, ["d"]),
        (2, 3, Publishes.ROW_BY_ROW, ["d", "e"]),
    ],
)
def test_what_a_transaction_made_of_a_row_on_the_way_is_shown_by_whoever_applies_row_by_row(
    low: int, high: int, publishes: Publishes, values: list[Value]
) -> None:
    window, images = fed(tx(1, "a", "b"), tx(2, "c", "d"), tx(3, "e"))
    states = images.states(T, KEY, window.bounds(T, look(low, high), publishes))
    assert states is not None
    assert [(image.row or {})["v"] for image in states.shown] == values


def test_two_final_states_are_kept_however_often_a_transaction_changed_the_row() -> None:
    window, images = fed(tx(1, "a"), tx(2, "b", "c", "d"), tx(3, "e", "f"))
    images.prune([Tick(30)])
    states = images.states(T, KEY, window.bounds(T, look(2, 3), Publishes.ROW_BY_ROW))
    assert states is not None
    assert [(image.row or {})["v"] for image in states.shown] == ["d", "e", "f"]
    assert images.states(T, KEY, window.bounds(T, look(1, 3), Publishes.ROW_BY_ROW)) is None


@dataclass
class Told:
    never: str = ""
    missing: str = ""

    def refused(self) -> str:
        return self.never

    def lacking(self) -> str:
        return self.missing


def test_a_look_is_judged_once_nothing_is_missing_and_never_if_it_is_refused() -> None:
    window, _ = fed(tx(1, "a"), tx(2, "b"))
    ours, theirs = Look(None, Tick(20), Tick(20), Snapshot(103, 103)), look(1, 2)

    def flight(proviso: Told | None) -> InFlight:
        found = replace(theirs, proviso=proviso)
        return window.in_flight(T, ours, found, Publishes.ROW_BY_ROW, barrier=Tick(900))

    keys: frozenset[Key] = frozenset({KEY})
    assert flight(None) == flight(Told()) == InFlight(keys)
    assert flight(Told(missing="not yet")) == InFlight(ready=False, why="not yet")
    assert flight(Told(never="never")) == flight(Told("never", "not yet")) == InFlight(all=True, why="never")
