"""Audits whose leader dies at any call, and a standby is promoted: no run says what it could not know, and the next
one finds exactly what differs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from simulated.auditor import Auditor
from simulated.failover import Failover
from simulated.refusals import Overtaken
from simulated.seeding import each

from verifier.table import Key, TableName

PARTS = 4

NAMES_IT = ("another server by now", "is a standby, not the leader", "was promoted")
ABSENT = ("nobody answers", "connection was lost", "the time limit", "in flight for longer")


@pytest.mark.parametrize("part", range(PARTS))
def test_audits_over_a_failover(few_seeds: range, part: int, folder: Path) -> None:
    each(few_seeds[part::PARTS], folder, simulate, "test_audits_overtaken.py")


def simulate(seed: int, path: Path) -> Counter[str]:
    random = Random(seed)
    history = Failover(random, keys=random.choice((8, 20)))
    for _ in range(random.randint(0, 60)):
        history.step()
    for _ in range(random.choice((0, 0, 1, 3))):
        history.damage()
    history.chance = random.choice((0.003, 0.01, 0.05))
    auditor = Overtaken(history, random, path)
    auditor.faults.crash = random.choice((0.0, 0.01, 0.05))
    if random.random() < 0.4:
        auditor.faults.temporary, auditor.faults.hang = 0.03, random.choice((0.0, 0.01))
    told = auditor.outcome()
    counted = Counter(seeds=1, crashes=auditor.crashes, in_time=int(not history.moved))
    if isinstance(told, str):
        assert history.moved
        assert "was started with other tables, columns or servers" in told
        counted["refused"] += 1
    else:
        counted.update(check(history, auditor, told))
    counted.update(start_anew(history, random, path))
    return counted


def check(history: Failover, auditor: Overtaken, report: object) -> Counter[str]:
    """The run whose leader died, or that was quicker."""
    assert isinstance(report, dict)
    counted: Counter[str] = Counter()
    sure: set[int] = set()
    for entry in report["tables"]:
        table, name = TableName.parse(entry["table"]), entry["follower"]
        found: set[tuple[TableName, Key]] = {(table, (int(row["key"]["id"]),)) for row in entry["rows_drifted"]}
        assert found <= history.tainted[name], "false drift"
        assert (entry["verdict"] == "match") <= (entry["reason"] is None and not found)
        counted[entry["verdict"]] += 1
        if entry["verdict"] == "match":
            sure |= auditor.lines.get(entry["table"], set())
        if entry["verdict"] == "unverified":
            assert any(word in entry["reason"] for word in NAMES_IT + ABSENT), entry["reason"]
            counted["named"] += any(word in entry["reason"] for word in NAMES_IT)
    assert len(sure) <= 1, "a match over two leaders"
    return counted


def start_anew(history: Failover, random: Random, path: Path) -> Counter[str]:
    """Once the operator has put the addresses right and all is quiet, a new run is exact."""
    history.put_right(beside=True)
    history.quiet()
    auditor = Auditor(history, random, path)
    auditor.run_id = "run-2"
    report = auditor.report()
    counted: Counter[str] = Counter()
    for entry in report["tables"]:
        table, name = TableName.parse(entry["table"]), entry["follower"]
        true = {key: kind.value for (where, key), kind in history.differences(name).items() if where == table}
        assert {(int(row["key"]["id"]),): row["kind"] for row in entry["rows_drifted"]} == true
        assert {(table, key) for key in true} <= history.tainted[name]
        assert entry["verdict"] == ("drift" if true else "match"), entry["reason"]
        assert entry["rows"]["leader"] == len(history.leader.shelves.tables[table].rows)
        counted["drifted anew"] += len(true)
    return counted
