"""Credentials that change, and what a stream reads being taken away, while it runs: refused by name, with the cure, and
nothing is lost once that was done."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pymysql
import pytest
from fixtures.databases import Database
from fixtures.following import stream_of
from fixtures.mysql_servers import PairDatabase

from connectors.binlog.stream import BinlogStream
from connectors.mysql.replica import MysqlReplica, Options
from connectors.pgoutput.stream import PgoutputStream
from trueup.bootstrap.granting import granted
from verifier.change import Batch, Cause
from verifier.errors import Forbidden, Permanent, Temporary, TrueupError
from verifier.look import Role
from verifier.ports import ChangeStream


def _refused(stream: ChangeStream, kind: type[TrueupError]) -> str:
    """What the stream says once it is refused in this way."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            stream.poll(changes_max=10, seconds_max=0.1)
        except kind as error:
            return str(error)
        except Temporary:
            time.sleep(0.05)
    pytest.fail("it was not refused")


def _until(stream: ChangeStream, done: Callable[[Batch], bool]) -> Batch:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            batch = stream.poll(changes_max=10, seconds_max=0.1)
        except Temporary:
            continue
        if done(batch):
            return batch
    pytest.fail("it did not come")


def _keys(batch: Batch) -> list[object]:
    return [change.key[0] for one in batch.transactions for change in one.changes]


@pytest.fixture
def streamed(database: Database) -> Iterator[PgoutputStream]:
    """A table, a publication and a slot, and a stream of them that may make neither; not started."""
    database.sql("create table t (id int primary key, x text); create publication trueup for table t")
    database.sql(f"select pg_create_logical_replication_slot('s_{database.name}', 'pgoutput')")
    made = stream_of(database, create=False)
    yield made
    made.close()


@pytest.mark.postgres
def test_a_password_that_was_changed_refuses_the_next_connection_and_costs_nothing(
    database: Database, streamed: PgoutputStream
) -> None:
    name = f"reader_{database.name}"
    database.sql(f"create role {name} login replication password 'first'; grant select on t to {name}")
    url = urlsplit(database.url)
    stream = PgoutputStream(
        url._replace(netloc=f"{name}:first@{url.hostname}:{url.port}").geturl(),
        slot=f"s_{database.name}", publication="trueup", key_of=lambda _: None,
    )  # fmt: skip
    stream.start({}, None)
    database.sql("insert into t values (1, 'x')")
    assert _keys(_until(stream, lambda batch: bool(batch.transactions))) == [1]
    database.sql(f"alter role {name} password 'second'")
    database.sql("insert into t values (2, 'x')")
    assert _keys(_until(stream, lambda batch: bool(batch.transactions))) == [2], "who is connected stays so"
    database.sql(f"select pg_terminate_backend(pid) from pg_stat_replication where usename = '{name}'")
    said = _refused(stream, Forbidden)
    assert "password authentication failed" in said
    assert "first" not in said
    database.sql("insert into t values (3, 'x')")
    database.sql(f"alter role {name} password 'first'")
    batch = _until(stream, lambda batch: bool(batch.transactions))
    assert (_keys(batch), batch.blind) == ([3], ())
    stream.close()
    database.sql(f"drop owned by {name}; drop role {name}")


@pytest.mark.postgres
def test_a_publication_that_was_dropped_is_named_and_what_it_did_not_tell_is_a_gap(
    database: Database, streamed: PgoutputStream
) -> None:
    streamed.start({}, None)
    publication, slot = "trueup", f"s_{database.name}"
    database.sql(f"drop publication {publication}")
    database.sql("insert into t values (1, 'x')")
    said = _refused(streamed, Permanent)
    assert f"there is no publication {publication}" in said or f"publication {publication} was dropped" in said
    assert "create publication" in said
    database.sql(f"create publication {publication} for table t")
    assert f"select pg_drop_replication_slot('{slot}')" in _refused(streamed, Permanent)
    streamed.close()
    database.sql(f"select pg_drop_replication_slot('{slot}')")
    database.sql(f"select pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    (blind,) = _until(streamed, lambda batch: bool(batch.blind)).blind
    assert (blind.cause, blind.table) == (Cause.GAP, None)
    database.sql("insert into t values (2, 'x')")
    assert _keys(_until(streamed, lambda batch: bool(batch.transactions))) == [2]


@pytest.mark.mysql
def test_a_password_of_a_binlog_reader_that_was_changed_and_a_log_that_was_purged(pair_database: PairDatabase) -> None:
    server, database = pair_database.pair.leader, pair_database.name
    server.sql(f"create table `{database}`.t (id int primary key)")
    leader = MysqlReplica("leader", pair_database.leader_url, Options(role=Role.LEADER))
    mariadb = leader.dialect == "mariadb"
    login, by = f"'r{database}'@'%'", "identified by" if mariadb else "identified with mysql_native_password by"
    server.sql(f"create user {login} {by} 'first'")
    server.sql(
        f"grant select, replication slave, {'binlog monitor' if mariadb else 'replication client'} on *.* to {login}"
    )
    stream = BinlogStream(
        server.url(database, user=f"r{database}", password="first"),
        table_of=lambda name: leader.table(name) if name.schema == database else None,
        name=database,
    )
    stream.start({}, None)
    server.sql(f"insert into `{database}`.t values (1)")
    assert _keys(_until(stream, lambda batch: bool(batch.transactions))) == [1]
    server.sql(f"alter user {login} {by} 'second'")
    for process, user in server.sql("select id, user from information_schema.processlist"):
        if user == f"r{database}":
            server.sql(f"kill {process}")
    said = _refused(stream, Forbidden)
    assert "first" not in said
    assert "password" in said
    server.sql(f"insert into `{database}`.t values (2)")
    server.sql(f"alter user {login} {by} 'first'")
    batch = _until(stream, lambda batch: bool(batch.transactions))
    assert (_keys(batch), batch.blind) == ([2], ())
    stream.close()
    leader.close()
    server.sql(f"drop user {login}")


@pytest.mark.mysql
def test_the_rights_that_init_prints_are_enough_to_read_and_no_more(pair_database: PairDatabase) -> None:
    name, pair = pair_database.name, pair_database.pair
    user = f"r_{name}"[:32]
    url = pair.leader.url(name, user=user, password="unused")
    beside = name.replace("_", "x")  # another database that `_` as a wildcard would mean, too
    pair_database.sql("create table t (id int primary key)", "insert into t values (1)", f"create database {beside}")
    pair_database.sql(f"create table {beside}.t (id int primary key)")
    rights = granted(url, {"f": url}, [f"{name}.*"], decodes=True)
    try:
        for line in rights.splitlines():
            if line and not line.startswith("--"):
                pair.leader.sql(line.partition(";  --")[0])
        pair.leader.sql(f"alter user {user}@'%' {pair.leader.identified} account unlock")
        pair.caught_up()
        for server, role in ((pair.leader, Role.LEADER), (pair.replica, None)):
            replica = MysqlReplica("it", server.url(name, user=user), Options(role=role))
            try:
                assert [str(one) for one in replica.tables(["*"])] == [f"{name}.t"]
                replica.position()
                assert replica.identity().engine == server.engine
            finally:
                replica.close()
        login = {"host": "127.0.0.1", "port": pair.leader.port, "user": user, "password": pair.leader.password}
        with contextlib.closing(pymysql.connect(**login, database=name)) as reader, reader.cursor() as cursor:
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute("delete from t")
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute(f"select * from {beside}.t")
            cursor.execute("show master status")
    finally:
        pair.leader.sql(f"drop database {beside}")
        pair.leader.sql(f"drop user {user}@'%'")
