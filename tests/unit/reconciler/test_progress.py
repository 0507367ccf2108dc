"""The life of a repair: every pair of states is either a move of the table or refused."""

from __future__ import annotations

import itertools

import pytest

from reconciler.progress import ENDED, LIVE, MOVES, UNDECIDED, check
from reconciler.repair import State
from verifier.errors import Unsound

ALLOWED = {
    ("planned", "approved"),
    ("planned", "rejected"),
    ("planned", "superseded"),
    ("approved", "applying"),
    ("approved", "rejected"),
    ("approved", "superseded"),
    ("applying", "applied"),
    ("applying", "failed"),
    ("applying", "superseded"),
    ("applied", "verified"),
    ("applied", "failed"),
    ("verified", "undoing"),
    ("undoing", "undone"),
    ("undoing", "verified"),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_every_move(before: State, after: State) -> None:
    if (before.value, after.value) in ALLOWED:
        check("r", before, after)
    else:
        with pytest.raises(Unsound, match=f"repair r cannot go from {before.value} to {after.value}"):
            check("r", before, after)


def test_every_state_is_reached_and_can_end() -> None:
    assert set(MOVES) == set(State)
    assert {after for onwards in MOVES.values() for after in onwards} == set(State) - {State.PLANNED}
    assert {State.PLANNED, State.APPROVED, State.APPLIED, *UNDECIDED} == LIVE
    assert {State.APPLYING, State.UNDOING} == UNDECIDED
    assert set(State) - LIVE == ENDED


def test_only_what_is_verified_is_undone() -> None:
    assert {before for before, onwards in MOVES.items() if State.UNDONE in onwards} == {State.UNDOING}
    assert {before for before, onwards in MOVES.items() if State.UNDOING in onwards} == {State.VERIFIED}


def test_nothing_is_verified_without_having_been_applied_nor_applied_without_approval() -> None:
    assert {before for before, onwards in MOVES.items() if State.VERIFIED in onwards} == {
        State.APPLIED,
        State.UNDOING,
    }
    assert {before for before, onwards in MOVES.items() if State.APPLIED in onwards} == {State.APPLYING}
    assert {before for before, onwards in MOVES.items() if State.APPLYING in onwards} == {State.APPROVED}
