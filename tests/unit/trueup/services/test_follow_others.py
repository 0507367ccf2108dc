"""Tables that are not the group's, as far as is known, are not verified, and not believed untouched either."""

from __future__ import annotations

from pathlib import Path

from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from connectors.memory.stream import MemoryStream
from trueup.services.follow import FollowService
from trueup.services.group import GroupWorld, Sighted, TableBook
from verifier.journal import Run
from verifier.look import Role
from verifier.marks import LEADER
from verifier.ports import in_turn
from verifier.table import Column, Family, Table, TableName
from verifier.window import TransactionWindow

OURS, OTHER = TableName("public", "ours"), TableName("public", "other")
_COLUMNS = (Column("id", Family.INTEGER, "bigint", False),)


def test_a_change_of_a_table_that_the_daemon_does_not_know_marks_it_as_a_whole(tmp_path: Path) -> None:
    clock = VirtualClock()
    server = Leader(clock.now)
    follower = Follower(server, Role.STANDBY)
    for name in (OURS, OTHER):
        server.create(Table(name, _COLUMNS, ("id",)))
        follower.shelves.create(Table(name, _COLUMNS, ("id",)))
    leader, replicas = MemoryReplica("leader", server), {"one": MemoryReplica("one", follower)}
    book = TableBook(leader, replicas, ["public.ours"], clock)
    world = GroupWorld("shop", leader, replicas, book, clock, in_turn, Sighted(TransactionWindow(), ["one"]))
    journal = open_journal(tmp_path / "journal.db", "shop")
    follow = FollowService(world, MemoryStream(server), journal.stream, poll_seconds=0.0)
    follow.tick(clock.now())
    journal.runs.begin(Run("run", "audit", 1.0, "{}"))
    journal.marks.note("run", {LEADER: {}})
    for name in (OURS, OTHER):
        writing = server.begin()
        writing.insert(name, {"id": "7"})
        writing.commit()
    clock.at += 2.0
    follow.tick(clock.now())
    base = journal.marks.baselines("run")[LEADER].sequence
    assert journal.marks.whole(LEADER, base) == {OTHER}
    assert [(one.table, one.key) for one in journal.stream.touched("one", limit=9)] == [(OURS, (7,))]
    journal.close()
