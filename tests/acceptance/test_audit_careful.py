"""An audit that production does not feel: brakes, pauses, few connections, and nothing that stands in anybody's way."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from fixtures.audit_program import Ended, Program, by_table, ended, url
from fixtures.databases import TrioDatabase

from connectors.journal.opening import open_journal
from verifier.table import TableName

pytestmark = pytest.mark.postgres

TABLES, ROWS = 6, 6_000
NAMES = [f"t{n}" for n in range(TABLES)]
SLOWLY = ("--max-rows-per-second", "5000", "--chunk-time", "0.05")
OURS = "select count(*) from pg_stat_activity where application_name = 'trueup' and datname = %s"


@pytest.fixture
def shop(trio_database: TrioDatabase) -> TrioDatabase:
    """Six tables of six thousand rows; the last one drifted in one row on the subscriber."""
    trio_database.subscribe("".join(f"create table {name} (id int primary key, v text);" for name in NAMES))
    for name in NAMES:
        trio_database.leader.sql(f"insert into {name} select i, 'v' || i from generate_series(1, {ROWS}) i")
    trio_database.caught_up()
    trio_database.subscriber.sql(f"update {NAMES[-1]} set v = 'wrong' where id = 7")
    return trio_database


def words(shop: TrioDatabase, *more: str) -> list[str]:
    followers = [f"{name}={url(getattr(shop.trio, name), shop.name)}" for name in ("standby", "subscriber")]
    return [
        "audit", "--leader", url(shop.trio.leader, shop.name), "--follower", followers[0], "--follower", followers[1],
        "--format", "json", *more,
    ]  # fmt: skip


class Listening:
    """A process's standard error, line by line, while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        assert process.stderr is not None
        self._thread = threading.Thread(target=self._read, args=(process.stderr,))
        self._thread.start()

    def _read(self, stream: Any) -> None:
        self.lines.extend(iter(stream.readline, ""))

    def until(self, said: str, seconds: float = 60.0) -> None:
        """Wait until it says so."""
        deadline = time.monotonic() + seconds
        while not any(said in line for line in self.lines):
            assert time.monotonic() < deadline, (said, self.lines)
            assert self.process.poll() is None or any(said in line for line in self.lines), (said, self.lines)
            time.sleep(0.01)

    def ended(self, seconds: float = 60.0) -> Ended:
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        self.process.wait(seconds)
        self._thread.join()
        self.process.stdout.close()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return Ended(self.process.returncode, out, "".join(self.lines))


def exact(run: Ended) -> dict[str, Any]:
    """Everything was read once, and the one wrong row was found."""
    assert run.code == 1, run.err
    report: dict[str, Any] = run.report
    assert [entry["table"] for entry in report["tables"]] == [f"public.{name}" for name in NAMES for _ in range(2)]
    found = by_table(report)
    for (name, follower), entry in found.items():
        drifted = (name, follower) == (NAMES[-1], "subscriber")
        assert (entry["verdict"], entry["reason"]) == ("drift" if drifted else "match", None)
        assert entry["rows"] == {"leader": ROWS, "follower": ROWS}
    assert [row["key"] for row in found[NAMES[-1], "subscriber"]["rows_drifted"]] == [{"id": 7}]
    return report


def chunks(trueup: Program) -> int:
    """Chunks of all tables in the journal."""
    if not (trueup.folder / "trueup.db").exists():
        return 0
    journal = open_journal(trueup.folder / "trueup.db", "audit")
    try:
        runs = journal.runs.recent(1)
        return sum(len(journal.runs.results(run.id, TableName("public", name))) for run in runs for name in NAMES)
    finally:
        journal.close()


def until(told: Callable[[], Any], seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := told()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


def at_rest(told: Callable[[], int]) -> int:
    """The number, once it has stayed the same for a second."""
    known, since = told(), time.monotonic()
    while time.monotonic() < since + 1.0:
        if (now := told()) != known:
            known, since = now, time.monotonic()
        time.sleep(0.1)
    return known


def test_several_tables_at_a_time_stay_within_the_connections(shop: TrioDatabase, trueup: Program) -> None:
    (trueup.folder / "wait").touch()  # until its sessions were seen on each side
    process = trueup.start(*words(shop, "--max-connections", "2", "--tables-at-once", "4", "--pause-file", "wait"))
    most = dict.fromkeys(("leader", "standby", "subscriber"), 0)
    while process.poll() is None:
        for side in most:
            most[side] = max(most[side], getattr(shop.trio, side).sql(OURS, (shop.name,))[0][0])
        if all(most.values()):
            (trueup.folder / "wait").unlink(missing_ok=True)
    exact(ended(process))
    assert all(1 <= found <= 2 for found in most.values()), most


def test_one_connection_and_many_tables_do_not_stand_in_each_others_way(shop: TrioDatabase, trueup: Program) -> None:
    report = exact(trueup(*words(shop, "--max-connections", "1", "--tables-at-once", "8")))
    assert report["braked_seconds"] == {"all": 0.0}


def test_several_tables_are_stopped_and_gone_on_with(shop: TrioDatabase, trueup: Program) -> None:
    process = trueup.start(*words(shop, "--tables-at-once", "3", "--max-rows-per-second", "2000"))
    until(lambda: chunks(trueup) >= 6)
    process.send_signal(signal.SIGINT)
    first = ended(process)
    assert first.code == 130, first.err
    run = first.report["run"]
    assert first.report["finished_at"] is None
    done = {name: entry["chunks"]["total"] for name, entry in by_table(first.report).items()}
    again = exact(trueup(*words(shop, "--tables-at-once", "3", "--resume", run)))
    total = {name: entry["chunks"]["total"] for name, entry in by_table(again).items()}
    assert all(done.get(name, 0) <= total[name] for name in total)
    assert sum(done.values()) >= 6


def test_the_rate_of_rows_is_kept(shop: TrioDatabase, trueup: Program) -> None:
    began = time.monotonic()
    report = exact(trueup(*words(shop, "--max-rows-per-second", "12000", "--tables-at-once", "3")))
    seconds = time.monotonic() - began
    assert seconds >= (TABLES * ROWS - 3 * ROWS) / 12_000, "the last chunks are paid for by nobody"
    assert 0.5 < report["braked_seconds"]["rate"] < seconds


def test_pause_and_resume_are_obeyed_at_once(shop: TrioDatabase, trueup: Program) -> None:
    process = trueup.start(*words(shop, *SLOWLY))
    said = Listening(process)
    until(lambda: chunks(trueup) >= 2)
    journal = open_journal(trueup.folder / "trueup.db", "audit")
    try:
        assert journal.pauses.pause(None, at=time.time(), actor="ann")
        said.until("waiting: the group was paused by ann")
        done = at_rest(lambda: chunks(trueup))  # the chunks in hand end
        listed = trueup("runs", "--journal", "trueup.db", "--format", "json")
        assert '"paused": [\n    {\n      "table": null' in listed.out
        assert "the group was paused by ann" in listed.err
        again = trueup("pause", "--journal", "trueup.db")
        assert again.err.startswith("already so: the group was paused by ann")
        assert chunks(trueup) == done, "a paused audit read on"
        resumed = trueup("resume", "--journal", "trueup.db")
        assert (resumed.code, resumed.out) == (0, "nothing is paused\n")
        said.until("going on after")
    finally:
        journal.close()
    report = exact(said.ended())
    assert report["braked_seconds"]["pause"] > 0.7


def running(shop: TrioDatabase) -> int:
    """Statements of trueup that run on the leader now."""
    question = "select count(*) from pg_stat_activity where application_name = 'trueup' and state = 'active'"
    return int(shop.trio.leader.sql(question)[0][0])


def test_one_table_is_paused_and_the_others_finish(shop: TrioDatabase, trueup: Program) -> None:
    assert trueup("pause", "audit", "public.t0", "--journal", "trueup.db").code == 0
    said = Listening(trueup.start(*words(shop, "--tables-at-once", "2")))
    said.until("waiting: public.t0 was paused by")
    said.until("public.t5: drift")
    assert not any(line.startswith("public.t0: ") for line in said.lines)
    assert trueup("resume", "public.t0", "--journal", "trueup.db").code == 0
    exact(said.ended())


def test_ctrl_c_ends_a_wait_at_once(shop: TrioDatabase, trueup: Program) -> None:
    (trueup.folder / "wait").touch()
    said = Listening(trueup.start(*words(shop, "--pause-file", "wait")))
    said.until("waiting: the file wait exists")
    said.process.send_signal(signal.SIGINT)
    run = said.ended()  # nothing but the signal ends this wait
    assert run.code == 130, run.err
    assert run.err.splitlines()[-1].startswith("stopped; go on with: trueup audit ")


def test_load_and_a_users_sql_brake(shop: TrioDatabase, trueup: Program) -> None:
    """A statement that runs for two seconds on the subscriber, and a table whose one number says wait."""
    shop.leader.sql("create table brake (n int primary key)")
    shop.leader.sql("insert into brake values (7)")
    shop.subscriber.sql("create table brake (n int primary key)")
    limits = ("--max-load", "1", "--max-load-sql", "select max(n) from brake=5", "--table", "t?")
    with Sleeping(shop) as one, Sleeping(shop) as other:
        said = Listening(trueup.start(*words(shop, *limits)))
        said.until("waiting: 'select max(n) from brake' tells 7 on leader, more than 5")
        shop.leader.sql("delete from brake")
        said.until("waiting: 2 statements run on subscriber, more than 1")
        assert not any(line.startswith("public.t") for line in said.lines)
        one.stop()
        other.stop()
    report = exact(said.ended())
    assert report["braked_seconds"]["load"] >= 0.5


class Sleeping:
    """A statement that runs on the subscriber until it is stopped."""

    def __init__(self, shop: TrioDatabase) -> None:
        self._connection = psycopg.connect(shop.subscriber.dsn, autocommit=True)
        self._thread = threading.Thread(target=self._sleep)

    def _sleep(self) -> None:
        with contextlib.suppress(psycopg.errors.QueryCanceled):
            self._connection.execute("select pg_sleep(60)")

    def stop(self) -> None:
        self._connection.cancel()
        self._thread.join()

    def __enter__(self) -> Sleeping:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._connection.close()


def test_a_limit_that_may_not_be_seen_is_told_before_the_first_row(shop: TrioDatabase, trueup: Program) -> None:
    role = f"r_{shop.name}"
    shop.trio.leader.sql(f"create role {role} login password '{shop.trio.leader.password}'")
    try:
        shop.leader.sql(f"grant select on all tables in schema public to {role}")
        shop.caught_up()
        told = ["audit", "--leader", url(shop.trio.leader, shop.name, user=role)]
        told += ["--follower", f"standby={url(shop.trio.standby, shop.name)}"]
        with psycopg.connect(shop.leader.dsn):  # somebody whose statements the login may not see
            run = trueup(*told, "--max-load", "5")
        assert (run.code, run.out) == (5, ""), run.err
        assert "grant pg_monitor to it" in run.err
        wrong = trueup(*told, "--max-load-sql", "select 1")
        assert wrong.code == 3
        assert "needs SQL=NUMBER" in wrong.err
    finally:
        shop.leader.sql(f"drop owned by {role}")
        shop.trio.leader.sql(f"drop role {role}")


@pytest.fixture
def waiting(shop: TrioDatabase, trueup: Program) -> Iterator[Listening]:
    """An audit that has read some chunks of its first tables and waits, its sessions idle."""
    process = trueup.start(*words(shop, *SLOWLY, "--pause-file", "wait"))
    said = Listening(process)
    until(lambda: chunks(trueup) >= 4)
    (trueup.folder / "wait").touch()
    said.until("waiting: the file wait exists")
    until(lambda: not running(shop))
    yield said
    if process.poll() is None:
        process.kill()


def test_idle_sessions_stand_in_nobodys_way(shop: TrioDatabase, trueup: Program, waiting: Listening) -> None:
    """Between chunks the audited table and others can be dropped at once; what was dropped is told, the rest ends."""
    assert shop.trio.leader.sql(OURS, (shop.name,))[0][0] >= 1, "no session is open: the test shows nothing"
    limit = "set lock_timeout = '200ms'; "
    shop.leader.sql(limit + "drop table t0")
    shop.leader.sql(limit + "drop table t3")
    shop.leader.sql(limit + "alter table t1 add column more int")
    shop.leader.sql(limit + "truncate t4")
    shop.subscriber.sql(limit + "drop table t2")
    (trueup.folder / "wait").unlink()
    run = waiting.ended()
    found = by_table(run.report)
    assert run.code == 1, run.err
    # The first table may have been read to its end before the audit saw the file: it looks twice a second.
    assert found["t0", "standby"]["verdict"] in ("unverified", "match")
    assert found["t3", "standby"]["verdict"] == "unverified"
    assert "t3" in found["t3", "standby"]["reason"]
    assert found["t2", "subscriber"]["verdict"] == "unverified"
    assert "public.t2" in found["t2", "subscriber"]["reason"]
    assert found["t5", "standby"]["verdict"] == "match"
    assert [row["key"] for row in found["t5", "subscriber"]["rows_drifted"]] == [{"id": 7}]
    assert "Traceback" not in run.err


def test_sessions_say_who_they_are_and_what_they_may_take(shop: TrioDatabase, waiting: Listening) -> None:
    """Read from the servers' own view: a name, nothing open, nothing locked, no temporary table."""
    for side in ("leader", "standby", "subscriber"):
        server = getattr(shop.trio, side)
        sessions = server.sql(
            "select state, backend_xmin, backend_xid, "
            "(select count(*) from pg_locks l where l.pid = a.pid and l.locktype = 'relation') "
            "from pg_stat_activity a where application_name = 'trueup' and datname = %s", (shop.name,),
        )  # fmt: skip
        assert sessions
        assert set(sessions) == {("idle", None, None, 0)}
    temporary = "select count(*) from pg_class where relpersistence = 't'"
    assert shop.leader.sql(temporary) == [(0,)]
    waiting.process.send_signal(signal.SIGINT)
    assert waiting.ended().code == 130
