"""A row that changes all the time is looked at once a round; the first change after a rest at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.memory_group import MemoryServers, T, described

from connectors.journal.opening import open_journal
from connectors.memory.replica import MemoryReplica
from connectors.memory.stream import MemoryStream
from trueup.services.follow import FollowService
from trueup.services.rounds import Rounds
from trueup.services.verify import Verified, VerifyService
from trueup.services.watch import SharedLag, WatchService
from verifier.lag import LagTracker
from verifier.policy import SettlePolicy


class Counted:
    """A replica, and how often it was asked what."""

    def __init__(self, real: MemoryReplica) -> None:
        self.real = real
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        if name in ("position", "mark", "ask", "digest", "row_digests", "point_digests", "rows", "table", "tables"):
            self.asked[name] += 1
        return getattr(self.real, name)


class Busy(MemoryServers):
    """A leader and a follower that applies at once, followed and verified in rounds of a second."""

    def __init__(self, folder: Path) -> None:
        super().__init__(described(T))
        self.target = self.followers["one"]
        self.insert(T, [1])
        self.catch_up()
        self.journal = open_journal(folder / "journal.db", "shop")
        self.leader = Counted(MemoryReplica("leader", self.server))
        self.one = Counted(MemoryReplica("one", self.target))
        self.world = self.grouped(self.leader, {"one": self.one})
        self.verified: list[Verified] = []
        stream = self.journal.stream
        self.follow = FollowService(self.world, MemoryStream(self.server), stream, poll_seconds=0.0, gather_seconds=0.0)
        self.verify = VerifyService(
            self.world, "one", stream, SettlePolicy(), settled=self.verified.append, rounds=Rounds(1.0)
        )
        self.run(2.0)

    def write(self, *, applied: bool = True) -> None:
        writing = self.server.begin()
        writing.update(T, (1,), {"v": str(self.clock.now())})
        writing.commit()
        if applied:
            self.target.catch_up()

    def run(self, seconds: float, *, writing: bool = False) -> None:
        """In steps of a twentieth of a second."""
        for _ in range(round(seconds * 20)):
            if writing:
                self.write()
            self.follow.tick(self.clock.now())
            self.verify.tick(self.clock.now())
            self.clock.at += 0.05


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[Busy]:
    made = Busy(tmp_path)
    yield made
    made.journal.close()


def test_a_hot_row_costs_one_look_a_round(busy: Busy) -> None:
    busy.one.asked.clear()
    busy.run(10.0, writing=True)
    assert 9 <= busy.one.asked["point_digests"] <= 12  # of two hundred changes
    busy.run(2.0)
    assert busy.journal.stream.touched_count("one") == 0
    assert [key for told in busy.verified[-1:] for key in told.equal] == [(1,)]


def test_the_first_change_after_a_rest_waits_for_no_round(busy: Busy) -> None:
    busy.run(3.3)
    before = len(busy.verified)
    busy.run(0.2, writing=True)
    assert len(busy.verified) == before + 1


def test_at_rest_nobody_is_asked_for_more_than_the_position(busy: Busy) -> None:
    watch = WatchService(busy.world, SharedLag(LagTracker()))
    busy.run(1.0, writing=True)
    for _ in range(3):
        busy.run(1.0)
        watch.tick(busy.clock.now())
    for counted in (busy.leader, busy.one):
        counted.asked.clear()
    for _ in range(5):
        watch.tick(busy.clock.now())
        busy.run(1.0)
    assert (busy.leader.asked, busy.one.asked) == ({"position": 5}, {"position": 5})


def test_no_look_before_the_follower_has_applied_what_touched_the_key(busy: Busy) -> None:
    busy.verified.clear()
    busy.one.asked.clear()
    busy.write(applied=False)
    busy.run(5.0)
    assert busy.journal.stream.touched_count("one") == 1, "the stream told of it"
    assert busy.one.asked["position"] > 0
    assert busy.one.asked["point_digests"] == 0
    assert busy.verified == []
    busy.target.catch_up()
    busy.run(2.0)
    assert [key for told in busy.verified for key in told.equal] == [(1,)]
    assert busy.one.asked["point_digests"] == 1
    assert busy.journal.stream.touched_count("one") == 0
