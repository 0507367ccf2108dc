"""Every interleaving of a few transactions, a connector that sends again and a sink that puts again, with the
visibility rule over the sink's offsets.

As in `test_interleavings`: the follower is faithful, so each verdict of drift is a flaw, and each condition taken away
must yield some.
"""

from __future__ import annotations

from functools import cache

import pytest
from interleavings.explore import Explored, explore
from interleavings.sink import SinkRule, SinkWorld


@cache
def world(chain: int, others: int, again: int, back: int) -> SinkWorld:
    return SinkWorld(chain, others, again, back)


def explored(chain: int, others: int, again: int, back: int, **rule: object) -> Explored:
    made = world(chain, others, again, back)
    found = explore(made, SinkRule(made, **rule))  # type: ignore[arg-type]  # the explorer knows no types of it
    print(f"sink {chain}+{others} again={again} back={back} {rule}: {found}")
    return found


@pytest.mark.parametrize(("chain", "others", "again", "back"), [(2, 0, 1, 0), (2, 0, 0, 1), (1, 1, 0, 1)])
def test_never_errs(chain: int, others: int, again: int, back: int) -> None:
    found = explored(chain, others, again, back)
    assert found.flaws == 0
    assert found.verdicts["equal"] > 100


def test_never_errs_where_both_go_back(full: bool) -> None:
    found = explored(2, int(full), 1, 1) if full else explored(1, 0, 1, 1)
    assert found.flaws == 0
    assert found.verdicts["equal"] > 100


def test_a_reader_that_begins_in_the_middle_never_errs(full: bool) -> None:
    found = explored(2 if full else 1, 0, 1, 0, joins=True)
    assert found.flaws == 0
    assert found.verdicts["equal"] > 5


@pytest.mark.parametrize(
    ("without", "again"),
    [
        ("offsets before the look", 0),
        ("the leader's position above", 0),
        ("the barrier", 0),
        ("read through the ends", 1),
        ("copies", 1),
        ("any wait for what is sent again", 1),
    ],
)
def test_it_errs_without(without: str, again: int) -> None:
    assert explored(2, 0, again, 0, without=without).flaws > 0


def test_it_errs_with_a_reader_that_is_certain_when_it_begins(full: bool) -> None:
    """Two transactions are needed for it; of one alone nothing can go back."""
    found = explored(2 if full else 1, 0, 1, 0, joins=True, without="a begin that is unsettled")
    assert (found.flaws > 0) is full
