"""`trueup position` and `trueup audit --restored-at` as users run them: what of a restored backup is proven.

The backup is a copy in another database or on another server; the leader goes on meanwhile, in every way in which rows
change, or only look as if they did.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fixtures.audit_program import Ended, Program, by_table, url
from fixtures.databases import Database

pytestmark = pytest.mark.postgres

SCHEMA = """
create table orders (id int primary key, amount numeric(12,2), note text) with (fillfactor = 50);
create table items (order_id int, line int, sku text not null, primary key (order_id, line));
"""
FILL = """
insert into orders select i, i * 1.5, 'note ' || i from generate_series(1, 1000) i;
insert into items select i, l, 'sku' || i from generate_series(1, 100) i, generate_series(1, 2) l;
"""


@pytest.fixture
def leader(database: Database) -> Database:
    database.sql(SCHEMA + FILL)
    return database


@pytest.fixture
def trueup(tmp_path: Path, leader: Database) -> Program:
    return Program.knowing(tmp_path, leader.cluster)


@pytest.fixture
def restored(leader: Database) -> Iterator[Database]:
    """An empty database on the same server, for the copy."""
    name = f"{leader.name}_restored"
    leader.cluster.sql(f'create database "{name}"')
    yield Database(leader.cluster, name)
    leader.cluster.sql(f'drop database "{name}" with (force)')


def noted(trueup: Program, leader: Database) -> str:
    run = trueup("position", "--leader", url(leader.cluster, leader.name), "--format", "json")
    assert run.code == 0, run.err
    return str(json.loads(run.out)["restored_at"])


def copy(leader: Database, restored: Database) -> None:
    """As a dump and its restore do: new rows, with transaction ids of their own."""
    restored.sql(SCHEMA)
    with psycopg.connect(leader.dsn) as source, psycopg.connect(restored.dsn) as target:
        for table in ("orders", "items"):
            with (
                source.cursor().copy(f"copy {table} to stdout") as out,
                target.cursor().copy(f"copy {table} from stdin") as into,
            ):
                for block in out:
                    into.write(block)


def drill(trueup: Program, leader: Database, restored: Database, at: str, how: str = "json") -> Ended:
    servers = ["--leader", url(leader.cluster, leader.name)]
    servers += ["--follower", f"backup={url(restored.cluster, restored.name)}"]
    return trueup("audit", *servers, "--restored-at", at, "--format", how)


def rows(run: Ended, table: str | None = None) -> dict[str, Any]:
    place = run.report["restore"] if table is None else by_table(run.report)[table, "backup"]["restore"]
    return dict(place["rows"])


def test_the_leader_goes_on_and_nothing_is_called_drift(leader: Database, restored: Database, trueup: Program) -> None:
    leader.sql("update orders set note = 'before' where id <= 3")
    at = noted(trueup, leader)
    copy(leader, restored)
    assert drill(trueup, leader, restored, at).code == 0
    for statement in (
        "update orders set note = 'hot' where id in (11, 12)",
        "update orders set id = 2001 where id = 13",
        "delete from orders where id in (14, 15)",
        "delete from orders where id = 16; insert into orders values (16, 24.0, 'note 16')",
        "insert into orders select i, 0, 'new' from generate_series(3001, 3004) i",
        "begin; update orders set note = 'never' where id between 20 and 30; rollback",
        "begin; savepoint s; delete from orders where id = 31; rollback to s; commit",
        "begin; select * from orders where id = 32 for update; commit",
        "begin; select * from orders where id = 33 for key share; savepoint s; "
        "select * from orders where id = 33 for update; commit",
        "vacuum (freeze) orders",
        "select sum(amount) from orders",
        "vacuum (freeze) items",
    ):
        leader.sql(statement)
    run = drill(trueup, leader, restored, at)
    assert run.code == 4, run.err
    assert run.report["verdict"] == "unverified"
    assert rows(run, "items") == {"backup": 200, "proven": 200, "changed": 0, "gone": 0, "new": 0}
    assert rows(run, "orders") == {"backup": 1000, "proven": 994, "changed": 3, "gone": 3, "new": 5}
    assert by_table(run.report)["items", "backup"]["verdict"] == "match"
    entry = by_table(run.report)["orders", "backup"]
    assert entry["reason"] == (
        "99.4 % of the backup's 1,000 rows are proven, 3 changed since the backup, 3 deleted since or extra, "
        "5 inserted since"
    )
    assert (entry["drift"], entry["rows_drifted"]) == ({"missing": 0, "extra": 0, "mismatched": 0}, [])
    assert (run.report["restore"]["percent"], run.report["restore"]["leader_stands"]) == (99.5, False)


def test_damage_in_the_backup_is_named_although_the_leader_went_on(
    leader: Database, restored: Database, trueup: Program
) -> None:
    at = noted(trueup, leader)
    copy(leader, restored)
    restored.sql("update orders set note = 'lost' where id = 7")
    restored.sql("delete from orders where id = 8; insert into orders values (5000, 1, 'extra')")
    restored.sql("update orders set note = 'both' where id = 9")
    leader.sql("update orders set note = 'both differ' where id = 9; create table later (id int primary key)")
    run = drill(trueup, leader, restored, at)
    assert run.code == 1, run.err
    entry = by_table(run.report)["orders", "backup"]
    assert {row["key"]["id"]: row["kind"] for row in entry["rows_drifted"]} == {7: "mismatched", 8: "missing"}
    assert {(row["evidence"], row["method"]) for row in entry["rows_drifted"]} == {("proven", "snapshot")}
    assert rows(run, "orders") == {"backup": 1000, "proven": 997, "changed": 1, "gone": 1, "new": 0}
    assert by_table(run.report)["later", "backup"]["verdict"] == "unverified"
    text = drill(trueup, leader, restored, at, "table").out
    assert "leader note 7" not in text
    assert "which went on since: 99.7 % of the backup's 1,200 rows are proven" in text


def test_who_was_still_writing_when_the_position_was_noted(
    leader: Database, restored: Database, trueup: Program
) -> None:
    """Also in a subtransaction, whose id the snapshot's list of running transactions does not name."""
    with psycopg.connect(leader.dsn) as connection:
        connection.execute("update orders set note = 'a' where id = 1")
        connection.execute("savepoint s")
        connection.execute("update orders set note = 'b' where id = 2")
        connection.execute("release savepoint s")
        leader.sql("update orders set note = 'ended' where id = 3")
        at = noted(trueup, leader)
        assert at.endswith("@busy")
        copy(leader, restored)
    run = drill(trueup, leader, restored, at)
    assert run.code == 4, run.out
    assert by_table(run.report)["orders", "backup"]["drift"] == {"missing": 0, "extra": 0, "mismatched": 0}
    # Row 3 was there at the time; being younger than somebody who was still running, it is not proven.
    assert rows(run, "orders") == {"backup": 1000, "proven": 997, "changed": 3, "gone": 0, "new": 0}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            "alter table items rename line to x; alter table items add line int default 0; alter table items drop x",
            "it has no key",
        ),
        (
            "alter table orders rename note to x; alter table orders add note text default 'fast'",
            "it was made, renamed, rewritten or granted since the backup",
        ),
        (
            "create table other (like orders including all); insert into other select * from orders; "
            "alter table orders rename to gone; alter table other rename to orders",
            "it was made, renamed, rewritten or granted since the backup",
        ),
    ],
    ids=["key", "column", "table"],
)
def test_what_was_redefined_proves_nothing(
    leader: Database, restored: Database, trueup: Program, change: str, why: str
) -> None:
    at = noted(trueup, leader)
    copy(leader, restored)
    leader.sql(change)
    run = drill(trueup, leader, restored, at)
    assert run.code == 4, run.out
    assert {sum(entry["drift"].values()) for entry in run.report["tables"]} == {0}
    assert any(why in (entry["reason"] or "") for entry in run.report["tables"])


def test_columns_and_partitions_that_change_places(leader: Database, restored: Database, trueup: Program) -> None:
    """Old row versions that show other values, or under this name for the first time."""
    leader.sql("create table pair (id int primary key, a int, b int); insert into pair values (1, 1, 2)")
    leader.sql("create table parts (id int primary key) partition by range (id)")
    leader.sql("create table part_a partition of parts for values from (0) to (10); insert into parts values (1)")
    leader.sql("create table part_b (id int primary key); insert into part_b values (11)")
    leader.sql("create type mood as enum ('glad', 'sad'); create table moods (id int primary key, m mood)")
    leader.sql("insert into moods values (1, 'glad')")
    at = noted(trueup, leader)
    restored.sql("create table pair (id int primary key, a int, b int); insert into pair values (1, 1, 2)")
    restored.sql("create table parts (id int primary key); insert into parts values (1)")
    restored.sql("create type mood as enum ('glad', 'sad'); create table moods (id int primary key, m mood)")
    restored.sql("insert into moods values (1, 'glad')")
    leader.sql("alter table pair rename a to c; alter table pair rename b to a; alter table pair rename c to b")
    leader.sql("alter table parts attach partition part_b for values from (10) to (20)")
    leader.sql("alter type mood rename value 'glad' to 'happy'")
    run = drill(trueup, leader, restored, at)
    found = by_table(run.report)
    for table in ("pair", "parts", "moods"):
        assert found[table, "backup"]["verdict"] == "unverified"
        assert "since the backup" in found[table, "backup"]["reason"]
        assert rows(run, table)["proven"] == 0
    assert run.code == 4


def test_a_position_of_another_server_is_refused(leader: Database, restored: Database, trueup: Program) -> None:
    at = noted(trueup, leader)
    system, rest = at.split("@", 1)
    for wrong, words in (
        (f"1{system}@{rest}", "was recorded on cluster"),
        (f"{system}@7@{rest.split('@', 1)[1]}", "since a promotion the same ids may name other transactions"),
    ):
        run = drill(trueup, leader, restored, wrong)
        assert (run.code, run.out) == (3, ""), run.err
        assert words in run.err


def test_the_position_for_people(leader: Database, trueup: Program) -> None:
    told = trueup("position", "--leader", url(leader.cluster, leader.name)).out
    lines = dict(line.split(None, 1) for line in told.splitlines())
    assert lines.keys() == {
        "engine", "server-version", "system", "timeline", "time", "position", "snapshot", "mark", "restored-at",
    }  # fmt: skip
    assert lines["restored-at"].split("@")[:3] == [lines["system"], "1", lines["position"]]
