"""An audit that is stopped, killed, cut off or refused goes on where it was, and repeats nothing."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fixtures.audit_program import Program, by_table, ended, url
from fixtures.databases import TrioDatabase
from fixtures.proxy import TcpProxy

from connectors.embedded import Cluster, pause_replay, resume_replay
from connectors.journal.opening import open_journal
from verifier.table import TableName

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ORDERS = TableName("public", "orders")
CHUNK = ("--chunk-time", "0.02")  # many small chunks
ROWS = 120_000


@pytest.fixture
def shop(trio_database: TrioDatabase) -> TrioDatabase:
    """A hundred thousand orders, three of them wrong on the subscriber: at the start, in the middle, at the end."""
    trio_database.subscribe("create table orders (id int primary key, note text)")
    trio_database.leader.sql(f"insert into orders select i, 'note ' || i from generate_series(1, {ROWS}) i")
    trio_database.caught_up()
    for key in (1, ROWS // 2, ROWS):
        trio_database.subscriber.sql(f"update orders set note = 'wrong' where id = {key}")
    return trio_database


@pytest.fixture
def proxy(shop: TrioDatabase) -> Iterator[TcpProxy]:
    """Before the leader: slow enough that an audit can be met half way."""
    made = TcpProxy(shop.trio.leader.port)
    made.delay = 0.02
    yield made
    made.close()


@pytest.fixture
def trueup(tmp_path: Path, shop: TrioDatabase, proxy: TcpProxy) -> Program:
    trio = shop.trio
    return Program.knowing(tmp_path, trio.leader, trio.standby, trio.subscriber, ports={proxy.port: trio.leader})


def words(shop: TrioDatabase, proxy: TcpProxy, *followers: str) -> list[str]:
    found = ["audit", "--leader", url(shop.trio.leader, shop.name, port=proxy.port), *CHUNK, "--format", "json"]
    for name in followers or ("subscriber",):
        found += ["--follower", f"{name}={url(getattr(shop.trio, name), shop.name)}"]
    return found


def half_way(trueup: Program, process: subprocess.Popen[str]) -> str:
    """Wait until some chunks are in the journal; the run's id."""
    return until(lambda: next((run for run, done in chunks(trueup).items() if done >= 4), None), process)


def until(told: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := told()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


def chunks(trueup: Program) -> Counter[str]:
    """Chunks done, by run."""
    if not (trueup.folder / "trueup.db").exists():
        return Counter()
    journal = open_journal(trueup.folder / "trueup.db", "audit")
    try:
        return Counter({run.id: len(journal.runs.results(run.id, ORDERS)) for run in journal.runs.recent(10)})
    finally:
        journal.close()


def exact(report: dict[str, Any], follower: str = "subscriber") -> None:
    """Everything was read once, and the three wrong rows were found."""
    entry = by_table(report)["orders", follower]
    assert entry["rows"] == {"leader": ROWS, "follower": ROWS}
    assert [r["key"]["id"] for r in sorted(entry["rows_drifted"], key=lambda r: int(r["key"]["id"]))] == [
        1, ROWS // 2, ROWS,
    ]  # fmt: skip
    assert entry["drift"] == {"missing": 0, "extra": 0, "mismatched": 3}
    assert entry["chunks"]["drift"] == 3
    assert entry["chunks"]["match"] == entry["chunks"]["total"] - 3
    assert (entry["verdict"], entry["reason"]) == ("drift", None)


def test_ctrl_c_prints_how_to_go_on_and_resuming_repeats_nothing(
    shop: TrioDatabase, proxy: TcpProxy, trueup: Program
) -> None:
    process = trueup.start(*words(shop, proxy))
    run = half_way(trueup, process)
    process.send_signal(signal.SIGINT)
    first = ended(process)
    assert first.code == 130
    assert first.report["finished_at"] is None
    assert by_table(first.report)["orders", "subscriber"]["reason"] == "stopped before the whole table was read"
    hint = first.err.splitlines()[-1]
    assert hint.startswith("stopped; go on with: trueup audit --leader 'postgresql://")
    assert hint.endswith(f"--resume {run}")
    proxy.delay = 0.0
    shop.trio.subscriber.sql("alter system set log_statement = 'all'")
    shop.trio.subscriber.sql("select pg_reload_conf()")
    begin = shop.trio.subscriber.log.stat().st_size
    try:
        again = trueup(*words(shop, proxy), "--resume", run)
    finally:
        shop.trio.subscriber.sql("alter system reset log_statement")
        shop.trio.subscriber.sql("select pg_reload_conf()")
    assert again.code == 1, again.err
    exact(again.report)
    settled = _settled(first.report)
    log = shop.trio.subscriber.log.read_text()[begin:]
    digests = len(re.findall(r"trueup LOG:.*count\(\*\)", log))
    total = by_table(again.report)["orders", "subscriber"]["chunks"]["total"]
    assert settled >= 3
    # Each chunk that is left once, and the row digests of the two in which a row is wrong.
    assert 0 < digests <= total - settled + 2, (digests, total, settled)
    finished = trueup(*words(shop, proxy), "--resume", run)
    assert (finished.code, finished.out) == (3, "")
    assert "is finished" in finished.err


def _settled(report: dict[str, Any]) -> int:
    done = by_table(report)["orders", "subscriber"]["chunks"]
    return int(done["match"]) + int(done["drift"])


def test_killed_and_resumed_counts_nothing_twice(shop: TrioDatabase, proxy: TcpProxy, trueup: Program) -> None:
    process = trueup.start(*words(shop, proxy, "standby", "subscriber"))
    run = half_way(trueup, process)
    process.kill()
    process.communicate()
    proxy.delay = 0.0
    again = trueup(*words(shop, proxy, "standby", "subscriber"), "--resume", run)
    assert again.code == 1, again.err
    exact(again.report)
    standby = by_table(again.report)["orders", "standby"]
    assert (standby["verdict"], standby["rows"]) == ("match", {"leader": ROWS, "follower": ROWS})


def test_a_leader_that_goes_and_comes_back_is_waited_for(shop: TrioDatabase, proxy: TcpProxy, trueup: Program) -> None:
    process = trueup.start(*words(shop, proxy))
    half_way(trueup, process)
    proxy.stop()
    time.sleep(2)
    proxy.delay = 0.0
    proxy.start()
    run = ended(process)
    assert run.code == 1, run.err
    assert "trying again" in run.err
    exact(run.report)


def test_a_follower_that_goes_and_comes_back_holds_up_nobody(
    shop: TrioDatabase, proxy: TcpProxy, trueup: Program
) -> None:
    before = TcpProxy(shop.trio.subscriber.port)
    try:
        trueup = Program.knowing(
            trueup.folder, shop.trio.standby,
            ports={proxy.port: shop.trio.leader, before.port: shop.trio.subscriber},
        )  # fmt: skip
        told = words(shop, proxy, "standby")
        told += ["--follower", f"subscriber={url(shop.trio.subscriber, shop.name, port=before.port)}"]
        process = trueup.start(*told)
        half_way(trueup, process)
        before.stop()
        done = sum(chunks(trueup).values())
        until(lambda: sum(chunks(trueup).values()) >= done + 6, process)  # the standby's walk goes on
        before.start()
        proxy.delay = 0.0
        run = ended(process)
    finally:
        before.close()
    assert run.code == 1, run.err
    exact(run.report)
    assert by_table(run.report)["orders", "standby"]["verdict"] == "match"


def test_a_table_that_is_dropped_meanwhile_is_unverified_and_the_others_finish(
    shop: TrioDatabase, proxy: TcpProxy, trueup: Program
) -> None:
    for side in (shop.leader, shop.subscriber):
        side.sql("create table zones (id int primary key); insert into zones select generate_series(1, 10)")
    process = trueup.start(*words(shop, proxy))
    half_way(trueup, process)
    shop.leader.sql("drop table orders")
    proxy.delay = 0.0
    run = ended(process)
    found = by_table(run.report)
    assert "orders" in found["orders", "subscriber"]["reason"]
    assert found["orders", "subscriber"]["verdict"] in ("unverified", "drift")
    assert found["zones", "subscriber"]["verdict"] == "match"
    assert run.code in (1, 4)


def test_stop_after_settles_what_was_read(shop: TrioDatabase, proxy: TcpProxy, trueup: Program) -> None:
    proxy.delay = 0.0
    run = trueup(*words(shop, proxy), "--stop-after", "20000")
    assert run.code == 1, run.err
    entry = by_table(run.report)["orders", "subscriber"]
    assert [r["key"] for r in entry["rows_drifted"]] == [{"id": 1}]
    assert entry["reason"] == "stopped before the whole table was read"
    assert 20_000 <= entry["rows"]["leader"] < ROWS
    assert entry["chunks"]["in_flight"] == entry["chunks"]["unverified"] == 0
    assert "--resume" in run.err


def test_a_statement_time_limit_makes_parts_smaller(shop: TrioDatabase, tmp_path: Path) -> None:
    """A follower that needs half a millisecond a row cannot digest three thousand of them in 0.6 s."""
    shop.leader.sql(
        "create unlogged table zones (id int primary key); insert into zones select generate_series(1, 3000)"
    )
    shop.subscriber.sql(
        "create function slowly() returns boolean language plpgsql cost 10000 as "
        "'begin perform pg_sleep(0.0005); return true; end';"
        "create view zones as select id from generate_series(1, 3000) id where slowly()"
    )
    trueup = Program.knowing(tmp_path, shop.trio.leader, shop.trio.subscriber)
    (tmp_path / "trueup.yaml").write_text(
        f"""
journal: trueup.db
groups:
  - name: shop
    leader: {{url: "{url(shop.trio.leader, shop.name)}"}}
    followers: [{{name: slow, url: "{url(shop.trio.subscriber, shop.name)}"}}]
    scan: {{statement_timeout: 600ms}}
"""
    )
    run = trueup("audit", "--config", "trueup.yaml", "--format", "json", "--table", "public.zones")
    entry = by_table(run.report)["zones", "slow"]
    assert "trying again" in run.err
    assert (entry["rows"], entry["verdict"], entry["reason"]) == (
        {"leader": 3000, "follower": 3000}, "match", None,
    ), run.err  # fmt: skip


def test_a_paused_standby_is_in_flight_and_settles_when_it_goes_on(
    shop: TrioDatabase, proxy: TcpProxy, trueup: Program
) -> None:
    proxy.delay = 0.0
    pause_replay(shop.trio.standby)
    try:
        shop.leader.sql("update orders set note = 'newer' where id = 500")
        late = trueup(*words(shop, proxy, "standby"), "--settle", "2")
        assert late.code == 4, late.err
        entry = by_table(late.report)["orders", "standby"]
        assert (entry["verdict"], entry["rows_drifted"], entry["chunks"]["in_flight"]) == ("unverified", [], 1)
        assert "in flight for longer than 2 s" in entry["reason"]
        process = trueup.start(*words(shop, proxy, "standby"))
        time.sleep(4)
        assert process.poll() is None
    finally:
        resume_replay(shop.trio.standby)
    run = ended(process)
    assert run.code == 0, run.err
    assert by_table(run.report)["orders", "standby"]["verdict"] == "match"


def test_an_audit_does_not_hold_up_a_lock_queue(shop: TrioDatabase, proxy: TcpProxy, trueup: Program) -> None:
    """A table that is locked is waited for, with a time limit, so that nobody queues behind the audit for long."""
    proxy.delay = 0.0
    with psycopg.connect(shop.leader.dsn) as holder:
        holder.execute("lock table orders")
        process = trueup.start(*words(shop, proxy))
        time.sleep(4)
        assert process.poll() is None
        holder.rollback()
    run = ended(process)
    assert run.code == 1, run.err
    exact(run.report)


def test_a_server_that_is_killed_and_started_again_meanwhile(
    shop: TrioDatabase, proxy: TcpProxy, trueup: Program
) -> None:
    process = trueup.start(*words(shop, proxy))
    half_way(trueup, process)
    shop.trio.subscriber.kill()
    time.sleep(1)
    shop.trio.subscriber.start()
    proxy.delay = 0.0
    run = ended(process)
    assert run.code == 1, run.err
    assert "trying again" in run.err
    exact(run.report)


def test_statements_that_recovery_cancels_on_a_standby_are_tried_again(
    shop: TrioDatabase, proxy: TcpProxy, trueup: Program
) -> None:
    """The standby may not wait for queries; until it has cancelled one, the leader vacuums what it has just updated and
    locks the table, again and again."""
    proxy.delay = 0.0
    standby = shop.trio.standby
    standby.sql("alter system set max_standby_streaming_delay = 0")
    standby.sql("select pg_reload_conf()")
    begin = standby.log.stat().st_size
    late = TcpProxy(standby.port)
    late.delay = 0.05  # it is asked after the leader, which vacuums and locks nothing that it is just reading
    program = Program.knowing(trueup.folder, ports={proxy.port: shop.trio.leader, late.port: standby})
    told = [*words(shop, proxy)[:-2], "--follower", f"standby={url(standby, shop.name, port=late.port)}"]
    try:
        deadline = time.monotonic() + 60
        while not _cancelled(standby, begin):
            assert time.monotonic() < deadline, "recovery cancelled nothing"
            process = program.start(*told, "--chunk-time", "2", "--journal", f"{time.monotonic()}.db")
            with psycopg.connect(shop.leader.dsn, autocommit=True) as leader:
                while process.poll() is None:
                    if _cancelled(standby, begin):
                        time.sleep(0.05)
                        continue
                    leader.execute("update orders set note = note where id % 20 = 0")
                    leader.execute("vacuum orders")
                    for _ in range(20):
                        leader.execute("begin; lock table orders; commit")
            run = ended(process)
            assert run.code == 0, run.err
            entry = by_table(run.report)["orders", "standby"]
            assert (entry["verdict"], entry["reason"]) == ("match", None)
    finally:
        late.close()
        standby.sql("alter system reset max_standby_streaming_delay")
        standby.sql("select pg_reload_conf()")


def _cancelled(standby: Cluster, begin: int) -> bool:
    """Whether its recovery has cancelled a statement since its log was so long."""
    return b"due to conflict with recovery" in standby.log.read_bytes()[begin:]
