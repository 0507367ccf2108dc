"""Keys of a table with a tolerance, by the visibility rule: near is equal, far is drift, at rest and in flight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from fixtures.memory_group import MemoryServers, T

from connectors.journal.opening import open_journal
from connectors.memory.stream import MemoryStream
from trueup.services.follow import FollowService
from trueup.services.verify import judging
from verifier.compare import Comparison
from verifier.drift import Difference, Kind, Method
from verifier.outcome import Again, Differs, Equal, Moving, Outcome
from verifier.seeing import VisibilityJudging
from verifier.table import Column, Family, Key, Table
from verifier.tolerance import Tolerance

TABLE = Table(
    T, (Column("id", Family.INTEGER, "bigint", False), Column("v", Family.FLOAT, "double precision")), ("id",)
)
KEYS: list[Key] = [(1,), (2,), (3,)]


class _Site:
    """Three rows of 100, of which the follower holds the second one nearly and the third one not."""

    def __init__(self, folder: Path) -> None:
        self.servers = MemoryServers(TABLE)
        self.world = self.servers.grouped(tolerances={"*": Tolerance(float_relative=1e-3)})
        journal = open_journal(folder / "journal.db", "shop")
        stream = MemoryStream(self.servers.server)
        follow = FollowService(self.world, stream, journal.stream, poll_seconds=0.0, gather_seconds=0.0)
        self.servers.clock.happen = lambda: (follow.tick(self.servers.clock.at), None)[1]
        self.write({1: "100", 2: "100", 3: "100"}, insert=True)
        self.follower = self.servers.followers["one"]
        compared = self.world.book.pair("one", T).compared
        assert compared is not None
        self.compared: Comparison = compared

    def write(self, values: Mapping[int, str], *, insert: bool = False) -> None:
        """On the leader, and on its way."""
        writing = self.servers.server.begin()
        for key, value in values.items():
            if insert:
                writing.insert(T, {"id": str(key), "v": value})
            else:
                assert writing.update(T, (key,), {"v": value})
        writing.commit()
        self.servers.clock.sleep(0.1)
        self.servers.catch_up()

    def plant(self, near: str, far: str) -> None:
        self.follower.put(T, (2,), {"id": "2", "v": near})
        self.follower.put(T, (3,), {"id": "3", "v": far})

    def judged(self, failed: list[Key]) -> Mapping[Key, Outcome]:
        attempt = judging(self.world, "one", self.compared, KEYS, failed)
        assert isinstance(attempt, VisibilityJudging)
        for _ in range(200):
            answer = attempt.advance(self.servers.clock.at)
            if not isinstance(answer, Again):
                return answer
            self.servers.clock.sleep(0.1)
        raise AssertionError("it never ends")


@pytest.mark.parametrize("near", ["100.05", "99.95", "100.0000001"])
def test_near_is_equal_and_far_is_drift(tmp_path: Path, near: str) -> None:
    site = _Site(tmp_path)
    site.plant(near, "100.2")
    found = site.judged([])
    assert (found[(1,)], found[(2,)]) == (Equal(), Equal())
    drifted = found[(3,)]
    assert isinstance(drifted, Differs)
    assert (drifted.kind, drifted.columns, drifted.evidence.method) == (
        Kind.MISMATCHED, {"v": Difference("100", "100.2")}, Method.VISIBILITY,
    )  # fmt: skip


def test_a_hot_key_is_near_to_what_the_stream_told(tmp_path: Path) -> None:
    """The follower stands before the latest change of all three, so only their after-images can judge them."""
    site = _Site(tmp_path)
    assert all(isinstance(one, Equal) for one in site.judged([*KEYS]).values())  # from now on they are watched
    site.write({1: "200", 2: "200", 3: "200"})
    site.plant("200.1", "200.5")
    site.follower.held = True
    site.write({1: "300", 2: "300", 3: "300"})
    found = site.judged([*KEYS])
    assert not [one for one in found.values() if isinstance(one, Moving)], found
    assert (found[(1,)], found[(2,)]) == (Equal(), Equal())
    drifted = found[(3,)]
    assert isinstance(drifted, Differs)
    assert ({name: both.follower for name, both in drifted.columns.items()}) == {"v": "200.5"}
    assert "state" in drifted.evidence.positions
