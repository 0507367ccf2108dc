"""Bad days of an audit: rights missing, the journal's disk full, the terminal closed, nobody reading, a promotion.
A clear message, the right exit code, other tables finished, nothing lost."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from fixtures.audit_program import Program, by_table, ended, url
from fixtures.databases import Database, TrioDatabase
from fixtures.servers import binaries_of

from connectors.embedded import Cluster, Workspace, standby_of
from connectors.journal.opening import open_journal
from verifier.table import TableName

pytestmark = pytest.mark.postgres

ROWS = 20_000
DRIFTED = 900
ORDERS = TableName("public", "orders")
SLOWLY = ("--chunk-time", "0.02", "--max-rows-per-second", "1000")  # it would take twenty seconds
UNLIMITED = resource.RLIM_INFINITY


@pytest.fixture
def shop(trio_database: TrioDatabase) -> TrioDatabase:
    """Twenty thousand orders, nine hundred of them wrong on the subscriber, and a few zones."""
    trio_database.subscribe(
        "create table orders (id int primary key, note text); create table zones (id int primary key)"
    )
    trio_database.leader.sql(f"insert into orders select i, 'note ' || i from generate_series(1, {ROWS}) i")
    trio_database.leader.sql("insert into zones select generate_series(1, 10)")
    trio_database.caught_up()
    trio_database.subscriber.sql(f"update orders set note = 'wrong ' || id where id <= {DRIFTED}")
    return trio_database


@pytest.fixture
def trueup(tmp_path: Path, shop: TrioDatabase) -> Program:
    return Program.knowing(tmp_path, shop.trio.leader, shop.trio.subscriber)


def words(shop: TrioDatabase, *more: str, user: str = "postgres") -> list[str]:
    leader, subscriber = (url(one, shop.name, user=user) for one in (shop.trio.leader, shop.trio.subscriber))
    return ["audit", "--leader", leader, "--follower", f"f={subscriber}", "--format", "json", *more]


def chunks(trueup: Program, table: TableName = ORDERS) -> tuple[str, int]:
    """The latest run, and the table's chunks in the journal."""
    if not (trueup.folder / "trueup.db").exists():
        return "", 0
    journal = open_journal(trueup.folder / "trueup.db", "audit")
    try:
        runs = journal.runs.recent(1)
        return (runs[0].id, len(journal.runs.results(runs[0].id, table))) if runs else ("", 0)
    finally:
        journal.close()


def half_way(trueup: Program, table: TableName = ORDERS) -> str:
    deadline = time.monotonic() + 60
    while (found := chunks(trueup, table))[1] < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found[0]


def exact(report: dict[str, object]) -> None:
    entry = by_table(report)["orders", "f"]
    assert entry["rows"] == {"leader": ROWS, "follower": ROWS}
    assert entry["drift"] == {"missing": 0, "extra": 0, "mismatched": DRIFTED}
    assert {row["key"]["id"] for row in entry["rows_drifted"]} == set(range(1, DRIFTED + 1))
    assert entry["reason"] is None
    assert by_table(report)["zones", "f"]["verdict"] == "match"


def test_a_right_that_is_missing_is_its_tables_matter(shop: TrioDatabase, trueup: Program) -> None:
    role = f"r_{shop.name}"
    for side in (shop.leader, shop.subscriber):
        side.sql(f"create role {role} login password '{side.cluster.password}'")
    try:
        for side in (shop.leader, shop.subscriber):
            side.sql(f"grant select on zones to {role}")
        run = trueup(*words(shop, user=role))
        assert run.code == 4, run.err
        found = by_table(run.report)
        assert found["orders", "f"]["verdict"] == "unverified"
        assert "grant select on it to trueup's user" in found["orders", "f"]["reason"]
        assert (found["zones", "f"]["verdict"], found["zones", "f"]["reason"]) == ("match", None)
        shop.leader.sql(f"grant select on orders to {role}")
        half = by_table(trueup(*words(shop, user=role)).report)
        assert "orders on postgresql://" in half["orders", "f"]["reason"]
        assert half["zones", "f"]["verdict"] == "match"
    finally:
        for side in (shop.leader, shop.subscriber):
            side.sql(f"drop owned by {role}; drop role {role}")


def full_at(size: int) -> None:
    """No file of this process may grow beyond the size: what a full disk is to the journal."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, UNLIMITED))


@pytest.mark.parametrize("freed", [True, False])
def test_a_full_disk_loses_no_drift(shop: TrioDatabase, trueup: Program, freed: bool) -> None:
    """The journal is full while the drift is written. Given room again it goes on by itself; stopped, it says how."""
    process = trueup.start(*words(shop), preexec_fn=lambda: full_at(350_000))
    assert process.stderr is not None
    said: list[str] = []
    for line in process.stderr:
        said.append(line)
        if "trying again for up to 60 s" in line:
            break
    assert "trueup.db" in said[-1], said
    assert "disk" in said[-1]
    if freed:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
        run = ended(process)
        assert run.code == 1, run.err
        exact(run.report)
        return
    process.send_signal(signal.SIGINT)
    stopped = ended(process)
    assert (stopped.code, stopped.out) == (4, ""), stopped.err
    assert "the audit stopped, what it had recorded is kept" in stopped.err
    hint = next(line for line in stopped.err.splitlines() if line.startswith("go on with: trueup audit "))
    again = trueup(*words(shop), "--resume", hint.split()[-1])
    assert again.code == 1, again.err
    exact(again.report)


def test_a_closed_terminal_keeps_what_was_done(shop: TrioDatabase, trueup: Program) -> None:
    master, slave = os.openpty()
    process = trueup.start(*words(shop, *SLOWLY), stderr=slave, stdout=slave, stdin=slave)
    os.close(slave)
    run = half_way(trueup)
    os.close(master)
    process.send_signal(signal.SIGHUP)
    assert process.wait(60) == 130
    found, done = chunks(trueup)
    assert (found, done >= 2) == (run, True)
    again = trueup(*words(shop), "--resume", run)
    assert again.code == 1, again.err
    exact(again.report)


def test_under_nohup_a_closed_terminal_stops_nothing(shop: TrioDatabase, trueup: Program) -> None:
    ignoring = partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)
    pace = ("--chunk-time", "0.02", "--max-rows-per-second", "4000")
    process = trueup.start(*words(shop, *pace), preexec_fn=ignoring)
    half_way(trueup)
    process.send_signal(signal.SIGHUP)
    run = ended(process)
    assert run.code == 1, run.err
    assert "stopping" not in run.err
    exact(run.report)


def test_a_report_that_nobody_reads_is_no_match(shop: TrioDatabase, trueup: Program) -> None:
    """Exit code 0 would say that all is equal."""
    reading, writing = os.pipe()
    os.close(reading)
    process = trueup.start(*words(shop), stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "Broken pipe" not in err
    shown = trueup("runs", chunks(trueup)[0], "--journal", "trueup.db", "--format", "json")
    assert shown.code == 1
    exact(shown.report)


@pytest.fixture
def own_pair(postgres_workspace: Workspace) -> Iterator[tuple[Cluster, Cluster]]:
    """A leader and a standby that a test may promote."""
    leader = Cluster.create(postgres_workspace, "promoted-leader", binaries_of(15))
    standby = standby_of(leader, "promoted-standby")
    yield leader, standby
    for cluster in (standby, leader):
        cluster.stop()


def test_a_standby_that_is_promoted_is_unverified_from_then_on(
    own_pair: tuple[Cluster, Cluster], tmp_path: Path
) -> None:
    """Its tables are in doubt, at once and with the reason; another follower's are finished."""
    leader, standby = own_pair
    leader.sql("create database shop")
    for name in ("a", "b", "c"):
        leader.sql(f"create table {name} (id int primary key)", database="shop")
        leader.sql(f"insert into {name} select generate_series(1, 10000)", database="shop")
    position = leader.sql("select pg_current_wal_lsn()::text")[0][0]
    while not standby.sql("select pg_last_wal_replay_lsn() >= %s::pg_lsn", (position,))[0][0]:
        time.sleep(0.05)
    trueup = Program.knowing(tmp_path, leader, standby)
    told = ["audit", "--leader", url(leader, "shop"), "--follower", f"standby={url(standby, 'shop')}"]
    told += ["--follower", f"itself={url(leader, 'shop')}", "--format", "json", "--tables-at-once", "1"]
    told += ["--pause-file", "wait"]
    process = trueup.start(*told, "--chunk-time", "0.02", "--max-rows-per-second", "4000")
    half_way(trueup, TableName("public", "a"))
    (tmp_path / "wait").touch()  # however long a promotion takes here, the audit is not through by then
    Database(standby, "postgres").sql("select pg_promote()")
    (tmp_path / "wait").unlink()
    began = time.monotonic()
    run = ended(process)
    assert time.monotonic() - began < 30, "a promoted standby is not waited for"
    found = by_table(run.report)
    assert run.code == 4, run.err
    for name in ("a", "b", "c"):
        assert (found[name, "itself"]["verdict"], found[name, "itself"]["rows"]["leader"]) == ("match", 10_000)
    for name in ("b", "c"):
        assert found[name, "standby"]["verdict"] == "unverified"
        assert "standby was promoted or demoted during the audit" in found[name, "standby"]["reason"]
    assert run.report["finished_at"] is not None
