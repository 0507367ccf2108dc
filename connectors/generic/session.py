"""Connections through SQLAlchemy: few, read-only where the dialect is known to have a way, each statement limited in
time by a clock of our own that interrupts the driver, where it can be interrupted, and stops reading in any case."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

import sqlalchemy.exc
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql import Executable

from connectors.generic.dialects import Dialect, known
from connectors.generic.errors import translated
from verifier.errors import Misconfigured, Temporary
from verifier.policy import Limits
from verifier.weight import ROWS_BYTES, held_bytes

Record = tuple[Any, ...]
_ROWS_HELD = 1_000
_ROWS_FIRST = 16
_INTERRUPTS = ("interrupt", "cancel")
"""Methods of drivers' connections that end a running statement from another thread."""


class Sessions:
    """The engine of one server. Safe for several threads; each borrowed session belongs to one."""

    def __init__(self, url: str | URL, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.url = parsed(url)
        self.where = place(self.url)
        self.dialect: Dialect = known(self.url.get_backend_name())
        try:
            self.engine: Engine = create_engine(
                self.url,
                connect_args=dict(self.dialect.connect),
                poolclass=QueuePool,
                pool_size=self.limits.connections,
                max_overflow=0,
                pool_timeout=self.limits.pool_seconds,
                pool_pre_ping=not self.dialect.embedded,
            )
        except (sqlalchemy.exc.SQLAlchemyError, ImportError) as error:
            raise Misconfigured(
                f"{self.where}: its driver is not installed ({type(error).__name__}: {str(error)[:200]})"
            ) from error
        event.listen(self.engine, "connect", self._pin)

    @contextmanager
    def borrow(self, doing: str) -> Iterator[Session]:
        """A session for the calls of one question; `doing` opens the message of whatever error comes."""
        with translated(doing, self.where, connecting=True):
            lent = self.engine.connect()
        with lent, translated(doing, self.where):
            yield Session(lent, self.limits.statement_seconds, f"{doing} on {self.where}")

    def close(self) -> None:
        self.engine.dispose()

    def _pin(self, driver: Any, _record: object) -> None:
        cursor = driver.cursor()
        for pin in self.dialect.pins:
            cursor.execute(pin)
        cursor.close()


class Session:
    """One connection while it is borrowed; its transaction ends with that."""

    def __init__(self, connection: Connection, seconds: float, doing: str) -> None:
        self.connection = connection.execution_options(stream_results=True, max_row_buffer=_ROWS_HELD)
        self._seconds = seconds
        self._doing = doing

    def allow(self, seconds: float) -> None:
        """The next statements may take this long each."""
        self._seconds = seconds

    def each(self, statement: Executable) -> Generator[Record]:
        """The rows one by one, as the driver gives them. Temporary if reading them takes longer than is allowed."""
        deadline = time.monotonic() + self._seconds
        with self._limited(deadline):
            result = self.connection.execute(statement)
            rows = _ROWS_FIRST
            try:
                while batch := result.fetchmany(rows):
                    if time.monotonic() > deadline:
                        raise self._too_long()
                    yield from map(tuple, batch)
                    rows = max(1, min(4 * rows, _ROWS_HELD, ROWS_BYTES // held_bytes(batch[-1])))
            finally:
                result.close()

    def all(self, statement: Executable) -> list[Record]:
        return list(self.each(statement))

    def change(self, statement: Executable) -> None:
        """Run a statement that writes; it counts once the connection commits."""
        with self._limited(time.monotonic() + self._seconds):
            self.connection.execute(statement)

    def titled(self, sql: str, rows_max: int) -> tuple[tuple[str, ...], list[Record]]:
        """Names of the result's columns and at most `rows_max` rows of a statement that is sent as it is."""
        with self._limited(time.monotonic() + self._seconds):
            result = self.connection.exec_driver_sql(sql)
            with result:
                if not result.returns_rows:
                    return (), []
                return tuple(result.keys()), [tuple(row) for row in result.fetchmany(rows_max)]

    @contextmanager
    def _limited(self, deadline: float) -> Iterator[None]:
        driver = self.connection.connection.driver_connection
        end = next((getattr(driver, name) for name in _INTERRUPTS if hasattr(driver, name)), None)
        timer = Timer(max(0.001, deadline - time.monotonic()), end) if end is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            yield
        except sqlalchemy.exc.DBAPIError as error:
            if time.monotonic() >= deadline:
                raise self._too_long() from error
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _too_long(self) -> Temporary:
        return Temporary(f"{self._doing}: the statement ran into its time limit; it is tried again")


def parsed(url: str | URL) -> URL:
    """Misconfigured if it is no URL, or SQLAlchemy has no such dialect installed."""
    try:
        made = make_url(url)
    except sqlalchemy.exc.ArgumentError as error:
        raise Misconfigured("not a database URL; need dialect://user@host/database") from error
    try:
        made.get_dialect()
    except (sqlalchemy.exc.NoSuchModuleError, ImportError) as error:
        raise Misconfigured(
            f"no SQLAlchemy dialect {made.drivername!r} is installed; install its package, or correct the URL"
        ) from error
    return made


def place(url: URL) -> str:
    """Where a URL points, without user, password and options."""
    host = f"{url.host or ''}{f':{url.port}' if url.port else ''}"
    return f"{url.get_backend_name()}://{host}/{url.database or ''}"
