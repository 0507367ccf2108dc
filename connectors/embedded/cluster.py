"""One PostgreSQL server: made, started, stopped, killed, asked. The settings serve replication tests and the demo."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import psycopg
from psycopg.conninfo import make_conninfo

from connectors.embedded import guardian
from connectors.embedded.account import tail
from connectors.embedded.binaries import Binaries, find_binaries
from connectors.embedded.workspace import Workspace
from verifier.errors import Permanent, Temporary

StopMode = Literal["smart", "fast", "immediate"]

# fsync off: a throw-away server survives a crash of its processes, and only loses to a crash of the machine.
SETTINGS: Mapping[str, str | int] = {
    "wal_level": "logical",
    "max_wal_senders": 12,
    "max_replication_slots": 12,
    "max_logical_replication_workers": 8,
    "max_worker_processes": 16,
    "max_connections": 100,
    "hot_standby": "on",
    "wal_receiver_status_interval": 1,
    "wal_retrieve_retry_interval": "200ms",
    "track_commit_timestamp": "on",
    "shared_buffers": "64MB",
    "fsync": "off",
    # A client that hangs while it logs in holds up "drop database" for as long.
    "authentication_timeout": "10s",
    "max_wal_size": "512MB",
    "log_line_prefix": "%m [%p] %a ",
}
_OURS = "trueup.conf"
_START_TRIES = 4


class Cluster:
    """A server in `workspace/name`. Super user `postgres` with a random password, TCP on 127.0.0.1 only."""

    def __init__(
        self,
        workspace: Workspace,
        name: str,
        binaries: Binaries,
        *,
        port: int,
        password: str,
        settings: Mapping[str, str | int],
    ) -> None:
        self.workspace = workspace
        self.name = name
        self.binaries = workspace.reach(binaries)
        self.port = port
        self.password = password
        self.settings = dict(settings)
        self.data = workspace.path / name
        self.log = workspace.path / f"{name}.log"

    @classmethod
    def create(
        cls,
        workspace: Workspace,
        name: str,
        binaries: Binaries | None = None,
        *,
        settings: Mapping[str, str | int] | None = None,
        port: int | None = None,
        password: str | None = None,
        initdb: Sequence[str] = (),
    ) -> Cluster:
        """A new started server. `settings` are added to `SETTINGS`; `initdb` are more words for initdb."""
        secret = password or secrets.token_urlsafe(18)
        cluster = cls(
            workspace, name, binaries or find_binaries(), port=port or free_port(), password=secret,
            settings={**SETTINGS, **(settings or {})},
        )  # fmt: skip
        word_file = workspace.path / f"{name}.pw"
        word_file.touch(0o600)
        word_file.write_text(secret)
        workspace.account.own(word_file)
        words = ["-U", "postgres", "-A", "scram-sha-256", f"--pwfile={word_file}", "--encoding=UTF8", "--no-locale"]
        try:
            cluster.tool("initdb", "-D", cluster.data, "--no-sync", *words, *initdb)
        finally:
            word_file.unlink()
        with (cluster.data / "postgresql.conf").open("a") as conf:
            conf.write(f"\ninclude_if_exists = '{_OURS}'\n")
        cluster.start(move=port is None)
        return cluster

    def dsn(self, database: str = "postgres") -> str:
        """libpq connection string, with the password. No TLS: the wheel's server has none."""
        return make_conninfo(
            host="127.0.0.1",
            port=self.port,
            user="postgres",
            password=self.password,
            dbname=database,
            sslmode="disable",
        )

    def url(self, database: str = "postgres") -> str:
        """SQLAlchemy URL for psycopg 3, with the password."""
        return f"postgresql+psycopg://postgres:{self.password}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def sql(self, statement: str, params: Sequence[Any] = (), *, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement (several when there are no parameters) in autocommit; the last result's rows."""
        with psycopg.connect(self.dsn(database), autocommit=True, connect_timeout=10) as connection:
            cursor = connection.execute(statement, params or None)
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description else []

    def start(self, *, move: bool = False) -> None:
        """Start and wait until connections are accepted. `move` takes another port when somebody else got ours."""
        for left in reversed(range(_START_TRIES)):
            self._write_settings()
            words: list[str | Path] = ["start", "-D", self.data, "-w", "-t", "60", "-l", self.log]
            start = self.log.stat().st_size if self.log.exists() else 0
            if self.tool("pg_ctl", *words, check=False) == 0:
                return
            reason = tail(self.log, start) if self.log.exists() else "no log"
            if not left:
                raise Permanent(f"postgresql {self.binaries.version} '{self.name}' did not start: {reason}")
            if move and "in use" in reason:
                self.port = free_port()
            time.sleep(0.3)  # after a kill, orphaned backends hold the shared memory for a moment

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop and wait; a server that is not running is fine."""
        if self.is_running():
            self.tool("pg_ctl", "stop", "-D", self.data, "-m", mode, "-w", "-t", "60")

    def restart(self, mode: StopMode = "fast") -> None:
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """kill -9 the server, as a crash or the kernel would; returns when it is gone. `start()` recovers it."""
        pid = guardian.running(self.data / "postmaster.pid")
        if pid is None:
            return
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        # Until somebody reaps it, the dead process still counts as running for the next server.
        while guardian.send(pid, 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        if guardian.alive(pid):
            raise Temporary(f"postgresql '{self.name}' (pid {pid}) outlives kill -9")
        if guardian.send(pid, 0):
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def is_running(self) -> bool:
        return guardian.running(self.data / "postmaster.pid") is not None

    def tool(self, program: str | Path, *words: str | Path, check: bool = True) -> int:
        """Run one of the server's programs (or the one at a path) as the account that owns the cluster; its exit code.

        Raises `Permanent` with the program's last words when it fails and `check` holds.
        """
        path = self.binaries.program(program) if isinstance(program, str) else program
        place = self.workspace.path
        log = place / f"{self.name}.{path.name}.log"
        return self.workspace.account.run([path, *words], cwd=place, log=log, check=check, timeout=120).returncode

    def _write_settings(self) -> None:
        settings = {
            **self.settings, "port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "",
        }  # fmt: skip
        quoted = (f"{key} = '{str(value).replace(chr(39), chr(39) * 2)}'\n" for key, value in settings.items())
        (self.data / _OURS).write_text("".join(quoted))
        self.workspace.account.own(self.data / _OURS)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that is free now, and likely to be free again after a restart: it lies below the range
    from which systems take the near end of outgoing connections."""
    for _ in range(200):
        port = 11_000 + secrets.randbelow(20_000)
        if _is_free(port):
            return port
    raise Temporary("no free port found on 127.0.0.1 between 11000 and 31000 in 200 tries")


def port_near(wished: int) -> int:
    """The wished port if it is free, otherwise another."""
    return wished if _is_free(wished) else free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
