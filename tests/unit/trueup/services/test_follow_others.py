"""Tables that are not the group's, as far as is known, are not verified, and not believed untouched either."""

from __future__ import annotations

from pathlib import Path

from fixtures.memory_group import FollowedServers

from verifier.journal import Run
from verifier.marks import LEADER
from verifier.table import TableName

OURS, OTHER = TableName("public", "ours"), TableName("public", "other")


def test_a_change_of_a_table_that_the_daemon_does_not_know_marks_it_as_a_whole(tmp_path: Path) -> None:
    servers = FollowedServers(tmp_path, OURS, OTHER)
    clock, server, journal, follow = servers.clock, servers.server, servers.journal, servers.follow
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
