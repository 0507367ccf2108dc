"""The servers under every other test: each version starts and replicates, a trio follows, databases come and go."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.audit_program import valid
from fixtures.databases import Database, TrioDatabase, fresh_name
from fixtures.servers import VERSIONS, Servers, binaries_of

from connectors.embedded import Cluster, Subscriber, Workspace, pause_replay, resume_replay, standby_of, subscriber_of
from connectors.postgres.lag import LagReader
from connectors.postgres.replica import Options, PostgresReplica
from trueup.audit.progress import Silent
from trueup.audit.request import Request
from trueup.bootstrap.auditing import Plan, open_audit
from trueup.bootstrap.servers import Address
from verifier.look import Role

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
        report = audited(tmp_path, leader.url, copy=copy.url)
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


def audited(folder: Path, leader: str, **followers: str) -> dict[str, Any]:
    """The report of an audit of servers at these URLs."""
    addresses = tuple(Address(name, url) for name, url in followers.items())
    plan = Plan("g", Address("leader", leader), addresses, Request(), folder / "journal.db")
    opened = open_audit(plan, run=None, watcher=Silent(), stop=lambda: False)
    try:
        return valid(opened.audit.run(opened.audit.begin(None)))
    finally:
        opened.close()


def roles(report: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """What each follower is, and of which version."""
    told = report["followers"]
    return {one["name"]: (one["role"], int(one["server_version"].partition(".")[0])) for one in told}


@pytest.mark.parametrize("version", [13, 17])
def test_a_packed_server_without_its_own_backup_tool_has_a_standby_that_tells_how_far_it_is(
    version: int, postgres_server: Servers, tmp_path: Path
) -> None:
    leader, name = postgres_server(version), fresh_name()
    leader.sql(f'create database "{name}"')
    standby = standby_of(leader, f"standby{version}")
    ours = PostgresReplica("leader", leader.url(name), Options(role=Role.LEADER))
    theirs = PostgresReplica("standby", standby.url(name))
    try:
        pause_replay(standby)
        leader.sql("create table t (id int primary key)", database=name)
        leader.sql("insert into t select generate_series(1, 300)", database=name)
        written = ours.position()
        assert not theirs.position().covers(written)
        assert LagReader(theirs).hindrance().startswith("replay is paused at ")
        resume_replay(standby)
        until(lambda: theirs.position().covers(written))
        until(lambda: LagReader(theirs).hindrance() == "")
        report = audited(tmp_path, leader.url(name), standby=standby.url(name))
    finally:
        ours.close()
        theirs.close()
        standby.stop()
        leader.sql(f'drop database "{name}" with (force)')
    assert roles(report) == {"standby": ("standby", version)}
    (entry,) = report["tables"]
    assert (entry["verdict"], entry["scheme"], entry["rows"]) == ("match", "native", {"leader": 300, "follower": 300})


def test_subscribers_of_an_older_and_of_a_newer_version_tell_how_far_they_are(
    postgres_server: Servers, tmp_path: Path
) -> None:
    leader, name = postgres_server(14), fresh_name()
    schema = "create table t (id int primary key, v text)"
    leader.sql(f'create database "{name}"')
    leader.sql(schema, database=name)
    leader.sql("insert into t select g, 'v' || g from generate_series(1, 300) g", database=name)
    made: list[Subscriber] = []
    try:
        for version in (13, 17):
            server = postgres_server(version)
            made.append(subscriber_of(leader, name, schema=schema, name=f"s{version}", cluster=server))
        leader.sql("update t set v = 'later' where id = 7", database=name)
        for one in made:
            one.wait_applied()
        made[0].cluster.sql("update t set v = 'planted' where id = 77", database=name)
        urls = {f"s{one.cluster.binaries.version}": one.cluster.url(name) for one in made}
        report = audited(tmp_path, leader.url(name), **urls)
    finally:
        for one in made:
            one.cluster.sql(f'drop subscription "{one.subscription}"', database=name)
            one.cluster.sql(f'drop database "{name}" with (force)')
        leader.sql(f'drop database "{name}" with (force)')
    assert roles(report) == {"s13": ("subscriber", 13), "s17": ("subscriber", 17)}
    found = {entry["follower"]: entry for entry in report["tables"]}
    assert (found["s17"]["verdict"], found["s17"]["scheme"]) == ("match", "native")
    (row,) = found["s13"]["rows_drifted"]
    assert (row["key"], row["columns"], row["evidence"]) == (
        {"id": 77}, {"v": {"leader": "v77", "follower": "planted"}}, "proven",
    )  # fmt: skip
    assert row["method"] in ("bracketed", "snapshot")


def until(told: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


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
