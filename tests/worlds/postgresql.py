"""Real PostgreSQL: of version 15 (Debian's) a leader with its physical standby, and with a logical subscriber; and a
leader of version 18 with a subscriber of version 16 (the wheel's) that applies in parallel, which 15 cannot.

What versions differ in is their catalogues and functions, and the tests over `versioned_server` ask each of them for
those. So one more world holds two more versions, one in each role: each world costs some seconds. The contracts'
transactions are small, hence its leader streams them at once: else no worker would run beside the one that leads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from fixtures.databases import TrioDatabase, fresh_name
from fixtures.parallel_apply import ParallelDatabase
from fixtures.servers import Servers, Trio
from psycopg import sql

from connectors.embedded import pause_replay, resume_replay
from connectors.postgres.agreement import agree
from connectors.postgres.replica import Options, PostgresReplica
from verifier.look import Role
from verifier.table import Family, TableName
from worlds import WORLDS, Capability, Columns, Values, World
from worlds.writing import Written

TYPES = {
    Family.INTEGER: "bigint",
    Family.DECIMAL: "numeric",
    Family.FLOAT: "double precision",
    Family.BOOLEAN: "boolean",
    Family.TEXT: "text",
    Family.CHAR: "char(8)",
    Family.BYTES: "bytea",
    Family.DATE: "date",
    Family.TIME: "time",
    Family.TIMESTAMP: "timestamp",
    Family.TIMESTAMPTZ: "timestamptz",
    Family.INTERVAL: "interval",
    Family.UUID: "uuid",
    Family.JSON: "jsonb",
    Family.ARRAY: "int[]",
}


class _Writing:
    """Statements on one connection to the leader."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def insert(self, table: TableName, row: Values) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, row))
        marks = sql.SQL(", ").join(sql.Placeholder() * len(row))
        self._connection.execute(
            sql.SQL("insert into {} ({}) values ({})").format(_named(table), names, marks), list(row.values())
        )

    def update(self, table: TableName, where: Values, values: Values) -> None:
        changes = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
        self._connection.execute(
            sql.SQL("update {} set {} where {}").format(_named(table), changes, _matching(where)),
            [*values.values(), *where.values()],
        )

    def delete(self, table: TableName, where: Values) -> None:
        self._connection.execute(
            sql.SQL("delete from {} where {}").format(_named(table), _matching(where)), list(where.values())
        )


class PostgresWorld(Written):
    speaks_sql = True
    lacks: Mapping[Capability, str] = {}

    def __init__(self, database: TrioDatabase, *, subscriber: bool) -> None:
        self._database = database
        self._behind = False
        if subscriber:
            database.subscribe("")
        followed = database.subscriber if subscriber else database.standby
        self.leader = PostgresReplica("leader", database.leader.url, Options(role=Role.LEADER))
        self.follower = PostgresReplica("follower", followed.url)
        agree([self.leader, self.follower])

    def create(self, name: str, columns: Columns, key: Sequence[str]) -> TableName:
        table = TableName("public", name)
        typed = [sql.SQL("{} {}").format(sql.Identifier(c), sql.SQL(TYPES[family])) for c, family in columns]
        keyed = sql.SQL("primary key ({})").format(sql.SQL(", ").join(map(sql.Identifier, key)))
        parts = [*typed, keyed] if key else typed
        made = sql.SQL("create table {} ({})").format(_named(table), sql.SQL(", ").join(parts)).as_string()
        self._database.leader.sql(made)
        if self._database.subscription is not None:
            self._database.subscriber.sql(made)
            name = self._database.subscription.subscription
            self._database.subscriber.sql(f'alter subscription "{name}" refresh publication with (copy_data = false)')
        self.applied()
        agree([self.leader, self.follower], [self.leader.table(name) for name in self.leader.tables(["*"])])
        return table

    @contextmanager
    def transaction(self) -> Iterator[_Writing]:
        self._behind = True
        with psycopg.connect(self._database.leader.dsn) as connection:
            yield _Writing(connection)

    def clear(self) -> None:
        if self._behind:  # or it would get changes of a table that is gone, and try for ever
            self.applied()
        for side in (self._database.leader, self._database.subscriber):
            if side is self._database.leader or self._database.subscription is not None:
                for (table,) in side.sql(
                    "select format('%I.%I', schemaname, tablename) from pg_tables where "
                    "schemaname !~ '^(pg_|information_schema)'"
                ):
                    side.sql(f"drop table {table} cascade")
        self.applied()

    def applied(self) -> None:
        self._database.caught_up()
        self._behind = False

    def hold(self) -> None:
        if self._database.subscription is not None:
            self._database.subscription.pause()
        else:
            pause_replay(self._database.trio.standby)

    def release(self) -> None:
        if self._database.subscription is not None:
            self._database.subscription.resume()
        else:
            resume_replay(self._database.trio.standby)


def _named(table: TableName) -> sql.Identifier:
    return sql.Identifier(table.schema, table.name)


def _matching(where: Values) -> sql.Composed:
    return sql.SQL(" and ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in where)


def _world(request: pytest.FixtureRequest, *, subscriber: bool) -> Iterator[World]:
    trio: Trio = request.getfixturevalue("pg_trio")
    name = fresh_name()
    trio.leader.sql(f'create database "{name}"')
    database = TrioDatabase(trio, name)
    database.caught_up()
    yield from _opened(database, subscriber=subscriber)


def _parallel(request: pytest.FixtureRequest) -> Iterator[World]:
    servers: Servers = request.getfixturevalue("postgres_server")
    leader, name = servers(18), fresh_name()
    leader.sql(f'create database "{name}"')
    leader.sql(f"alter database \"{name}\" set debug_logical_replication_streaming = 'immediate'")
    yield from _opened(ParallelDatabase(Trio(leader, leader, servers(16)), name), subscriber=True)


def _opened(database: TrioDatabase, *, subscriber: bool) -> Iterator[World]:
    world = PostgresWorld(database, subscriber=subscriber)
    yield world
    world.leader.close()
    world.follower.close()
    database.drop()


WORLDS["postgresql-standby"] = lambda request: _world(request, subscriber=False)
WORLDS["postgresql-subscriber"] = lambda request: _world(request, subscriber=True)
WORLDS["postgresql-parallel"] = _parallel
