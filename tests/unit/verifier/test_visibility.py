"""Verdicts from a pair of looks and what was in flight between them."""

from __future__ import annotations

import pytest

from verifier.digest import Digest
from verifier.drift import Certainty, Kind, Method
from verifier.look import Look
from verifier.position import Tick
from verifier.table import Key
from verifier.view import NoView
from verifier.visibility import ChunkOutcome, judge, judge_digests, visibility_evidence
from verifier.window import InFlight


def keys(*numbers: int) -> frozenset[Key]:
    return frozenset((number,) for number in numbers)


LEADER = {(1,): 11, (2,): 22, (3,): 33, (4,): 44}
FOLLOWER = {(1,): 11, (2,): 99, (4,): 44, (5,): 55}


def test_outside_the_set_in_flight_every_difference_is_drift_of_its_kind() -> None:
    verdicts = judge(LEADER, FOLLOWER, InFlight())
    assert verdicts.drifted == {(2,): Kind.MISMATCHED, (3,): Kind.MISSING, (5,): Kind.EXTRA}
    assert verdicts.matched == keys(1, 4)
    assert verdicts.in_flight == frozenset()


def test_a_key_in_flight_is_neither_drift_nor_match() -> None:
    verdicts = judge(LEADER, FOLLOWER, InFlight(keys(1, 2, 5, 77)))
    assert verdicts.drifted == {(3,): Kind.MISSING}
    assert verdicts.matched == keys(4)
    assert verdicts.in_flight == keys(1, 2, 5)


def test_asked_keys_that_neither_side_holds_match_unless_in_flight() -> None:
    verdicts = judge({}, {}, InFlight(keys(8)), [(7,), (8,)])
    assert (verdicts.matched, verdicts.in_flight) == (keys(7), keys(8))


def test_keys_that_were_not_asked_are_not_judged() -> None:
    assert judge(LEADER, FOLLOWER, InFlight(), [(1,)]).drifted == {}


@pytest.mark.parametrize("flight", [InFlight(ready=False, why="later"), InFlight(all=True, why="gap")])
def test_looks_that_cannot_be_judged_give_no_verdict(flight: InFlight) -> None:
    verdicts = judge(LEADER, FOLLOWER, flight)
    assert (verdicts.matched, verdicts.drifted) == (frozenset(), {})
    assert verdicts.in_flight == keys(1, 2, 3, 4, 5)
    assert verdicts.why == flight.why
    assert judge_digests(Digest(1, 1), Digest(1, 1), flight) is ChunkOutcome.UNCLEAR


def test_a_chunk_is_drifted_only_if_nothing_was_in_flight() -> None:
    one, other = Digest(1, 1), Digest(1, 2)
    assert judge_digests(one, one, InFlight(keys(1))) is ChunkOutcome.MATCH
    assert judge_digests(one, other, InFlight()) is ChunkOutcome.DRIFT
    assert judge_digests(one, other, InFlight(keys(1))) is ChunkOutcome.UNCLEAR


def test_evidence_names_the_positions() -> None:
    ours = Look(None, Tick(7), Tick(7), NoView())
    theirs = Look(None, Tick(5), Tick(6), NoView())
    evidence = visibility_evidence(ours, theirs, Tick(9))
    assert (evidence.certainty, evidence.method) == (Certainty.PROVEN, Method.VISIBILITY)
    assert evidence.positions == {
        "leader": "tick:7",
        "follower_low": "tick:5",
        "follower_high": "tick:6",
        "stream": "tick:9",
    }
