"""Reads on several servers go on at the same time: whoever is asked must not wait until another has answered."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from trueup.audit.progress import Silent
from trueup.audit.request import Request
from trueup.bootstrap.auditing import Plan, open_audit
from trueup.bootstrap.servers import Address
from trueup.clock import SystemClock
from trueup.pool import Pool
from verifier.chunk import ChunkSize
from verifier.compare import comparison
from verifier.errors import Temporary
from verifier.look import Role
from verifier.policy import ScanPolicy
from verifier.scan import TableScan
from verifier.table import Column, Family, Table, TableName

T = TableName("public", "t")
TABLE = Table(T, (Column("id", Family.INTEGER, "bigint", False), Column("v", Family.TEXT, "text")), ("id",))
PATIENCE = 30.0
"""Seconds that a call waits for the others, which comes to pass only where they wait for it."""


def meeting() -> Callable[[], int]:
    """A call that returns once three of it are under way. BrokenBarrierError if they never are."""
    return partial(threading.Barrier(3).wait, PATIENCE)


class Meets:
    """A replica that answers a digest once those of all three are asked for."""

    def __init__(self, real: MemoryReplica, meet: Callable[[], int]) -> None:
        self.real = real
        self.meet = meet

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def digest(self, *words: Any, **more: Any) -> Any:
        self.meet()
        return self.real.digest(*words, **more)


@pytest.fixture
def pool() -> Any:
    made = Pool(3)
    yield made
    made.close()


def test_calls_are_under_way_together_and_answer_in_order(pool: Pool) -> None:
    assert sorted(pool.gather([meeting_ := meeting(), meeting_, meeting_])) == [0, 1, 2]
    assert pool.gather([lambda: "a", lambda: "b", lambda: "c"]) == ["a", "b", "c"]
    assert pool.gather([]) == []


def test_the_first_error_is_raised_once_all_have_ended(pool: Pool) -> None:
    release, ended = threading.Event(), threading.Event()

    def fails() -> None:
        release.set()
        raise ValueError("first")

    def slow() -> None:
        assert release.wait(PATIENCE)
        ended.set()

    with pytest.raises(ValueError, match="first"):
        pool.gather([fails, slow])
    assert ended.is_set()


def test_a_walk_reads_the_leader_and_every_follower_at_once(pool: Pool) -> None:
    server = Leader(lambda: 0.0)
    server.create(TABLE)
    followers = [Follower(server, Role.STANDBY) for _ in range(2)]
    writing = server.begin()
    for key in range(10):
        writing.insert(T, {"id": str(key), "v": "x"})
    writing.commit()
    for follower in followers:
        follower.shelves.create(TABLE)
        follower.catch_up()
    meet = meeting()
    leader: Any = Meets(MemoryReplica("leader", server), meet)
    same = comparison(TABLE, TABLE)
    sides: Any = {
        name: (Meets(MemoryReplica(name, one), meet), same) for name, one in zip("ab", followers, strict=True)
    }
    scan = TableScan(leader, sides, ChunkSize(ScanPolicy()), SystemClock(), pool.gather)
    read = scan.step()
    assert (read.leader.rows, {name: one.digest for name, one in read.followers.items()}, read.failed) == (
        10, {"a": read.leader, "b": read.leader}, {},
    )  # fmt: skip


def test_an_audit_is_wired_to_read_as_many_servers_at_once_as_it_has(tmp_path: Path) -> None:
    addresses = [Address(name, f"sqlite:///{tmp_path / name}.db") for name in ("leader", "a", "b")]
    for one in addresses:
        with sqlite3.connect(one.url.removeprefix("sqlite:///")) as connection:
            connection.execute("create table t (id integer primary key)")
        connection.close()
    plan = Plan("g", addresses[0], tuple(addresses[1:]), Request(), tmp_path / "journal.db", tables_at_once=1)
    opened = open_audit(plan, run=None, watcher=Silent(), stop=lambda: False)
    try:
        meet = meeting()
        opened.audit.tools.gather([meet, meet, meet])
    finally:
        opened.close()


def test_ctrl_c_is_not_lost_behind_what_else_went_wrong(pool: Pool) -> None:
    def away() -> int:
        raise Temporary("the leader does not answer")

    def stopped() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool.gather([away, stopped])
    with pytest.raises(Temporary):
        pool.gather([away, lambda: 1])
