"""Bad days of an audit on MariaDB and MySQL: a server killed, a replica promoted, rights missing, the terminal closed.
A clear message, the right exit code, other tables finished, nothing lost."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.audit_program import Ended, Program, by_table, ended
from fixtures.mysql_servers import PairDatabase
from stack.mysql_servers import ADMIN

from connectors.journal.opening import open_journal
from verifier.table import TableName

pytestmark = pytest.mark.mysql

ROWS = 12_000
DRIFTED = {1: "mismatched", 6_000: "missing", 11_999: "mismatched", 20_001: "extra"}
SLOWLY = ("--chunk-time", "0.02", "--max-rows-per-second", "3000", "--tables-at-once", "1")


@pytest.fixture
def shop(pair_database: PairDatabase) -> PairDatabase:
    """Orders that differ at the start, in the middle and at the end, and a few zones, which are read after them."""
    pair_database.sql(
        "create table orders (id int primary key, note varchar(20))",
        "insert into orders values (1, 'note')",
        *(f"insert into orders select id + {2**n}, note from orders where id + {2**n} <= {ROWS}" for n in range(14)),
        "create table zones (id int primary key)",
        "insert into zones values (1), (2), (3)",
    )
    pair_database.pair.caught_up()
    pair_database.plant(
        "update orders set note = 'wrong' where id in (1, 11999)",
        "delete from orders where id = 6000",
        "insert into orders values (20001, 'rogue')",
    )
    return pair_database


@pytest.fixture
def trueup(tmp_path: Path) -> Program:
    return Program(tmp_path, {})


def words(shop: PairDatabase, *more: str, user: str = ADMIN, tables: tuple[str, ...] = ("*",)) -> list[str]:
    leader, replica = (server.url(shop.name, user=user) for server in (shop.pair.leader, shop.pair.replica))
    told = ["audit", "--leader", leader, "--follower", f"f={replica}", "--format", "json"]
    return [*told, *(word for name in tables for word in ("--table", f"{shop.name}.{name}")), *more]


def half_way(trueup: Program, shop: PairDatabase, process: subprocess.Popen[str]) -> str:
    """Wait until some chunks of the orders are in the journal, but not all; the run's id."""

    def found() -> str:
        if not (trueup.folder / "trueup.db").exists():
            return ""
        journal = open_journal(trueup.folder / "trueup.db", "audit")
        try:
            runs = journal.runs.recent(1)
            done = len(journal.runs.results(runs[0].id, TableName(shop.name, "orders"))) if runs else 0
            return runs[0].id if done >= 2 else ""
        finally:
            journal.close()

    return str(until(found, process))


def until(told: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := told()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return answer


def exact(run: Ended) -> None:
    """Everything was read once, what was planted was found, and nothing else."""
    assert run.code == 1, run.err
    found = by_table(run.report)
    orders = found["orders", "f"]
    assert orders["rows"] == {"leader": ROWS, "follower": ROWS}
    assert {row["key"]["id"]: row["kind"] for row in orders["rows_drifted"]} == DRIFTED
    assert orders["reason"] is None
    assert found["zones", "f"]["verdict"] == "match"


def test_servers_that_are_killed_and_started_again_are_waited_for(shop: PairDatabase, trueup: Program) -> None:
    process = trueup.start(*words(shop, *SLOWLY))
    half_way(trueup, shop, process)
    for server in (shop.pair.replica, shop.pair.leader):
        server.stop(signal.SIGKILL)
    assert process.stderr is not None
    assert next(line for line in process.stderr if "trying again" in line)  # before they are back
    for server in (shop.pair.leader, shop.pair.replica):
        server.start()
    exact(ended(process))


@pytest.mark.parametrize("either_pair", ["mysql"], indirect=True)
def test_a_terminal_that_is_closed_while_the_leader_is_away_keeps_what_was_done(
    shop: PairDatabase, trueup: Program
) -> None:
    process = trueup.start(*words(shop, *SLOWLY, "--max-rows-per-second", "1000"))
    run = half_way(trueup, shop, process)
    shop.pair.leader.stop(signal.SIGKILL)
    try:
        assert process.stderr is not None
        said = next(line for line in process.stderr if "trying again" in line)
        process.send_signal(signal.SIGHUP)
        stopped = ended(process)
    finally:
        shop.pair.leader.start()
    assert f"mysql://127.0.0.1:{shop.pair.leader.port}" in said
    assert (stopped.code, f"--resume {run}" in stopped.err) == (130, True), stopped.err
    exact(trueup(*words(shop), "--resume", run))


def test_a_right_that_is_missing_is_its_tables_matter(shop: PairDatabase, trueup: Program) -> None:
    """On the replica, and on the leader, whose login does not even see the table."""
    reader, pair = f"r_{shop.name}"[:32], shop.pair
    positions = "replication client" if pair.leader.engine == "mysql" else "binlog monitor, slave monitor"
    orders = f"grant select on {shop.name}.orders to {reader}@'%'"
    shop.sql(
        f"create user {reader}@'%' {pair.leader.identified}",
        f"grant {positions} on *.* to {reader}@'%'",
        f"grant select on {shop.name}.zones to {reader}@'%'",
        f"grant select on mysql.* to {reader}@'%'",
    )
    try:
        pair.caught_up()
        unseen = trueup(*words(shop, user=reader, tables=("orders", "zones")))
        pair.leader.quietly(orders)
        unread = trueup(*words(shop, user=reader))
        for run in (unseen, unread):
            assert run.code == 4, run.err
            found = by_table(run.report)
            assert found["orders", "f"]["verdict"] == "unverified"
            assert "trueup's user may not read it; check database and name" in found["orders", "f"]["reason"]
            assert "GRANT SELECT on it" in found["orders", "f"]["reason"]
            assert (found["zones", "f"]["verdict"], found["zones", "f"]["reason"]) == ("match", None)
    finally:
        shop.sql(f"drop user {reader}@'%'")


@pytest.fixture
def promoting(shop: PairDatabase) -> Iterator[Callable[[], None]]:
    """Makes the replica a leader; afterwards it follows again, without what was written to it."""
    pair = shop.pair
    what = "slave" if pair.replica.engine == "mariadb" else "replica"

    def promote() -> None:
        pair.replica.sql(f"stop {what}")
        pair.replica.sql(f"reset {what} all")
        pair.replica.sql("set global read_only = off")
        pair.replica.quietly(
            "update orders set note = 'newer' where id % 3 = 0",
            "insert into zones values (100)",
            "insert into orders values (30000, 'after')",
            database=shop.name,
        )

    yield promote
    pair.replica.follow(pair.leader)
    pair.caught_up()


def test_a_replica_that_is_promoted_is_unverified_from_then_on(
    shop: PairDatabase, trueup: Program, promoting: Callable[[], None]
) -> None:
    """At once and with the reason; what it was given since is nobody's drift, and another follower is finished."""
    shop.sql("update orders set note = 'later' where id = 3")
    shop.pair.caught_up()
    itself = f"itself={shop.leader_url}"
    process = trueup.start(*words(shop, *SLOWLY, "--follower", itself, "--pause-file", "wait"))
    half_way(trueup, shop, process)
    (trueup.folder / "wait").touch()  # however long a promotion takes here, the audit is not through by then
    promoting()
    (trueup.folder / "wait").unlink()
    run = ended(process, 50)
    found = by_table(run.report)
    assert run.code in (1, 4), run.err
    assert {row["key"]["id"] for row in found["orders", "f"]["rows_drifted"]} <= DRIFTED.keys()
    for name in ("orders", "zones"):
        assert "f was promoted or demoted during the audit: a subscriber became a leader" in found[name, "f"]["reason"]
        assert (found[name, "itself"]["verdict"], found[name, "itself"]["reason"]) == ("match", None)
    assert found["zones", "f"]["verdict"] == "unverified"
    assert run.report["finished_at"] is not None
