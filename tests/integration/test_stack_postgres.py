"""The servers under every other test: each version starts and replicates, a trio follows, databases come and go."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.audit_program import valid
from fixtures.databases import Database, TrioDatabase, fresh_name
from fixtures.servers import VERSIONS, Servers, binaries_of

from connectors.embedded import Cluster, Workspace, pause_replay, resume_replay, standby_of
from trueup.audit.progress import Silent
from trueup.audit.request import Request
from trueup.bootstrap.auditing import Plan, open_audit
from trueup.bootstrap.servers import Address

pytestmark = pytest.mark.postgres


def test_every_supported_version_starts_and_says_so(versioned_server: Cluster) -> None:
    (number,) = versioned_server.sql("select current_setting('server_version_num')::int / 10000")[0]
    assert number == versioned_server.binaries.version
    assert number in VERSIONS


def test_an_audit_of_every_supported_version_names_the_planted_row_alone(
    versioned_database: Database, tmp_path: Path
) -> None:
    leader, copy = versioned_database, Database(versioned_database.cluster, fresh_name())
    leader.cluster.sql(f'create database "{copy.name}"')
    try:
        for one in (leader, copy):
            one.sql("create table equal (id int primary key, v numeric(8, 2), at timestamptz, doc jsonb)")
            one.sql("create table other (name text, n bigint, v text, primary key (name, n))")
            one.sql("insert into equal select g, g / 3.0, 'epoch', '{\"a\": 1}' from generate_series(1, 500) g")
            one.sql("insert into other select 'k' || g % 7, g, 'v' || g from generate_series(1, 500) g")
        copy.sql("update other set v = 'planted' where n = 77")
        plan = Plan("g", Address("leader", leader.url), (Address("copy", copy.url),), Request(), tmp_path / "j.db")
        opened = open_audit(plan, run=None, watcher=Silent(), stop=lambda: False)
        try:
            report = valid(opened.audit.run(opened.audit.begin(None)))
        finally:
            opened.close()
    finally:
        leader.cluster.sql(f'drop database "{copy.name}" with (force)')
    assert report["leader"]["server_version"].partition(".")[0] == str(leader.cluster.binaries.version)
    equal, other = sorted(report["tables"], key=lambda entry: str(entry["table"]))
    assert (equal["verdict"], equal["scheme"], equal["rows"]) == ("match", "native", {"leader": 500, "follower": 500})
    assert (other["verdict"], other["scheme"]) == ("drift", "native")
    (row,) = other["rows_drifted"]
    assert (row["kind"], row["key"], row["columns"], row["evidence"], row["method"]) == (
        "mismatched",
        {"name": "k0", "n": 77},
        {"v": {"leader": "v77", "follower": "planted"}},
        "proven",
        "snapshot",
    )


@pytest.mark.parametrize("version", [13, 17])
def test_a_packed_server_without_its_own_backup_tool_gets_a_standby(version: int, postgres_server: Servers) -> None:
    leader = postgres_server(version)
    standby = standby_of(leader, f"standby{version}")
    assert standby.sql("select pg_is_in_recovery()") == [(True,)]
    pause_replay(standby)
    resume_replay(standby)
    standby.stop()


def test_a_trio_follows_and_each_follower_pauses_alone(trio_database: TrioDatabase) -> None:
    subscription = trio_database.subscribe("create table t (id int primary key, v text)")
    standby, subscriber = trio_database.standby, trio_database.subscriber
    trio_database.leader.sql("insert into t values (1, 'a')")
    trio_database.caught_up()
    assert standby.sql("select * from t") == subscriber.sql("select * from t") == [(1, "a")]

    pause_replay(trio_database.trio.standby)
    trio_database.leader.sql("update t set v = 'b'")
    subscription.wait_applied()
    assert (standby.sql("select v from t"), subscriber.sql("select v from t")) == ([("a",)], [("b",)])

    resume_replay(trio_database.trio.standby)
    subscription.pause()
    trio_database.leader.sql("update t set v = 'c'")
    position = trio_database.leader.sql("select pg_current_wal_lsn()::text")[0][0]
    while not trio_database.standby_replayed(position):
        pass
    assert (standby.sql("select v from t"), subscriber.sql("select v from t")) == ([("c",)], [("b",)])

    subscription.resume()
    trio_database.caught_up()
    assert subscriber.sql("select v from t") == [("c",)]


@pytest.mark.parametrize("again", [1, 2])
def test_each_test_has_a_database_of_its_own(again: int, database: Database) -> None:
    database.sql("create table only_here (id int)")
    assert database.sql("select count(*) from only_here") == [(0,)]


def test_a_killed_server_recovers_what_was_committed() -> None:
    with Workspace() as workspace:
        server = Cluster.create(workspace, "killed", binaries_of(15))
        server.sql("create table t (id int); insert into t values (1)")
        server.kill()
        assert not server.is_running()
        server.start()
        assert server.sql("select id from t") == [(1,)]
    assert not workspace.path.exists()
