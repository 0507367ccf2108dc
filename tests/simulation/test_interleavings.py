"""Every interleaving of a few transactions with each rule of evidence, over the rule's own code.

The follower is faithful, so each verdict of drift is a flaw of the rule. Each condition of a rule is necessary: taken
away, the same search finds flaws, which also shows that the search can find any.
"""

from __future__ import annotations

from itertools import product

import pytest
from interleavings.explore import Rule, explore, explored, world
from interleavings.rules import BracketRule, SnapshotRule, VisibilityRule

from verifier.look import Publishes, Row

STANDBY, SUBSCRIBER = Publishes.AFTER_SHOWING, Publishes.BEFORE_SHOWING
BOTH = pytest.mark.parametrize("publishes", [STANDBY, SUBSCRIBER], ids=["standby", "subscriber"])

# chain, others, early: transactions on the judged row, on another row, ids given before the row lock
SMALL = ((3, 0, True), (2, 1, False))
LARGE = ((3, 1, False), (2, 1, True))
JOINED = ((2, 0, True), (1, 1, True))
HUGE = ((4, 0, True), (2, 2, False), (3, 1, True))


def brackets(publishes: Publishes, chain: int, without: str = "") -> list[Rule]:
    """Every history of a row over `chain` changes: present or absent after each."""
    return [BracketRule(publishes, holds, without=without) for holds in product((True, False), repeat=chain + 1)]


@BOTH
def test_visibility_never_errs(publishes: Publishes, full: bool) -> None:
    found = explored(publishes, SMALL + LARGE + (HUGE if full else ()), VisibilityRule(publishes))
    assert found.flaws == 0
    assert found.verdicts["equal"] > 1_000
    assert found.states > 400_000


@BOTH
def test_visibility_with_the_plain_bracket_errs(publishes: Publishes) -> None:
    """Position and visibility are two steps: without widening by one transaction the bracket is wrong."""
    assert explored(publishes, SMALL, VisibilityRule(publishes, without="widening")).flaws > 100


@BOTH
def test_visibility_over_a_stream_that_begins_in_the_middle_never_errs(publishes: Publishes, full: bool) -> None:
    shapes = SMALL if full else JOINED
    found = explored(publishes, shapes, VisibilityRule(publishes, joins=True))
    assert found.flaws == 0
    assert found.verdicts["equal"] > 100


@BOTH
def test_a_stream_that_begins_in_the_middle_needs_its_mark(publishes: Publishes) -> None:
    rule = VisibilityRule(publishes, joins=True, without="mark of the stream's start")
    assert explored(publishes, JOINED, rule).flaws > 10


@BOTH
def test_visibility_over_a_pruned_window_never_errs_and_refuses_nothing_it_judged_before(publishes: Publishes) -> None:
    pruned = explored(publishes, SMALL, VisibilityRule(publishes, prunes=True))
    whole = explored(publishes, SMALL, VisibilityRule(publishes))
    assert pruned.verdicts == whole.verdicts


def test_a_settled_subscriber_is_judged_exactly_and_never_wrongly() -> None:
    found = explored(SUBSCRIBER, SMALL, VisibilityRule(SUBSCRIBER, settles=True))
    assert found.flaws == 0
    assert found.verdicts["equal"] > 5_000


def test_a_settled_subscriber_needs_its_local_mark() -> None:
    assert explored(SUBSCRIBER, SMALL, VisibilityRule(SUBSCRIBER, settles=True, without="local mark")).flaws > 100


@BOTH
def test_bracket_never_errs(publishes: Publishes, full: bool) -> None:
    found = explored(publishes, ((3, 0, True),), *brackets(publishes, 3))
    found = found + explored(publishes, ((2, 1, True),), *brackets(publishes, 2))
    if full:
        found = found + explored(publishes, ((3, 1, True),), *brackets(publishes, 3))
    assert found.flaws == 0
    assert found.verdicts["equal"] > 10_000


@pytest.mark.parametrize(
    ("publishes", "without", "kinds"),
    [
        (STANDBY, "X", {"missing", "extra", "mismatched"}),
        (SUBSCRIBER, "X", {"missing", "extra", "mismatched"}),
        (STANDBY, "second follower read", {"extra"}),
        (SUBSCRIBER, "second follower read", {"extra"}),
        (SUBSCRIBER, "local wait", {"missing", "extra", "mismatched"}),
        (STANDBY, "waiting for P1", {"missing", "extra", "mismatched"}),
        (SUBSCRIBER, "waiting for P1", {"missing", "extra", "mismatched"}),
        (STANDBY, "second leader read", {"missing", "extra", "mismatched"}),
        (SUBSCRIBER, "second leader read", {"missing", "extra", "mismatched"}),
    ],
)
def test_bracket_errs_without(publishes: Publishes, without: str, kinds: set[str]) -> None:
    found = explored(publishes, ((3, 0, True),), *brackets(publishes, 3, without))
    assert {verdict.removeprefix("drift: ") for verdict in found.verdicts if verdict.startswith("drift")} == kinds


@BOTH
@pytest.mark.parametrize("reuses", [False, True])
def test_snapshot_never_errs(publishes: Publishes, reuses: bool) -> None:
    found = explored(publishes, ((3, 0, False), (2, 0, True)), SnapshotRule(publishes, reuses))
    assert found.flaws == 0
    assert found.verdicts["equal"] > 0


@pytest.mark.parametrize(
    ("publishes", "without"),
    [
        (STANDBY, "second mark"),
        (STANDBY, "nothing running"),
        (STANDBY, "waiting for the follower"),
        (SUBSCRIBER, "second mark"),
        (SUBSCRIBER, "nothing running"),
        (SUBSCRIBER, "waiting for the follower"),
        (SUBSCRIBER, "local mark"),
    ],
)
def test_snapshot_errs_without(publishes: Publishes, without: str) -> None:
    assert explored(publishes, ((3, 0, False),), SnapshotRule(publishes, without=without)).flaws > 0


@BOTH
@pytest.mark.parametrize("holds", list(product((True, False), repeat=3)))
@pytest.mark.parametrize("planted", ["absent", "altered"])
def test_planted_drift_is_proven_when_all_is_quiet(publishes: Publishes, holds: tuple[bool, ...], planted: str) -> None:
    """Over a quiet world there is one interleaving, and it must end in proof, of the right kind."""
    quiet = world(publishes, 2, 0, False)
    damage = None if planted == "absent" else Row({"id": "1", "v": "wrong"}, 99, "damaged")
    found = explore(quiet, BracketRule(publishes, holds, damaged=damage), begin=quiet.quiet)
    if damage is None:
        expected = "drift: missing" if holds[-1] else "equal"
    else:
        expected = "drift: mismatched" if holds[-1] else "drift: extra"
    assert dict(found.verdicts) == {expected: 1}
