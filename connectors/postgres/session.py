"""Sessions: few, read-only, autocommit, limited in time, and with every setting pinned that changes a value's text.

One statement is one transaction, so nothing stays open between calls: no snapshot, no lock, no temporary table.
Statements go through SQLAlchemy's pool to the driver's own cursor, because a chunk's packed digests must come back in
the binary protocol; as text they would be twice as long and decoded in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy.engine import URL, make_url

from connectors.postgres.errors import translated
from connectors.postgres.patience import GRACE_SECONDS, PatientConnection
from connectors.postgres.pins import TEXT
from connectors.sql.pool import Pool
from connectors.sql.quoting import quoted
from verifier.errors import Misconfigured
from verifier.policy import Limits
from verifier.weight import Pieces

Record = tuple[Any, ...]

_BOOLEAN = 16  # pg_type.oid
_MANNERS = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "row_security": "off",  # a row that a policy hides must be an error: hidden on both sides it would look equal
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "idle_in_transaction_session_timeout": "60s",
}


_CONNECTING: dict[str, Any] = {
    "application_name": "trueup",
    "client_encoding": "UTF8",
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 15000,
    "prepare_threshold": 1 << 30,  # nothing but what is asked for: see `Session.all`
    "autocommit": True,
}


_BY_BITMAP = b"set enable_indexscan = off; set enable_seqscan = off"
_AS_IT_LIKES = b"reset enable_indexscan; reset enable_seqscan"


class Sessions:
    """The pool of one server. Safe for several threads; each borrowed session belongs to one."""

    def __init__(self, url: str | URL, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.url = _driver_url(url)
        self.where = place(self.url)
        self.recognise: Callable[[Session], None] = lambda session: None
        """Asked at each new connection; raises if another server answers than before."""
        self._pins = {**TEXT, **_MANNERS} | _time_limits(self.limits.statement_seconds, self.limits.lock_seconds)
        self._pool = Pool(
            self._connect,
            self.limits,
            usable=_quiet,
            ping=lambda driver: driver.execute(b"select 1"),
            lost=(psycopg.Error,),
            reset=True,
        )

    @contextmanager
    def borrow(self, doing: str) -> Iterator[Session]:
        """A session for the calls of one question; `doing` opens the message of whatever error comes."""
        with translated(doing, self.where), self._pool.lent(f"{doing} on {self.where}") as driver:
            yield Session(driver)

    def quote(self, name: str) -> str:
        """The identifier, always in quotes, ready for a statement with parameters."""
        return quoted(name).replace("%", "%%")

    def pin(self, session: Session) -> None:
        """Set every pinned setting (again)."""
        session.allow(self.limits.statement_seconds)
        session.configure(self._pins)

    def close(self) -> None:
        self._pool.close()

    def _connect(self) -> PatientConnection:
        parameters = {**_CONNECTING, "connect_timeout": self.limits.connect_seconds, **_words(self.url)}
        made = PatientConnection.connect(**parameters)
        made.patience = self.limits.statement_seconds + GRACE_SECONDS
        try:
            session = Session(made)
            self.recognise(session)
            self.pin(session)
        except BaseException:
            made.close()
            raise
        return made


class Session:
    """One connection while it is borrowed."""

    def __init__(self, driver: psycopg.Connection[Any]) -> None:
        self._driver = driver

    @property
    def usable(self) -> bool:
        return not (self._driver.closed or self._driver.broken)

    @property
    def pieces(self) -> Pieces:
        """What is known of how wide rows are that were read here."""
        return self._driver.pieces if isinstance(self._driver, PatientConnection) else Pieces()

    def one(
        self,
        sql: str,
        parameters: Sequence[object] = (),
        *,
        binary: bool = False,
        by_bitmap: bool | None = False,
        prepare: bool = False,
    ) -> Record:
        """The only row of a statement that returns exactly one."""
        (row,) = self.all(sql, parameters, binary=binary, by_bitmap=by_bitmap, prepare=prepare)
        return row

    def all(
        self,
        sql: str,
        parameters: Sequence[object] = (),
        *,
        binary: bool = False,
        by_bitmap: bool | None = False,
        prepare: bool = False,
    ) -> list[Record]:
        """The rows. `by_bitmap`: a range's rows are wanted in whatever order, so page by page and not key by key, which
        takes a twentieth less of the time where the whole digest is cheap (None: either will do). `prepare`: it is
        asked every second or so, and planned a few times only; its result must have the same types for ever."""
        self._plan(by_bitmap)
        with self._driver.cursor(binary=binary) as cursor:
            cursor.execute(sql.encode(), parameters, prepare=prepare)
            return cursor.fetchall()

    def stream(self, sql: str, parameters: Sequence[object] = ()) -> Generator[Record]:
        """The rows of one statement, handed over while the server sends them; never all of them at once, and few at a
        time where they are wide. Whoever stops before the last one closes it, which cancels the statement."""
        self._plan(False)
        size = self.pieces.rows(hash(sql)) if psycopg.capabilities.has_stream_chunked() else 1
        with self._driver.cursor() as cursor:
            yield from self.pieces.measured(hash(sql), cursor.stream(sql.encode(), parameters, size=size))

    def raw(self, sql: str) -> tuple[tuple[str, ...], list[tuple[str | None, ...]], frozenset[int]]:
        """Column names, values exactly as the server spells them, and which columns are boolean. The statement is sent
        as it is, `%` means nothing in it."""
        self._plan(False)
        with self._driver.cursor() as cursor:
            cursor.execute(sql.encode())
            result = cursor.pgresult
            assert result is not None, "a statement that was executed has a result"
            columns = range(result.nfields)
            names = tuple((result.fname(c) or b"").decode() for c in columns)
            cells = [[result.get_value(r, c) for c in columns] for r in range(result.ntuples)]
            booleans = frozenset(c for c in columns if result.ftype(c) == _BOOLEAN)
            return names, [tuple(None if cell is None else cell.decode() for cell in row) for row in cells], booleans

    def allow(self, seconds: float) -> None:
        """The next statements may take this long; well after it the server counts as gone."""
        if isinstance(self._driver, PatientConnection):
            self._driver.patience = seconds + GRACE_SECONDS

    def _plan(self, by_bitmap: bool | None) -> None:
        """Told to the server where it is not so already: nearly always the connections that digest stay the same. The
        planner takes a range for scattered over the table, so that it would rather read the whole table for a tenth of
        it: hence without that, too."""
        driver = self._driver
        if by_bitmap is None or not isinstance(driver, PatientConnection) or driver.by_bitmap is by_bitmap:
            return
        driver.execute(_BY_BITMAP if by_bitmap else _AS_IT_LIKES)
        driver.by_bitmap = by_bitmap

    def configure(self, settings: dict[str, str]) -> None:
        with self._driver.cursor() as cursor:
            calls = ", ".join(["pg_catalog.set_config(%s, %s, false)"] * len(settings))
            cursor.execute(f"select {calls}".encode(), [part for pair in settings.items() for part in pair])


def _quiet(driver: PatientConnection) -> bool:
    """There, and not in the midst of a question, where Ctrl-C leaves it."""
    return not (driver.closed or driver.broken) and driver.info.transaction_status != TransactionStatus.ACTIVE


def _time_limits(statement_seconds: float, lock_seconds: float) -> dict[str, str]:
    return {
        "statement_timeout": f"{max(1, round(statement_seconds * 1000))}ms",
        "lock_timeout": f"{max(1, round(lock_seconds * 1000))}ms",
    }


def statement_limit(seconds: float) -> dict[str, str]:
    """The setting that limits the next statements to `seconds`."""
    return {"statement_timeout": f"{max(1, round(seconds * 1000))}ms"}


def _driver_url(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except Exception as error:
        raise Misconfigured("not a database URL; need postgresql://user@host:port/database") from error
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise Misconfigured(f"not a PostgreSQL URL ({parsed.drivername}); need postgresql://user@host:port/database")
    return parsed.set(drivername="postgresql+psycopg")


def _words(url: URL) -> dict[str, Any]:
    """The driver's keywords of a URL."""
    if "host" in url.query:  # perhaps several, each with its port
        from sqlalchemy.dialects.postgresql.psycopg import dialect

        untyped: Any = dialect
        _, several = untyped().create_connect_args(url)
        return dict(several)
    return {**url.translate_connect_args(username="user", database="dbname"), **url.query}


def place(url: URL) -> str:
    """Where a URL points, without user and password."""
    host = url.host or url.query.get("host") or "local socket"
    return f"postgresql://{host}:{url.port or 5432}/{url.database or ''}"
