"""Audits over random histories, while writers write and when all is quiet, killed and resumed at any call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
from simulated.auditor import Auditor
from simulated.history import ITEMS, History
from simulated.seeding import each

from verifier.table import Key, TableName

PARTS = 4


@pytest.mark.parametrize("part", range(PARTS))
def test_audits_find_exactly_what_differs(few_seeds: range, part: int, folder: Path) -> None:
    each(few_seeds[part::PARTS], folder, simulate, "test_audits.py")


def simulate(seed: int, path: Path) -> Counter[str]:
    random = Random(seed)
    history = History(random, keys=random.choice((8, 20)))
    for _ in range(random.randint(0, 60)):
        history.step()
    for _ in range(random.choice((0, 1, 3))):
        history.damage()
    quiet = random.random() < 0.5
    if quiet:
        history.quiet()
    auditor = Auditor(history, random, path)
    auditor.faults.crash = random.choice((0.0, 0.01, 0.05))
    failing = random.random() < 0.4
    if failing:
        auditor.faults.temporary, auditor.faults.hang = 0.03, random.choice((0.0, 0.01))
    report = auditor.report()
    check(history, report, exact=quiet and not failing)
    verdicts = Counter(entry["verdict"] for entry in report["tables"])
    return Counter(
        verdicts, seeds=1, crashes=auditor.crashes, drifted=sum(len(e["rows_drifted"]) for e in report["tables"])
    )


def check(history: History, report: Mapping[str, Any], *, exact: bool) -> None:
    assert len(report["tables"]) == 2 * len(history.followers)
    for entry in report["tables"]:
        table, name = TableName.parse(entry["table"]), entry["follower"]
        found: dict[Key, str] = {(int(row["key"]["id"]),): row["kind"] for row in entry["rows_drifted"]}
        assert {key for _, key in history.tainted[name]} >= found.keys(), "false drift"
        assert table == ITEMS or not found
        assert all(row["evidence"] == "proven" for row in entry["rows_drifted"])
        assert (entry["verdict"] == "match") <= (entry["reason"] is None and not found)
        if exact:
            true = {key: kind.value for (where, key), kind in history.differences(name).items() if where == table}
            assert found == true
            assert entry["verdict"] == ("drift" if true else "match")
            assert entry["rows"]["leader"] == len(history.leader.shelves.tables[table].rows)
            assert entry["rows"]["follower"] == len(history.followers[name].shelves.tables[table].rows)
            assert entry["drift"] == {
                kind: list(true.values()).count(kind) for kind in ("missing", "extra", "mismatched")
            }
