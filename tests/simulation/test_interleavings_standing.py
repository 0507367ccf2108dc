"""Every interleaving of a few transactions and ticks with the bracketed rule over rows without versions, whose leader's
change stream says whether they stood still; over the rule's own code. Rows come back to what they were."""

from __future__ import annotations

from functools import cache

import pytest
from interleavings.explore import Explored, explore
from interleavings.standing import StandingRule
from interleavings.watermark import TickWorld

COMES_BACK = ((1, 2, 1), (None, 1, None), (1, None, 1), (1, 1, 1))
ORDERS = pytest.mark.parametrize("ordered", [False, True], ids=["shown in any order", "shown in the log's order"])


@cache
def world(ordered: bool) -> TickWorld:
    return TickWorld(2, 2, ordered)


def explored(ordered: bool, without: str = "", histories: int = len(COMES_BACK)) -> Explored:
    found = Explored()
    for contents in COMES_BACK[:histories]:
        found = found + explore(world(ordered), StandingRule(contents, without))  # type: ignore[arg-type]
    print(f"{'in order' if ordered else 'in any order'} {without}: {found}")
    return found


@ORDERS
def test_a_stream_that_saw_no_change_never_errs(ordered: bool) -> None:
    found = explored(ordered)
    assert found.flaws == 0
    assert found.verdicts["equal"] > 100
    assert found.verdicts["undecided: steady"] > 0


@pytest.mark.parametrize(
    "without",
    [
        "the stream",
        "what was visible before it",
        "waiting for the tick",
        "X, and what was logged after it",  # either is enough: both tell of a change that the follower shows already
    ],
)
def test_it_errs_without(without: str) -> None:
    assert explored(True, without, 2).flaws > 0
