"""`trueup audit --cutover` on SQLite files: go for a copy, and a line of its own for each trap."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fixtures.audit_program import Ended, Program

SCHEMA = """
create table orders (id integer primary key autoincrement, note text);
create index orders_note on orders (note);
create trigger orders_kept before delete on orders when old.id < 2 begin select raise(abort, 'kept'); end;
create view few as select * from orders limit 3;
insert into orders (note) values ('a'), ('b'), ('c');
"""


def run(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(sql)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("a.db", "b.db"):
        run(tmp_path / name, SCHEMA)
    return tmp_path / "a.db", tmp_path / "b.db"


def cutover(folder: Path, leader: Path, follower: Path) -> Ended:
    servers = ["--leader", f"sqlite:///{leader}", "--follower", f"copy=sqlite:///{follower}"]
    return Program(folder, {})("audit", "--cutover", *servers, "--settle", "1", "--format", "json")


def results(ended: Ended) -> dict[str, Any]:
    return {check["id"]: check for check in ended.report["cutover"]["checks"]}


def test_go_and_each_trap(pair: tuple[Path, Path], tmp_path: Path) -> None:
    clean = cutover(tmp_path, *pair)
    assert clean.code == 0, (clean.out, clean.err)
    assert {check["result"] for check in results(clean).values()} == {"pass"}
    run(pair[0], "insert into orders values (90, 'gone'); delete from orders where id = 90")
    run(pair[1], "drop index orders_note; drop trigger orders_kept; drop view few; delete from orders where id = 2")
    ended = cutover(tmp_path, *pair)
    assert ended.code == 1, (ended.out, ended.err)
    found = results(ended)
    assert {name for name, check in found.items() if check["result"] == "fail"} == {
        "rows", "row-counts", "indexes", "triggers", "views", "sequences",
    }  # fmt: skip
    assert found["sequences"]["todo"] == """update "main".sqlite_sequence set seq = 90 where name = 'orders'"""


def test_a_position_of_a_file_is_none(pair: tuple[Path, Path], tmp_path: Path) -> None:
    told = Program(tmp_path, {})("position", "--leader", f"sqlite:///{pair[0]}")
    assert (told.code, told.out) == (4, "")
    assert "sqlite keeps no log" in told.err
