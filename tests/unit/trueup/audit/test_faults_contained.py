"""A fault of trueup itself ends one table's verification and never the audit: that table is `unverified`, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from fixtures.memory_audit import filled, tools
from worlds.memory import MemoryWorld

from connectors.journal.opening import open_journal
from trueup.audit.lineup import Lineup
from trueup.audit.progress import Silent
from trueup.audit.request import Request
from trueup.audit.runner import Audit
from verifier.look import Role
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.table import Table, TableName

SECRET = "4111 1111"


class _Broken:
    """A part that has a fault, a server's connector as a rule: `verb` of one table raises what no border translates."""

    def __init__(self, inner: Any, verb: str, table: str) -> None:
        self.inner, self.verb, self.table_name = inner, verb, table

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name != self.verb:
            return found

        def call(table: Table | TableName, *rest: Any) -> Any:
            if (table.name if isinstance(table, TableName) else table.name.name) == self.table_name:
                raise ZeroDivisionError(SECRET)
            return found(table, *rest)

        return call


class _Told(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def audited(tmp_path: Path, broken: str, verb: str, at_once: int) -> tuple[Mapping[str, Any], list[str]]:
    """The report over tables a, b, c and d (without a key) on followers f, which drifted in b's key 3, and g."""
    world = MemoryWorld(Role.STANDBY)
    names = [filled(world, one, 8, key=("id",) if one != "d" else ()) for one in "abcd"]
    rows = world._target.shelves.tables[names[1]].rows
    rows[3,] = ({**rows[3,][0], "v": "wrong"}, *rows[3,][1:])
    told = _Told()
    sides: dict[str, Any] = {"leader": world.leader, "f": world.follower, "g": world.follower, "watcher": told}
    who, _, table = broken.partition(":")
    sides[who] = _Broken(sides[who], verb, table)
    journal = open_journal(tmp_path / "j.db", "shop")
    leader, watcher = sides.pop("leader"), sides.pop("watcher")
    scan, settle = ScanPolicy(rows_first=4, rows_min=2, rows_max=4), SettlePolicy(wait_first_seconds=0.0)
    made = tools(leader, journal.runs, group="shop", watcher=watcher, scan=scan, settle=settle)
    audit = Audit(made, Lineup(leader, sides, Request()), tables_at_once=at_once)
    report = audit.run(audit.begin(None))
    kept = journal.runs.find("run")
    journal.close()
    assert kept is not None
    assert kept.finished_at is not None
    assert json.loads(kept.report or "") == report
    return report, told.notes


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize(
    ("broken", "verb", "met"),
    [
        ("leader:a", "table", "f g"), ("leader:a", "digest", "f g"), ("leader:d", "digest", "f g"),
        ("f:a", "table", "f"), ("f:a", "digest", "f g"), ("f:d", "digest", "f"), ("f:b", "rows", "f g"),
        ("watcher:a", "table_begins", "f g"),
    ],
)  # fmt: skip
def test_one_tables_fault_is_its_own(tmp_path: Path, broken: str, verb: str, met: str, at_once: int) -> None:
    """A walk that followers share ends for all of them; everything else of the audit is as it would be."""
    report, notes = audited(tmp_path, broken, verb, at_once)
    reason = "ZeroDivisionError, a fault of trueup: please report the calls that were printed"
    table = broken[-1]
    found = {(one["table"][-1], one["follower"]): (one["verdict"], one["reason"]) for one in report["tables"]}
    expected: dict[tuple[str, str], tuple[str, str | None]] = {
        (one, follower): ("match", None) for one in "abcd" for follower in "fg"
    }
    if table != "b":
        expected["b", "f"] = expected["b", "g"] = ("drift", None)
    assert found == expected | {(table, follower): ("unverified", reason) for follower in met.split()}
    assert report["verdict"] == ("unverified" if table == "b" else "drift")
    assert report["finished_at"] is not None
    assert next(note for note in notes if note.endswith(reason)) == f"public.{table}: {reason}"
    assert any(", in call" in note for note in notes)
    assert not [note for note in notes if SECRET in note]
    assert SECRET not in json.dumps(report)
