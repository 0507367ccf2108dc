"""Sessions: few, read-only, autocommit, limited in time, and with every setting pinned that changes a value's text.

A question's snapshot lasts as long as the question, so nothing stays open between calls: no snapshot, no lock, no
temporary table. Values come as the server spells them: the driver's own decoding (numbers, dates) is off.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql import converters
from pymysql.cursors import Cursor, SSCursor
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url

from connectors.mysql.dialects import Dialect, dialect_of
from connectors.mysql.errors import translated
from connectors.sql.pool import Pool
from connectors.sql.quoting import backticked
from verifier.errors import Misconfigured
from verifier.policy import Limits

Record = tuple[Any, ...]

if TYPE_CHECKING:
    _Connection = pymysql.Connection[Cursor]
else:
    _Connection = pymysql.Connection  # generic for the type checker only

_GRACE_SECONDS = 10.0
_ENCODERS = {kind: encode for kind, encode in converters.conversions.items() if not isinstance(kind, int)}
_OF_URL = {"ssl_ca", "ssl_cert", "ssl_key", "ssl_verify_cert", "ssl_verify_identity", "ssl_disabled", "unix_socket"}


class PatientConnection(_Connection):
    """Ordinary, but a server that stopped answering is not waited for longer than `patience` seconds."""

    def be_patient(self, seconds: float) -> None:
        self._read_timeout = seconds

    def close(self) -> None:
        """Again is harmless: the driver closes by itself when the connection is lost, and the pool closes too. An
        answer that was not read to its end is forgotten: reading the rest would be the driver's way."""
        if (answer := self._answer()) is not None:
            answer.unbuffered_active = False
        if self.open:
            super().close()

    @property
    def answering(self) -> bool:
        """An answer that is read as it comes has not ended."""
        answer = self._answer()
        return answer is not None and bool(answer.unbuffered_active)

    @property
    def number(self) -> int:
        """The server's number of this connection."""
        untyped: Any = self
        return int(untyped.server_thread_id[0])

    @property
    def greeting(self) -> str:
        """The version with which the server greeted."""
        untyped: Any = self
        return str(untyped.server_version)

    def _answer(self) -> Any:
        """The driver's latest result, whose type its stubs do not have; None before the first."""
        return getattr(self, "_result", None)


class Sessions:
    """The pool of one server. Safe for several threads; each borrowed session belongs to one."""

    def __init__(self, url: str | URL, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.url = _parsed(url)
        self.dialect: Dialect = dialect_of(self.url.get_backend_name())
        self.where = place(self.url)
        self.recognise: Callable[[Session], None] = lambda session: None
        """Asked at each new connection; raises if another server answers than before."""
        self.own: set[int] = set()
        """The server's numbers of our connections: those that are open, and some that were."""
        self._parameters = _connecting(self.url, self.limits)
        self._pool = Pool(
            self._connect,
            self.limits,
            usable=lambda driver: driver.open,
            ping=lambda driver: driver.ping(reconnect=False),
            lost=(pymysql.MySQLError, OSError),
        )
        event.listen(self._pool.queue, "close", self._on_close)

    @contextmanager
    def borrow(self, doing: str) -> Iterator[Session]:
        """A session for the calls of one question; `doing` opens the message of whatever error comes."""
        with translated(doing, self.where), self._pool.lent(f"{doing} on {self.where}") as driver:
            yield Session(driver)

    def quote(self, name: str) -> str:
        """The identifier, always in quotes, ready for a statement with parameters."""
        return backticked(name).replace("%", "%%")

    def pin(self, session: Session) -> None:
        """Set every pinned setting (again)."""
        session.allow(self.limits.statement_seconds)
        for statement in self.dialect.pins(self.limits):
            session.run(statement)

    def connecting(self) -> dict[str, Any]:
        """How a connection of one's own is made: keyword arguments of `pymysql.connect`, with the password."""
        return dict(self._parameters)

    def close(self) -> None:
        self._pool.close()

    def _connect(self) -> PatientConnection:
        made = PatientConnection(**self._parameters)
        try:
            session = Session(made)
            self.dialect.confirm(made.greeting, self.where)
            self.pin(session)
            self.recognise(session)
        except BaseException:
            made.close()
            raise
        self.own.add(made.number)
        return made

    def _on_close(self, driver: Any, _record: object) -> None:
        self.own.discard(driver.number)


class Session:
    """One connection while it is borrowed."""

    def __init__(self, driver: PatientConnection) -> None:
        self._driver = driver

    @property
    def usable(self) -> bool:
        return bool(self._driver.open)

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Record:
        """The only row of a statement that returns exactly one."""
        (row,) = self.all(sql, parameters)
        return row

    def all(self, sql: str, parameters: Sequence[object] = ()) -> list[Record]:
        """Rows of texts as the server spells them, bytes where it says that they are bytes, None for NULL."""
        with self._open() as cursor:
            cursor.execute(sql, tuple(parameters))
            return list(cursor.fetchall())

    @contextmanager
    def stream(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Iterator[Record]]:
        """The rows of `all` as they come, one at a time: the server waits for whoever takes them. Whoever stops before
        the last one ends the connection, and so the statement and its snapshot."""
        with self._open(SSCursor) as cursor:
            cursor.execute(sql, tuple(parameters))
            yield iter(cursor.fetchone, None)
            if self._driver.answering:
                self._drop()

    def named(self, sql: str) -> list[dict[str, Any]]:
        """Rows by column name in lower case, of statements whose columns differ between versions."""
        with self._open() as cursor:
            cursor.execute(sql)
            names = [str(column[0]).lower() for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def raw(self, sql: str) -> tuple[tuple[str, ...], list[Record]]:
        """Column names and values. The statement is sent as it is, `%` means nothing in it."""
        with self._open() as cursor:
            cursor.execute(sql)
            return tuple(str(column[0]) for column in cursor.description or ()), list(cursor.fetchall())

    def filled(self, sql: str, parameters: Sequence[object]) -> str:
        """The statement as it would be sent."""
        with self._open() as cursor:
            return str(cursor.mogrify(sql, tuple(parameters)))

    def run(self, sql: str) -> None:
        with self._open() as cursor:
            cursor.execute(sql)

    def allow(self, seconds: float) -> None:
        """The next statements may take this long; well after it the server counts as gone."""
        self._driver.be_patient(seconds + _GRACE_SECONDS)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All statements inside read one snapshot, which is over afterwards."""
        self.run("start transaction with consistent snapshot, read only")
        try:
            yield
        except BaseException:
            if self.usable:
                with contextlib.suppress(pymysql.MySQLError, OSError):
                    self.run("rollback")
            raise
        self.run("commit")

    @contextmanager
    def _open(self, kind: type[Cursor] = Cursor) -> Iterator[Cursor]:
        """A cursor. After a failure in the middle of an answer the connection cannot be used again."""
        cursor = self._driver.cursor(kind)
        try:
            yield cursor
        except (pymysql.ProgrammingError, pymysql.IntegrityError, pymysql.DataError, pymysql.NotSupportedError):
            raise
        except pymysql.MySQLError as error:
            if not error.args or not isinstance(error.args[0], int) or 2000 <= error.args[0] < 3000:
                self._drop()
            raise
        except BaseException:
            self._drop()
            raise
        finally:
            if self.usable:
                cursor.close()

    def _drop(self) -> None:
        with contextlib.suppress(pymysql.MySQLError, OSError):
            self._driver.close()


def _connecting(url: URL, limits: Limits) -> dict[str, Any]:
    unknown = sorted(set(url.query) - _OF_URL - {"charset"})
    if unknown:
        raise Misconfigured(
            f"{place(url)}: unknown option {unknown[0]!r} in the URL; known: {', '.join(sorted(_OF_URL))}"
        )
    word = url.password or os.environ.get("MYSQL_PWD") or ""
    file = Path("~/.my.cnf").expanduser()
    options: dict[str, Any] = {key: value for key, value in url.query.items() if key in _OF_URL}
    for key in ("ssl_verify_cert", "ssl_verify_identity", "ssl_disabled"):
        if key in options:
            options[key] = str(options[key]).lower() in ("1", "true", "yes", "on")
    return {
        "host": url.host or "localhost",
        "port": url.port or 3306,
        "user": url.username,
        "password": word,
        "read_default_file": None if word or not file.is_file() else str(file),
        "database": url.database or None,
        "charset": "utf8mb4",
        "autocommit": True,
        "program_name": "trueup",
        "connect_timeout": limits.connect_seconds,
        "read_timeout": limits.statement_seconds + _GRACE_SECONDS,
        "write_timeout": limits.statement_seconds + _GRACE_SECONDS,
        "conv": _ENCODERS,
        **options,
    }


def _parsed(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except Exception as error:
        raise Misconfigured("not a database URL; need mysql://user@host:port/database") from error
    if parsed.get_backend_name() not in ("mysql", "mariadb"):
        raise Misconfigured(
            f"not a URL of MySQL or MariaDB ({parsed.drivername}); need mysql://user@host:port/database or mariadb://..."
        )
    return parsed


def place(url: URL) -> str:
    """Where a URL points, without user and password."""
    host = url.host or url.query.get("unix_socket") or "localhost"
    return f"{url.get_backend_name()}://{host}:{url.port or 3306}/{url.database or ''}"
