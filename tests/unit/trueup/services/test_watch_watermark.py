"""Lag of followers that show a watermark: in ticks of its own, and never caught up where nobody counts it up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.memory.clock import VirtualClock
from connectors.sqlite.replica import SqliteReplica
from connectors.sqlite.watermark import SqliteWatermark
from trueup.bootstrap.watermark import Watermarks
from trueup.services.group import GroupWorld, TableBook
from trueup.services.watch import SharedLag, WatchService
from verifier.lag import HopLag, LagState, LagTracker
from verifier.look import Role
from verifier.policy import Limits
from verifier.ports import in_turn
from verifier.table import TableName
from verifier.watermark import DEFINITION, WatermarkPolicy

TABLE = TableName("main", "trueup_watermark")


@dataclass
class Bench:
    """A leader and a copy of it, which shows the watermark that the test puts there."""

    folder: Path
    clock: VirtualClock
    watch: WatchService
    marks: Watermarks

    def put(self, server: str, tick: int) -> None:
        with closing(sqlite3.connect(self.folder / f"{server}.db")) as hand:
            hand.execute("update trueup_watermark set tick = ?", (tick,))
            hand.commit()

    def tick(self, server: str) -> int:
        with closing(sqlite3.connect(self.folder / f"{server}.db")) as hand:
            return int(hand.execute("select tick from trueup_watermark").fetchone()[0])

    def look(self, seconds: float = 1.0) -> HopLag:
        self.clock.sleep(seconds)
        self.watch._follower("copy")
        (lag,) = self.watch.lag.told(self.clock.now())[0]
        return lag


def bench(folder: Path, *, write: bool) -> Bench:
    for server in ("leader", "copy"):
        with closing(sqlite3.connect(folder / f"{server}.db")) as hand:
            hand.executescript(DEFINITION.format(table="trueup_watermark"))
    clock = VirtualClock()
    leader = SqliteReplica("leader", f"sqlite:///{folder}/leader.db", Role.LEADER, Limits())
    copy = SqliteReplica("copy", f"sqlite:///{folder}/copy.db", None, Limits())
    advancing = SqliteWatermark(f"sqlite:///{folder}/leader.db", TABLE, Limits()) if write else None
    marks = Watermarks(WatermarkPolicy(str(TABLE), write, True), leader, {"copy": copy}, advancing)
    world = GroupWorld(
        "g", leader, {"copy": copy}, TableBook(leader, {"copy": copy}, ["*"], clock), clock, in_turn, None
    )
    world.placed = marks.placed
    return Bench(folder, clock, WatchService(world, SharedLag(LagTracker())), marks)


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Bench]:
    """Others count it up."""
    made = bench(tmp_path, write=False)
    yield made
    made.marks.close()
    made.marks.leader.close()
    made.marks.followers["copy"].close()


def test_ticks_tell_who_is_late_and_since_when(counted: Bench) -> None:
    for tick in range(1, 6):
        counted.put("leader", tick)
        counted.put("copy", tick)
        assert counted.look().state is LagState.CAUGHT_UP
    for late in range(1, 4):
        counted.put("leader", 5 + late)
        lag = counted.look()
        assert (lag.hop, lag.state, lag.seconds, lag.changes) == ("copy", LagState.LAGGING, late - 1.0, None)
    counted.put("copy", 3)
    assert counted.look().state is LagState.REWOUND
    counted.put("copy", 8)
    assert counted.look().state is LagState.CAUGHT_UP


def test_a_watermark_that_nobody_counts_up_tells_nothing(counted: Bench) -> None:
    counted.put("leader", 1)
    counted.put("copy", 1)
    for _ in range(16):
        lag = counted.look()
    lag = counted.look()
    assert lag.state is LagState.UNKNOWN
    assert lag.detail.startswith("nobody has counted the watermark up for 16 s")


def test_where_trueup_may_it_counts_up_itself_so_a_dead_replication_shows(tmp_path: Path) -> None:
    made = bench(tmp_path, write=True)
    try:
        made.put("copy", 1)
        assert made.look().state is LagState.CAUGHT_UP
        assert made.look().state is LagState.LAGGING
        for _ in range(20):
            lag = made.look()
        assert (lag.state, made.tick("leader")) == (LagState.STALLED, 22)
    finally:
        made.marks.close()
        made.marks.leader.close()
        made.marks.followers["copy"].close()
