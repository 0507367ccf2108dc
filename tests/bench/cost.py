"""What the daemon costs the servers while a large table is written to, by kind of backend, beside the workload alone.

One run: the workload alone, then watched, then alone again. CPU seconds come from each process of each server;
`pg_stat_activity` tells whose backend it is: *looks* are the daemon's own sessions, *stream* is the sender that decodes
the log for its change stream. All other processes are the workload's, replication's and the server's own, and so is the
sender of a connector: it was there before trueup, and sends to Kafka the whole time.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from fixtures.workload import SCHEMA, TABLES
from psycopg import sql

from bench.live import CONFIG, DATABASE, NAMES, connect, kafka_stack, stream_of, workload
from bench.machine import process_cpu, server_cpu
from config.load import load
from connectors.embedded import Cluster, Workspace, find_binaries, standby_of
from trueup.bootstrap.daemon import RunningDaemon, open_daemon
from trueup.services.verify import Verified
from verifier.table import TableName

HEADER = (
    "change stream", "server", "alone", "watched, without trueup's", "looks", "stream", "looks / alone", "with stream",
)  # fmt: skip
_ROW = "g, g % 7, 'new', g / 4.0, null, true, '2026-01-02 03:04:05.678+00', g / 3.0, '{\"n\": [1, 2]}'"
_ACCOUNTS = "insert into accounts select r, n, 0 from unnest(array['eu', 'us', 'Ärger']) r, generate_series(1, 200) n;"
_NAMES = ("leader", "standby", "subscriber")
_RATE, _SECONDS_SCANNING = 1_050.0, 1_800.0


@dataclass(slots=True)
class Spent:
    """CPU seconds of one server per thousand row changes, by who spent them."""

    total: float = 0.0
    looks: float = 0.0
    stream: float = 0.0

    @property
    def rest(self) -> float:
        return self.total - self.looks - self.stream


@dataclass(slots=True)
class Cost:
    """By server. A machine that is busy with other things too makes fewer changes: hence by changes, not by time."""

    stream: str
    rows: int
    alone: dict[str, list[Spent]] = field(default_factory=lambda: {name: [] for name in _NAMES})
    watched: dict[str, Spent] = field(default_factory=dict)
    daemon_cpu: float = 0.0
    settled_per_second: float = 0.0
    changes_per_second: float = 0.0
    unsettled: int = 0

    def table(self) -> list[list[str]]:
        lines = [self._line(name, (name,)) for name in _NAMES]
        return [*lines, self._line("together", _NAMES)]

    def remark(self) -> str:
        return (
            f"{NAMES[self.stream]}: {self.changes_per_second:.0f} row changes/s on a table of {self.rows:,} rows; "
            f"{self.settled_per_second:.0f} keys settled/s over both followers, {self.unsettled} left unsettled; "
            f"trueup itself takes {self.daemon_cpu:.2f} CPU seconds per second."
        )

    def _line(self, title: str, names: Sequence[str]) -> list[str]:
        alone = sum(sum(one.total for one in self.alone[name]) / len(self.alone[name]) for name in names)
        rest, looks, stream = (
            sum(getattr(self.watched[name], what) for name in names) for what in ("rest", "looks", "stream")
        )
        seconds = [f"{one:.3f}" for one in (alone, rest, looks, stream)]
        shares = [f"{100 * one / alone:.1f} %" for one in (looks, looks + stream)]
        return [NAMES[self.stream], title, *seconds, *shares]


def bench(stream: str, rows: int, seconds: float) -> Cost:
    """A table of `rows` rows, `seconds` of workload in each of the three parts. `stream`: one of `NAMES`."""
    found = Cost(stream, rows)
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        workspace = undo.enter_context(Workspace())
        servers = dict(zip(_NAMES, _servers(workspace, rows), strict=True))
        urls = {name: server.url(DATABASE) for name, server in servers.items()}
        kafka = kafka_stack(workspace, undo) if stream == "kafka" else None
        (folder / "trueup.yaml").write_text(CONFIG.format(folder=folder, stream=stream_of(kafka), scan="{}", **urls))
        if kafka is not None:
            connect(load(folder / "trueup.yaml"), undo)
        _busy(servers, 10.0, rows)  # warm
        _alone(found, servers, seconds)
        _watched(found, servers, seconds, folder)
        _alone(found, servers, seconds)
    return found


def _alone(found: Cost, servers: dict[str, Cluster], seconds: float) -> None:
    for name, spent in _busy(servers, seconds, found.rows)[0].items():
        found.alone[name].append(spent)


def _watched(found: Cost, servers: dict[str, Cluster], seconds: float, folder: Path) -> None:
    settled = unsettled = 0

    def note(verified: Verified) -> None:
        nonlocal settled, unsettled
        settled += len(verified.equal) + len(verified.drifts)
        unsettled += verified.unsettled

    running = open_daemon(load(folder / "trueup.yaml"), serve=False, on_drift=note)
    try:
        _start(running)
        _busy(servers, 5.0, found.rows)
        settled, own = 0, time.process_time()
        found.watched, said = _busy(servers, seconds, found.rows)
        found.daemon_cpu = (time.process_time() - own) / seconds
        found.settled_per_second, found.unsettled = settled / seconds, unsettled
        found.changes_per_second = said["changes"] / said["seconds"]
    finally:
        running.close()


def _start(running: RunningDaemon) -> None:
    """Until every table was scanned once: a scan is another cost, spread over its period."""
    waiting = {TableName("public", name) for name in TABLES}
    done = threading.Event()
    scan = running.groups[0].scan
    before = scan.finished

    def finished(table: TableName, at: float) -> None:
        before(table, at)
        waiting.discard(table)
        if not waiting:
            done.set()

    scan.finished = finished
    running.start()
    assert done.wait(_SECONDS_SCANNING), f"not scanned: {waiting}"


def _busy(servers: dict[str, Cluster], seconds: float, rows: int) -> tuple[dict[str, Spent], dict[str, float]]:
    """What each server spent while the workload ran, and what that said."""
    before = {name: (server_cpu(server), _own(server)) for name, server in servers.items()}
    with workload(servers["leader"], seconds, _RATE, 0.0, rows) as said:
        pass
    thousands = said["changes"] / 1_000
    spent: dict[str, Spent] = {}
    for name, server in servers.items():
        total, own = server_cpu(server), _own(server)
        one = spent[name] = Spent((total - before[name][0]) / thousands)
        for pid, (kind, cpu) in own.items():
            used = (cpu - before[name][1].get(pid, (kind, 0.0))[1]) / thousands
            setattr(one, kind, getattr(one, kind) + used)
    return spent, said


def _own(server: Cluster) -> dict[int, tuple[str, float]]:
    """trueup's backends: what for, and their CPU seconds so far."""
    found: dict[int, tuple[str, float]] = {}
    question = "select pid, application_name, backend_type from pg_stat_activity where application_name like 'trueup%'"
    for pid, _, kind in server.sql(question):
        cpu = process_cpu(pid)
        if cpu is not None:
            found[pid] = ("stream" if kind == "walsender" else "looks", cpu)
    return found


def _servers(workspace: Workspace, rows: int) -> Sequence[Cluster]:
    binaries = find_binaries(15)
    roomy = {"shared_buffers": "512MB", "max_wal_size": "8GB", "checkpoint_timeout": "30min"}
    leader = Cluster.create(workspace, "leader", binaries, settings=roomy)
    subscriber = Cluster.create(workspace, "subscriber", binaries, settings=roomy)
    for one in (leader, subscriber):
        one.sql(f"create database {DATABASE}")
        rows_of_all = f"insert into busy select {_ROW} from generate_series(1, {rows}) g; {_ACCOUNTS}"
        one.sql(f"{SCHEMA}; {rows_of_all}", database=DATABASE)
        one.sql("vacuum analyze", database=DATABASE)
        one.sql("checkpoint")
    standby = standby_of(leader)
    leader.sql("create publication followed for table busy, accounts", database=DATABASE)
    connection = sql.Literal(leader.dsn(DATABASE)).as_string()
    subscriber.sql(
        f"create subscription following connection {connection} publication followed with (copy_data = false)",
        database=DATABASE,
    )
    return leader, standby, subscriber
