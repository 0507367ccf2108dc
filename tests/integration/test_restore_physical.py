"""Restore drills of physical copies, on servers of their own: a copy that was promoted, one that is still in recovery,
and a leader whose transaction ids have gone round."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.audit_program import Program, by_table, url
from fixtures.servers import binaries_of

from connectors.embedded import Cluster, Workspace, standby_of

pytestmark = pytest.mark.postgres

FILL = """
create table orders (id int primary key, note text);
insert into orders select i, 'note ' || i from generate_series(1, 500) i;
create table untouched (id int primary key);
insert into untouched select generate_series(1, 50);
"""


@pytest.fixture(scope="module")
def leader(postgres_workspace: Workspace) -> Iterator[Cluster]:
    """Nothing takes transaction ids here but the tests."""
    cluster = Cluster.create(postgres_workspace, "drill-leader", binaries_of(15), settings={"autovacuum": "off"})
    cluster.sql(FILL)
    yield cluster
    cluster.stop("immediate")


def noted(trueup: Program, leader: Cluster) -> str:
    return str(
        json.loads(trueup("position", "--leader", url(leader, "postgres"), "--format", "json").out)["restored_at"]
    )


def drill(trueup: Program, leader: Cluster, copy: Cluster, at: str) -> tuple[int, dict[str, Any]]:
    servers = ["--leader", url(leader, "postgres"), "--follower", f"backup={url(copy, 'postgres')}"]
    run = trueup("audit", *servers, "--restored-at", at, "--format", "json")
    assert run.out, run.err
    return run.code, run.report


def test_copies_of_a_leader(leader: Cluster, tmp_path: Path) -> None:
    copy = standby_of(leader, "drill-copy")
    trueup = Program.knowing(tmp_path, leader, copy)
    at = noted(trueup, leader)
    before = leader.sql("select pg_current_wal_lsn()::text")[0][0]
    assert at.endswith("@quiet")

    # In recovery at the leader's final position, and the leader has not moved since: everything is proven.
    deadline = time.monotonic() + 60
    while not copy.sql("select pg_last_wal_replay_lsn() >= %s::pg_lsn", (before,))[0][0]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    code, report = drill(trueup, leader, copy, at)
    assert (code, report["restore"]["percent"], report["restore"]["leader_stands"]) == (0, 100.0, True)
    assert [one["role"] for one in report["followers"]] == ["standby"]

    # Opened for writing and damaged. The leader stands, so that a row that only the backup has was never there.
    copy.sql("select pg_promote()")
    copy.sql("insert into orders values (900, 'extra'); update orders set note = 'lost' where id = 7")
    code, report = drill(trueup, leader, copy, at)
    assert code == 1
    drifted = by_table(report)["orders", "backup"]["rows_drifted"]
    assert {row["key"]["id"]: row["kind"] for row in drifted} == {7: "mismatched", 900: "extra"}
    assert {row["evidence"] for row in drifted} == {"proven"}

    # The leader goes on: the same extra row may have been deleted since, for all that is known.
    leader.sql("update orders set note = 'changed' where id = 8")
    code, report = drill(trueup, leader, copy, at)
    orders = by_table(report)["orders", "backup"]
    assert code == 1
    assert [row["key"]["id"] for row in orders["rows_drifted"]] == [7]
    assert orders["restore"]["rows"] == {"backup": 501, "proven": 498, "changed": 1, "gone": 1, "new": 0}
    assert by_table(report)["untouched", "backup"]["verdict"] == "match"

    # Its transaction ids go round: frozen rows keep the ids of the circle before, some of which look like ids to come.
    _go_round(leader)
    code, report = drill(trueup, leader, copy, at)
    orders = by_table(report)["orders", "backup"]
    assert {row["key"]["id"] for row in orders["rows_drifted"]} <= {7}
    later = noted(trueup, leader)
    leader.sql("select pg_current_xact_id()")
    code, report = drill(trueup, leader, copy, later)
    orders = by_table(report)["orders", "backup"]
    assert code == 1
    assert [row["key"]["id"] for row in orders["rows_drifted"]] == [7, 8]  # all are older than the later moment
    assert orders["restore"]["rows"] == {"backup": 501, "proven": 498, "changed": 0, "gone": 1, "new": 0}


def _go_round(leader: Cluster) -> None:
    """As if four thousand million transactions had passed, and vacuum with them."""
    oldest, newest = leader.sql("select min(xmin::text::bigint), max(xmin::text::bigint) from orders")[0]
    for (name,) in leader.sql("select datname from pg_database where datallowconn"):
        leader.sql("vacuum freeze", database=name)
    leader.stop()
    assert oldest < newest
    leader.tool("pg_resetwal", "-e", "1", "-x", str(newest), "-D", leader.data)
    leader.start()
    assert leader.sql("select pg_current_xact_id()::text::bigint")[0][0] >> 32 == 1
