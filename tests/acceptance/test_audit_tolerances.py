"""`trueup audit` with tolerances, from PostgreSQL to MariaDB: within is equal, and what is beyond is found exactly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from fixtures.audit_program import Program, by_table, url
from fixtures.databases import Database
from fixtures.mysql_servers import PairDatabase, fresh_database
from stack.mysql_servers import MysqlPair

pytestmark = [pytest.mark.mysql, pytest.mark.postgres]

SETTINGS = (
    "--tolerate", "public.t=time_digits:0,ignore_trailing_spaces,float_relative:1e-6",
    "--tolerate", "public.t.seen=time_digits:3",
    "--tolerate", "public.scaled=strict_scale",
)  # fmt: skip
COLUMNS = (
    ("id", "int primary key", "int primary key"),
    ("ratio", "double precision", "double"),
    ("at", "timestamp", "datetime"),
    ("seen", "timestamptz", "datetime(6)"),
    ("note", "text", "varchar(40)"),
    ("price", "numeric(10,2)", "decimal(10,4)"),
)
OURS = (1 / 3, "2024-02-29 23:59:59.7", "2024-02-29 10:00:00.123456+00", "a", "1.50")
ROWS: dict[int, tuple[dict[str, object], set[str]]] = {
    1: ({"at": "2024-02-29 23:59:59"}, set()),  # cut off
    2: ({"at": "2024-03-01 00:00:00"}, set()),  # rounded, into another month
    3: ({"at": "2024-03-01 00:00:01"}, {"at"}),
    4: ({"at": "2024-02-29 23:59:58"}, {"at"}),
    5: ({"seen": "2024-02-29 10:00:00.124"}, set()),
    6: ({"seen": "2024-02-29 10:00:00.124456"}, {"seen"}),  # a millisecond
    7: ({"seen": "2024-02-29 09:59:59.123456"}, {"seen"}),
    8: ({"note": "a   "}, set()),
    9: ({"note": " a"}, {"note"}),
    10: ({"note": None}, {"note"}),
    11: ({"ratio": 1 / 3 * (1 + 9e-7)}, set()),
    12: ({"ratio": 1 / 3 * (1 - 9e-7)}, set()),
    13: ({"ratio": 1 / 3 * (1 + 2e-6)}, {"ratio"}),
    14: ({"ratio": -1 / 3}, {"ratio"}),
    15: ({"price": "1.51"}, {"price"}),
    16: ({"at": "2024-03-01 00:00:00", "note": "b", "ratio": 1 / 3 * (1 + 1e-7)}, {"note"}),
}
"""By key, what the follower holds otherwise, and the columns that differ by more than they may."""


@pytest.fixture
def beside(mariadb_pair: MysqlPair) -> Iterator[PairDatabase]:
    database = PairDatabase(mariadb_pair, fresh_database())
    yield database
    database.drop()


def fill(database: Database, beside: PairDatabase) -> None:
    names = [name for name, *_ in COLUMNS]
    marks = ", ".join(["%s"] * len(names))
    with psycopg.connect(database.dsn) as ours, beside.pair.leader.session(beside.name) as theirs:
        ours.execute("set timezone = 'UTC'")
        for table in ("t", "scaled"):
            ours.execute(f"create table {table} ({', '.join(f'{n} {one}' for n, one, _ in COLUMNS)})".encode())
            theirs.execute(f"create table {table} ({', '.join(f'{n} {other}' for n, _, other in COLUMNS)})")
        for key, (otherwise, _) in ROWS.items():
            row = dict(zip(names, (key, *OURS), strict=True))
            there = row | {"at": "2024-02-29 23:59:59", "seen": "2024-02-29 10:00:00.123456"} | otherwise
            ours.execute(f"insert into t values ({marks})".encode(), list(row.values()))
            theirs.execute(f"insert into t values ({marks})", list(there.values()))
        whole = dict(zip(names, (1, 0.5, "2024-01-01 00:00:00", "2024-01-01 00:00:00", "a", "1.50"), strict=True))
        ours.execute(f"insert into scaled values ({marks})".encode(), list(whole.values()))
        theirs.execute(f"insert into scaled values ({marks})", list(whole.values()))


def test_within_is_equal_and_beyond_is_found(database: Database, beside: PairDatabase, tmp_path: Path) -> None:
    fill(database, beside)
    trueup = Program.knowing(tmp_path, database.cluster)
    ends = ("--leader", url(database.cluster, database.name), "--follower", f"copy={beside.leader_url}")
    run = trueup("audit", *ends, "--table", "public.*", *SETTINGS, "--format", "json")
    found = {name: entry for (name, _), entry in by_table(run.report).items()}
    told = {row["key"]["id"]: set(row["columns"]) for row in found["t"]["rows_drifted"]}
    assert told == {key: columns for key, (_, columns) in ROWS.items() if columns}
    assert {row["evidence"] for row in found["t"]["rows_drifted"]} == {"proven"}
    assert found["t"]["scheme"] == "client"
    assert found["t"]["tolerances"] == {
        "ratio": "equal within 1e-06 of the larger value",
        "at": "equal less than 1 s apart",
        "seen": "equal less than 0.001 s apart",
        "note": "blanks at the end do not count",
    }
    (scaled,) = found["scaled"]["rows_drifted"]
    assert scaled["columns"] == {"price": {"leader": "1.50", "follower": "1.5000"}}
    assert run.code == 1
    refused = trueup(
        "audit", *ends, "--table", "public.t", "--tolerate", "public.t.id=time_digits:1", "--format", "json"
    )
    assert (refused.code, refused.report["tables"][0]["verdict"]) == (4, "unverified")
    assert "public.t.id is part of the key" in refused.report["tables"][0]["reason"]
