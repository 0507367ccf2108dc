"""Any engine leads any other: one table on five of them, each the leader of all in turn, and one wrong row on each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from fixtures.audit_program import Program, by_table, ended, url
from fixtures.databases import Database, fresh_name
from stack.mysql_servers import MysqlPair, MysqlServer

pytestmark = [pytest.mark.mysql, pytest.mark.postgres]

COLUMNS = (
    "id bigint not null primary key",
    "n integer",
    "price decimal(12,2)",
    "day date",
    "name {text}",
    "data {blob}",
)
KINDS = {
    "postgresql": ("text", "bytea", "", "%s"),
    "mariadb": ("varchar(40)", "varbinary(40)", " default collate utf8mb4_nopad_bin", "%s"),
    "mysql": ("varchar(40)", "varbinary(40)", " default collate utf8mb4_0900_bin", "%s"),
    "sqlite": ("text", "blob", "", "?"),
    "duckdb": ("varchar", "blob", "", "?"),
}
ROWS = [
    (i, None if i % 9 == 3 else -i, f"{i * 1.25:.2f}", f"2024-0{i % 9 + 1}-15", ["", "é", "日本 ", "a'b"][i % 4],
     bytes([i, 0, 255]))
    for i in range(1, 41)
]  # fmt: skip
Run = Callable[[str, tuple[Any, ...]], Any]


@dataclass(frozen=True, slots=True)
class Place:
    """One database with the table `things`, and the row that is wrong in it."""

    engine: str
    url: str
    wrong: int


def fill(engine: str, wrong: int, run: Run) -> None:
    text, blob, tail, mark = KINDS[engine]
    run(f"create table things ({', '.join(COLUMNS).format(text=text, blob=blob)}){tail}", ())
    for row in ROWS:
        run(f"insert into things values ({', '.join([mark] * len(row))})", row)
    run(f"update things set name = 'of {engine}' where id = {wrong}", ())


def on_server(server: MysqlServer, wrong: int) -> Place:
    """In a database of its own on the pair's leader."""
    name = fresh_name()
    server.sql(f"create database `{name}`")
    with server.session(name) as cursor:
        fill(server.engine, wrong, cursor.execute)
    return Place(server.engine, server.url(name), wrong)


@pytest.fixture
def places(
    tmp_path: Path, database: Database, mariadb_pair: MysqlPair, mysql_pair: MysqlPair
) -> Iterator[dict[str, Place]]:
    with psycopg.connect(database.dsn) as pg:
        fill("postgresql", 1, lambda sql, values: pg.execute(sql.encode(), values or None))
    with closing(sqlite3.connect(tmp_path / "x.db")) as lite, lite:
        fill("sqlite", 4, lite.execute)
    with duckdb.connect(str(tmp_path / "x.duckdb")) as duck:
        fill("duckdb", 5, duck.execute)
    found = [
        Place("postgresql", url(database.cluster, database.name), 1),
        on_server(mariadb_pair.leader, 2),
        on_server(mysql_pair.leader, 3),
        Place("sqlite", f"sqlite:///{tmp_path / 'x.db'}", 4),
        Place("duckdb", f"duckdb:///{tmp_path / 'x.duckdb'}", 5),
    ]
    yield {place.engine: place for place in found}
    for pair, place in ((mariadb_pair, found[1]), (mysql_pair, found[2])):
        pair.leader.sql(f"drop database `{place.url.rpartition('/')[2]}`")


def test_each_engine_leads_all_others(places: dict[str, Place], tmp_path: Path, database: Database) -> None:
    trueup, running = Program.knowing(tmp_path, database.cluster), {}
    for leader in places.values():
        words = ["audit", "--leader", leader.url, "--table", "things", "--format", "json", "--journal", leader.engine]
        for place in places.values():
            words += ["--follower", f"{place.engine}={place.url}"] if place is not leader else []
        running[leader.engine] = trueup.start(*words)
    for leader in places.values():
        run = ended(running[leader.engine])
        assert run.code == 1, run.err
        found = by_table(run.report)
        assert {follower for _, follower in found} == places.keys() - {leader.engine}
        for (_, follower), entry in found.items():
            assert (entry["reason"], entry["rows"]) == (None, {"leader": 40, "follower": 40}), (leader.engine, entry)
            told = {row["key"]["id"]: row["columns"].keys() for row in entry["rows_drifted"]}
            assert told == {leader.wrong: {"name"}, places[follower].wrong: {"name"}}, (leader.engine, follower)
