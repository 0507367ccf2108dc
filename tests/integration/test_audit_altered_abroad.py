"""Tables of MariaDB, MySQL and SQLite that somebody drops, renames or alters while they are audited: a reason, or a
right answer; never a crash, and never drift that is not there. The others go on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fixtures.databases import fresh_name
from fixtures.meddler import Meddler
from fixtures.mysql_servers import MysqlPair

from trueup.audit.request import Request
from trueup.bootstrap.auditing import Plan, open_audit
from trueup.bootstrap.servers import Address
from verifier.policy import ScanPolicy, SettlePolicy

Run = Callable[[str], Any]

ON_SERVERS = {
    "dropped_there": ("follower", "drop table {t}", "unverified", "doesn't exist (error 1146)"),
    "dropped_here": ("leader", "drop table {t}", "unverified", "doesn't exist (error 1146)"),
    "renamed_here": ("leader", "alter table {t} rename to elsewhere", "unverified", "doesn't exist (error 1146)"),
    "column_dropped_there": ("follower", "alter table {t} drop column v", "unverified", "Unknown column"),
    "column_renamed_here": ("leader", "alter table {t} change v w varchar(9)", "unverified", "Unknown column"),
    "widened_there": ("follower", "alter table {t} modify n bigint", "match", None),
    "column_added_here": ("leader", "alter table {t} add x int default 5", "match", None),
    "untouched": ("leader", "select 1", "match", None),
}
IN_FILES = {
    "dropped_there": ("follower", "drop table {t}", "unverified", "no such table: main.dropped_there"),
    "dropped_here": ("leader", "drop table {t}", "unverified", "no such table: main.dropped_here"),
    "renamed_here": ("leader", "alter table {t} rename to elsewhere", "unverified", "no such table: main.renamed_here"),
    "column_dropped_there": ("follower", "alter table {t} drop column v", "unverified", "no such column"),
    "column_added_here": ("leader", "alter table {t} add column x int default 5", "match", None),
    "untouched": ("leader", "select 1", "match", None),
}


def audited(
    folder: Path,
    cases: dict[str, tuple[str, str, str, str | None]],
    urls: tuple[str, str],
    hands: dict[str, Run],
    pattern: str = "main.*",
) -> None:
    """Fill, meddle, and hold the report against the cases."""
    for hand in hands.values():
        for name in cases:
            hand(f"create table {name} (id int primary key, n int, v varchar(9))")
            hand(f"insert into {name} values {', '.join(f'({i}, {i}, {i})' for i in range(60))}")

    def meddle(name: str) -> None:
        side, statement, _, _ = cases[name]
        hands[side](statement.format(t=name))

    watcher = Meddler(meddle)
    plan = Plan(
        "g", Address("leader", urls[0]), (Address("f", urls[1]),), Request((pattern,)), folder / "journal.db",
        scan=ScanPolicy(rows_first=10, rows_min=10, rows_max=10), settle=SettlePolicy(give_up_seconds=3.0),
        tables_at_once=1,
    )  # fmt: skip
    opened = open_audit(plan, run=None, watcher=watcher, stop=lambda: False)
    try:
        report = opened.audit.run(opened.audit.begin(None))
    finally:
        opened.close()
    assert watcher.met == cases.keys()
    found = {entry["table"].partition(".")[2]: entry for entry in report["tables"]}
    for name, (_, _, verdict, said) in cases.items():
        entry = found[name]
        assert (entry["verdict"], entry["rows_drifted"]) == (verdict, []), (name, entry["reason"])
        assert (said is None and entry["reason"] is None) or said in entry["reason"], (name, entry["reason"])


@pytest.mark.mysql
def test_on_mysql_and_mariadb(either_pair: MysqlPair, tmp_path: Path) -> None:
    """Two databases of one server, which follow nobody."""
    server, names = either_pair.leader, (fresh_name(), fresh_name())
    for name in names:
        server.sql(f"create database `{name}`")
    try:
        with server.session(names[0]) as ours, server.session(names[1]) as theirs:
            hands: dict[str, Run] = {"leader": ours.execute, "follower": theirs.execute}
            audited(tmp_path, ON_SERVERS, (server.url(names[0]), server.url(names[1])), hands, f"{names[0]}.*")
    finally:
        for name in names:
            server.sql(f"drop database `{name}`")


def test_in_sqlite_files(tmp_path: Path) -> None:
    paths = (tmp_path / "a.db", tmp_path / "b.db")
    with closing(sqlite3.connect(paths[0], isolation_level=None)) as ours, closing(
        sqlite3.connect(paths[1], isolation_level=None)
    ) as theirs:  # fmt: skip
        hands: dict[str, Run] = {"leader": ours.execute, "follower": theirs.execute}
        audited(tmp_path, IN_FILES, (f"sqlite:///{paths[0]}", f"sqlite:///{paths[1]}"), hands)
