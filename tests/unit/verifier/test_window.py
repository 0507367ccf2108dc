"""The transaction window: what it keeps, what it refuses, what it puts in flight."""

from __future__ import annotations

import pytest

from verifier.change import Batch, Blindness, Cause, Change, Operation, Transaction
from verifier.errors import Unsound
from verifier.look import Look, Publishes
from verifier.position import Tick
from verifier.table import Key, TableName
from verifier.view import NoView, Seen, Snapshot, View
from verifier.window import InFlight, Settled, TransactionWindow

T = TableName("public", "t")
U = TableName("public", "u")
STANDBY, SUBSCRIBER = Publishes.AFTER_SHOWING, Publishes.BEFORE_SHOWING


def tx(number: int, *keys: int, table: TableName = T, blind: tuple[Blindness, ...] = ()) -> Transaction:
    """Transaction 100+n commits at position 10n."""
    changes = tuple(Change(table, (key,), Operation.UPDATE, {"v": "x"}) for key in keys)
    return Transaction(100 + number, Tick(10 * number), 0.0, changes, blind)


def window(*transactions: Transaction, through: int = 1000, changes_max: int = 1000) -> TransactionWindow:
    made = TransactionWindow(changes_max=changes_max)
    made.begin(Tick(0))
    made.set_mark(100)
    made.add(Batch(transactions, Tick(through)))
    return made


def leader(saw_below: int, *running: int) -> Look[None]:
    """A look that saw the transactions numbered below `saw_below`, without those still `running`."""
    ids = frozenset(100 + number for number in running)
    xmax = 100 + saw_below
    return Look(None, Tick(0), Tick(0), Snapshot(min(ids, default=xmax), xmax, ids))


def follower(low: int, high: int | None = None, view: View | None = None) -> Look[None]:
    return Look(None, Tick(10 * low), Tick(10 * (low if high is None else high)), view or NoView())


def keys(
    held: TransactionWindow, ours: Look[None], theirs: Look[None], publishes: Publishes, settled: Settled | None = None
) -> set[Key]:
    found = held.in_flight(T, ours, theirs, publishes, barrier=Tick(900), settled=settled)
    assert found.judgeable, found.why
    return set(found.keys)


def test_both_saw_the_same_and_nothing_is_in_flight() -> None:
    assert keys(window(tx(1, 1), tx(2, 2)), leader(3), follower(2), STANDBY) == set()


def test_what_the_leader_did_not_see_is_in_flight() -> None:
    assert keys(window(tx(1, 1), tx(2, 2)), leader(3, 1), follower(2), STANDBY) == {(1,)}
    assert keys(window(tx(1, 1), tx(2, 2)), leader(2), follower(2), STANDBY) == {(2,)}


def test_what_the_follower_does_not_show_is_in_flight() -> None:
    assert keys(window(tx(1, 1), tx(2, 2), tx(3, 3)), leader(4), follower(1), STANDBY) == {(2,), (3,)}


def test_what_was_applied_during_the_look_is_in_flight_only_if_a_side_may_miss_it() -> None:
    held = window(tx(1, 1), tx(2, 2), tx(3, 3))
    assert keys(held, leader(4), follower(1, 3), STANDBY) == {(2,), (3,)}
    assert keys(held, leader(2), follower(1, 3), STANDBY) == {(2,), (3,)}


def test_a_standby_may_show_one_transaction_more_than_it_says() -> None:
    held = window(tx(1, 1), tx(2, 2), tx(3, 3))
    assert keys(held, leader(2), follower(1), STANDBY) == {(2,)}
    assert keys(held, leader(2), follower(1), Publishes.TOGETHER) == set()


def test_a_subscriber_may_show_one_transaction_less_than_it_says() -> None:
    held = window(tx(1, 1), tx(2, 2), tx(3, 3))
    assert keys(held, leader(3), follower(2), SUBSCRIBER) == {(2,)}
    assert keys(held, leader(3), follower(2), Publishes.TOGETHER) == set()


def test_a_settled_subscriber_shows_what_it_says() -> None:
    held = window(tx(1, 1), tx(2, 2), tx(3, 3))
    ended, running = Snapshot(7, 7), Snapshot(6, 6)
    assert keys(held, leader(3), follower(2, view=ended), SUBSCRIBER, Settled(Tick(20), 7)) == set()
    assert keys(held, leader(3), follower(2, view=running), SUBSCRIBER, Settled(Tick(20), 7)) == {(2,)}


class Vague:
    """A view that knows that old transactions have ended, and of the others nothing."""

    def saw(self, xid: int, /) -> Seen:
        return Seen.UNKNOWN

    def ended_below(self, mark: int, /) -> bool:
        return mark <= 101


def test_an_unknown_visibility_is_in_flight_whether_shown_or_not() -> None:
    held = window(tx(1, 1), tx(2, 2), tx(3, 3))
    vague = Look(None, Tick(0), Tick(0), Vague())
    assert keys(held, vague, follower(3), STANDBY) == {(1,), (2,), (3,)}
    assert keys(held, vague, follower(0), Publishes.TOGETHER) == {(1,), (2,), (3,)}


def test_a_view_that_tells_nothing_is_refused() -> None:
    blind = Look(None, Tick(0), Tick(0), NoView())
    assert window(tx(1, 1)).in_flight(T, blind, follower(1), STANDBY, barrier=Tick(900)).all


def test_only_the_keys_of_the_table_count() -> None:
    assert keys(window(tx(1, 1, table=U), tx(2, 2)), leader(1), follower(2), STANDBY) == {(2,)}


def test_ids_of_32_bits_are_compared_around_their_wrap() -> None:
    held = TransactionWindow()
    held.begin(Tick(0))
    held.set_mark((1 << 32) + 2)
    low_bits = [
        Transaction(xid, Tick(10 * n), 0.0, (Change(T, (n,), Operation.UPDATE),)) for n, xid in [(1, 2), (2, 5)]
    ]
    held.add(Batch(tuple(low_bits), Tick(1000)))
    saw_the_first = Look(None, Tick(0), Tick(0), Snapshot((1 << 32) + 3, (1 << 32) + 3))
    assert keys(held, saw_the_first, follower(1), STANDBY) == {(2,)}


def test_the_floor_rises_across_the_wrap_of_32_bit_ids() -> None:
    held = TransactionWindow()
    held.begin(Tick(0))
    held.set_mark((1 << 32) - 1)
    for number, xid in enumerate([(1 << 32) - 1, 3, 4], 1):
        held.add(Batch((Transaction(xid, Tick(10 * number), 0.0, (Change(T, (number,), Operation.UPDATE),)),), None))
    held.add(Batch((), Tick(1000)))
    everything = Snapshot((1 << 32) + 5, (1 << 32) + 5)
    assert held.prune([everything], [Tick(30)]) == 2
    missed_one = Look(None, Tick(0), Tick(0), Snapshot((1 << 32) + 3, (1 << 32) + 5, frozenset({(1 << 32) + 3})))
    assert held.in_flight(T, missed_one, follower(3), STANDBY, barrier=Tick(900)).all
    assert keys(held, Look(None, Tick(0), Tick(0), everything), follower(3), STANDBY) == set()


# not ready, refused


def test_not_ready_until_the_stream_was_read_through_everything_that_matters() -> None:
    held = window(tx(1, 1), through=15)
    for barrier, high, needed in ((16, 10, "tick:16"), (10, 16, "tick:16")):
        seen = Look(None, Tick(high), Tick(high), NoView())
        found = held.in_flight(T, leader(2), seen, STANDBY, barrier=Tick(barrier))
        assert (found.ready, found.judgeable) == (False, False)
        assert needed in found.why
    held.add(Batch((), Tick(16)))
    assert held.in_flight(T, leader(2), follower(1), STANDBY, barrier=Tick(16)) == InFlight()


def test_looks_from_before_the_stream_are_refused() -> None:
    held = TransactionWindow()
    held.begin(Tick(50))
    held.set_mark(105)
    held.add(Batch((tx(6, 6), tx(7, 7)), Tick(1000)))
    assert keys(held, leader(8), follower(7), STANDBY) == set()
    late = held.in_flight(T, leader(8), follower(4), STANDBY, barrier=Tick(900))
    assert late.all
    assert "began after" in late.why
    old = held.in_flight(T, leader(8, 3), follower(7), STANDBY, barrier=Tick(900))
    assert old.all
    assert "older" in old.why
    # of the first transaction that it knows, a subscriber shows perhaps nothing yet, but everything before it
    assert keys(held, leader(8), follower(6), SUBSCRIBER) == {(6,), (7,)}
    assert held.in_flight(T, leader(8), follower(5), SUBSCRIBER, barrier=Tick(900)).all


def test_nothing_is_judged_before_the_mark_was_told() -> None:
    held = TransactionWindow()
    held.begin(None)
    assert not held.needs_mark
    held.add(Batch((tx(1, 1),), Tick(10)))
    assert held.needs_mark
    assert held.in_flight(T, leader(2), follower(1), STANDBY, barrier=Tick(10)).all
    held.set_mark(102)
    assert not held.needs_mark
    assert keys_at(held, 10) == set()


def keys_at(held: TransactionWindow, barrier: int) -> set[Key]:
    found = held.in_flight(T, leader(2), follower(1), STANDBY, barrier=Tick(barrier))
    assert found.judgeable, found.why
    return set(found.keys)


def test_a_gap_needs_a_new_mark_and_looks_from_after_it() -> None:
    held = window(tx(1, 1), through=10)
    held.add(Batch((tx(5, 5),), Tick(50), blind=(Blindness(Cause.GAP, detail="slot lost"),)))
    assert held.needs_mark
    held.set_mark(106)
    found = held.in_flight(T, leader(6), follower(4), STANDBY, barrier=Tick(50))
    assert found.all
    assert found.why.startswith("gap in the stream: slot lost")
    assert held.in_flight(T, leader(6, 3), follower(5), STANDBY, barrier=Tick(50)).all
    assert held.in_flight(T, leader(6), follower(5), STANDBY, barrier=Tick(50)) == InFlight()


def test_an_unreadable_event_blinds_its_table_alone() -> None:
    held = window(tx(1, 1), tx(2, 2, table=U), through=20)
    held.add(Batch((), Tick(30), blind=(Blindness(Cause.UNREADABLE, T),)))
    held.set_mark(103)
    ours, theirs = leader(3), follower(2)
    assert held.in_flight(T, ours, theirs, STANDBY, barrier=Tick(30)).why.startswith("unreadable event")
    assert held.in_flight(U, ours, theirs, STANDBY, barrier=Tick(30)) == InFlight()
    assert held.in_flight(T, ours, follower(3), STANDBY, barrier=Tick(30)) == InFlight()


def test_a_truncate_blinds_looks_that_straddle_it() -> None:
    held = window(tx(1, 1), tx(2, blind=(Blindness(Cause.TRUNCATE, T),)), tx(3, 3))
    assert held.in_flight(T, leader(4), follower(1), STANDBY, barrier=Tick(900)).why == "truncate"
    assert held.in_flight(T, leader(2), follower(3), STANDBY, barrier=Tick(900)).all
    assert held.in_flight(U, leader(4), follower(1), STANDBY, barrier=Tick(900)) == InFlight()
    assert keys(held, leader(4), follower(3), STANDBY) == set()


def test_a_follower_that_went_backwards_is_refused() -> None:
    found = window(tx(1, 1)).in_flight(T, leader(2), follower(2, 1), STANDBY, barrier=Tick(900))
    assert found.all
    assert "backwards" in found.why


# what arrives


def test_what_comes_again_changes_nothing() -> None:
    held = window(tx(1, 1), tx(2, 2), tx(3, 3))
    before = held.changes
    held.add(Batch((tx(2, 2), tx(3, 3)), Tick(500)))
    assert held.changes == before
    assert held.read_through == Tick(1000)


def test_a_stream_that_delivers_behind_its_barrier_is_unsound() -> None:
    held = window(tx(1, 1), tx(3, 3))
    with pytest.raises(Unsound, match="tick:20"):
        held.add(Batch((tx(2, 2),), None))
    with pytest.raises(Unsound, match="tick:990"):
        held.add(Batch((tx(99, 2),), None))


# what goes


def test_pruning_forgets_what_every_later_look_has_seen() -> None:
    held = window(*(tx(n, n) for n in range(1, 7)))
    assert held.prune([leader(6).view], [Tick(40), Tick(60)]) == 3  # the last one at or below 40 stays
    assert held.changes == 3
    assert keys(held, leader(7), follower(4), SUBSCRIBER) == {(4,), (5,), (6,)}
    assert held.in_flight(T, leader(7), follower(3), SUBSCRIBER, barrier=Tick(900)).all
    assert held.in_flight(T, leader(3), follower(6), STANDBY, barrier=Tick(900)).all


def test_a_running_transaction_holds_pruning_back() -> None:
    held = window(*(tx(n, n) for n in range(1, 7)))
    assert held.prune([leader(7, 3).view], [Tick(60)]) == 2


def test_overflow_refuses_old_looks_and_errs_in_nothing() -> None:
    held = window(*(tx(n, n) for n in range(1, 31)), changes_max=20)
    assert held.changes <= 20
    refused = held.in_flight(T, leader(31), follower(5), STANDBY, barrier=Tick(900))
    assert refused.all
    assert refused.why.startswith("gap in the stream: more changes")
    assert held.in_flight(T, leader(31, 5), follower(30), STANDBY, barrier=Tick(900)).all
    assert keys(held, leader(31), follower(28), STANDBY) == {(29,), (30,)}


def test_a_transaction_bigger_than_the_window_is_refused_until_both_sides_are_past_it() -> None:
    held = window(tx(1, 1), tx(2, *range(50)), changes_max=20)
    assert held.changes == 0
    assert held.in_flight(T, leader(3), follower(1), STANDBY, barrier=Tick(900)).all
    assert held.in_flight(T, leader(2), follower(2), STANDBY, barrier=Tick(900)).all
    assert keys(held, leader(3), follower(2), STANDBY) == set()


def test_long_keys_overflow_by_their_size_and_numbers_do_not() -> None:
    def long(number: int) -> Transaction:
        key = (f"{number:02}" * 500,)
        return Transaction(100 + number, Tick(10 * number), 0.0, (Change(T, key, Operation.UPDATE),))

    held = TransactionWindow(bytes_max=20_000)
    held.begin(Tick(0))
    held.set_mark(100)
    for start in range(1, 31, 5):
        held.add(Batch(tuple(long(number) for number in range(start, start + 5)), Tick(10 * start + 49)))
        assert held.changes <= 20
    held.add(Batch((tx(31, *range(100)), tx(32, 1)), Tick(1000)))
    assert held.changes == 101 + 15, "numbers take little room; of the others three lots are left"
    refused = held.in_flight(T, leader(33), follower(14), STANDBY, barrier=Tick(900))
    assert refused.why.startswith("gap in the stream: more changes")
    assert keys(held, leader(33), follower(30), STANDBY) == {(n,) for n in range(100)}
    held.prune([leader(33).view], [Tick(320)])
    assert held.changes == 1
    assert held._lots.bytes < 1_000


def test_a_table_that_joined_the_stream_is_judged_once_both_looks_are_behind_what_was_not_told_of_it() -> None:
    held = window(tx(1, 1), tx(2, 2), tx(3, 3))
    held.join(T)
    refused = held.in_flight(T, leader(4), follower(3), STANDBY, barrier=Tick(900))
    assert (refused.all, refused.why) == (True, "the stream did not always tell of this table (not yet over)")
    held.join(T, Tick(20), 103)  # transactions 1 and 2 may have changed more than was told
    assert held.in_flight(T, leader(4), follower(1), STANDBY, barrier=Tick(900)).all
    assert held.in_flight(T, leader(4, 2), follower(3), STANDBY, barrier=Tick(900)).all
    assert keys(held, leader(4), follower(2), STANDBY) == {(3,)}
    assert held.in_flight(U, leader(4), follower(1), STANDBY, barrier=Tick(900)).judgeable, "of others it always told"
    held.begin(Tick(0))
    held.set_mark(100)
    held.add(Batch((tx(1, 1),), Tick(1000)))
    assert held.in_flight(T, leader(4), follower(1), STANDBY, barrier=Tick(900)).all, "a new start changes nothing"


def test_a_tables_own_floor_is_passed_for_good_however_many_ids_are_given_out_since() -> None:
    held = TransactionWindow()
    held.begin(Tick(0))
    held.set_mark(100)
    held.join(T, Tick(10), 102)
    for number, xid in enumerate([101, 1 << 30, 1 << 31, 3 << 30, 7 << 29], 1):
        held.add(Batch((Transaction(xid, Tick(10 * number), 0.0, (Change(T, (number,), Operation.UPDATE),)),), None))
        held.add(Batch((), Tick(10 * number)))
        held.prune([Snapshot(xid + 1, xid + 1)], [Tick(10 * number)])
    held.add(Batch((), Tick(1000)))
    now = Look(None, Tick(0), Tick(0), Snapshot((7 << 29) + 1, (7 << 29) + 1))
    assert keys(held, now, follower(5), STANDBY) == set()
    assert held.in_flight(T, now, follower(0), STANDBY, barrier=Tick(900)).all, "the follower's part of it holds"
