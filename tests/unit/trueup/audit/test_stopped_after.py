"""`--stop-after` counts the rows of every table, whatever way it is read."""

from __future__ import annotations

from pathlib import Path

from fixtures.memory_audit import filled, tools
from worlds.memory import MemoryWorld

from connectors.journal.opening import open_journal
from trueup.audit.lineup import Lineup
from trueup.audit.request import Request
from trueup.audit.runner import Audit
from verifier.look import Role


def test_rows_of_tables_without_a_key_count_too(tmp_path: Path) -> None:
    world = MemoryWorld(Role.STANDBY)
    for name in "ab":
        filled(world, name, 8, key=())
    journal = open_journal(tmp_path / "j.db", "g")
    audit = Audit(tools(world.leader, journal.runs), Lineup(world.leader, {"f": world.follower}, Request(rows_max=5)))
    report = audit.run(audit.begin(None))
    journal.close()
    assert [(one["table"], one["verdict"], one["reason"]) for one in report["tables"]] == [
        ("public.a", "match", None),
        ("public.b", "unverified", "stopped before the table was begun"),
    ]
    assert audit.interrupted
