"""Two servers that hold the same big table: PostgreSQL with a subscriber, MariaDB with a replica, or one of each."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psycopg
import pymysql
from stack.mysql_servers import ADMIN, MariaDb, start_pair

from bench.machine import Server
from connectors.embedded import Cluster, Workspace, find_binaries

T = TypeVar("T")

DATABASE = "bench"
TABLE = "measured"
COLUMNS = ("customer_id", "status", "amount", "note", "paid", "created_at", "updated_at", "score", "tags")
_MEMORY_BYTES = 1200 * 2**20
_SETTINGS: dict[str, str | int] = {
    "shared_buffers": "800MB",
    "max_wal_size": "4GB",
    "autovacuum": "off",
    "max_parallel_workers": 0,
}
_SCHEMA = f"""
create table {TABLE} (
  id bigint primary key, customer_id int not null, status varchar(20) not null, amount decimal(12,2) not null,
  note text, paid boolean, created_at timestamptz(6) not null, updated_at timestamp(6), score double precision,
  tags jsonb)
"""
_MARIADB_SCHEMA = f"""
create table {TABLE} (
  id bigint primary key, customer_id int not null, status varchar(20) not null, amount decimal(12,2) not null,
  note text, paid boolean, created_at timestamp(6) not null, updated_at datetime(6), score double, tags json
) engine = innodb default character set utf8mb4
"""
_VALUES = """
select g as id, 1 + g % 50000 as customer_id, (array['new','paid','packed','shipped','back'])[1 + g % 5] as status,
  (g * 7919::bigint % 10000000) / 100.0 as amount,
  case when g % 10 < 3 then null when g % 50 = 3 then '' when g % 50 = 4 then 'Größe ' || md5(g::text)
       else 'note ' || md5(g::text) end as note,
  case when g % 3 = 0 then null else g % 2 = 0 end as paid,
  timestamptz '2024-01-01 00:00:00+00' + g * interval '7.000011 s' as created_at,
  case when g % 4 = 0 then null else timestamp '2025-01-01' + g * interval '3.000007 s' end as updated_at,
  case when g % 6 = 0 then null else g / 7.0 end::double precision as score,
  case when g % 5 = 0 then null else jsonb_build_object('n', g % 1000, 'tag', 't' || g % 77) end as tags
from generate_series(1, %s) g
"""
_FOR_MARIADB = """
copy (select id, customer_id, status, amount, note, paid::int, to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.US'),
  updated_at, score, tags from (%s) made) to stdout
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """Loaded on both sides, and linked where the engines are the same."""

    leader: Server
    follower: Server
    rows: int

    @property
    def servers(self) -> tuple[Server, Server]:
        return self.leader, self.follower

    def spoil(self, rows: int) -> None:
        """Change one column of `rows` rows on the follower, spread evenly over the table."""
        step = self.rows // rows
        change = f"update {TABLE} set amount = amount + 0.01 where id % {step} = 7 and id <= {step * rows}"
        if isinstance(self.follower, Cluster):
            self.follower.sql(change, database=DATABASE)
            self.follower.sql(f"vacuum analyze {TABLE}", database=DATABASE)
        else:
            self.follower.quietly(change, database=DATABASE)


def postgres_pair(workspace: Workspace, rows: int) -> Pair:
    """PostgreSQL 15; the second is a logical subscriber of the first."""
    leader, follower = both([lambda: _postgres(workspace, "leader", rows), lambda: _postgres(workspace, "other", rows)])
    leader.sql(f"create publication bench for table {TABLE}", database=DATABASE)
    follower.sql(
        f"create subscription bench connection '{leader.dsn(DATABASE)}' publication bench with (copy_data = false)",
        database=DATABASE,
    )
    return Pair(leader, follower, rows)


def mariadb_pair(workspace: Workspace, rows: int) -> Pair:
    """MariaDB with a replica."""
    source = _postgres(workspace, "source", 1)
    made = start_pair(workspace, MariaDb)
    for server in (made.leader, made.replica):
        _load(source, server, rows)
    source.stop()
    return Pair(made.leader, made.replica, rows)


def cross_pair(workspace: Workspace, rows: int) -> Pair:
    """PostgreSQL leads, and MariaDB holds a copy that follows nobody."""
    leader = _postgres(workspace, "leader", rows)
    follower = MariaDb(workspace, "copy", 1)
    follower.create()
    _load(leader, follower, rows)
    return Pair(leader, follower, rows)


def _postgres(workspace: Workspace, name: str, rows: int) -> Cluster:
    cluster = Cluster.create(workspace, name, find_binaries(15), settings=_SETTINGS)
    cluster.sql(f"create database {DATABASE}")
    cluster.sql(_SCHEMA, database=DATABASE)
    cluster.sql(f"insert into {TABLE} {_VALUES.replace('%s', str(rows))}", database=DATABASE)
    cluster.sql(f"vacuum (freeze, analyze) {TABLE}", database=DATABASE)
    cluster.sql("checkpoint")
    return cluster


def _load(source: Cluster, server: MariaDb, rows: int) -> None:
    """The rows that `source` would hold; nothing of it goes into the binlog."""
    server.quietly(f"set global innodb_buffer_pool_size = {_MEMORY_BYTES}", f"create database if not exists {DATABASE}")
    server.quietly(_MARIADB_SCHEMA, database=DATABASE)
    with tempfile.NamedTemporaryFile() as file:
        with psycopg.connect(source.dsn(DATABASE), autocommit=True) as connection:
            connection.execute("set timezone = 'UTC'")
            values = _FOR_MARIADB.replace("%s", _VALUES).replace("%s", str(rows))
            with connection.cursor().copy(values.encode()) as copied:
                for block in copied:
                    file.write(block)
        file.flush()
        loading = pymysql.connect(
            host="127.0.0.1", port=server.port, user=ADMIN, password=server.password, database=DATABASE,
            local_infile=True, charset="utf8mb4", autocommit=True,
        )  # fmt: skip
        with contextlib.closing(loading), loading.cursor() as cursor:
            cursor.execute("set sql_log_bin = 0, time_zone = '+00:00'")
            cursor.execute(f"load data local infile '{Path(file.name)}' into table {TABLE} character set utf8mb4")
            cursor.execute(f"analyze table {TABLE}")


def both(calls: list[Callable[[], T]]) -> list[T]:
    """All at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]
