"""The developer's stack: started once, left running, found again by its state file, and taken away as a whole."""

from __future__ import annotations

import getpass
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from connectors.embedded import Binaries, Cluster, Workspace, find_binaries, guardian, standby_of
from connectors.embedded.cluster import port_near
from stack.cache import cache_root
from stack.debezium import jdbc_sink
from stack.download import kafka_jars
from stack.mysql_servers import ADMIN, MariaDb, MySql, MysqlPair, MysqlServer, start_pair
from stack.native import KafkaStack
from stack.registry import Registry
from stack.shop import DATABASE, configuration, open_shop
from stack.shop_abroad import CROSSING, crossing_configuration, open_crossing, pair_configuration
from stack.shop_abroad import TABLES as CROSSING_TABLES
from stack.shop_abroad import open_shop as open_shop_abroad
from trueup import exits
from verifier.errors import Misconfigured

# Wished for, so that notes and bookmarks stay true; another free one is taken when somebody has it.
PORTS = {
    "leader": 15432,
    "standby": 15433,
    "subscriber": 15434,
    "mariadb-leader": 13306,
    "mariadb-replica": 13307,
    "mysql-leader": 13308,
    "mysql-replica": 13309,
    "kafka": 19092,
    "connect": 18083,
    "registry": 18081,
}
_POSTGRES = ("leader", "standby", "subscriber")
_PAIRS: dict[str, type[MysqlServer]] = {"mariadb": MariaDb, "mysql": MySql}
_SERVERS = {
    **{name: f"{name}/postmaster.pid" for name in _POSTGRES},
    **{f"{engine}-{role}": f"{engine}-{role}/server.pid" for engine in _PAIRS for role in ("leader", "replica")},
    "kafka": "broker/java.pid",
    "connect": "connect/java.pid",
    "registry": "registry/java.pid",
}
_CONNECTOR = "shop"
_MARK = "made-by-trueup-stack"


@dataclass(frozen=True, slots=True)
class State:
    """What `up` wrote down: the port of each server."""

    ports: dict[str, int]

    def endpoints(self) -> dict[str, str]:
        """One line per server, without the password."""
        place, logins = "127.0.0.1:{}", {name: f"{name}://{ADMIN}" for name in _PAIRS}
        databases = {
            name: f"{logins.get(name.partition('-')[0], 'postgresql://postgres')}@{place.format(port)}/{DATABASE}"
            for name, port in self.ports.items()
        }
        return {
            **databases,
            "kafka": place.format(self.ports["kafka"]),
            **{name: f"http://{place.format(self.ports[name])}" for name in ("connect", "registry")},
        }


def state_folder() -> Path:
    """`$TRUEUP_STACK`, or `stack` in the cache; root's home is closed to the account that runs PostgreSQL, so for
    root a folder among the temporary files."""
    named = os.environ.get("TRUEUP_STACK")
    if named:
        return Path(named).absolute()
    if os.geteuid() == 0:
        return Path(tempfile.gettempdir()) / f"trueup-stack-{getpass.getuser()}"
    return cache_root() / "stack"


def alive(folder: Path) -> dict[str, bool]:
    """Whether each server of the stack in `folder` runs."""
    return {name: guardian.running(folder / path) is not None for name, path in _SERVERS.items()}


def read(folder: Path) -> State | None:
    """The state that `up` left, or None."""
    try:
        return State(**json.loads((folder / "state.json").read_text()))
    except FileNotFoundError:
        return None


def up(folder: Path) -> State:
    """Start everything in `folder`; a whole running stack is left as it is, a broken one is replaced."""
    state = read(folder)
    if state is not None and all(alive(folder).values()):
        return state
    down(folder)
    _claim(folder)
    try:
        return _start(folder)
    except BaseException:
        down(folder, keep_logs=True)
        raise


def down(folder: Path, *, keep_logs: bool = False) -> None:
    """Stop every server and remove the folder (its logs stay with `keep_logs`); again is harmless.

    Raises `Misconfigured` for a folder that no `up` has made: nothing else is ever removed.
    """
    if not folder.exists():
        return
    if not (folder / _MARK).is_file():
        raise Misconfigured(f"{folder} exists and is not a stack of ours; remove it or set TRUEUP_STACK")
    guardian.stop_servers(folder)
    if not keep_logs:
        guardian.remove(folder)


def _claim(folder: Path) -> None:
    # Made anew: a predictable name among the temporary files may be a trap that somebody else has laid.
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o755)
    (folder / _MARK).touch()


def _start(folder: Path) -> State:
    jars = kafka_jars()
    assert jars is not None
    ports = {name: port_near(port) for name, port in PORTS.items()}
    password = secrets.token_urlsafe(18)
    workspace = Workspace(folder, keep=True)
    kafka = KafkaStack(folder, jars, broker_port=ports["kafka"], connect_port=ports["connect"])
    registry = Registry(folder / "registry", jars, port=ports["registry"])
    secret = folder / "password"
    secret.touch(0o600)
    secret.write_text(password)
    # Java first: it takes longest, and is compiled to machine code while others wait for their disks.
    with ThreadPoolExecutor(4) as pool:
        started = pool.submit(kafka.start)
        pairs = {engine: pool.submit(_pair, workspace, kind, ports, password) for engine, kind in _PAIRS.items()}
        subscription = _databases(workspace, _binaries(), ports, password)
        started.result()
        registry.start()
        kafka.wait()
        mariadb = pairs["mariadb"].result()
        pairs["mysql"].result()
        open_crossing(mariadb)
        texts = {
            "trueup": configuration(folder, ports, subscription, connector=_CONNECTOR),
            CROSSING: crossing_configuration(folder, ports),
            **{engine: pair_configuration(folder, engine, ports) for engine in _PAIRS},
        }
        for _ in pool.map(lambda each: _register(kafka, folder / f"{each[0]}.yaml", each[1]), texts.items()):
            pass
        topics = [f"{CROSSING}.public.{table}" for table in CROSSING_TABLES]
        kafka.connect.rest.register(f"{CROSSING}-sink", jdbc_sink(topics, mariadb.leader, CROSSING))
    registry.wait()
    state = State(ports)
    (folder / "state.json").write_text(json.dumps(asdict(state)))
    return state


def _pair(workspace: Workspace, kind: type[MysqlServer], ports: Mapping[str, int], password: str) -> MysqlPair:
    """Leader and replica with their shop."""
    places = ports[f"{kind.engine}-leader"], ports[f"{kind.engine}-replica"]
    pair = start_pair(workspace, kind, password=password, ports=places)
    open_shop_abroad(pair)
    return pair


def _binaries() -> Binaries:
    """Version 15 when the system has it, for its extensions; else what there is."""
    try:
        return find_binaries(15)
    except Misconfigured:
        return find_binaries()


def _databases(workspace: Workspace, binaries: Binaries, ports: Mapping[str, int], password: str) -> str:
    """Leader, standby and subscriber with the shop; the name of the subscription."""
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(
            Cluster.create, workspace, "subscriber", binaries, port=ports["subscriber"], password=password
        )
        leader = Cluster.create(workspace, "leader", binaries, port=ports["leader"], password=password)
        standby_of(leader, port=ports["standby"])
        return open_shop(leader, made.result()).subscription


def _register(kafka: KafkaStack, config: Path, text: str) -> None:
    """Let trueup register the connector of this configuration, and wait until it runs."""
    config.write_text(text)
    command = [sys.executable, "-m", "trueup", "connector", "register", "--create-heartbeat", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode not in (exits.EQUAL, exits.UNVERIFIED):  # unverified: registered, and not yet running
        raise Misconfigured(f"trueup connector register failed ({done.returncode}): {done.stderr[-1000:]}")
    kafka.connect.rest.wait_running(_CONNECTOR if config.stem == "trueup" else config.stem)


def report(folder: Path, state: State, started: float | None = None) -> str:
    """The table that `up` and `status` print."""
    running = alive(folder)
    lines = [f"{name:<16}{'up' if running[name] else 'DOWN':<6}{where}" for name, where in state.endpoints().items()]
    lines.append(f"{'password':<22}{folder / 'password'}")
    for name in ("trueup", *_PAIRS, CROSSING):
        lines.append(f"{'config':<22}{folder / name}.yaml")
    if started is not None:
        lines.append(f"ready in {time.monotonic() - started:.1f} s; end it with: make stack-down")
    return "\n".join(lines)
