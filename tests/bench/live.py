"""The daemon beside a busy leader: how soon it proves a wrong row, and what it costs.

The wrong rows come from a trigger on the subscriber that damages one in five of the rows that the workload changes
once. When such a row was committed the subscriber's own commit timestamp tells; when it was proven, the moment at which
the daemon had recorded it. One run first lets the workload go alone, for what it costs without trueup.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fixtures.workload import LOAD, ROWS, SCHEMA, TABLES, TOUCHED
from fixtures.workload_damage import BUSY, TRIGGER
from stack.download import kafka_jars
from stack.native import KafkaStack

from bench.machine import server_cpu
from config.load import load
from config.settings import Settings
from connectors.embedded import Cluster, Subscriber, Workspace, find_binaries, standby_of, subscriber_of
from trueup.bootstrap.connecting import Connecting
from trueup.bootstrap.daemon import open_daemon
from trueup.services.verify import Verified

DATABASE = "busy"
CONFIG = """\
instance: bench
journal: {folder}/journal.db
groups:
  - name: bench
    leader: {{name: leader, url: "{leader}"}}
    followers: [{{name: standby, url: "{standby}"}}, {{name: subscriber, url: "{subscriber}"}}]
    tables: {{include: [public.busy, public.accounts]}}
    stream: {stream}
    scan: {scan}
    repair: {{mode: off}}
    events: {{kind: none}}
"""


@dataclass(slots=True)
class Live:
    """What one run showed. Latencies in seconds; CPU in seconds per second of the busy time."""

    stream: str
    seconds: float
    latencies: list[float] = field(default_factory=list)
    wrong: int = 0
    changes_per_second: float = 0.0
    workload_cpu: float = 0.0
    servers_alone: float = 0.0
    servers_watched: float = 0.0
    daemon_cpu: float = 0.0
    settled_per_second: float = 0.0

    def quantile(self, share: float) -> float:
        found = sorted(self.latencies)
        return found[min(len(found) - 1, int(share * len(found)))]

    def found_row(self) -> list[str]:
        """Of the table of section `detect`, under `FOUND`."""
        quantiles = [f"{self.quantile(share):.2f}" for share in (0.5, 0.9, 0.99, 1.0)]
        proven = f"{len(self.latencies)} of {self.wrong}"
        return [NAMES[self.stream], f"{self.changes_per_second:.0f}", proven, *quantiles]

    def cost_row(self) -> list[str]:
        """Of the table of section `cost`, under `COST`."""
        alone = self.workload_cpu + self.servers_alone
        added = (self.daemon_cpu + self.servers_watched - self.servers_alone) / alone
        used = (self.workload_cpu, self.servers_alone, self.servers_watched, self.daemon_cpu)
        seconds = [f"{one:.2f}" for one in used]
        return [NAMES[self.stream], *seconds, f"{self.settled_per_second:.0f}", f"{added:.2f} x"]


NAMES = {"kafka": "Debezium and Kafka", "pgoutput": "pgoutput"}
FOUND = ("change stream", "row changes/s", "wrong rows proven", "median s", "p90 s", "p99 s", "most s")
COST = ("change stream", "workload", "servers alone", "servers watched", "trueup", "keys settled/s", "added / alone")


@dataclass(slots=True)
class _Stage:
    leader: Cluster
    standby: Cluster
    subscriber: Subscriber

    @property
    def clusters(self) -> Sequence[Cluster]:
        return self.leader, self.standby, self.subscriber.cluster

    def cpu(self) -> float:
        return sum(map(server_cpu, self.clusters))


def bench(stream: str, seconds: float, *, rate: float = 1_050.0, touches: float = 15.0) -> Live:
    """`stream` is `pgoutput` or `kafka` (through Debezium)."""
    found = Live(stream, seconds)
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory()))
        workspace = undo.enter_context(Workspace())
        kafka = kafka_stack(workspace, undo) if stream == "kafka" else None
        stage = _stage(workspace)
        settings = _settings(stage, folder, kafka)
        if kafka is not None:
            connect(settings, undo)  # first, so that what runs alone warms Connect's young Java as well
        alone = 15.0
        before = stage.cpu()
        with workload(stage.leader, alone, rate, 0.0):
            pass
        found.servers_alone = (stage.cpu() - before) / alone
        _watch(found, settings, stage, rate, touches)
    return found


def _watch(found: Live, settings: Settings, stage: _Stage, rate: float, touches: float) -> None:
    proven: dict[int, float] = {}
    settled = 0

    def note(verified: Verified) -> None:
        nonlocal settled
        settled += len(verified.equal) + len(verified.drifts)
        for drift in verified.drifts:
            if verified.follower == "subscriber" and drift.table == BUSY:
                proven.setdefault(int(drift.key[0]), time.time())

    running = open_daemon(settings, serve=False, on_drift=note)
    running.start()
    try:
        time.sleep(8.0)  # its first scan is over, and the stream is followed
        settled, servers, own = 0, stage.cpu(), time.process_time()
        with workload(stage.leader, found.seconds, rate, touches) as said:
            pass
        found.daemon_cpu = (time.process_time() - own) / found.seconds
        found.servers_watched = (stage.cpu() - servers) / found.seconds
        found.settled_per_second = settled / found.seconds
        found.changes_per_second = said["changes"] / said["seconds"]
        found.workload_cpu = said["cpu"] / said["seconds"]
        stage.subscriber.wait_applied(60)
        committed = _committed(stage)
        deadline = time.monotonic() + 60
        while committed.keys() - proven.keys() and time.monotonic() < deadline:
            time.sleep(0.1)
    finally:
        running.close()
    found.wrong = len(committed)
    found.latencies = [proven[row] - at for row, at in committed.items() if row in proven]


def _committed(stage: _Stage) -> dict[int, float]:
    """When the subscriber committed each bent row."""
    question = (
        f"select id, extract(epoch from pg_xact_commit_timestamp(xmin))::float8 from busy where id >= {TOUCHED} "
        f"and id < 2 * {TOUCHED} and id % 5 = 1 and amount = id / 4.0 + 1.01"
    )
    return dict(stage.subscriber.cluster.sql(question, database=DATABASE))


def _stage(workspace: Workspace) -> _Stage:
    binaries = find_binaries(15)
    leader = Cluster.create(workspace, "leader", binaries)
    leader.sql(f"create database {DATABASE}")
    leader.sql(SCHEMA, database=DATABASE)
    leader.sql(LOAD, database=DATABASE)
    standby = standby_of(leader)
    subscriber = subscriber_of(leader, DATABASE, schema=SCHEMA, tables=TABLES)
    subscriber.cluster.sql(TRIGGER, database=DATABASE)
    for one in (leader, subscriber.cluster):
        one.sql("vacuum analyze", database=DATABASE)
    return _Stage(leader, standby, subscriber)


def kafka_stack(workspace: Workspace, undo: ExitStack) -> KafkaStack:
    """A broker and Kafka Connect of its own, until the end."""
    jars = kafka_jars()
    assert jars is not None, "make servers"
    stack = KafkaStack(workspace.path, jars)
    stack.start()
    stack.wait()
    undo.callback(stack.stop)
    return stack


def _settings(stage: _Stage, folder: Path, kafka: KafkaStack | None) -> Settings:
    path = folder / "trueup.yaml"
    urls = {name: cluster.url(DATABASE) for name, cluster in zip(_NAMES, stage.clusters, strict=True)}
    scan = "{period: 60s, chunk_time: 100ms}"
    path.write_text(CONFIG.format(folder=folder, stream=stream_of(kafka), scan=scan, **urls))
    return load(path)


def stream_of(kafka: KafkaStack | None) -> str:
    """For `CONFIG`: through Debezium, or from the leader itself."""
    if kafka is None:
        return "{kind: pgoutput, pgoutput: {slot: trueup, publication: trueup, create: true}}"
    place = f"bootstrap_servers: '{kafka.bootstrap}', connect_url: '{kafka.connect_url}'"
    return f"{{kind: kafka, kafka: {{{place}, topic_prefix: bench, slot: dbz, publication: dbz}}}}"


_NAMES = ("leader", "standby", "subscriber")


def connect(settings: Settings, undo: ExitStack) -> None:
    """As `trueup connector register --create-heartbeat` does it."""
    connecting = Connecting.open(settings.groups[0])
    undo.callback(connecting.close)
    connecting.create_heartbeat()
    connecting.register()
    status = connecting.wait(60)
    assert status.running, status.failure


@contextmanager
def workload(
    leader: Cluster, seconds: float, rate: float, touches: float, rows: int = ROWS
) -> Iterator[dict[str, float]]:
    """Runs while the block does, and at least for `seconds`; what it said is there when the block has ended."""
    words = ["--seconds", str(seconds), "--rate", str(rate), "--touches", str(touches), "--rows", str(rows)]
    command = [sys.executable, "-m", "fixtures.workload", leader.dsn(DATABASE), *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent)
    said: dict[str, float] = {}
    yield said
    told, _ = process.communicate(timeout=seconds + 60)
    assert process.returncode == 0, told
    said.update({name: value for name, value in json.loads(told).items() if name != "errors"})
