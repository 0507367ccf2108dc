"""Real PostgreSQL: a leader with its physical standby, and with a logical subscriber."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from fixtures.databases import TrioDatabase, fresh_name
from fixtures.servers import Trio
from psycopg import sql

from connectors.embedded import pause_replay, resume_replay
from connectors.postgres.agreement import agree
from connectors.postgres.replica import Options, PostgresReplica
from verifier.look import Role
from verifier.table import Family, TableName
from worlds import WORLDS, Capability, Columns, Values, World

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


class PostgresWorld:
    speaks_sql = True
    lacks: Mapping[Capability, str] = {}

    def __init__(self, database: TrioDatabase, *, subscriber: bool) -> None:
        self._database = database
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

    def insert(self, table: TableName, rows: Sequence[Values]) -> None:
        with self.transaction() as transaction:
            for row in rows:
                transaction.insert(table, row)

    def update(self, table: TableName, where: Values, values: Values) -> None:
        with self.transaction() as transaction:
            transaction.update(table, where, values)

    def delete(self, table: TableName, where: Values) -> None:
        with self.transaction() as transaction:
            transaction.delete(table, where)

    @contextmanager
    def transaction(self) -> Iterator[_Writing]:
        with psycopg.connect(self._database.leader.dsn) as connection:
            yield _Writing(connection)

    def clear(self) -> None:
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
    world = PostgresWorld(database, subscriber=subscriber)
    yield world
    world.leader.close()
    world.follower.close()
    database.drop()


WORLDS["postgresql-standby"] = lambda request: _world(request, subscriber=False)
WORLDS["postgresql-subscriber"] = lambda request: _world(request, subscriber=True)
