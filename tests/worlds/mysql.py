"""Real MariaDB and MySQL: a leader with a replica that applies in parallel.

The database is called `public`, as the tables of the contracts are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial

import pytest
from pymysql.cursors import Cursor
from stack.mysql_servers import MysqlPair

from connectors.mysql.agreement import agree
from connectors.mysql.replica import MysqlReplica, Options
from verifier.look import Role
from verifier.table import Family, TableName
from worlds import WORLDS, Capability, Columns, Values
from worlds.writing import Written

DATABASE = "public"
EXACT = {"mariadb": "utf8mb4_nopad_bin", "mysql": "utf8mb4_0900_bin"}
"""The collations by which two texts are equal only if their bytes are."""

_TYPES = {
    Family.INTEGER: "bigint",
    Family.DECIMAL: "decimal(20,2)",
    Family.FLOAT: "double",
    Family.BOOLEAN: "tinyint(1)",
    Family.TEXT: "varchar(200)",
    Family.CHAR: "char(8)",
    Family.BYTES: "varbinary(200)",
    Family.DATE: "date",
    Family.TIME: "time(6)",
    Family.TIMESTAMP: "datetime(6)",
    Family.TIMESTAMPTZ: "timestamp(6)",
    Family.JSON: "json",
}


class _Writing:
    """Statements on one connection to the leader."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor

    def insert(self, table: TableName, row: Values) -> None:
        names, marks = ", ".join(f"`{name}`" for name in row), ", ".join(["%s"] * len(row))
        self._cursor.execute(f"insert into {_named(table)} ({names}) values ({marks})", list(row.values()))

    def update(self, table: TableName, where: Values, values: Values) -> None:
        changes = ", ".join(f"`{name}` = %s" for name in values)
        self._cursor.execute(
            f"update {_named(table)} set {changes} where {_matching(where)}", [*values.values(), *where.values()]
        )

    def delete(self, table: TableName, where: Values) -> None:
        self._cursor.execute(f"delete from {_named(table)} where {_matching(where)}", list(where.values()))


class MysqlWorld(Written):
    speaks_sql = True
    lacks: Mapping[Capability, str] = {
        Capability.TRANSACTION_IDS: "transactions get their id when they are written to the log",
    }

    def __init__(self, pair: MysqlPair) -> None:
        self._pair = pair
        pair.leader.sql(f"create database {DATABASE}")
        pair.caught_up()
        self.leader = MysqlReplica("leader", pair.leader.url(DATABASE), Options(role=Role.LEADER))
        self.follower = MysqlReplica("follower", pair.replica.url(DATABASE))
        agree([self.leader, self.follower])

    def create(self, name: str, columns: Columns, key: Sequence[str]) -> TableName:
        table = TableName(DATABASE, name)
        parts = [f"`{column}` {_TYPES[family]}" for column, family in columns]
        if key:
            parts.append(f"primary key ({', '.join(f'`{column}`' for column in key)})")
        collation = EXACT[self._pair.leader.engine]
        self._pair.leader.sql(f"create table {_named(table)} ({', '.join(parts)}) default collate {collation}")
        self.applied()
        agree([self.leader, self.follower])
        return table

    @contextmanager
    def transaction(self) -> Iterator[_Writing]:
        with closing(self._pair.leader.connect(DATABASE)) as connection, connection.cursor() as cursor:
            yield _Writing(cursor)
            connection.commit()

    def applied(self) -> None:
        self._pair.caught_up()

    def hold(self) -> None:
        self._pair.hold()

    def release(self) -> None:
        self._pair.release()

    def clear(self) -> None:
        for (name,) in self._pair.leader.sql(
            "select table_name from information_schema.tables where table_schema = %s", [DATABASE]
        ):
            self._pair.leader.sql(f"drop table `{DATABASE}`.`{name}`")
        self.applied()

    def close(self) -> None:
        self.leader.close()
        self.follower.close()
        self._pair.leader.sql(f"drop database {DATABASE}")
        self.applied()


def _named(table: TableName) -> str:
    return f"`{table.schema}`.`{table.name}`"


def _matching(where: Values) -> str:
    return " and ".join(f"`{name}` = %s" for name in where)


def _world(engine: str, request: pytest.FixtureRequest) -> Iterator[MysqlWorld]:
    world = MysqlWorld(request.getfixturevalue(f"{engine}_pair"))
    yield world
    world.close()


for _engine in EXACT:
    WORLDS[_engine] = partial(_world, _engine)
