"""Plain comparison is proof only while nothing moves."""

from __future__ import annotations

import pytest

from verifier.drift import Certainty, Method
from verifier.look import Look, Publishes
from verifier.position import Tick
from verifier.stillness import StillPoint, snapshot_evidence, still_point, unsettled
from verifier.view import NoView, Snapshot, View
from verifier.window import Settled

POINT = StillPoint(100, Tick(50))
LEADER = Look(None, Tick(50), Tick(50), Snapshot(100, 100))
STANDBY, SUBSCRIBER = Publishes.AFTER_SHOWING, Publishes.BEFORE_SHOWING


def follower(low: int, view: View | None = None) -> Look[None]:
    return Look(None, Tick(low), Tick(low), view or NoView())


def test_a_point_needs_that_nothing_runs() -> None:
    assert still_point(100, Snapshot(100, 100), Tick(50)) == POINT
    assert still_point(100, Snapshot(99, 99), Tick(50)) is None  # 99 runs above everything the snapshot knows
    assert still_point(100, Snapshot(97, 100, frozenset({97})), Tick(50)) is None
    assert still_point(100, NoView(), Tick(50)) is None


def test_a_standby_that_has_applied_the_point_is_comparable() -> None:
    assert unsettled(POINT, LEADER, follower(50), STANDBY, mark_after=100) == ""
    assert "tick:50" in unsettled(POINT, LEADER, follower(49), STANDBY, mark_after=100)


def test_whoever_began_meanwhile_spoils_it() -> None:
    assert "began" in unsettled(POINT, LEADER, follower(50), STANDBY, mark_after=101)


def test_a_leader_look_that_missed_somebody_is_refused() -> None:
    early = Look(None, Tick(50), Tick(50), Snapshot(99, 99))
    assert unsettled(POINT, early, follower(50), STANDBY, mark_after=100)


@pytest.mark.parametrize(
    ("settled", "view", "fine"),
    [
        (None, Snapshot(7, 7), False),
        (Settled(Tick(50), 7), Snapshot(7, 7), True),
        (Settled(Tick(50), 7), Snapshot(6, 6), False),
        (Settled(Tick(49), 7), Snapshot(7, 7), False),
    ],
)
def test_a_subscriber_must_have_ended_what_it_had_published(settled: Settled | None, view: View, fine: bool) -> None:
    why = unsettled(POINT, LEADER, follower(50, view), SUBSCRIBER, mark_after=100, settled=settled)
    assert (why == "") is fine


def test_evidence_names_the_positions() -> None:
    evidence = snapshot_evidence(POINT, follower(60))
    assert (evidence.certainty, evidence.method) == (Certainty.PROVEN, Method.SNAPSHOT)
    assert evidence.positions == {"leader": "tick:50", "follower_low": "tick:60", "follower_high": "tick:60"}
