"""`trueup audit` between PostgreSQL and MariaDB or MySQL: equal rows match, planted differences are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fixtures.audit_program import Program, by_table, url
from fixtures.databases import Database
from fixtures.mysql_servers import PairDatabase

pytestmark = [pytest.mark.mysql, pytest.mark.postgres]

EXACT = {"mariadb": "utf8mb4_nopad_bin", "mysql": "utf8mb4_0900_bin"}
PLAIN = (
    ("id", "bigint primary key", "bigint primary key"),
    ("n", "integer", "int"),
    ("price", "numeric(12,2)", "decimal(12,2)"),
    ("ratio", "double precision", "double"),
    ("flag", "boolean", "tinyint(1)"),
    ("name", "text", "varchar(100)"),
    ("data", "bytea", "varbinary(100)"),
    ("day", "date", "date"),
    ("made", "timestamp", "datetime(6)"),
    ("seen", "timestamptz", "timestamp(6) null"),
    ("tag", "uuid", "char(36)"),
)
DOCUMENT = ("doc", "jsonb", "json")
WORDS = ["", " ", "a", "A", "aa", "Ab", "b", "é", "z", "Z", "ß", "'", '"', "%s", "\\", "日本", "\U0001f600", "-", "a "]
Execute = Callable[[str, list[Any]], None]


def things(rows: int) -> list[list[Any]]:
    """Each column is NULL now and then."""
    made: list[list[Any]] = []
    for i in range(1, rows + 1):
        row: list[Any] = [
            i, (-1) ** i * i * 7_000, f"{i * 1.25:.2f}", [i / 3, -0.0, 1e300, 5e-324][i % 4], i % 2 == 0,
            ["", f"name {i}", "Grüße, 'Welt'", " pad ", "null", "\U0001f600\n,", "-"][i % 7], bytes([i % 256, 0, 255]),
            f"2024-0{i % 9 + 1}-15", f"2024-01-15 10:00:{i % 60:02d}.000{i % 10}", f"2024-06-01 {i % 24:02d}:30:00",
            f"6f1c1e0a-8d2b-4f57-9a3c-{i:012x}",
        ]  # fmt: skip
        if i % 12 == 3:
            row[1 + i // 12 % 10] = None
        made.append(row)
    return made


def fill(execute: Execute, place: int, exact: str) -> None:
    """`place`: which of the declared types; `exact` goes behind the definition of a table."""
    columns = ", ".join(f"{one[0]} {one[place]}" for one in PLAIN)
    execute(f"create table plain ({columns}) {exact}", [])
    execute(f"create table documents ({columns}, {DOCUMENT[0]} {DOCUMENT[place]}) {exact}", [])
    word = "varchar(40)" if exact else "text"
    execute(f"create table pairs (word {word}, n int, x int, primary key (word, n)) {exact}", [])
    marks = ", ".join(["%s"] * len(PLAIN))
    for row in things(150):
        execute(f"insert into plain values ({marks})", row)
        document = ['{"b": [1, {"a": -1.50}], "a": null}', '"text"', "1.0", "[]", None][row[0] % 5]
        execute(f"insert into documents values ({marks}, %s)", [*row, document])
    for word in WORDS:
        for n in (-1, 0, 2**30):
            execute("insert into pairs values (%s, %s, 1)", [word, n])


def damage(execute: Execute) -> None:
    """A value, a row less, a row more; two values exchanged; a word."""
    execute("update plain set name = '', price = 2 where id = 8", [])
    execute("delete from plain where id = 20", [])
    execute("insert into plain (id, n) values (9001, 1)", [])
    execute("update documents set n = case id when 21 then -154000 else -147000 end where id in (21, 22)", [])
    execute("update documents set doc = null where id = 100", [])
    execute("delete from pairs where word = %s and n = 0", ["ß"])


@pytest.mark.parametrize("leads", ["postgresql", "mysql"])
def test_equal_tables_match_and_planted_differences_are_found(
    database: Database, pair_database: PairDatabase, tmp_path: Path, leads: str
) -> None:
    server = pair_database.pair.leader
    with psycopg.connect(database.dsn, autocommit=True) as hand, server.session(pair_database.name) as cursor:

        def on_postgres(sql: str, values: list[Any]) -> None:
            hand.execute(sql.encode(), values or None)

        def on_mysql(sql: str, values: list[Any]) -> None:
            cursor.execute(sql, values or None)

        on_postgres("set timezone = 'UTC'", [])
        fill(on_postgres, 1, "")
        fill(on_mysql, 2, f"collate {EXACT[server.engine]}")
        ends = {"postgresql": url(database.cluster, database.name), "mysql": pair_database.leader_url}
        follows = "mysql" if leads == "postgresql" else "postgresql"
        trueup = Program.knowing(tmp_path, database.cluster)
        words = ("audit", "--leader", ends[leads], "--follower", f"copy={ends[follows]}", "--format", "json")
        schema = "public" if leads == "postgresql" else pair_database.name
        words = (*words, "--table", f"{schema}.*")

        run = trueup(*words)
        found = by_table(run.report)
        assert [row["columns"] for entry in found.values() for row in entry["rows_drifted"]] == []
        assert run.code == 0, (run.out, run.err)
        assert {table: (entry["rows"], entry["scheme"]) for (table, _), entry in found.items()} == {
            "plain": ({"leader": 150, "follower": 150}, "canonical"),
            "documents": ({"leader": 150, "follower": 150}, "client"),
            "pairs": ({"leader": 57, "follower": 57}, "canonical"),
        }

        damage(on_mysql if follows == "mysql" else on_postgres)
    run = trueup(*words)
    assert run.code == 1, (run.out, run.err)
    found = by_table(run.report)
    told = {
        table: {(row["kind"], *row["key"].values(), *sorted(row["columns"])) for row in entry["rows_drifted"]}
        for (table, _), entry in found.items()
    }
    names = sorted(name for name, *_ in PLAIN)
    assert {one[:2] for one in told["plain"]} == {("mismatched", 8), ("missing", 20), ("extra", 9001)}
    assert ("mismatched", 8, "name", "price") in told["plain"]
    assert ("missing", 20, *names) in told["plain"]
    assert told["documents"] == {("mismatched", 21, "n"), ("mismatched", 22, "n"), ("mismatched", 100, "doc")}
    assert {one[:3] for one in told["pairs"]} == {("missing", "ß", 0)}
    evidence = {(row["evidence"], row["method"]) for entry in found.values() for row in entry["rows_drifted"]}
    assert evidence == {("proven", "snapshot")}
