"""The daemon judges a follower that tells no position by the watermark: late is not drift, and nobody waits in vain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.journal.opening import Journal, open_journal
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from trueup.bootstrap.watermark import Watermarks
from trueup.services.group import GroupWorld, Sighted, TableBook
from trueup.services.verify import Verified, VerifyService
from verifier.drift import Certainty, Kind, Method
from verifier.errors import Permanent
from verifier.look import Role
from verifier.policy import SettlePolicy
from verifier.ports import in_turn
from verifier.position import Position, Tick
from verifier.table import Column, Family, Table, TableName
from verifier.watermark import WatermarkPolicy
from verifier.window import TransactionWindow

ITEMS, MARK = TableName("public", "items"), TableName("public", "mark")


@dataclass
class Fed:
    """A follower that does not tell how far it follows."""

    inner: Any

    def position(self) -> Position:
        raise Permanent("tells no position")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class Shop:
    """A leader, and a copy to which a pipeline brings its commits in order, when it is told to."""

    def __init__(self, folder: Path, *, streaming: bool) -> None:
        self.clock, self.ticks = VirtualClock(), 0
        self.server = Leader(self.clock.now)
        self.target = Follower(self.server, Role.STANDBY)
        for name, column in ((ITEMS, "v"), (MARK, "tick")):
            family = Family.TEXT if name == ITEMS else Family.INTEGER
            table = Table(name, (Column("id", Family.INTEGER, "bigint", False), Column(column, family, "x")), ("id",))
            self.server.create(table)
            self.target.shelves.create(table)
        self.put(MARK, "1", tick="0")
        for key in range(5):
            self.put(ITEMS, str(key), v="same")
        self.target.catch_up()
        self.leader, copy = MemoryReplica("leader", self.server), Fed(MemoryReplica("copy", self.target))
        followers: Any = {"copy": copy}
        self.journal: Journal = open_journal(folder / "journal.db", "shop")
        book = TableBook(self.leader, followers, ["items"], self.clock)
        sight = Sighted(TransactionWindow(), ["copy"]) if streaming else None
        self.world = GroupWorld("shop", self.leader, followers, book, self.clock, in_turn, sight)
        self.world.placed = Watermarks(WatermarkPolicy(str(MARK), ordered=True), self.leader, followers, self).placed
        self.verified: list[Verified] = []
        self.verify = VerifyService(
            self.world, "copy", self.journal.stream, SettlePolicy(give_up_seconds=5.0), settled=self.verified.append
        )

    def put(self, table: TableName, key: str, **values: str) -> None:
        writing = self.server.begin()
        writing.insert(table, {"id": key, **values})
        writing.commit()

    def advance(self) -> Tick:
        """`Advancing`."""
        self.ticks += 1
        writing = self.server.begin()
        writing.update(MARK, (1,), {"tick": str(self.ticks)})
        writing.commit()
        return Tick(self.ticks)

    def close(self) -> None:
        """Nothing is held."""

    def touch(self, *keys: int) -> None:
        now, written = self.clock.now(), self.leader.position()
        self.journal.stream.touch({(ITEMS, (key,)): written for key in keys}, followers=["copy"], at=now)

    def run(self, seconds: float, *, carried: bool = True) -> None:
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.clock.at += max(0.01, self.verify.tick(self.clock.now()))
            if carried:
                self.target.catch_up()


@pytest.fixture(params=[False, True], ids=["without a stream", "beside a stream"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, streaming=request.param)
    yield made
    made.journal.close()


def test_a_key_that_is_late_is_equal_once_the_tick_behind_it_is_there(shop: Shop) -> None:
    writing = shop.server.begin()
    writing.update(ITEMS, (1,), {"v": "newer"})
    writing.commit()
    shop.touch(1)
    shop.run(2.0, carried=False)
    assert shop.verified == [], "nothing is said before the tick is there"
    shop.run(2.0)
    assert [(one.drifts, [*one.equal]) for one in shop.verified] == [((), [(1,)])]
    assert shop.journal.stream.touched_count("copy") == 0


def test_what_was_lost_is_drift(shop: Shop) -> None:
    shop.target.drop(ITEMS, (2,))
    shop.target.put(ITEMS, (3,), {"v": "wrong"})
    shop.touch(1, 2, 3)
    shop.run(4.0)
    drifts = [drift for one in shop.verified for drift in one.drifts]
    assert {(one.key, one.kind, one.evidence.certainty, one.evidence.method) for one in drifts} == {
        ((2,), Kind.MISSING, Certainty.PROVEN, Method.BRACKETED),
        ((3,), Kind.MISMATCHED, Certainty.PROVEN, Method.BRACKETED),
    }
    assert [key for one in shop.verified for key in one.equal] == [(1,)]
