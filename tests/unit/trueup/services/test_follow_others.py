"""Tables that are not the group's, as far as is known, are not verified, and not believed untouched either."""

from __future__ import annotations

from pathlib import Path

from fixtures.memory_group import MemoryServers

from connectors.journal.opening import open_journal
from connectors.memory.stream import MemoryStream
from trueup.services.follow import FollowService
from verifier.journal import Run
from verifier.marks import LEADER
from verifier.table import Column, Family, Table, TableName

OURS, OTHER = TableName("public", "ours"), TableName("public", "other")
_COLUMNS = (Column("id", Family.INTEGER, "bigint", False),)


def test_a_change_of_a_table_that_the_daemon_does_not_know_marks_it_as_a_whole(tmp_path: Path) -> None:
    servers = MemoryServers(*(Table(name, _COLUMNS, ("id",)) for name in (OURS, OTHER)))
    clock, server, world = servers.clock, servers.server, servers.grouped(include="public.ours")
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
