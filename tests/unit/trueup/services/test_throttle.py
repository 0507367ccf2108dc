"""A scan that is held back waits, says why once, and tells for how long and by what."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.memory_group import MemoryServers, T, described

from connectors.journal.opening import Journal, open_journal
from connectors.memory.replica import MemoryReplica
from trueup.audit.brake import Braking
from trueup.services.scan import Pace, ScanService
from trueup.services.throttle import Logged, Throttle
from verifier.brake import Brakes
from verifier.policy import ScanPolicy


class Loaded(MemoryReplica):
    """A server whose load the test sets."""

    load: int = 0

    def running(self) -> int:
        return self.load


class Shop(MemoryServers):
    """Twenty rows on a leader and a follower, and their scan, four rows at a time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(described(T), followers=["eu"])
        self.target = self.followers["eu"]
        self.insert(T, range(20))
        self.catch_up()
        self.leader, self.follower = Loaded("leader", self.server), Loaded("eu", self.target)
        self.journal: Journal = open_journal(folder / "journal.db", "shop")
        self.world = self.grouped(self.leader, {"eu": self.follower}, sighted=False)
        self.seconds: Counter[str] = Counter()
        self.chunks = 0

    def scan(self, brakes: Brakes, pace: Pace | None = None) -> ScanService:
        policy = ScanPolicy(rows_first=4, rows_min=2, rows_max=4)
        pace = pace or Pace(1_000.0, rest=0.0)
        found = ScanService(self.world, self.journal.scans, self.journal.stream, policy, pace)
        braking = Braking(brakes, self.leader, self.world.followers, self.clock, Logged())
        found.throttle = Throttle(braking, self.clock, self._told)
        found.throttled = self._told
        found.read = lambda read: self._read()
        return found

    def ticks(self, scan: ScanService, number: int) -> list[float]:
        """What each tick asked for; the clock runs on by that."""
        asked: list[float] = []
        for _ in range(number):
            asked.append(scan.tick(self.clock.now()))
            self.clock.at += asked[-1]
        return asked

    def _told(self, reason: str, seconds: float) -> None:
        self.seconds[reason] += seconds  # type: ignore[assignment]

    def _read(self) -> None:
        self.chunks += 1


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.journal.close()


def test_load_on_any_server_holds_the_scan_back_and_is_told_once(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "trueup.scan")
    scan = shop.scan(Brakes(running_max=3))
    shop.follower.load = 9
    assert shop.ticks(scan, 4) == [0.5] * 4
    assert shop.chunks == 0
    shop.follower.load = 3
    assert shop.ticks(scan, 2) == [0.0, 0.0]
    assert shop.chunks == 2
    assert shop.seconds == {"load": 2.0}
    assert [one.__dict__["why"] for one in caplog.records if one.__dict__.get("action") == "throttled"] == [
        "waiting: 9 statements run on eu, more than 3",
        "going on after 2.0s (load)",
    ]


def test_each_kind_of_brake_has_its_own_seconds(shop: Shop) -> None:
    scan = shop.scan(Brakes(running_max=3, lag_seconds=1.0))
    shop.leader.load = 4
    shop.ticks(scan, 2)
    shop.leader.load = 0
    shop.ticks(scan, 1)
    writing = shop.server.begin()
    writing.insert(T, {"id": "99", "v": "late"})
    writing.commit()
    for _ in range(3):
        shop.clock.at += 0.6
        asked = shop.ticks(scan, 1)
    assert asked == [0.5]  # late for more than a second by now
    before = shop.chunks
    shop.ticks(scan, 3)
    assert shop.chunks == before
    shop.target.catch_up()
    shop.ticks(scan, 1)
    assert shop.chunks == before + 1
    assert shop.seconds == {"load": 1.0, "lag": pytest.approx(2.0)}


def test_rows_are_read_no_faster_than_the_rate_allows(shop: Shop) -> None:
    scan = shop.scan(Brakes(rows_per_second=8))
    began = shop.clock.now()
    while shop.chunks < 5:
        shop.ticks(scan, 1)
    assert shop.clock.now() - began == pytest.approx(2.0)  # twenty rows, the first four at once
    assert shop.seconds == {"rate": pytest.approx(2.0)}


def test_the_rest_that_a_pace_asks_for_counts_where_its_rate_is_the_reason(shop: Shop) -> None:
    scan = shop.scan(Brakes(), Pace(1_000.0, rows_per_second=8, rest=0.0))
    assert shop.ticks(scan, 2) == [0.5, 0.5]
    assert shop.seconds == {"rate": 1.0}
