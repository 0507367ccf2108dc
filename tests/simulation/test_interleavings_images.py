"""Every interleaving of a few transactions on a hot key with the rule of after-images, over the rule's own code."""

from __future__ import annotations

import pytest
from interleavings.explore import explored
from interleavings.images import ImagesRule

from verifier.look import Publishes, Row

STANDBY, SUBSCRIBER = Publishes.AFTER_SHOWING, Publishes.BEFORE_SHOWING
BOTH = pytest.mark.parametrize("publishes", [STANDBY, SUBSCRIBER], ids=["standby", "subscriber"])
SMALL = ((3, 0, True), (2, 1, False))
HUGE = ((4, 0, False), (2, 2, False))
COMES_AND_GOES = ((True, False, True), (False, True, False), (True, False, False))
WRONG = Row({"id": "1", "v": "wrong"}, 99, "damaged")


@BOTH
def test_images_never_err(publishes: Publishes, full: bool) -> None:
    rules = [ImagesRule(publishes, watched=watched) for watched in range(3)]
    found = explored(publishes, SMALL + (HUGE if full else ()), *rules)
    assert found.flaws == 0
    assert found.verdicts["equal"] > 1_000


@BOTH
def test_images_of_rows_that_come_and_go_never_err(publishes: Publishes) -> None:
    rules = [ImagesRule(publishes, holds=holds, prunes=True) for holds in COMES_AND_GOES]
    found = explored(publishes, ((2, 1, False),), *rules)
    assert found.flaws == 0
    assert found.verdicts["equal"] > 1_000


@BOTH
def test_images_over_a_stream_that_begins_in_the_middle_never_err(publishes: Publishes) -> None:
    found = explored(publishes, ((2, 0, True), (1, 1, True)), ImagesRule(publishes, joins=True))
    assert found.flaws == 0
    assert found.verdicts["equal"] > 10


def test_images_on_a_settled_subscriber_never_err() -> None:
    found = explored(SUBSCRIBER, ((2, 0, True),), ImagesRule(SUBSCRIBER, settles=True))
    assert found.flaws == 0
    assert found.verdicts["equal"] > 100


@BOTH
def test_images_behind_a_gap_never_err(publishes: Publishes) -> None:
    found = explored(publishes, ((3, 0, False),), ImagesRule(publishes, missed=1))
    assert found.flaws == 0
    assert found.verdicts["equal"] > 10


@BOTH
@pytest.mark.parametrize("without", ["widening", "low"])
def test_images_err_without(publishes: Publishes, without: str) -> None:
    assert explored(publishes, SMALL, ImagesRule(publishes, without=without)).flaws > 10


@BOTH
def test_images_err_where_a_gap_is_not_told(publishes: Publishes) -> None:
    """And the leader's own row does not save them: it may well be one that was told."""
    assert explored(publishes, ((3, 0, False),), ImagesRule(publishes, missed=2, without="word of the gap")).flaws > 0


@BOTH
@pytest.mark.parametrize("damaged", [WRONG, None], ids=["wrong", "absent"])
def test_what_was_never_a_state_is_never_called_equal(publishes: Publishes, damaged: Row | None) -> None:
    found = explored(publishes, ((2, 1, False),), ImagesRule(publishes, damaged=damaged))
    assert found.verdicts["equal"] == 0
    assert found.flaws > 1_000  # here they are none
