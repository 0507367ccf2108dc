"""An audit while writers write: exactly what was planted, on a subscriber and on a standby, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fixtures.audit_program import Program, by_table, url
from fixtures.databases import TrioDatabase
from fixtures.order_writers import Planted, audited_beside_writers, told
from fixtures.peak import Peak

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ROWS = 40_000
PLANTED = Planted(range(100, 39_000, 5_000), range(1_700, 39_000, 4_000), range(100_000, 100_005))


def test_exact_findings_under_writes(trio_database: TrioDatabase, trueup: Program) -> None:
    run = audited_beside_writers(trio_database, trueup, ROWS, PLANTED)
    subscriber = by_table(run.report)["orders", "subscriber"]
    assert told(subscriber) == PLANTED.drifted
    assert subscriber["reason"] is None
    assert {r["evidence"] for r in subscriber["rows_drifted"]} == {"proven"}
    assert {tuple(r["columns"]) for r in subscriber["rows_drifted"] if r["kind"] == "mismatched"} == {("n",)}


def test_memory_does_not_grow_with_rows_or_drift(trio_database: TrioDatabase, tmp_path: Path) -> None:
    """A follower that has nothing of a large table: every row is drift."""
    shop = trio_database
    shop.subscribe("create table orders (id int primary key, n int not null, note text)")
    shop.leader.sql("insert into orders select i, 0, repeat('note ', 10) from generate_series(1, 30000) i")
    shop.caught_up()
    shop.subscriber.sql("truncate orders")
    trio = shop.trio
    trueup = Program.knowing(tmp_path, trio.leader, trio.subscriber)
    words = ("--leader", url(trio.leader, shop.name), "--follower", url(trio.subscriber, shop.name))
    peak = Peak()
    process = trueup.start("audit", *words, "--format", "json", "--output", "report.json")
    with peak.of(process.pid):
        _, err = process.communicate(timeout=200)
    assert process.returncode == 1, err
    report = json.loads((tmp_path / "report.json").read_text())
    entry = by_table(report)["orders", "follower1"]
    assert entry["drift"] == {"missing": 30_000, "extra": 0, "mismatched": 0}
    assert (len(entry["rows_drifted"]), entry["truncated"]) == (10_000, True)
    assert 30 < peak.megabytes < 150, peak.megabytes
