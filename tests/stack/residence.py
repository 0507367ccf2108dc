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
from stack.download import kafka_jars
from stack.native import KafkaStack
from stack.shop import DATABASE, configuration, open_shop
from trueup import exits
from verifier.errors import Misconfigured

# Wished for, so that notes and bookmarks stay true; another free one is taken when somebody has it.
PORTS = {"leader": 15432, "standby": 15433, "subscriber": 15434, "kafka": 19092, "connect": 18083}
_SERVERS = {
    "leader": "leader/postmaster.pid",
    "standby": "standby/postmaster.pid",
    "subscriber": "subscriber/postmaster.pid",
    "kafka": "broker/java.pid",
    "connect": "connect/java.pid",
}
_CONNECTOR = "shop"
_MARK = "made-by-trueup-stack"


@dataclass(frozen=True, slots=True)
class State:
    """What `up` wrote down: the port of each server."""

    ports: dict[str, int]

    def endpoints(self) -> dict[str, str]:
        """One line per server, without the password."""
        database = "postgresql://postgres@127.0.0.1:{}/" + DATABASE
        return {
            **{name: database.format(self.ports[name]) for name in ("leader", "standby", "subscriber")},
            "kafka": f"127.0.0.1:{self.ports['kafka']}",
            "connect": f"http://127.0.0.1:{self.ports['connect']}",
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
    with ThreadPoolExecutor(2) as pool:
        started = pool.submit(kafka.start)
        subscription = _databases(workspace, _binaries(), ports, password)
        started.result()
    kafka.wait()
    state = State(ports)
    secret = folder / "password"
    secret.touch(0o600)
    secret.write_text(password)
    (folder / "trueup.yaml").write_text(configuration(folder, ports, subscription, connector=_CONNECTOR))
    _register_connector(kafka, folder / "trueup.yaml")
    (folder / "state.json").write_text(json.dumps(asdict(state)))
    return state


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


def _register_connector(kafka: KafkaStack, config: Path) -> None:
    """Let trueup register the shop's connector, and wait until it runs."""
    command = [sys.executable, "-m", "trueup", "connector", "register", "--create-heartbeat", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode not in (exits.EQUAL, exits.UNVERIFIED):  # unverified: registered, and not yet running
        raise Misconfigured(f"trueup connector register failed ({done.returncode}): {done.stderr[-1000:]}")
    kafka.connect.rest.wait_running(_CONNECTOR)


def report(folder: Path, state: State, started: float | None = None) -> str:
    """The table that `up` and `status` print."""
    running = alive(folder)
    lines = [f"{name:<11}{'up' if running[name] else 'DOWN':<6}{where}" for name, where in state.endpoints().items()]
    lines.append(f"{'password':<17}{folder / 'password'}")
    lines.append(f"{'config':<17}{folder / 'trueup.yaml'}")
    if started is not None:
        lines.append(f"ready in {time.monotonic() - started:.1f} s; end it with: make stack-down")
    return "\n".join(lines)
