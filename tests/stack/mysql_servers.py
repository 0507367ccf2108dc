"""MariaDB and MySQL servers for tests: made in a workspace, started, replicated by GTID, held, released, asked.

Both write row binlogs with full images and complete metadata, as Debezium wants them, and replicas apply in parallel as
busy sites have it: MariaDB optimistic with 4 workers, MySQL with 4 workers that keep the commit order.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pymysql
from pymysql.cursors import Cursor

from connectors.embedded import Workspace
from connectors.embedded.account import tail
from connectors.embedded.cluster import free_port
from stack.cache import NotInstalled
from stack.mysql_packed import packed_mysql
from verifier.errors import Permanent

ADMIN = "admin"
_PATIENCE_SECONDS = 60.0

# A throw-away server: it survives a crash of its process, and only loses to a crash of the machine.
_SETTINGS: dict[str, str | int] = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "ON",
    "performance_schema": "OFF",
    "innodb_buffer_pool_size": "64M",
    "innodb_flush_log_at_trx_commit": 0,
    "innodb_doublewrite": "OFF",
    "sync_binlog": 0,
    "log_bin": "binlog",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "character_set_server": "utf8mb4",
    "max_connections": 200,
}


class MysqlServer(ABC):
    """One server in `workspace/name`. User `admin` with a random password may do everything, from 127.0.0.1 only."""

    engine: ClassVar[str]

    def __init__(self, workspace: Workspace, name: str, number: int) -> None:
        self.workspace = workspace
        self.name = name
        self.number = number
        self.home = workspace.path / name
        self.data = self.home / "data"
        self.log = workspace.path / f"{name}.log"
        self.password = secrets.token_urlsafe(12)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def settings(self) -> dict[str, str | int]:
        """What goes into the configuration file beside `_SETTINGS`."""

    @abstractmethod
    def program(self) -> Path:
        """The server's program, where the account can run it. NotInstalled if it is not here."""

    @abstractmethod
    def make_data(self) -> None:
        """Fill the data directory; root logs in without password through the socket."""

    @abstractmethod
    def follow(self, leader: MysqlServer) -> None:
        """Become a replica of `leader`; neither holds anything yet."""

    @abstractmethod
    def hold(self) -> None:
        """The replica stops applying."""

    @abstractmethod
    def release(self) -> None: ...

    @abstractmethod
    def executed(self) -> str:
        """The GTIDs of everything that was committed here."""

    @abstractmethod
    def wait_for(self, gtids: str, seconds: float) -> bool:
        """As a replica: wait until all of them are applied."""

    def create(self) -> None:
        """Make and start it."""
        self.prepare()
        self.launch()

    def prepare(self, like: MysqlServer | None = None) -> None:
        """Make its files. `like`: a server that was prepared and not launched yet; its data is copied, much faster."""
        self.program()
        self.home.mkdir()
        self.workspace.account.own(self.home)
        self._configure()
        if like is None:
            self.make_data()
        else:
            self.workspace.account.run(["cp", "-a", like.data, self.data], cwd=self.home, log=self.log)
            (self.data / "auto.cnf").unlink(missing_ok=True)  # the identity of MySQL, made anew where there is none

    def launch(self) -> None:
        """Start it for the first time."""
        self.start()
        connection = self._connect(unix_socket=str(self.socket_path), user="root")
        with contextlib.closing(connection), connection.cursor() as cursor:
            for statement in (
                "set sql_log_bin = 0",
                f"create user {ADMIN}@'%' {self.identified}",
                f"grant all on *.* to {ADMIN}@'%' with grant option",
                "reset master",
            ):
                cursor.execute(statement)

    def start(self, program: Path | None = None) -> None:
        """Start and wait until connections are accepted."""
        account = self.workspace.account
        at = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(program or self.program()), f"--defaults-file={self._file}"],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.home), "LC_ALL": "C"},
                user=account.uid,
                group=account.gid,
                extra_groups=None if account.uid is None else [],
                start_new_session=True,
            )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
                probe.connect(str(self.socket_path))
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise Permanent(f"{self.engine} '{self.name}' did not start: {tail(self.log, at)}")
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop and wait; SIGKILL is a crash. Again is harmless."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def url(self, database: str = "", *, user: str = ADMIN, password: str | None = None) -> str:
        """URL for trueup, with the password."""
        return f"{self.engine}://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, parameters: Sequence[Any] = (), *, database: str | None = None) -> list[Any]:
        """Run one statement in autocommit; its rows."""
        with self.session(database) as cursor:
            cursor.execute(statement, parameters or None)
            return list(cursor.fetchall())

    def quietly(self, *statements: str, database: str | None = None) -> None:
        """Write without a trace in the binlog: how drift is planted on a replica."""
        with self.session(database) as cursor:
            for statement in ("set sql_log_bin = 0", *statements):
                cursor.execute(statement)

    @contextlib.contextmanager
    def session(self, database: str | None = None) -> Iterator[Cursor]:
        """A cursor in autocommit, as the administrator."""
        connection = self.connect(database, autocommit=True)
        with contextlib.closing(connection), connection.cursor() as cursor:
            yield cursor

    def connect(self, database: str | None = None, *, autocommit: bool = False) -> pymysql.Connection[Cursor]:
        """A connection of the administrator's, by TCP, with an exact session: UTC, strict, utf8mb4."""
        connection = self._connect(
            host="127.0.0.1", port=self.port, user=ADMIN, password=self.password, database=database,
            autocommit=autocommit,
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute("set time_zone = '+00:00'")
        return connection

    @property
    def socket_path(self) -> Path:
        return self.home / "s.sock"

    @property
    def identified(self) -> str:
        """How an account with this server's password is made."""
        return f"identified by '{self.password}'"

    @property
    def _file(self) -> Path:
        return self.home / "server.cnf"

    def _configure(self) -> None:
        settings = {
            **_SETTINGS, **self.settings(), "server_id": self.number, "port": self.port, "datadir": self.data,
            "socket": self.socket_path, "pid-file": self.home / "server.pid", "tmpdir": self.home,
        }  # fmt: skip
        self._file.write_text("[mysqld]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
        self.workspace.account.own(self._file)

    def _connect(self, **how: Any) -> pymysql.Connection[Cursor]:
        return pymysql.connect(charset="utf8mb4", connect_timeout=10, read_timeout=120, **how)


class MariaDb(MysqlServer):
    """MariaDB 10.11 as Debian has it."""

    engine = "mariadb"

    def settings(self) -> dict[str, str | int]:
        return {
            "log_slave_updates": "ON",
            "gtid_strict_mode": "ON",
            "slave_parallel_mode": "optimistic",
            "slave_parallel_threads": 4,
            "innodb_log_file_size": "16M",
        }

    def program(self) -> Path:
        return _installed("mariadbd", "mariadb-server")

    def make_data(self) -> None:
        words: list[str | Path] = [_installed("mariadb-install-db", "mariadb-server"), f"--defaults-file={self._file}"]
        words += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        self.workspace.account.run(words, cwd=self.home, log=self.log, timeout=_PATIENCE_SECONDS)

    def follow(self, leader: MysqlServer) -> None:
        self.sql(
            f"change master to master_host='127.0.0.1', master_port={leader.port}, master_user='{ADMIN}', "
            f"master_password='{leader.password}', master_connect_retry=1, master_use_gtid=slave_pos"
        )
        self.sql("start slave")

    def hold(self) -> None:
        self.sql("stop slave sql_thread")

    def release(self) -> None:
        self.sql("start slave sql_thread")

    def executed(self) -> str:
        return str(self.sql("select @@global.gtid_binlog_pos")[0][0])

    def wait_for(self, gtids: str, seconds: float) -> bool:
        return bool(self.sql("select master_gtid_wait(%s, %s)", (gtids, seconds))[0][0] == 0)


class MySql(MysqlServer):
    """MySQL 8.0 from its jar."""

    engine = "mysql"

    def settings(self) -> dict[str, str | int]:
        return {
            "basedir": self._base(),
            "mysqlx": "OFF",
            "gtid_mode": "ON",
            "enforce_gtid_consistency": "ON",
            "replica_parallel_workers": 4,
            "replica_preserve_commit_order": "ON",
            "innodb_redo_log_capacity": "16M",
        }

    def program(self) -> Path:
        return self._base() / "bin" / "mysqld"

    def make_data(self) -> None:
        words: list[str | Path] = [self.program(), f"--defaults-file={self._file}", "--initialize-insecure"]
        self.workspace.account.run(words, cwd=self.home, log=self.log, timeout=_PATIENCE_SECONDS)

    def follow(self, leader: MysqlServer) -> None:
        self.sql(
            f"change replication source to source_host='127.0.0.1', source_port={leader.port}, source_user='{ADMIN}', "
            f"source_password='{leader.password}', source_connect_retry=1, source_auto_position=1"
        )
        self.sql("start replica")

    def hold(self) -> None:
        self.sql("stop replica sql_thread")

    def release(self) -> None:
        self.sql("start replica sql_thread")

    def executed(self) -> str:
        return str(self.sql("select @@global.gtid_executed")[0][0])

    def wait_for(self, gtids: str, seconds: float) -> bool:
        return bool(self.sql("select wait_for_executed_gtid_set(%s, %s)", (gtids, seconds))[0][0] == 0)

    @property
    def identified(self) -> str:
        return f"identified with mysql_native_password by '{self.password}'"

    def _base(self) -> Path:
        """Where the account reaches the server: in the cache, or in a copy."""
        fetched = packed_mysql()
        if fetched is None:
            raise NotInstalled("no packed mysql in the cache")
        if self.workspace.account.can_execute(fetched / "bin" / "mysqld", self.workspace.path):
            return fetched
        copy = self.workspace.path / "mysql-server"
        if not copy.is_dir():
            shutil.copytree(fetched, copy, symlinks=True)
        return copy


@dataclass(frozen=True, slots=True)
class MysqlPair:
    """A leader and the replica that follows it; administrators and passwords are the same on both."""

    leader: MysqlServer
    replica: MysqlServer

    def hold(self) -> None:
        """The replica stops applying."""
        self.replica.hold()

    def release(self) -> None:
        self.replica.release()

    def caught_up(self, seconds: float = 60.0) -> None:
        """Wait until the replica has applied everything that was committed; Permanent if it does not."""
        gtids = self.leader.executed()
        if gtids and not self.replica.wait_for(gtids, seconds):
            raise Permanent(f"{self.replica.name} has not applied {gtids} in {seconds:g} s; log: {self.replica.log}")

    def stop(self) -> None:
        """For good: they are killed, since a leader that stops waits for its replica's connection to time out."""
        self.replica.stop(signal.SIGKILL)
        self.leader.stop(signal.SIGKILL)


def start_pair(
    workspace: Workspace, kind: type[MysqlServer], *, password: str | None = None, ports: tuple[int, int] | None = None
) -> MysqlPair:
    """A leader and its replica, running, replicating, empty. NotInstalled if the server is not here. `ports`: the
    leader's and the replica's."""
    leader = kind(workspace, f"{kind.engine}-leader", 1)
    replica = kind(workspace, f"{kind.engine}-replica", 2)
    leader.password = replica.password = password or leader.password
    if ports is not None:
        leader.port, replica.port = ports
    leader.prepare()
    replica.prepare(like=leader)
    leader.launch()
    replica.launch()
    replica.follow(leader)
    return MysqlPair(leader, replica)


def _installed(program: str, package: str) -> Path:
    path = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise NotInstalled(f"no {program}; do: apt-get install {package}")
    return Path(path)
