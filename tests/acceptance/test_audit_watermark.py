"""`trueup audit --watermark` on a leader that is written to, with a follower that is fed late and tells no position."""

from __future__ import annotations

import random
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fixtures.audit_program import Program, by_table, url
from fixtures.databases import Database

from verifier.watermark import ADVANCE, DEFINITION

pytestmark = pytest.mark.postgres

ROWS, HOT, LATE_SECONDS = 1_000, 100, 0.2
WATERMARK = "public.trueup_watermark"
_CHANGE = re.compile(r"table public\.(\w+): (INSERT|UPDATE|DELETE): (.*)")
_VALUE = re.compile(r"(\w+)\[\w+\]:(-?\d+)")


@dataclass
class Pipeline:
    """Carries each transaction of one database to an SQLite file, in the order of commits, a moment late."""

    source: Database
    path: Path
    stopped: threading.Event = field(default_factory=threading.Event)
    carried: int = 0

    def __post_init__(self) -> None:
        self.slot = f"s_{self.source.name}"
        self.source.sql("select pg_create_logical_replication_slot(%s, 'test_decoding')", (self.slot,))

    def run(self) -> None:
        late: list[tuple[float, list[str]]] = []
        with closing(sqlite3.connect(self.path, timeout=10.0)) as hand:
            hand.execute("pragma synchronous = off")
            while not self.stopped.wait(0.02):
                late += [(time.monotonic() + LATE_SECONDS, lines) for lines in self._transactions()]
                while late and late[0][0] <= time.monotonic():
                    with hand:
                        self._apply(hand, late.pop(0)[1])
                    self.carried += 1

    def _transactions(self) -> Iterator[list[str]]:
        lines: list[str] = []
        for (data,) in self.source.sql(
            "select data from pg_logical_slot_get_changes(%s, null, null, 'include-xids', '0')", (self.slot,)
        ):
            if data == "COMMIT":
                yield lines
            lines = [] if data == "BEGIN" else [*lines, data]

    def _apply(self, hand: sqlite3.Connection, lines: list[str]) -> None:
        for table, what, told in (one.groups() for line in lines if (one := _CHANGE.fullmatch(line))):
            row = {name: int(value) for name, value in _VALUE.findall(told)}
            if what == "DELETE":
                hand.execute(f"delete from {table} where id = ?", (row["id"],))
                continue
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            hand.execute(f"insert or replace into {table} ({names}) values ({marks})", [*row.values()])

    def drop(self) -> None:
        self.source.sql("select pg_drop_replication_slot(%s)", (self.slot,))


@dataclass
class Writers:
    """Change hot rows all the time: values, deletes, rows that come back, and commits that overtake each other."""

    dsn: str
    stopped: threading.Event = field(default_factory=threading.Event)
    changes: int = 0

    def run(self, seed: int) -> None:
        chance = random.Random(seed)
        with psycopg.connect(self.dsn, autocommit=True) as hand:
            while not self.stopped.is_set():
                key = 100 + seed * HOT + chance.randrange(HOT)  # each writer has rows of its own: no waiting for locks
                with hand.transaction():
                    if chance.random() < 0.3:
                        hand.execute("delete from items where id = %s", (key,))
                    if chance.random() < 0.8:
                        hand.execute(
                            "insert into items values (%s, %s) on conflict (id) do update set v = excluded.v",
                            (key, chance.randrange(1_000_000)),
                        )
                self.changes += 1
                self.stopped.wait(0.03)


@dataclass
class Shop:
    database: Database
    pipeline: Pipeline
    writers: Writers

    def audited(self, trueup: Program, *more: str) -> tuple[int, dict[str, Any]]:
        ended = trueup(
            "audit", "--leader", url(self.database.cluster, self.database.name),
            "--follower", f"copy=sqlite:///{self.pipeline.path}", "--watermark", WATERMARK, "--format", "json", *more,
        )  # fmt: skip
        assert ended.out, ended.err
        report = ended.report
        assert {entry["table"] for entry in report["tables"]} == {"public.items"}, "the watermark is not compared"
        return ended.code, by_table(report)["items", "copy"]


@pytest.fixture
def shop(tmp_path: Path, database: Database) -> Iterator[Shop]:
    made = f"create table items (id int primary key, v int); {DEFINITION.format(table='trueup_watermark')}"
    path = tmp_path / "copy.db"
    database.sql(made)
    database.sql(f"insert into items select i, i from generate_series(1, {ROWS}) i")
    with closing(sqlite3.connect(path)) as hand, hand:
        hand.executescript(f"pragma journal_mode = wal; {made}")
        hand.executemany("insert into items values (?, ?)", [(i, i) for i in range(1, ROWS + 1)])
    found = Shop(database, Pipeline(database, path), Writers(database.dsn))
    threads = [threading.Thread(target=found.pipeline.run)]
    threads += [threading.Thread(target=found.writers.run, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    yield found
    found.writers.stopped.set()
    found.pipeline.stopped.set()
    for thread in threads:
        thread.join()
    found.pipeline.drop()


@pytest.fixture
def trueup(tmp_path: Path, database: Database) -> Program:
    return Program.knowing(tmp_path, database.cluster)


def drifted(entry: dict[str, Any]) -> dict[int, tuple[str, str, str]]:
    return {row["key"]["id"]: (row["kind"], row["evidence"], row["method"]) for row in entry["rows_drifted"]}


def test_nothing_that_is_late_is_drift_and_what_was_planted_is_found(shop: Shop, trueup: Program) -> None:
    with closing(sqlite3.connect(shop.pipeline.path, timeout=10.0)) as hand, hand:
        hand.execute("update items set v = -1 where id = 7")
        hand.execute("delete from items where id = 8")
        hand.execute("insert into items values (90001, 0)")
    before = shop.writers.changes
    code, entry = shop.audited(trueup, "--watermark-write", "--watermark-ordered")
    assert (code, entry["verdict"]) == (1, "drift")
    assert drifted(entry) == {
        7: ("mismatched", "proven", "bracketed"),
        8: ("missing", "proven", "bracketed"),
        90_001: ("extra", "probable", "repeated"),  # the follower's rows have no versions
    }
    assert shop.writers.changes - before > 20, "the leader was written to all the time"
    assert shop.pipeline.carried > 20


def test_ticks_of_the_operators_own_job_do_as_well_and_trueup_writes_nothing(shop: Shop, trueup: Program) -> None:
    with closing(sqlite3.connect(shop.pipeline.path, timeout=10.0)) as hand, hand:
        hand.execute("delete from items where id = 8")
    ticks = 0

    def job() -> None:
        nonlocal ticks
        while not shop.writers.stopped.wait(0.1):
            shop.database.sql(ADVANCE.format(table=WATERMARK))
            ticks += 1

    thread = threading.Thread(target=job)
    thread.start()
    code, entry = shop.audited(trueup)
    shop.writers.stopped.set()
    thread.join()
    assert (code, drifted(entry)) == (1, {8: ("missing", "probable", "repeated")})  # nobody vouched for the order
    assert shop.database.sql("select tick from trueup_watermark") == [(ticks,)]


def doctored(trueup: Program, database: Database, path: Path) -> str:
    """What the doctor says of a group without a watermark."""
    (trueup.folder / "trueup.yaml").write_text(
        f"""
groups:
  - name: shop
    leader: {{url: "{url(database.cluster, database.name)}"}}
    followers: [{{name: copy, url: "sqlite:///{path}"}}]
"""
    )
    return trueup("doctor", "--config", "trueup.yaml", "--format", "json").out


def test_what_is_missing_for_a_watermark_is_told_at_once(tmp_path: Path, database: Database, trueup: Program) -> None:
    word = database.cluster.password
    database.sql("create table items (id int primary key)")
    database.sql(f"create role reader login password '{word}'; grant pg_read_all_data to reader")
    path = tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as hand, hand:
        hand.execute("create table items (id integer not null primary key)")
    words = [
        "audit", "--leader", url(database.cluster, database.name), "--follower", f"copy=sqlite:///{path}",
        "--watermark", WATERMARK,
    ]  # fmt: skip
    try:
        ended = trueup(*words)
        assert (ended.code, ended.out) == (3, "")
        assert "public.trueup_watermark cannot be read on leader" in ended.err
        assert "create table public.trueup_watermark (id integer not null primary key, tick bigint" in ended.err
        assert "a watermark row: on the leader create table public.trueup_watermark" in doctored(trueup, database, path)
        database.sql(DEFINITION.format(table=WATERMARK))
        ended = trueup(*words)
        assert (ended.code, ended.out) == (3, "")
        assert "the watermark main.trueup_watermark cannot be read on copy" in ended.err
        words[2] = url(database.cluster, database.name, user="reader")
        ended = trueup(*words, "--watermark-write")
        assert (ended.code, ended.out) == (5, "")
        assert "advancing the watermark public.trueup_watermark" in ended.err
        ended = trueup(*words[:5], "--watermark-write")
        assert ended.code == 3
        assert "--watermark-write and --watermark-ordered need --watermark schema.table" in ended.err
    finally:
        database.sql("drop role reader")
