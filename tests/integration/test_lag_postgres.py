"""Lag on a real leader, standby and subscriber: idle is caught up, stopped is late and says why."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from fixtures.databases import TrioDatabase
from fixtures.following import stream_of

from connectors.embedded import pause_replay, resume_replay
from connectors.pgoutput import PgoutputStream
from connectors.postgres.lag import LagReader, Slot
from connectors.postgres.replica import Options, PostgresReplica
from verifier.lag import HopLag, LagState, LagTracker
from verifier.look import Role

pytestmark = pytest.mark.postgres

CAUGHT_UP, LAGGING = LagState.CAUGHT_UP, LagState.LAGGING


@dataclass(frozen=True)
class Watched:
    """Leader and followers as replicas, the stream, and the tracker that is fed by `look`."""

    made: TrioDatabase
    leader: PostgresReplica
    followers: dict[str, PostgresReplica]
    stream: PgoutputStream
    tracker: LagTracker

    def look(self) -> dict[str, HopLag]:
        self.tracker.leader_at(self.leader.position(), time.time())
        for name, replica in self.followers.items():
            self.tracker.follower_at(name, replica.position(), time.time())
        batch = self.stream.poll(changes_max=1000, seconds_max=0.1)
        self.tracker.batch(batch, time.time())
        silent = self.stream.silent_seconds
        self.tracker.alive_at(time.time() - (silent or 0.0))
        now = time.time()
        return {lag.hop: lag for lag in (*self.tracker.followers(now), *self.tracker.stream(now))}

    def until(self, hop: str, state: LagState, changes: int | None = None, seconds: float = 60.0) -> HopLag:
        deadline = time.monotonic() + seconds
        while (lag := self.look()[hop]).state is not state or changes not in (None, lag.changes):
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {lag}"
        return lag

    def write(self, first: int, count: int) -> None:
        self.made.leader.sql(f"insert into t select n, 'x' from generate_series({first}, {first + count - 1}) n")


@pytest.fixture
def watched(trio_database: TrioDatabase) -> Iterator[Watched]:
    # Only this table is published: the log of others must not stop the subscriber.
    trio_database.subscribe("create table t (id int primary key, x text)", ("t",))
    leader = PostgresReplica("leader", trio_database.leader.url, Options(role=Role.LEADER))
    followers = {
        "standby": PostgresReplica("standby", trio_database.standby.url),
        "subscriber": PostgresReplica("subscriber", trio_database.subscriber.url),
    }
    stream = stream_of(trio_database.leader)
    stream.start({}, None)
    yield Watched(trio_database, leader, followers, stream, LagTracker(lagging_above=0.5))
    stream.close()
    for replica in (leader, *followers.values()):
        replica.close()


def test_everybody_is_caught_up_on_an_idle_leader_also_when_its_log_moves(watched: Watched) -> None:
    watched.write(1, 10)
    for hop in ("standby", "subscriber", "trueup"):
        watched.until(hop, CAUGHT_UP)
    for n in range(8):
        # Log without changes of our tables, as vacuum or another database would write it.
        watched.made.leader.sql(f"create table noise{n} as select generate_series(1, 500) n")
        for hop in ("standby", "subscriber", "trueup"):
            watched.until(hop, CAUGHT_UP)
    assert [LagReader(replica).hindrance() for replica in watched.followers.values()] == ["", ""]


def test_a_paused_standby_is_late_by_the_age_of_what_it_does_not_show(watched: Watched) -> None:
    watched.until("standby", CAUGHT_UP)
    pause_replay(watched.made.trio.standby)
    watched.look()
    began = time.time()
    watched.write(1, 7)
    written = time.time()
    watched.until("standby", LAGGING, changes=7)
    asked = time.time()
    late = watched.look()["standby"]
    assert (late.state, late.changes) == (LAGGING, 7)
    assert late.seconds is not None
    assert asked - written <= late.seconds <= time.time() - began
    watched.until("subscriber", CAUGHT_UP)
    assert "replay is paused" in LagReader(watched.followers["standby"]).hindrance()
    resume_replay(watched.made.trio.standby)
    assert watched.until("standby", CAUGHT_UP).changes == 0


def test_a_disabled_subscription_is_late_and_its_slot_keeps_the_log(watched: Watched) -> None:
    watched.write(1, 5)
    watched.until("subscriber", CAUGHT_UP)
    assert watched.made.subscription is not None
    watched.made.subscription.pause()
    with psycopg.connect(watched.made.leader.dsn, autocommit=True) as connection:
        for n in range(3):
            connection.execute("update t set x = 'y' || %s", (n,))
    watched.until("subscriber", LAGGING, changes=15)
    name = watched.made.subscription.subscription
    assert f"subscription {name} is disabled" in LagReader(watched.followers["subscriber"]).hindrance()
    slots = {slot.name: slot for slot in LagReader(watched.leader).slots()}
    assert not slots[name].active
    assert (slots[name].kind, slots[name].status, slots[name].lost) == ("logical", "reserved", False)
    assert (slots[name].retained_bytes or 0) > 0
    streaming = [sender for sender in LagReader(watched.leader).senders() if sender.state == "streaming"]
    assert any(sender.replayed is not None and sender.replayed.value > 0 for sender in streaming)
    watched.made.subscription.resume()
    assert watched.until("subscriber", CAUGHT_UP).changes == 0


def test_a_follower_that_stands_still_is_stalled_and_one_that_was_set_back_is_rewound(watched: Watched) -> None:
    watched.write(1, 5)
    watched.until("subscriber", CAUGHT_UP)
    subscription = watched.made.subscription
    assert subscription is not None
    watched.tracker._stalled_after = 0.6
    before = watched.followers["subscriber"].position()
    watched.write(10, 5)
    watched.until("subscriber", CAUGHT_UP)
    subscription.pause()
    watched.write(20, 5)
    stalled = watched.until("subscriber", LagState.STALLED)
    assert stalled.detail.startswith("has not moved for")
    assert stalled.seconds is not None
    assert stalled.seconds >= 0.6
    with psycopg.connect(watched.made.subscriber.dsn, autocommit=True) as connection:
        (origin,) = connection.execute("select 'pg_' || oid from pg_subscription").fetchone() or ("",)
        connection.execute("select pg_replication_origin_advance(%s, %s::pg_lsn)", (origin, str(before)))
    rewound = watched.until("subscriber", LagState.REWOUND)
    assert rewound.detail.startswith("its position went back from lsn:")
    subscription.resume()
    assert watched.until("subscriber", CAUGHT_UP).detail == ""


def test_a_slot_tells_its_limit_and_how_much_is_left(watched: Watched) -> None:
    assert watched.made.subscription is not None
    name = watched.made.subscription.subscription

    def slot() -> Slot:
        (found,) = [one for one in LagReader(watched.leader).slots() if one.name == name]
        return found

    assert (slot().limit_bytes, slot().safe_bytes, slot().status) == (None, None, "reserved")
    with psycopg.connect(watched.made.leader.dsn, autocommit=True) as connection:
        connection.execute("alter system set max_slot_wal_keep_size = '256MB'")
        connection.execute("select pg_reload_conf()")
        try:
            deadline = time.monotonic() + 60
            while slot().limit_bytes is None:
                assert time.monotonic() < deadline
            limited = slot()
        finally:
            connection.execute("alter system reset max_slot_wal_keep_size")
            connection.execute("select pg_reload_conf()")
    assert limited.limit_bytes == 256 * 1024 * 1024
    assert limited.safe_bytes is not None
    assert 0 < limited.safe_bytes <= limited.limit_bytes + 3 * 16 * 1024 * 1024


def test_a_stream_that_is_not_read_is_late(watched: Watched) -> None:
    tracker, first, began, now = watched.tracker, 1, 0.0, 9.0
    while now - began > 2.0:  # a poll is fresh for three seconds, and a busy machine may take longer than that for this
        watched.until("trueup", CAUGHT_UP)
        began = time.time()
        watched.look()
        watched.write(first, 5)
        tracker.leader_at(watched.leader.position(), time.time())
        time.sleep(0.6)
        first, now = first + 5, time.time()
    assert tracker.stream(now)[-1].state is CAUGHT_UP  # as of the last poll, which is fresh
    assert tracker.stream(now + 5)[-1].state is LagState.UNKNOWN
    assert watched.until("trueup", CAUGHT_UP).changes == 0
