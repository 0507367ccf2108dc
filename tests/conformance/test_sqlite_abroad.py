"""SQLite beside PostgreSQL: each one's ranges hold the same rows on the other, by the canonical hash of both."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from fixtures.databases import Database

from connectors.postgres.replica import Options, PostgresReplica
from connectors.sqlite.replica import SqliteReplica
from verifier.compare import comparison, using
from verifier.digest import Digest
from verifier.keyrange import KeyRange
from verifier.look import Role
from verifier.ports import Replica
from verifier.table import Key, Scheme, TableName

pytestmark = pytest.mark.postgres

WORDS = ["", " ", "a", "A", "aa", "Ab", "b", "é", "z", "Z", "ß", "'", '"', "%s", "?", "\\", "-", "日本", "\U0001f600"]
KEYS: dict[str, tuple[tuple[tuple[str, str], ...], list[tuple[str, ...]]]] = {
    "words": ((("text", "text"), ("int", "int")), list(itertools.product(WORDS, ("-1", "7")))),
    "numbers": ((("bigint", "integer"),), [(str(n),) for n in (-(2**63), -1, 0, 9, 10, 2**63 - 1)]),
    "decimals": ((("numeric(9,2)", "decimal(9,2)"),), [(n,) for n in ("-10", "-1.50", "0", "2", "10.25")]),
    "wholes": ((("numeric(20)", "integer"),), [(str(n),) for n in (-10, -9, 0, 2, 9, 10, 100)]),
    "wholes here": ((("bigint", "decimal(9,2)"),), [(str(n),) for n in (-10, -9, 0, 2, 9, 10, 100)]),
    "uuids": (
        (("uuid", "text"),), [(f"{one}F1C1E0A-8d2b-4f57-9a3c-0d9e8b7a6c5d",) for one in "0479Af"],
    ),
    "days": ((("date", "date"),), [(day,) for day in ("0999-12-31", "2023-12-31", "2024-01-01", "9999-12-31")]),
    "moments": (
        (("timestamptz", "timestamp"),), [(f"2024-01-01 10:00:0{second}",) for second in ("0", "0.5", "1")],
    ),
    "days as text": ((("date", "text"),), [(day,) for day in ("0999-12-31", "2023-12-31", "2024-01-01", "9999-12-31")]),
    "moments as text": (
        (("timestamptz", "text"),), [(f"2024-01-01 10:00:0{second}",) for second in ("0", "0.5", "1")],
    ),
    "bytes": ((("bytea", "blob"),), [("\\x",), ("\\x00ff",), ("\\xff",)]),
    "flags": ((("boolean", "boolean"), ("int", "int")), list(itertools.product("01", ("-1", "7", "10")))),
}  # fmt: skip


@pytest.fixture(params=list(KEYS))
def pair(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> Iterator[tuple[Replica, Replica, int]]:
    """The same rows on both, inserted in another order, and how many."""
    kinds, keys = KEYS[request.param]
    names = [f"k{place}" for place in range(len(kinds))]
    rows = [(*key, f"v{place % 3}") for place, key in enumerate(keys)]
    made = "create table t ({}, v text, primary key (" + ", ".join(names) + "))"
    ours = ", ".join(f"{name} {kind} not null" for name, (kind, _) in zip(names, kinds, strict=True))
    theirs = ", ".join(f"{name} {kind} not null" for name, (_, kind) in zip(names, kinds, strict=True))
    with psycopg.connect(database.dsn, options="-c timezone=UTC") as hand:
        hand.execute(made.format(ours).encode())
        marks = ", ".join(["%s"] * (len(names) + 1))
        hand.cursor().executemany(f"insert into t values ({marks})".encode(), rows)
    with closing(sqlite3.connect(tmp_path / "x.db")) as other, other:
        other.execute(made.format(theirs))
        given = [tuple(bytes.fromhex(one[2:]) if one[:2] == "\\x" else one for one in row) for row in reversed(rows)]
        other.executemany(f"insert into t values ({', '.join('?' * (len(names) + 1))})", given)
    sides = (
        PostgresReplica("pg", database.url, Options(role=Role.LEADER)),
        SqliteReplica("file", f"sqlite:///{tmp_path / 'x.db'}", Role.LEADER),
    )
    yield (*sides, len(rows))
    for side in sides:
        side.close()


@pytest.mark.parametrize("scheme", [Scheme.CANONICAL, Scheme.CLIENT])
def test_ranges_and_keys_mean_the_same_rows(pair: tuple[Replica, Replica, int], scheme: Scheme) -> None:
    postgres, sqlite, rows = pair
    for leader, follower in ((postgres, sqlite), (sqlite, postgres)):
        tables = [side.table(TableName(side.default_schema or "", "t")) for side in (leader, follower)]
        compared = using(comparison(*tables, abroad=True), scheme)
        assert compared.problem is None
        assert all(side.canonical(column) for side in (leader, follower) for column in compared.leader.columns)
        found: list[Key] = []
        lower: Key | None = None
        while True:
            upper = leader.boundary(compared.leader, lower, 2)
            within = KeyRange(lower, upper)
            left = leader.row_digests(compared.leader, within).value
            right = follower.row_digests(compared.follower, within).value
            assert dict(left) == dict(right), within
            assert follower.digest(compared.follower, within).value == Digest.of(left.values())
            found += left
            if upper is None:
                break
            lower = upper
        assert len(found) == len(set(found)) == rows
        assert set(follower.rows(compared.follower, found).value) == set(found)


STRICT = (
    # declared by PostgreSQL, by STRICT SQLite; what PostgreSQL holds; spellings that are equal; that are not
    ("date", "text", "2024-01-05", ["2024-01-05"], ["2024-01-06", "2024-1-5", "", "05.01.2024"]),
    ("time", "text", "10:00:00.5", ["10:00:00.5", "10:00:00.500"], ["10:00", "10:00:00", "ten"]),
    ("time", "text", "10:00:00", ["10:00", "10:00:00"], ["10:01"]),
    ("timestamp", "text", "2024-01-05 10:00:00", ["2024-01-05 10:00:00", "2024-01-05T10:00:00.000", "2024-01-05 10:00"],
     ["2024-01-05", "2024-01-05 10:00:00Z", "2024-01-05 10:00:01"]),
    ("timestamptz", "text", "2024-01-05 10:00:00+00", ["2024-01-05 10:00:00Z", "2024-01-05 12:00:00+02:00",
     "2024-01-05 10:00:00"], ["2024-01-05 10:00:00+02:00", "now"]),
    ("numeric(12,2)", "text", "-1.50", ["-1.5", "-1.50", "-0150e-2"], ["1.5", "-1,5", "", "-1.500001"]),
    ("numeric", "text", "NaN", ["NaN"], ["0"]),
    ("interval", "text", "1 mon 2 days 03:00:00", ["1 mon 2 days 03:00:00", "P1M2DT3H"], ["32 days 03:00:00", "1 mon"]),
)  # fmt: skip


def test_text_of_strict_tables_stands_for_dates_and_decimals(database: Database, tmp_path: Path) -> None:
    with psycopg.connect(database.dsn) as hand, closing(sqlite3.connect(tmp_path / "x.db")) as other, other:
        for place, (ours, theirs, value, equal, different) in enumerate(STRICT):
            hand.execute(f"create table t{place} (id int primary key, v {ours})".encode())
            other.execute(f"create table t{place} (id integer primary key, v {theirs}) strict")
            for number, text in enumerate([*equal, *different, None]):
                hand.execute(f"insert into t{place} values (%s, %s)".encode(), (number, value))
                other.execute(f"insert into t{place} values (?, ?)", (number, text))
    postgres = PostgresReplica("pg", database.url, Options(role=Role.LEADER))
    sqlite = SqliteReplica("file", f"sqlite:///{tmp_path / 'x.db'}")
    try:
        for scheme in (Scheme.CANONICAL, Scheme.CLIENT):
            for place, (ours, _, _, equal, _) in enumerate(STRICT):
                tables = [side.table(TableName(side.default_schema or "", f"t{place}")) for side in (postgres, sqlite)]
                compared = using(comparison(*tables, abroad=True), scheme)
                assert compared.problem is None
                left = postgres.row_digests(compared.leader, KeyRange()).value
                right = sqlite.row_digests(compared.follower, KeyRange()).value
                alike = {key for key in left if right.get(key) == left[key]}
                assert alike == {(number,) for number in range(len(equal))}, (scheme, ours)
    finally:
        postgres.close()
        sqlite.close()


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ("v date", "v integer", "column 'v' is integer on the follower and date on the leader"),
        ("v timestamp", "v real", "column 'v' is real on the follower and timestamp without time zone on the leader"),
        ("v numeric", "v real", "column 'v' is real on the follower and numeric on the leader"),
        ("v numeric primary key", "v text primary key", "key column 'v' is text on one side and a number on the other"),
    ],
)
def test_what_is_not_certain_is_unverified_by_name(
    database: Database, tmp_path: Path, ours: str, theirs: str, said: str
) -> None:
    database.sql(f"create table t (id int not null unique, {ours})")
    with closing(sqlite3.connect(tmp_path / "x.db")) as other, other:
        other.execute(f"create table t (id int not null unique, {theirs}) strict")
    postgres = PostgresReplica("pg", database.url, Options(role=Role.LEADER))
    sqlite = SqliteReplica("file", f"sqlite:///{tmp_path / 'x.db'}")
    try:
        tables = [side.table(TableName(side.default_schema or "", "t")) for side in (postgres, sqlite)]
        compared = comparison(*tables, abroad=True)
        assert compared.problem is not None
        assert compared.problem.startswith(said)
    finally:
        postgres.close()
        sqlite.close()
