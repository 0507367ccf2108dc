"""The window against the rule as it is written, over random streams, looks, pruning, overflow and redelivery."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.change import Batch, Change, Operation, Transaction
from verifier.look import Look, Publishes
from verifier.position import Tick
from verifier.table import Key, TableName
from verifier.view import NoView, Snapshot
from verifier.window import TransactionWindow

T = TableName("public", "t")
FIRST = (1 << 32) - 8  # ids run over the wrap of 32 bits, as the stream spells them


@dataclass(frozen=True)
class Story:
    """Transactions in commit order as (order of id, keys); a view by what had begun and what was running."""

    ids: list[int]
    keys: list[set[int]]
    begun: int
    running: frozenset[int]
    low: int
    high: int
    publishes: Publishes


@st.composite
def stories(draw: st.DrawFn) -> Story:
    size = draw(st.integers(1, 12))
    ids = draw(st.permutations(range(size)))
    keys = [draw(st.sets(st.integers(0, 5), max_size=3)) for _ in range(size)]
    begun = draw(st.integers(0, size))
    running = frozenset(draw(st.sets(st.integers(0, size), max_size=3)))
    low = draw(st.integers(0, size))
    high = draw(st.integers(low, size))
    return Story(list(ids), keys, begun, running, low, high, draw(st.sampled_from(Publishes)))


def looks(story: Story) -> tuple[Look[None], Look[None]]:
    running = frozenset(FIRST + x for x in story.running if x < story.begun)
    xmax = FIRST + story.begun
    view = Snapshot(min(running, default=xmax), xmax, running)
    return Look(None, Tick(0), Tick(0), view), Look(None, Tick(10 * story.low), Tick(10 * story.high), NoView())


def transactions(story: Story) -> list[Transaction]:
    return [
        Transaction(
            (FIRST + xid) & 0xFFFFFFFF,
            Tick(10 * number),
            0.0,
            tuple(Change(T, (key,), Operation.UPDATE) for key in sorted(keys)),
        )
        for number, (xid, keys) in enumerate(zip(story.ids, story.keys, strict=True), 1)
    ]


def by_the_book(story: Story) -> set[Key]:
    """DESIGN 3.1, literally: commits from 1 on, and the widening by one transaction."""
    low = story.low - 1 if story.publishes is Publishes.BEFORE_SHOWING else story.low
    high = story.high + 1 if story.publishes is Publishes.AFTER_SHOWING else story.high
    found: set[Key] = set()
    for commit, (xid, keys) in enumerate(zip(story.ids, story.keys, strict=True), 1):
        seen = xid < story.begun and xid not in story.running
        if (commit <= high and not seen) or (commit > low and seen):
            found |= {(key,) for key in keys}
    return found


def opened(changes_max: int = 1_000) -> TransactionWindow:
    window = TransactionWindow(changes_max=changes_max)
    window.begin(Tick(0))
    window.set_mark(FIRST)
    return window


@given(stories())
def test_what_is_in_flight_is_what_the_rule_says(story: Story) -> None:
    window = opened()
    window.add(Batch(tuple(transactions(story)), Tick(1_000)))
    found = window.in_flight(T, *looks(story), story.publishes, barrier=Tick(500))
    if story.publishes is Publishes.BEFORE_SHOWING and story.low == 0:
        assert found.all  # what lies before the window is not certain to be shown
    else:
        assert found.judgeable
        assert found.keys == by_the_book(story)


@settings(max_examples=200)
@given(stories(), st.integers(1, 12), st.lists(st.integers(0, 12), max_size=4), st.integers(1, 20))
def test_forgetting_and_redelivery_may_refuse_but_never_err(
    story: Story, batch: int, again: list[int], changes_max: int
) -> None:
    window = opened(changes_max)
    everything = transactions(story)
    for begin in range(0, len(everything), batch):
        repeated = [everything[at] for at in again if at < begin]
        window.add(
            Batch(tuple(repeated + everything[begin : begin + batch]), Tick(10 * min(begin + batch, len(everything))))
        )
    window.add(Batch((), Tick(1_000)))
    leader, follower = looks(story)
    window.prune([leader.view], [follower.low])
    found = window.in_flight(T, leader, follower, story.publishes, barrier=Tick(500))
    if found.judgeable:
        assert found.keys == by_the_book(story)


@given(stories())
def test_pruning_by_the_very_looks_changes_nothing(story: Story) -> None:
    whole, pruned = opened(), opened()
    leader, follower = looks(story)
    for window in (whole, pruned):
        window.add(Batch(tuple(transactions(story)), Tick(1_000)))
    pruned.prune([leader.view], [follower.low])
    answers = [w.in_flight(T, leader, follower, story.publishes, barrier=Tick(500)) for w in (whole, pruned)]
    assert (answers[0].judgeable, answers[0].keys) == (answers[1].judgeable, answers[1].keys)
