"""JSON between PostgreSQL and MariaDB or MySQL: hashed as text where most rows are spelled alike, judged by value."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fixtures.audit_program import Program, by_table, url
from fixtures.databases import Database
from fixtures.mysql_servers import PairDatabase

pytestmark = [pytest.mark.mysql, pytest.mark.postgres]

ROWS = 1200
TABLES: dict[str, tuple[str, Callable[[int], bool]]] = {
    "alike": ("jsonb", lambda i: False),
    "mostly": ("jsonb", lambda i: i % 100 == 7),
    "other": ("jsonb", lambda i: True),
    "damaged": ("jsonb", lambda i: i % 100 == 7),
    "typed": ("json", lambda i: False),
    "kept": ("json", lambda i: True),
    "small": ("jsonb", lambda i: False),
}


def document(i: int) -> dict[str, Any] | None:
    return None if i % 5 == 0 else {"n": 1.5, "tag": f"größer \n{i}", "more": [i, None, True, {"a": ""}]}


def written(i: int, *, otherwise: bool) -> tuple[str | None, str | None]:
    """Row `i` as PostgreSQL and as the other server are given it: one value. MySQL spells JSON its own way, as `jsonb`
    does, but for the zeros behind a point; MariaDB keeps what it is given."""
    value = document(i)
    if value is None:
        return None, None
    plain = json.dumps(value, ensure_ascii=False)
    if not otherwise:
        return plain, plain
    return plain.replace("1.5", "1.50"), json.dumps(dict(reversed(value.items())), separators=(",", ":"))


def fill(database: Database, other: PairDatabase) -> None:
    with psycopg.connect(database.dsn) as hand, other.pair.leader.session(other.name) as cursor:
        for name, (declared, otherwise) in TABLES.items():
            hand.execute(f"create table {name} (id int primary key, doc {declared}, n int)".encode())
            cursor.execute(f"create table {name} (id int primary key, doc json, n int) character set utf8mb4")
            rows = range(1, 100 if name == "small" else ROWS)
            texts = [(i, *written(i, otherwise=otherwise(i)), i % 7) for i in rows]
            if name == "kept":  # as MariaDB keeps it, and not as `jsonb` would print it
                texts = [(i, theirs, theirs, n) for i, _, theirs, n in texts]
            with hand.cursor() as ours:
                ours.executemany(
                    f"insert into {name} values (%s, %s, %s)".encode(), [(i, one, n) for i, one, _, n in texts]
                )
            cursor.executemany(f"insert into {name} values (%s, %s, %s)", [(i, one, n) for i, _, one, n in texts])
        # What `jsonb`, MySQL and MariaDB refuse must not stop the digest.
        hard = '{"a":"\\u0000","b":"\\ud800","c":1e400000,"d":"\\\\"}'
        hand.execute("insert into typed values (9001, %s, 1)", (hard,))
        cursor.execute("insert into typed values (9001, '{}', 1)")


def test_text_is_hashed_where_it_is_mostly_alike_and_values_decide(
    database: Database, pair_database: PairDatabase, tmp_path: Path
) -> None:
    fill(database, pair_database)
    trueup = Program.knowing(tmp_path, database.cluster)
    with pair_database.pair.leader.session(pair_database.name) as cursor:
        cursor.execute("""update damaged set doc = json_set(doc, '$.more[2]', 'x') where id = 611""")
        cursor.execute("update damaged set doc = null where id = 707")
    ends = ("--leader", url(database.cluster, database.name), "--follower", f"copy={pair_database.leader_url}")
    run = trueup("audit", *ends, "--table", "public.*", "--format", "json")

    found = {name: entry for (name, _), entry in by_table(run.report).items()}
    assert {name: entry["scheme"] for name, entry in found.items()} == {
        "alike": "canonical",
        "mostly": "canonical",
        "other": "client",
        "damaged": "canonical",
        "typed": "canonical",
        "kept": "canonical",
        "small": "client",
    }
    assert "json as text (doc): " in found["alike"]["scheme_why"], found["alike"]["scheme_why"]
    assert "as text it would not be cheap: 25 of 128 equal rows" in found["other"]["scheme_why"]
    assert found["small"]["scheme_why"].endswith("fewer than 1000 rows, which are read whole")
    told = {
        name: sorted((*row["key"].values(), *row["columns"]) for row in entry["rows_drifted"])
        for name, entry in found.items()
    }
    assert told == {
        "alike": [],
        "mostly": [],
        "other": [],
        "damaged": [(611, "doc"), (707, "doc")],
        "typed": [(9001, "doc")],
        "kept": [],
        "small": [],
    }
    assert [name for name, entry in found.items() if entry["verdict"] not in ("match", "drift")] == []
    assert run.code == 1
