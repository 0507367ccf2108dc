"""A transaction too large to follow key by key: its chunks are read again, and its table is never lost sight of."""

from __future__ import annotations

from pathlib import Path

from fixtures.memory_group import MemoryServers

from connectors.journal.opening import open_journal
from connectors.memory.stream import MemoryStream
from trueup.services.dirty import DirtyScan
from trueup.services.follow import FollowService
from verifier.change import Blindness, Cause
from verifier.policy import ScanPolicy
from verifier.spans import TOO_LARGE
from verifier.table import Column, Family, Table, TableName

T, OTHER = TableName("public", "t"), TableName("public", "other")
_COLUMNS = (Column("id", Family.INTEGER, "bigint", False),)


def test_a_bulk_load_marks_chunks_and_blinds_nothing(tmp_path: Path) -> None:
    servers = MemoryServers(*(Table(name, _COLUMNS, ("id",)) for name in (T, OTHER)))
    clock, server, world = servers.clock, servers.server, servers.grouped(include="public.t")
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
    servers.catch_up()
    scan = DirtyScan(world, journal.dirty, journal.stream, ScanPolicy())
    clock.at += 1_000.0
    assert scan.tick(clock.now()) is not None
    assert journal.dirty.dirty(9) == []
    journal.close()
