"""A transaction too large to follow key by key: its chunks are read again, and its table is never lost sight of."""

from __future__ import annotations

from pathlib import Path

from fixtures.memory_group import FollowedServers

from trueup.services.dirty import DirtyScan
from verifier.change import Blindness, Cause
from verifier.policy import ScanPolicy
from verifier.spans import TOO_LARGE
from verifier.table import TableName

T, OTHER = TableName("public", "t"), TableName("public", "other")


def test_a_bulk_load_marks_chunks_and_blinds_nothing(tmp_path: Path) -> None:
    servers = FollowedServers(tmp_path, T, OTHER)
    clock, server, journal, follow = servers.clock, servers.server, servers.journal, servers.follow
    writing = server.begin()
    for name in (T, OTHER):
        writing.lose_sight(Blindness(Cause.GAP, name, TOO_LARGE, spans=(((1,), (500,)),)))
    writing.commit()
    follow.tick(clock.now())
    (chunk,) = journal.dirty.dirty(9)
    assert (chunk.table, chunk.commit) == (T, server.tick())
    assert (journal.stream.blind(), servers.world.sees(T)) == ({}, True)
    servers.catch_up()
    scan = DirtyScan(servers.world, journal.dirty, journal.stream, ScanPolicy())
    clock.at += 1_000.0
    assert scan.tick(clock.now()) is not None
    assert journal.dirty.dirty(9) == []
    journal.close()
