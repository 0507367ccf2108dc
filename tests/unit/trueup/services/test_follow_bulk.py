"""A transaction too large to follow key by key: its chunks are read again, and its table is never lost sight of."""

from __future__ import annotations

from pathlib import Path

from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from connectors.memory.stream import MemoryStream
from trueup.services.dirty import DirtyScan
from trueup.services.follow import FollowService
from trueup.services.group import GroupWorld, Sighted, TableBook
from verifier.change import Blindness, Cause
from verifier.look import Role
from verifier.policy import ScanPolicy
from verifier.ports import in_turn
from verifier.spans import TOO_LARGE
from verifier.table import Column, Family, Table, TableName
from verifier.window import TransactionWindow

T, OTHER = TableName("public", "t"), TableName("public", "other")
_COLUMNS = (Column("id", Family.INTEGER, "bigint", False),)


def test_a_bulk_load_marks_chunks_and_blinds_nothing(tmp_path: Path) -> None:
    clock = VirtualClock()
    server = Leader(clock.now)
    follower = Follower(server, Role.STANDBY)
    for name in (T, OTHER):
        server.create(Table(name, _COLUMNS, ("id",)))
        follower.shelves.create(Table(name, _COLUMNS, ("id",)))
    leader, replicas = MemoryReplica("leader", server), {"one": MemoryReplica("one", follower)}
    book = TableBook(leader, replicas, ["public.t"], clock)
    world = GroupWorld("shop", leader, replicas, book, clock, in_turn, Sighted(TransactionWindow(), ["one"]))
    journal = open_journal(tmp_path / "journal.db", "shop")
    follow = FollowService(world, MemoryStream(server), journal.stream, poll_seconds=0.0)
    follow.tick(clock.now())
    writing = server.begin()
    for name in (T, OTHER):
        writing.lose_sight(Blindness(Cause.GAP, name, TOO_LARGE, spans=(((1,), (500,)),)))
    writing.commit()
    follow.tick(clock.now())
    (chunk,) = journal.dirty.dirty(9)
    assert (chunk.table, chunk.commit) == (T, server.tick())
    assert (journal.stream.blind(), world.sees(T)) == ({}, True)
    follower.catch_up()
    scan = DirtyScan(world, journal.dirty, journal.stream, ScanPolicy())
    clock.at += 1_000.0
    assert scan.tick(clock.now()) is not None
    assert journal.dirty.dirty(9) == []
    journal.close()
