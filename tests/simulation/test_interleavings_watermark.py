"""Every interleaving of a few transactions and ticks with the bracketed rule, over the rule's own code."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
from interleavings.explore import Explored, explore
from interleavings.watermark import TickWorld, WatermarkRule

COMES_AND_GOES = ((True, True, True), (False, True, False))
"""Present or absent before, between and after two changes: enough to be taken for missing, extra or mismatched."""
LEADERS = pytest.mark.parametrize("logless", [False, True], ids=["with ids", "without a log"])


@cache
def world(chain: int, ticks: int, logless: bool) -> TickWorld:
    return TickWorld(chain, ticks, logless)


def explored(ticks: int, logless: bool, ahead: int | None, without: str = "", *, full: bool = False) -> Explored:
    found = Explored()
    for holds in product((True, False), repeat=3) if full else COMES_AND_GOES:
        chain = len(holds) - 1
        found = found + explore(world(chain, ticks, logless), WatermarkRule(logless, holds, ahead, without))  # type: ignore[arg-type]
    print(f"{'without a log' if logless else 'with ids'}, {ahead or 'own'} {without}: {found}")
    return found


@LEADERS
@pytest.mark.parametrize("ahead", [None, 2], ids=["own ticks", "others' ticks"])
def test_ticks_never_err(logless: bool, ahead: int | None, full: bool) -> None:
    found = explored((6 if ahead else 4) if full else (4 if ahead else 3), logless, ahead, full=full)
    assert found.flaws == 0
    assert found.verdicts["equal"] > 100
    assert found.verdicts["undecided"] > 10


def test_the_very_next_tick_of_others_does_not_do_where_commits_show_out_of_order() -> None:
    assert explored(3, False, 1).flaws > 0


@LEADERS
@pytest.mark.parametrize("without", ["waiting for the tick", "X"])
def test_ticks_err_without(logless: bool, without: str) -> None:
    assert explored(3, logless, None, without).flaws > 10
