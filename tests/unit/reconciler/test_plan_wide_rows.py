"""Repairs of wide rows are planned from rows that are read a few at a time, and from findings that keep excerpts."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.planning import together
from worlds.memory import MemoryWorld

from connectors.journal.opening import open_journal
from reconciler.casebook import Casebook
from reconciler.events import Announcer
from reconciler.policy import Mode, RepairPolicy
from reconciler.repair import RefusalReason
from reconciler.repairing import planned_parts
from verifier import weight
from verifier.canonical import differing_columns
from verifier.compare import comparison
from verifier.drift import Certainty, Drift, Evidence, Kind, Method
from verifier.excerpt import excerpts
from verifier.identity import drift_id
from verifier.look import Role
from verifier.table import Family

WIDE = 20_000
ROWS = 12


def test_each_is_planned_once_and_one_that_moved_behind_its_excerpt_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight, "ROWS_BYTES", 5 * WIDE + 100)
    world = MemoryWorld(Role.SUBSCRIBER)
    name = world.create("t", (("id", Family.INTEGER), ("v", Family.TEXT)), ("id",))
    world.insert(name, [{"id": str(n), "v": "x" * WIDE} for n in range(ROWS)])
    world.applied()
    rows = world._target.shelves.tables[name].rows
    for n in range(ROWS):
        rows[n,] = ({"id": str(n), "v": "x" * (WIDE - 1) + "y"}, *rows[n,][1:])
    table = world.leader.table(name)
    drifts = []
    for n in range(ROWS):
        key = (n,)
        ours, theirs = (side.rows(table, [key]).value[key].values for side in (world.leader, world.follower))
        columns = excerpts(differing_columns(table, ours, theirs))
        found = drift_id("g", world.follower.name, name, key)
        evidence = Evidence(Certainty.PROVEN, Method.VISIBILITY)
        drifts.append(Drift(found, "g", world.follower.name, name, key, Kind.MISMATCHED, columns, evidence, 1.0))
    rows[3,] = ({"id": "3", "v": "x" * (WIDE - 1) + "z"}, *rows[3,][1:])
    journal = open_journal(tmp_path / "journal.db", "g")
    try:
        journal.drifts.record(drifts)
        casebook = Casebook(journal.repairs, Announcer("i", "g"), {name: comparison(table, table)})
        planned = together(planned_parts(
            casebook, drifts, leader=world.leader, follower=world.follower, policy=RepairPolicy(mode=Mode.PROPOSE),
            actor="p", now=2.0,
        ))  # fmt: skip
    finally:
        journal.close()
    assert [one.key for one in planned.repairs] == [(n,) for n in range(ROWS) if n != 3]
    assert {(one.wanted or {})["v"] for one in planned.repairs} == {"x" * WIDE}
    assert [one.reason for one in planned.refusals] == [RefusalReason.FOLLOWER_MOVED]
