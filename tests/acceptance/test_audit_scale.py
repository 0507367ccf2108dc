"""Many tables and much drift: the start is quick, memory stays flat, and all that was found is in the journal.

The full size (5,000 tables, a million drifted rows) is `python -m bench scale`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from bench import scale
from fixtures.databases import TrioDatabase

from connectors.journal.opening import open_journal
from verifier.table import TableName

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

TABLES = 300
DRIFTED = 20_000
PEAK_MIB = 150
FIRST_AFTER = 40
"""Statements that the leader is asked at most before rows of the first table are read: so many for any number of
tables, although each of them takes several when it is described."""
STATEMENT = re.compile(r" trueup LOG:  (?:statement|execute [^:]*): (.*)")


def test_three_hundred_tables_in_one_audit(trio_database: TrioDatabase, tmp_path: Path) -> None:
    leader, standby = trio_database.leader, trio_database.standby
    leader.sql("create schema many")
    scale.create_many(leader.sql, TABLES)
    trio_database.caught_up()
    leader.sql(f"alter database \"{leader.name}\" set log_statement = 'all'")
    began = leader.cluster.log.stat().st_size
    found = scale.audit("many", leader.url, standby.url, "many.*", tmp_path, "--tables-at-once", "2")
    asked = statements(leader.cluster.log, began)
    report = json.loads((tmp_path / "report.json").read_text())
    names = [entry["table"] for entry in report["tables"]]
    assert (found.code, len(names), names) == (0, TABLES, sorted(names))
    assert {entry["rows"]["leader"] for entry in report["tables"]} == {scale.ROWS_EACH}
    assert found.peak_mib < PEAK_MIB
    assert 0 < found.first < found.seconds
    reading = [place for place, sql in enumerate(asked) if 'from "many"."t' in sql]
    assert len(reading) >= TABLES
    assert reading[0] <= FIRST_AFTER, asked[: reading[0]]


def statements(log: Path, start: int) -> list[str]:
    """trueup's statements in the server's log behind that byte, in order, without line breaks."""
    with log.open("rb") as told:
        told.seek(start)
        lines = re.sub(r"\n(?!\d{4}-\d\d-\d\d )", " ", told.read().decode(errors="replace")).splitlines()
    return [" ".join(found[1].split()) for line in lines if (found := STATEMENT.search(line))]


def test_twenty_thousand_drifted_rows(trio_database: TrioDatabase, tmp_path: Path) -> None:
    trio_database.subscribe("create table wide (id bigint primary key, note text)")
    trio_database.leader.sql(f"insert into wide select i, 'a' || i from generate_series(1, {DRIFTED}) i")
    trio_database.caught_up()
    trio_database.subscriber.sql("update wide set note = 'b' || id")
    leader, subscriber = trio_database.leader.url, trio_database.subscriber.url
    found = scale.audit("wide", leader, subscriber, "public.wide", tmp_path)
    assert (found.code, found.drifted) == (1, DRIFTED)
    assert found.peak_mib < PEAK_MIB
    report = json.loads((tmp_path / "report.json").read_text())
    (entry,) = report["tables"]
    assert (0 < len(entry["rows_drifted"]) < DRIFTED, entry["truncated"]) == (True, True)
    (file,) = tmp_path.glob("*.db")
    journal = open_journal(file, "audit")
    try:
        known = journal.runs.drifts(report["run"], TableName("public", "wide"), DRIFTED + 1)
        assert {drift.key for drift in known} == {(key,) for key in range(1, DRIFTED + 1)}
        assert sum(journal.drifts.counts().values()) == DRIFTED
    finally:
        journal.close()
