"""Lag is the age of the oldest thing not applied; silence is unknown, and idleness is caught up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.change import Batch, Blindness, Cause, Change, Operation, Transaction
from verifier.gtid import GtidSet
from verifier.lag import HopLag, LagState, LagTracker
from verifier.position import Lsn, Tick
from verifier.table import TableName

CAUGHT_UP, LAGGING, UNKNOWN = LagState.CAUGHT_UP, LagState.LAGGING, LagState.UNKNOWN
STALLED, REWOUND = LagState.STALLED, LagState.REWOUND
TABLE = TableName("public", "t")


def _batch(*transactions: tuple[int, float, int], through: int | None, **more: float) -> Batch:
    """Transactions are (commit, committed at, changes)."""
    told = tuple(
        Transaction(commit, Lsn(commit), at, tuple(Change(TABLE, (n,), Operation.UPDATE) for n in range(changes)))
        for commit, at, changes in transactions
    )
    return Batch(told, None if through is None else Lsn(through), **more)


def _only(lags: tuple[HopLag, ...]) -> tuple[float | None, int | None, LagState]:
    (lag,) = lags
    return lag.seconds, lag.changes, lag.state


def test_an_idle_leader_is_caught_up_however_long_ago_the_last_change_was() -> None:
    tracker = LagTracker()
    tracker.batch(_batch((100, 0.0, 3), through=100), 0.1)
    for second in range(1000):
        tracker.leader_at(Lsn(100), float(second))
        tracker.follower_at("f", Lsn(100), second + 0.1)
        tracker.batch(_batch(through=100), second + 0.2)
    assert _only(tracker.followers(999.2)) == (0.0, 0, CAUGHT_UP)
    assert _only(tracker.stream(999.3)) == (0.0, 0, CAUGHT_UP)


def test_a_stopped_follower_lags_longer_every_second() -> None:
    tracker = LagTracker()
    seen = []
    for second in range(10):
        # A commit of two changes a second, half a second before the leader is asked.
        tracker.batch(_batch((100 * second + 50, second - 0.5, 2), through=100 * second + 50), second - 0.4)
        tracker.leader_at(Lsn(100 * second + 50), float(second))
        tracker.follower_at("f", Lsn(min(100 * second, 300) + 50), float(second))
        seen.append(_only(tracker.followers(float(second))))
    assert seen == [
        *[(0.0, 0, CAUGHT_UP)] * 4,
        *[(second - 3.5, (second - 3) * 2, LAGGING) for second in range(4, 10)],
    ]


def test_without_a_stream_the_leaders_samples_tell_the_age_and_changes_are_not_known() -> None:
    tracker = LagTracker()
    for second in range(8):
        tracker.leader_at(Lsn(100 + second), float(second))
        tracker.follower_at("f", Lsn(102), second + 0.25)
    assert _only(tracker.followers(7.25)) == (7.25 - 3, None, LAGGING)
    assert tracker.stream(7.25) == ()


def test_a_follower_is_not_measured_against_what_was_written_after_it_was_asked() -> None:
    tracker = LagTracker()
    tracker.leader_at(Lsn(100), 1.0)
    tracker.follower_at("f", Lsn(100), 1.1)
    tracker.leader_at(Lsn(200), 2.0)
    tracker.batch(_batch((200, 1.9, 1), through=200), 2.0)
    assert _only(tracker.followers(2.0)) == (0.0, 0, CAUGHT_UP)


def test_log_that_holds_no_changes_is_no_lag_once_the_stream_has_read_it() -> None:
    tracker = LagTracker()
    tracker.leader_at(Lsn(100), 0.0)
    tracker.batch(_batch((100, 0.0, 1), through=100), 0.0)
    tracker.leader_at(Lsn(900), 1.0)  # vacuum, a checkpoint: a subscriber never hears of it
    tracker.follower_at("f", Lsn(100), 1.5)
    assert _only(tracker.followers(1.5)) == (0.5, 0, LAGGING)
    tracker.batch(_batch(through=900), 1.6)
    tracker.follower_at("f", Lsn(100), 2.5)
    assert _only(tracker.followers(2.5)) == (0.0, 0, CAUGHT_UP)


@pytest.mark.parametrize("skew", [-3600.0, -5.0, 5.0, 3600.0])
def test_a_wrong_clock_of_the_leader_bends_lag_by_no_more_than_a_sample(skew: float) -> None:
    tracker = LagTracker()
    for second in range(6):
        tracker.leader_at(Lsn(100 * second), float(second))
        tracker.batch(_batch((100 * second + 50, second + 0.5 + skew, 1), through=100 * second + 50), second + 0.6)
        tracker.follower_at("f", Lsn(150), second + 0.9)
    seconds, changes, state = _only(tracker.followers(5.9))
    # Commit 250 came at 2.5, between the samples at 2 and 3; it was read at 2.6.
    assert seconds is not None
    assert 5.9 - 2.6 - 1e-9 <= seconds <= 5.9 - 2.0 + 1e-9
    assert (changes, state) == (4, LAGGING)
    delays = {lag.hop: lag.seconds for lag in tracker.stream(5.9)}
    assert delays["trueup"] is not None
    assert delays["trueup"] >= 0


def test_who_was_not_heard_of_for_three_intervals_is_unknown() -> None:
    tracker = LagTracker(interval_seconds=1.0)
    tracker.leader_at(Lsn(100), 0.0)
    tracker.follower_at("f", Lsn(100), 0.0)
    tracker.batch(_batch(through=100), 0.0)
    tracker.alive_at(0.0)
    for second in range(1, 8):
        tracker.leader_at(Lsn(100), float(second))
    assert _only(tracker.followers(3.0))[2] is CAUGHT_UP
    assert tracker.followers(3.5) == (HopLag("f", None, None, UNKNOWN, "the follower has not answered for 4 s"),)
    assert _only(tracker.stream(3.0))[2] is CAUGHT_UP
    assert tracker.stream(3.5) == (HopLag("trueup", None, None, UNKNOWN, "no sign of life of the stream for 4 s"),)
    tracker.alive_at(7.0)
    assert tracker.stream(7.0) == (HopLag("trueup", None, None, UNKNOWN, "the stream was not read for 7 s"),)
    tracker.batch(_batch(through=100), 7.0)
    tracker.follower_at("f", Lsn(100), 7.0)
    assert _only(tracker.stream(10.5)) == (None, None, UNKNOWN)
    assert _only(tracker.followers(10.5)) == (None, None, UNKNOWN)


def test_a_dead_connector_is_unknown_although_nothing_seems_to_be_due() -> None:
    tracker = LagTracker()
    tracker.leader_at(Lsn(100), 0.0)
    tracker.batch(_batch((100, -0.5, 1), through=100, connector_at=-0.3, broker_at=-0.2), 0.0)
    assert [(lag.hop, lag.state) for lag in tracker.stream(0.0)] == [
        ("connector", CAUGHT_UP),
        ("broker", CAUGHT_UP),
        ("trueup", CAUGHT_UP),
    ]
    tracker.alive_at(0.1, "connector shop: task 0 is FAILED")
    assert {(lag.state, lag.detail, lag.seconds) for lag in tracker.stream(0.2)} == {
        (UNKNOWN, "connector shop: task 0 is FAILED", None)
    }


def test_hops_tell_the_delay_of_the_newest_event_and_fall_to_nothing_when_idle() -> None:
    tracker = LagTracker()
    tracker.leader_at(Lsn(100), 10.0)
    tracker.batch(_batch((100, 9.0, 1), through=100, connector_at=9.25, broker_at=9.5), 10.0)
    assert [(lag.hop, lag.seconds) for lag in tracker.stream(10.0)] == [
        ("connector", 0.25), ("broker", 0.5), ("trueup", 1.0),
    ]  # fmt: skip
    tracker.leader_at(Lsn(100), 20.0)
    tracker.batch(_batch(through=100), 20.0)
    assert [lag.seconds for lag in tracker.stream(20.0)] == [0.0, 0.0, 0.0]


def test_a_stream_that_stands_still_lags_and_its_earlier_hops_become_unknown() -> None:
    tracker = LagTracker()
    tracker.leader_at(Lsn(100), 0.0)
    tracker.batch(_batch((100, 0.0, 1), through=100, broker_at=0.5), 0.5)
    for second in range(1, 8):
        tracker.leader_at(Lsn(100 + second), float(second))
        tracker.batch(_batch(through=100), second + 0.1)
    broker, trueup = tracker.stream(7.1)
    assert (broker.hop, broker.state) == ("broker", UNKNOWN)
    assert (trueup.seconds, trueup.state) == (pytest.approx(6.1), LAGGING)


def test_a_little_lateness_may_be_allowed() -> None:
    tracker = LagTracker(lagging_above=2.0)
    tracker.leader_at(Lsn(1), 0.0)
    tracker.leader_at(Lsn(2), 1.0)
    tracker.follower_at("f", Lsn(1), 2.5)
    assert _only(tracker.followers(2.5)) == (1.5, None, CAUGHT_UP)
    tracker.leader_at(Lsn(2), 3.5)
    tracker.follower_at("f", Lsn(1), 3.5)
    assert _only(tracker.followers(3.5)) == (2.5, None, LAGGING)


def test_a_gap_makes_the_changes_unknown_until_the_follower_has_passed_it() -> None:
    tracker = LagTracker()
    tracker.leader_at(Lsn(100), 0.0)
    tracker.batch(_batch((100, 0.0, 5), through=100), 0.0)
    tracker.batch(Batch((), Lsn(200), blind=(Blindness(Cause.GAP),)), 1.0)
    tracker.leader_at(Lsn(300), 1.5)
    tracker.batch(_batch((300, 1.25, 2), through=300), 1.5)
    tracker.follower_at("f", Lsn(150), 2.0)
    assert _only(tracker.followers(2.0)) == (0.5, None, LAGGING)
    tracker.follower_at("f", Lsn(200), 2.0)
    assert _only(tracker.followers(2.0)) == (0.75, 2, LAGGING)


def test_a_leader_whose_log_went_back_is_measured_anew() -> None:
    tracker = LagTracker()
    tracker.leader_at(Lsn(1000), 0.0)
    tracker.batch(_batch((1000, 0.0, 1), through=1000), 0.0)
    tracker.leader_at(Lsn(500), 1.0)
    tracker.follower_at("f", Lsn(500), 1.0)
    assert _only(tracker.followers(1.0)) == (0.0, 0, CAUGHT_UP)


@pytest.mark.parametrize(
    ("position", "fault", "detail"),
    [
        (None, "connection refused", "connection refused"),
        (None, "", "the follower does not tell its position"),
        (Tick(5), "", "its position cannot be compared with the leader's"),
    ],
)
def test_a_position_that_says_nothing_is_unknown(position: Tick | None, fault: str, detail: str) -> None:
    tracker = LagTracker()
    tracker.leader_at(Lsn(1), 0.0)
    tracker.follower_at("f", position, 0.0, fault)
    assert tracker.followers(0.0) == (HopLag("f", None, None, UNKNOWN, detail),)


def test_nothing_is_known_before_the_leader_was_asked() -> None:
    tracker = LagTracker()
    tracker.follower_at("f", Lsn(1), 0.0)
    assert tracker.followers(0.0) == (HopLag("f", None, None, UNKNOWN, "the leader was not asked yet"),)


def test_memory_is_bounded_and_old_lag_only_becomes_coarser() -> None:
    tracker = LagTracker(kept_max=64)
    for second in range(5000):
        tracker.leader_at(Lsn(second), float(second))
        tracker.batch(_batch((second, float(second), 1), through=second), float(second))
        tracker.follower_at("f", Lsn(10), float(second))
    seconds, changes, state = _only(tracker.followers(4999.0))
    assert state is STALLED
    assert seconds is not None
    # Merged as one with what came before the follower's position: too long perhaps, never too short.
    assert 4999 - 11 <= seconds <= 4999
    assert changes is not None
    assert 4989 <= changes <= 5000
    assert len(tracker._samples) <= 64
    assert len(tracker._entries) <= 64


def _followed(tracker: LagTracker, second: float, written: int, applied: int) -> HopLag:
    tracker.leader_at(Lsn(written), second)
    tracker.follower_at("f", Lsn(applied), second)
    (lag,) = tracker.followers(second)
    return lag


def test_who_is_behind_and_does_not_move_is_stalled_and_who_moves_is_not() -> None:
    tracker = LagTracker(stalled_after=10.0)
    for second in range(30):
        _followed(tracker, second, 100, 100)  # idle for long: nothing has stood still in the face of work
    for second in range(30, 40):
        assert _followed(tracker, second, 200, 100).state is LAGGING
    stalled = _followed(tracker, 41.0, 300, 100)
    assert (stalled.state, stalled.seconds, stalled.detail) == (STALLED, 11.0, "has not moved for 11 s")
    assert _followed(tracker, 42.0, 400, 101).state is LAGGING  # slow, but moving
    assert _followed(tracker, 43.0, 400, 400).state is CAUGHT_UP


def test_a_little_lateness_that_is_allowed_is_not_stalled_either() -> None:
    tracker = LagTracker(lagging_above=60.0, stalled_after=5.0)
    for second in range(20):
        lag = _followed(tracker, second, 100 + (second > 2), 100)
    assert (lag.state, lag.seconds) == (CAUGHT_UP, 16.0)


def test_a_position_that_went_back_is_rewound_until_it_is_there_again() -> None:
    tracker = LagTracker()
    assert _followed(tracker, 1.0, 500, 500).state is CAUGHT_UP
    back = _followed(tracker, 2.0, 600, 300)  # restored from a backup
    assert (back.state, back.seconds) == (REWOUND, 1.0)
    assert back.detail == "its position went back from lsn:0/1F4 to lsn:0/12C"
    assert _followed(tracker, 3.0, 600, 499).state is REWOUND
    assert _followed(tracker, 4.0, 600, 500).state is LAGGING
    assert _followed(tracker, 5.0, 600, 600).state is CAUGHT_UP


def test_a_follower_that_tells_less_because_it_is_hindered_did_not_go_back() -> None:
    tracker = LagTracker(stalled_after=3.0)
    _followed(tracker, 1.0, 500, 500)
    tracker.leader_at(Lsn(600), 2.0)
    tracker.follower_at("f", Lsn(300), 2.1, hindered=True)
    (lag,) = tracker.followers(2.1)
    assert lag.state is LAGGING
    for second in range(3, 9):
        tracker.leader_at(Lsn(600 + second), float(second))
        tracker.follower_at("f", Lsn(300), second + 0.1, hindered=True)
    assert tracker.followers(8.1)[0].state is STALLED
    tracker.follower_at("f", Lsn(200), 8.5)
    assert tracker.followers(8.5)[0].state is REWOUND


def test_a_leader_whose_log_went_back_makes_nobody_rewound() -> None:
    tracker = LagTracker()
    _followed(tracker, 1.0, 500, 500)
    assert _followed(tracker, 2.0, 400, 400).state is CAUGHT_UP


def test_a_stream_whose_offsets_were_reset_is_rewound_and_a_gap_is_no_going_back() -> None:
    tracker = LagTracker()
    tracker.leader_at(Lsn(500), 0.0)
    tracker.batch(_batch(through=500), 0.0)
    tracker.batch(_batch(through=200), 0.5)
    assert _only(tracker.stream(0.5))[2] is REWOUND
    tracker.batch(_batch(through=500), 1.0)
    assert _only(tracker.stream(1.0))[2] is CAUGHT_UP
    tracker.batch(Batch((), Lsn(100), blind=(Blindness(Cause.GAP),)), 1.5)
    assert _only(tracker.stream(1.5))[2] is LAGGING


def test_a_stream_that_is_polled_and_brings_nothing_stalls() -> None:
    tracker = LagTracker(stalled_after=3.0)
    tracker.batch(_batch(through=100), 0.0)
    for second in range(1, 6):
        tracker.leader_at(Lsn(100 + second), float(second))
        tracker.batch(_batch(through=100), second + 0.1)
    assert _only(tracker.stream(5.1))[2] is STALLED


def test_global_ids_tell_how_many_transactions_are_missing() -> None:
    tracker = LagTracker()
    tracker.leader_at(GtidSet.parse("a:1-100,b:1-5"), 1.0)
    tracker.follower_at("f", GtidSet.parse("a:1-90:95,c:1-7"), 1.0)
    (lag,) = tracker.followers(1.0)
    assert (lag.transactions, lag.state) == (14, LAGGING)
    tracker.follower_at("f", GtidSet.parse("a:1-100,b:1-5,c:1-8"), 1.5)
    (lag,) = tracker.followers(1.5)
    assert (lag.transactions, lag.state) == (0, CAUGHT_UP)  # what it has written itself does not count


@pytest.mark.parametrize(("skew", "said"), [(3600.0, "3599"), (-5.0, "-4"), (0.1, "0.0")])
def test_a_clock_that_is_surely_wrong_is_told(skew: float, said: str) -> None:
    """By how much at least: a sample lies at most a second around the commit."""
    tracker = LagTracker()
    for second in range(6):
        tracker.leader_at(Lsn(100 * second), float(second))
        tracker.batch(_batch((100 * second + 50, second + 0.5 + skew, 1), through=100 * second + 50), second + 0.6)
    assert f"{tracker.clock_ahead:.1f}".startswith(said)
    (lag,) = tracker.stream(5.7)
    assert ("clock" in lag.detail) == (abs(skew) > 1)
    assert lag.seconds is not None
    assert 0.0 <= lag.seconds <= 1.1


def test_no_hop_had_an_event_later_than_trueup_whatever_its_clock_says() -> None:
    tracker = LagTracker()
    tracker.leader_at(Lsn(50), 9.0)
    tracker.leader_at(Lsn(100), 10.0)
    tracker.batch(_batch((100, 9.5, 1), through=100, connector_at=4_000.0, broker_at=2.0), 10.0)
    assert [(lag.hop, lag.seconds) for lag in tracker.stream(10.0)] == [
        ("connector", 0.5), ("broker", 0.0), ("trueup", 0.5),
    ]  # fmt: skip


@given(
    gaps=st.lists(st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=40),
    delays=st.lists(st.integers(0, 9), min_size=1, max_size=5),
    skew=st.integers(-20, 20),
)
def test_lag_is_within_a_sample_of_the_truth(gaps: list[tuple[int, int, int]], delays: list[int], skew: int) -> None:
    """A leader commits; the stream reads at once; followers apply each commit a fixed delay later."""
    tracker = LagTracker(interval_seconds=10.0)
    commits: list[tuple[int, float, int]] = []
    now, lsn = 0.0, 10
    tracker.leader_at(Lsn(lsn), now)
    tracker.batch(_batch(through=lsn), now)
    for wait, changes, noise in gaps:
        now += wait
        lsn += 10
        if changes:
            commits.append((lsn, now, changes))
            tracker.batch(_batch((lsn, now + skew, changes), through=lsn), now)
        lsn += noise
        tracker.leader_at(Lsn(lsn), now)
        tracker.batch(_batch(through=lsn), now)
        for index, delay in enumerate(delays):
            done = [commit for commit in commits if commit[1] + delay <= now]
            due = [commit for commit in commits if commit[1] + delay > now]
            tracker.follower_at(f"f{index}", Lsn(done[-1][0] if done else 10), now)
            lag = tracker.followers(now)[index]
            assert (lag.state is CAUGHT_UP) == (not due)
            assert lag.changes == sum(commit[2] for commit in due)
            assert lag.seconds is not None
            assert lag.seconds >= 0
            truth = now - due[0][1] if due else 0.0
            assert truth - 1e-9 <= lag.seconds <= truth + (5 if due else 0)
