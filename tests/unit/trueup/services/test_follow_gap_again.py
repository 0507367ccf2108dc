"""A gap that the journal could not take is told again: its tables are not lost sight of."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from connectors.memory.stream import MemoryStream
from trueup.bootstrap.presence import Guarded, Presence
from trueup.services.follow import FollowService
from trueup.services.group import GroupWorld, Sighted, TableBook
from verifier.change import Batch, Cause
from verifier.errors import Temporary
from verifier.look import Role
from verifier.ports import ChangeStream, in_turn
from verifier.table import Column, Family, Table, TableName
from verifier.window import TransactionWindow

OURS = TableName("public", "ours")


class Locked:
    """The journal of a stream, of which another process holds the lock for as long as `held`."""

    def __init__(self, journal: Any) -> None:
        self.journal, self.held, self.problem = journal, False, Exception()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    def advance(self, *args: Any, **more: Any) -> None:
        if self.held:
            raise self.problem
        self.journal.advance(*args, **more)


class Faulty:
    """A stream with a fault, by which what it has read is lost."""

    def __init__(self, stream: ChangeStream) -> None:
        self.stream, self.faulty = stream, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    def poll(self, **more: Any) -> Batch:
        batch = self.stream.poll(**more)
        assert not self.faulty
        return batch


class Marking(MemoryReplica):
    """A leader that may be away when it is asked for a mark."""

    away = False

    def mark(self, shown: Any = None) -> Any:
        if self.away:
            raise Temporary("the leader does not answer")
        return super().mark(shown)


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("journal", Temporary("the journal is locked")),
        ("journal", AssertionError("a fault of ours")),
        ("leader", Temporary("the leader does not answer")),
        ("stream", AssertionError("a fault of ours")),
    ],
)
def test_a_gap_is_journaled_although_the_first_attempt_failed(tmp_path: Path, what: str, problem: Exception) -> None:
    clock = VirtualClock()
    server = Leader(clock.now)
    follower = Follower(server, Role.STANDBY)
    for one in (server, follower.shelves):
        one.create(Table(OURS, (Column("id", Family.INTEGER, "bigint", False),), ("id",)))
    leader, replicas = Marking("leader", server), {"one": MemoryReplica("one", follower)}
    book = TableBook(leader, replicas, ["public.ours"], clock)
    world = GroupWorld("shop", leader, replicas, book, clock, in_turn, Sighted(TransactionWindow(), ["one"]))
    journal = open_journal(tmp_path / "journal.db", "shop")
    locked = Locked(journal.stream)
    presence = Presence("shop", leader.position)
    locked.problem = problem
    stream = Faulty(Guarded(MemoryStream(server), presence))
    follow = FollowService(world, stream, locked, poll_seconds=0.0)

    numbers = count()

    def written() -> None:
        writing = server.begin()
        writing.insert(OURS, {"id": str(next(numbers))})
        writing.commit()
        clock.at += 2.0

    written()
    follow.tick(clock.now())
    for _ in range(2):  # when it is missed, and when it is back
        (presence.absent if not presence.missed else presence.present)()
        before = dict(journal.stream.blind())
        locked.held, leader.away, stream.faulty = what == "journal", what == "leader", what == "stream"
        written()
        with pytest.raises(type(problem)):
            follow.tick(clock.now())
        locked.held = leader.away = stream.faulty = False
        assert dict(journal.stream.blind()) == before
        written()
        follow.tick(clock.now())
        told = journal.stream.blind()[None]
        assert (told.cause, told.detail.startswith("connector shop: ")) == (Cause.GAP, True)
        assert {None: told} != before
    journal.close()
