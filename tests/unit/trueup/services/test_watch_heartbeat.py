"""Lag of a follower without a position, told by a heartbeat table: right whatever the leader's clock says."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.memory.clock import VirtualClock
from connectors.sqlite.replica import SqliteReplica
from trueup.bootstrap.beating import Beats
from trueup.services.group import GroupWorld, TableBook
from trueup.services.watch import SharedLag, WatchService
from verifier.heartbeat import Heartbeat, HeartbeatPolicy
from verifier.lag import HopLag, LagState, LagTracker
from verifier.look import Role
from verifier.policy import Limits
from verifier.ports import in_turn

_PERCONA = "create table heartbeat (ts text not null, server_id int primary key)"
_BEGAN = datetime(2026, 11, 26, tzinfo=UTC)


@dataclass
class Bench:
    """A leader whose clock is `skew` seconds ahead, and a copy of it, which shows what the test lets it show."""

    folder: Path
    clock: VirtualClock
    watch: WatchService
    skew: float

    def beat(self, server: str, age: float = 0.0) -> None:
        """The time that the leader wrote `age` seconds ago."""
        at = _BEGAN + timedelta(seconds=self.clock.at - age + self.skew)
        with closing(sqlite3.connect(self.folder / f"{server}.db")) as hand:
            row = (at.replace(tzinfo=None).isoformat(timespec="microseconds"),)
            hand.execute("insert or replace into heartbeat values (?, 1)", row)
            hand.commit()

    def look(self) -> HopLag:
        self.watch._follower("copy")
        (lag,) = self.watch.lag.told(self.clock.now())[0]
        return lag

    def second(self, *, late: float | None = 0.0) -> HopLag:
        """A second passes: the leader writes its time, and the copy shows the one of `late` seconds before (None: it
        shows what it showed)."""
        self.clock.sleep(1.0)
        self.beat("leader")
        if late is not None:
            self.beat("copy", late)
        return self.look()


@pytest.fixture(params=[0.0, -7200.0, 86_400.5])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    for server in ("leader", "copy"):
        with closing(sqlite3.connect(tmp_path / f"{server}.db")) as hand:
            hand.execute(_PERCONA)
    clock = VirtualClock()
    leader = SqliteReplica("leader", f"sqlite:///{tmp_path}/leader.db", Role.LEADER, Limits())
    copy = SqliteReplica("copy", f"sqlite:///{tmp_path}/copy.db", None, Limits())
    book = TableBook(leader, {"copy": copy}, ["*"], clock)
    watch = WatchService(GroupWorld("g", leader, {"copy": copy}, book, clock, in_turn, None), SharedLag(LagTracker()))
    policy = HeartbeatPolicy("main.heartbeat", where="server_id = 1")
    watch.beats = Beats(Heartbeat(policy, dict.fromkeys(("leader", "copy"), policy.table)), leader, {"copy": copy})
    yield Bench(tmp_path, clock, watch, request.param)
    leader.close()
    copy.close()


def test_a_copy_is_as_late_as_what_it_does_not_show_is_old(bench: Bench) -> None:
    assert (bench.second().state, bench.look().seconds) == (LagState.CAUGHT_UP, 0.0)
    for late in range(4):
        lag = bench.second(late=None)
        assert (lag.hop, lag.state, lag.seconds, lag.changes) == ("copy", LagState.LAGGING, float(late), None)
    lag = bench.second(late=2.0)
    assert (lag.state, lag.seconds) == (LagState.LAGGING, 1.0)
    assert (bench.second().state, bench.look().seconds) == (LagState.CAUGHT_UP, 0.0)


def test_what_was_late_before_anybody_looked_is_as_old_as_the_leaders_own_times_say(bench: Bench) -> None:
    lag = bench.second(late=500.0)
    assert lag.state is LagState.LAGGING
    assert lag.seconds == pytest.approx(500.0, abs=1e-3)
    for late in (500.0, 400.0, 30.0):
        lag = bench.second(late=late)
        assert lag.seconds == pytest.approx(late, abs=1.001)


def test_who_stands_is_stalled_and_who_went_back_is_rewound(bench: Bench) -> None:
    bench.second()
    for _ in range(17):
        lag = bench.second(late=None)
    assert (lag.state, lag.seconds) == (LagState.STALLED, 16.0)
    assert bench.second(late=300.0).state is LagState.REWOUND
    assert bench.second().state is LagState.CAUGHT_UP


def test_a_heartbeat_that_nobody_writes_or_that_is_not_there_tells_nothing(bench: Bench) -> None:
    lag = bench.look()
    assert (lag.state, lag.seconds) == (LagState.UNKNOWN, None)
    assert lag.detail.startswith("the heartbeat main.heartbeat on leader has no row where server_id = 1")
    bench.second()
    for _ in range(16):
        bench.clock.sleep(1.0)
        lag = bench.look()
    assert (lag.state, lag.detail) == (LagState.UNKNOWN, "nobody has written the heartbeat for 16 s")
