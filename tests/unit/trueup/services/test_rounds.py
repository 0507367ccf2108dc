"""Rounds: together while it is busy, at once after a rest, further apart where looking takes long."""

from __future__ import annotations

import pytest

from trueup.services.rounds import Rounds


def test_without_an_interval_there_are_no_rounds() -> None:
    rounds = Rounds()
    rounds.ended(10.0, 12.0)
    assert (rounds.due(10.0), rounds.wait(10.0), rounds.until(10.0)) == (True, 0.0, float("inf"))


def test_rounds_begin_at_multiples_of_the_interval_for_every_follower() -> None:
    one, other = Rounds(1.0), Rounds(1.0)
    one.ended(1_000_000.3, 1_000_000.4)  # after a rest: at once, whatever the time is
    other.ended(1_000_000.7, 1_000_000.8)
    assert not one.due(1_000_000.99)
    assert one.due(1_000_001.0)
    assert other.due(1_000_001.0)
    assert one.until(1_000_001.0) == 1_000_001.0


@pytest.mark.parametrize(
    ("took", "following"),
    [(0.1, 1.0), (0.25, 1.0), (0.5, 2.0), (0.9, 3.6), (3.0, 4.0)],
    ids=["little", "its share", "twice its share", "nearly all", "more than the interval"],
)
def test_looking_takes_its_share_of_the_time_and_no_more(took: float, following: float) -> None:
    rounds = Rounds(1.0, 0.25)
    rounds.ended(50.0, 50.0 + took)
    assert rounds.wait(50.0) == pytest.approx(following)
