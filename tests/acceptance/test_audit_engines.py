"""`trueup audit` between engines: equal tables of many types match, and what was planted is found, row by row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from fixtures.audit_program import Program, by_table, url
from fixtures.databases import Database

from connectors.journal.opening import open_journal

pytestmark = pytest.mark.postgres

TYPES = {
    "postgresql": {"text": "text", "float": "double precision", "blob": "bytea", "json": "jsonb", "mark": "%s"},
    "duckdb": {"text": "varchar", "float": "double", "blob": "blob", "json": "json", "mark": "?"},
    "sqlite": {"text": "text", "float": "double", "blob": "blob", "json": "json", "mark": "?"},
}
COLUMNS = (
    ("id", "bigint not null primary key"), ("n", "integer"), ("price", "decimal(12,2)"), ("ratio", "{float}"),
    ("small", "real"), ("flag", "boolean"), ("name", "{text}"), ("data", "{blob}"), ("day", "date"), ("clock", "time"),
    ("made", "timestamp"), ("seen", "timestamp with time zone"), ("tag", "uuid"), ("doc", "{json}"),
)  # fmt: skip
PAIRED = (("word", "{text} not null"), ("n", "integer not null"), ("x", "{text}"))
WORDS = ["", " ", "a", "A", "aa", "Ab", "b", "é", "z", "Z", "ß", "'", '"', "%s", "\\", "日本", "\U0001f600", ":x", "-"]


def things(rows: int) -> list[tuple[Any, ...]]:
    """Rows of every type; each column is NULL now and then, and some values are at their edge."""
    made: list[tuple[Any, ...]] = []
    for i in range(1, rows + 1):
        values: list[Any] = [
            i, (-1) ** i * i * 7_000_000 % 2**31, f"{i * 1.25:.2f}", [i / 3, -0.0, 1e300, 5e-324][i % 4],
            i * 0.5, i % 2 == 0, ["", f"name {i}", "Grüße, 'Welt'", " pad ", "null", "\U0001f600\n,"][i % 6],
            bytes([i % 256, 0, 255]),
            f"2024-0{i % 9 + 1}-15", f"12:00:{i % 60:02d}.5", f"2024-01-15 10:00:{i % 60:02d}.000{i % 10}",
            f"2024-06-01 {i % 24:02d}:30:00+00", f"6f1c1e0a-8d2b-4f57-9a3c-{i:012x}",
            ['{"b": [1, {"a": -1.50}], "a": null}', '"text"', "1.0", "[]"][i % 4],
        ]  # fmt: skip
        if i % 10 == 3:
            values[1 + i % 13] = None
        made.append(tuple(values))
    return made


@dataclass
class Store:
    """One database that a test writes to, and the URL that trueup reads it by."""

    engine: str
    url: str
    run: Callable[[list[tuple[str, Sequence[Any]]]], None]

    def fill(self, rows: int) -> None:
        kinds = TYPES[self.engine]
        statements: list[tuple[str, Sequence[Any]]] = []
        for table, columns, key in (("things", COLUMNS, ""), ("pairs", PAIRED, ", primary key (word, n)")):
            made = ", ".join(f"{name} {kind.format(**kinds)}" for name, kind in columns)
            statements.append((f"create table {table} ({made}{key})", ()))
        statements += [(self._insert("things", len(COLUMNS)), row) for row in things(rows)]
        pairs = [(word, n, "same") for word in WORDS for n in (-1, 0, 2**30)]
        statements += [(self._insert("pairs", len(PAIRED)), row) for row in pairs]
        self.run(statements)

    def damage(self) -> None:
        """A value each in two rows, two values exchanged, one row less and one more, and a pair gone."""
        self.run(
            [
                ("update things set name = '', price = 2 where id = 7", ()),
                ("update things set doc = null where id = 299", ()),
                ("update things set n = case id when 20 then 22 else 20 end where id in (20, 22)", ()),
                ("delete from things where id = 8", ()),
                (self._insert("things", len(COLUMNS)), (9001, *things(1)[0][1:])),
                ("delete from pairs where word = 'ß' and n = 0", ()),
            ]
        )

    def prepare(self) -> None:
        """The two rows whose values will be exchanged."""
        self.run([("update things set n = id where id in (20, 22)", ())])

    def _insert(self, table: str, width: int) -> str:
        return f"insert into {table} values ({', '.join([TYPES[self.engine]['mark']] * width)})"


@pytest.fixture
def store(tmp_path: Path, database: Database) -> Callable[[str, str], Store]:
    """A database of an engine, under a name of its own."""

    def made(engine: str, name: str) -> Store:
        path = tmp_path / f"{name}.{engine}"

        def on_sqlite(statements: list[tuple[str, Sequence[Any]]]) -> None:
            with closing(sqlite3.connect(path)) as hand, hand:
                for sql, values in statements:
                    hand.execute(sql, values)

        def on_duckdb(statements: list[tuple[str, Sequence[Any]]]) -> None:
            with duckdb.connect(str(path)) as hand:
                hand.begin()
                for sql, values in statements:
                    hand.execute(sql, values)
                hand.commit()

        def on_postgresql(statements: list[tuple[str, Sequence[Any]]]) -> None:
            with psycopg.connect(database.dsn) as hand:
                for sql, values in statements:
                    hand.execute(sql.encode(), values or None)

        if engine == "postgresql":
            return Store(engine, url(database.cluster, database.name), on_postgresql)
        return Store(engine, f"{engine}:///{path}", on_sqlite if engine == "sqlite" else on_duckdb)

    return made


@pytest.mark.parametrize(
    ("leader", "follower", "schemes", "evidence"),
    [
        ("sqlite", "sqlite", {"native"}, ("proven", "snapshot")),
        ("duckdb", "sqlite", {"client"}, ("probable", "repeated")),
        ("postgresql", "sqlite", {"client", "canonical"}, ("proven", "snapshot")),
        ("postgresql", "duckdb", {"client"}, ("proven", "snapshot")),
        ("sqlite", "postgresql", {"client", "canonical"}, ("proven", "snapshot")),
    ],
)
def test_equal_tables_match_and_planted_differences_are_found(
    store: Callable[[str, str], Store],
    tmp_path: Path,
    database: Database,
    leader: str,
    follower: str,
    schemes: set[str],
    evidence: tuple[str, str],
) -> None:
    ours, theirs = store(leader, "leader"), store(follower, "follower")
    for one in (ours, theirs):
        one.fill(300)
        one.prepare()
    trueup = Program.knowing(tmp_path, database.cluster)
    words = ("audit", "--leader", ours.url, "--follower", f"copy={theirs.url}", "--format", "json")

    run = trueup(*words)
    found = by_table(run.report)
    assert [row["columns"] for entry in found.values() for row in entry["rows_drifted"]] == []
    assert run.code == 0, run.err
    assert run.report["verdict"] == "match"
    assert {table: entry["rows"] for (table, _), entry in found.items()} == {
        "things": {"leader": 300, "follower": 300}, "pairs": {"leader": 57, "follower": 57},
    }  # fmt: skip
    assert {entry["scheme"] for entry in found.values()} == schemes

    theirs.damage()
    run = trueup(*words)
    assert run.code == 1, run.err
    found = by_table(run.report)
    rows = {row["key"]["id"]: row for row in found["things", "copy"]["rows_drifted"]}
    assert {key: (row["kind"], sorted(row["columns"])) for key, row in rows.items() if row["kind"] == "mismatched"} == {
        7: ("mismatched", ["name", "price"]),
        299: ("mismatched", ["doc"]),
        20: ("mismatched", ["n"]),
        22: ("mismatched", ["n"]),
    }
    assert {key: row["kind"] for key, row in rows.items() if row["kind"] != "mismatched"} == {
        8: "missing",
        9001: "extra",
    }
    assert rows[20]["columns"]["n"] == {"leader": "20", "follower": "22"}
    assert rows[7]["columns"]["name"] == {"leader": "name 7", "follower": ""}
    assert found["things", "copy"]["drift"] == {"missing": 1, "extra": 1, "mismatched": 4}
    assert [(row["kind"], row["key"]) for row in found["pairs", "copy"]["rows_drifted"]] == [
        ("missing", {"word": "ß", "n": 0})
    ]
    told = {(row["evidence"], row["method"]) for entry in found.values() for row in entry["rows_drifted"]}
    assert told == {evidence}


def test_an_engine_that_nobody_knows_is_a_clear_error(tmp_path: Path) -> None:
    trueup = Program(tmp_path, {})
    run = trueup("audit", "--leader", "nosuch://h/x", "--follower", f"sqlite:///{tmp_path}/x.db")
    assert (run.code, run.out) == (3, "")
    assert "URL scheme 'nosuch' is not one that trueup reads" in run.err
    assert "sqlite://" in run.err


def test_a_file_that_is_not_there_is_exit_code_5(tmp_path: Path) -> None:
    trueup = Program(tmp_path, {})
    for leader in (f"sqlite:///{tmp_path}/none.db", f"duckdb:///{tmp_path}/none.duckdb"):
        run = trueup("audit", "--leader", leader, "--follower", leader.replace("none", "other"))
        assert (run.code, run.out) == (5, ""), run.err
        assert "check " in run.err
    assert list(tmp_path.glob("none*")) == []


def test_where_there_is_nothing_to_compare_no_run_begins(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "a.db").close()
    trueup = Program(tmp_path, {})
    run = trueup("audit", "--leader", f"sqlite:///{tmp_path}/a.db", "--follower", f"sqlite:///{tmp_path}/a.db")
    assert (run.code, run.out) == (3, "")
    assert "no table on leader matches" in run.err
    assert json.loads(trueup("runs", "--format", "json").out)["runs"] == []


def test_a_run_that_the_journal_did_not_take_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as file:
        file.execute("create table t (id integer primary key)")
    open_journal(tmp_path / "trueup.db", "audit").close()
    with closing(sqlite3.connect(tmp_path / "trueup.db")) as file:
        file.execute("create trigger spoilt before insert on trueup_runs begin select raise(abort, 'no'); end")
    url_of = f"sqlite:///{tmp_path}/a.db"
    run = Program(tmp_path, {})("audit", "--leader", url_of, "--follower", url_of)
    assert (run.code, run.out) == (4, "")
    assert "the audit stopped" in run.err
    assert "--resume" not in run.err


def test_rows_that_differ_are_listed_by_their_keys(tmp_path: Path) -> None:
    for name, spoilt in (("a", ""), ("b", "!")):
        with closing(sqlite3.connect(tmp_path / f"{name}.db")) as file, file:
            file.execute("create table t (id integer primary key, note text)")
            file.executemany("insert into t values (?, ?)", [(i, f"{i}{spoilt * (i % 7 == 0)}") for i in range(120)])
    words = ("--leader", f"sqlite:///{tmp_path}/a.db", "--follower", f"sqlite:///{tmp_path}/b.db")
    (entry,) = Program(tmp_path, {})("audit", *words, "--format", "json").report["tables"]
    assert [row["key"]["id"] for row in entry["rows_drifted"]] == list(range(0, 120, 7))


@pytest.mark.parametrize(
    ("leader", "follower", "evidence"),
    [("sqlite", "duckdb", ("proven", "snapshot")), ("duckdb", "sqlite", ("probable", "repeated"))],
)
def test_rows_without_a_key_are_counted(
    store: Callable[[str, str], Store], tmp_path: Path, leader: str, follower: str, evidence: tuple[str, str]
) -> None:
    ours, theirs = store(leader, "leader"), store(follower, "follower")
    for one in (ours, theirs):
        one.run([("create table seen (kind varchar, n integer)", ())])
        one.run([("insert into seen values (?, ?)", (kind, n)) for n, kind in enumerate("aabc" * 5)])
    words = ("audit", "--leader", ours.url, "--follower", f"copy={theirs.url}", "--format", "json")
    trueup = Program(tmp_path, {})
    run = trueup(*words)
    assert (run.code, run.report["verdict"]) == (0, "match"), run.err
    assert ".seen: match, 20 rows in " in run.err
    theirs.run([("update seen set n = n + 100 where n in (3, 4)", ()), ("delete from seen where n = 5", ())])
    run = trueup(*words)
    (entry,) = run.report["tables"]
    assert (run.code, entry["drift"]) == (1, {"missing": 3, "extra": 2, "mismatched": 0}), run.err
    told = entry["multiset"]
    assert (told["evidence"], told["method"]) == evidence
