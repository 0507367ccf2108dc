"""Sessions: few, read-only, limited in time, without a transaction of their own.

SQLAlchemy's pool lends the driver's own connections, because rows are read as the file holds them, with their storage
classes, which types of a result would hide.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url

from connectors.sql.pool import Pool
from connectors.sql.quoting import quoted
from connectors.sqlite.errors import translated
from verifier.errors import Forbidden, Misconfigured, Permanent
from verifier.policy import Limits

Record = tuple[Any, ...]
_STEPS = 20_000
"""Steps of SQLite's machine between two looks at the clock: about a millisecond."""
_WAL = b"\x02\x02"
"""Read and write version in the header of a file in WAL mode (https://www.sqlite.org/fileformat.html)."""
_LENIENT = partial(str, encoding="utf-8", errors="surrogateescape")
_PINS = ("pragma query_only = on", "pragma trusted_schema = off", "pragma temp_store = memory")


@dataclass(frozen=True, slots=True)
class Files:
    """The files of one replica: the one of the URL (schema `main`), and those attached to it by name."""

    main: str
    attached: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, url: str | URL) -> Files:
        """Misconfigured if the URL names no file, or has options that mean nothing here."""
        try:
            parsed = make_url(url)
        except Exception as error:
            raise Misconfigured("not a database URL; need sqlite:///path") from error
        if parsed.get_backend_name() != "sqlite":
            raise Misconfigured(f"not an SQLite URL ({parsed.drivername}); need sqlite:///path")
        if not parsed.database or parsed.database == ":memory:":
            raise Misconfigured(
                "the SQLite URL names no file; need sqlite:///path (four slashes before an absolute one)"
            )
        unknown = parsed.query.keys() - {"attach"}
        if unknown:
            raise Misconfigured(f"the SQLite URL has an option {sorted(unknown)[0]!r}; only attach=name=path is known")
        given = parsed.query.get("attach", ())
        pairs = [one.partition("=") for one in ((given,) if isinstance(given, str) else given)]
        if any(not name or not path for name, _, path in pairs):
            raise Misconfigured("an attached file needs a name and a path: ?attach=archive=/path/archive.db")
        return cls(parsed.database, tuple((name, path) for name, _, path in pairs))

    @property
    def where(self) -> str:
        return f"sqlite:///{self.main}"

    def marks(self) -> tuple[tuple[int, int], ...]:
        """Which files these are: device and number of each. OSError if one is not there."""
        stats = [os.stat(path) for path in (self.main, *(path for _, path in self.attached))]
        return tuple((one.st_dev, one.st_ino) for one in stats)


class Sessions:
    """The pool of one replica. Safe for several threads; each borrowed session belongs to one."""

    def __init__(self, url: str | URL, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.files = Files.of(url)
        self.where = self.files.where
        self.prepare: Callable[[sqlite3.Connection], None] = lambda connection: None
        """Called with each new connection."""
        self._first = threading.Lock()
        self._harmless = False
        self._known: tuple[tuple[int, int], ...] | None = None
        self._pool = Pool(self._open, self.limits)

    @contextmanager
    def borrow(self, doing: str) -> Iterator[Session]:
        """A session for the calls of one question; `doing` opens the message of whatever error comes."""
        with translated(doing, self.where), self._pool.lent(f"{doing} on {self.where}") as driver:
            try:
                self._recognise()
                driver.allow(self.limits.statement_seconds)
                session = Session(driver)
                try:
                    yield session
                finally:
                    session.ended()
            finally:
                if driver.in_transaction:
                    driver.rollback()

    def held(self) -> Session:
        """A session outside of the pool, for its owner to close."""
        with translated("opening", self.where):
            self._recognise()
            return Session(self._open())

    def quote(self, name: str) -> str:
        return quoted(name)

    def close(self) -> None:
        self._pool.close()

    def _recognise(self) -> None:
        """Behind the path there must always be the same files: what was read of others does not compare."""
        found = self.files.marks()
        if self._known is None:
            self._known = found
        elif self._known != found:
            raise Permanent(
                f"{self.where} is another file by now: nothing is compared with it; see who replaced it and start again"
            )

    def _open(self) -> _Connection:
        with self._first:
            if not self._harmless:
                for path in (self.files.main, *(path for _, path in self.files.attached)):
                    _check_harmless(path)
                self._harmless = True
        made = sqlite3.connect(
            _uri(self.files.main),
            uri=True,
            timeout=self.limits.lock_seconds,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        try:
            made.set_progress_handler(made.overdue, _STEPS)
            for name, path in self.files.attached:
                made.execute(f"attach database ? as {self.quote(name)}", (_uri(path),))
            for pin in _PINS:
                made.execute(pin)
            made.execute("select count(*) from sqlite_schema").fetchall()  # is it a database at all?
            self.prepare(made)
        except BaseException:
            made.close()
            raise
        return made


class _Connection(sqlite3.Connection):
    """Interrupts statements that take longer than they may."""

    deadline = float("inf")

    def allow(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    def overdue(self) -> int:
        return time.monotonic() > self.deadline


class Session:
    """One connection while it is borrowed."""

    def __init__(self, driver: _Connection) -> None:
        self._driver = driver
        self._latest: sqlite3.Cursor | None = None

    def each(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Record]:
        """The rows one by one, as the file holds them: int, float, str, bytes or None."""
        self._latest = self._driver.execute(sql, parameters)
        return self._latest

    def ended(self) -> None:
        """Nobody reads on: rows that were not taken would hold a lock on the file."""
        if self._latest is not None:
            self._latest.close()

    def all(self, sql: str, parameters: Sequence[object] = ()) -> list[Record]:
        return list(self.each(sql, parameters))

    def titled(self, sql: str) -> tuple[tuple[str, ...], list[Record]]:
        """Names of the result's columns, and all rows."""
        cursor = self._driver.execute(sql)
        return tuple(str(one[0]) for one in cursor.description or ()), cursor.fetchall()

    def allow(self, seconds: float) -> None:
        """The next statements may take this long together."""
        self._driver.allow(seconds)

    @property
    def lenient(self) -> bool:
        return self._driver.text_factory is _LENIENT

    def be_lenient(self) -> None:
        """Text that is no UTF-8 comes with a lone surrogate in the place of each such byte. Costs a third of the speed,
        so only a session that has met such text reads on this way."""
        self._driver.text_factory = _LENIENT

    def together(self) -> None:
        """The statements until this question is answered see one state of the file."""
        self._driver.execute("begin")

    def close(self) -> None:
        self._driver.close()


def _check_harmless(path: str) -> None:
    """Forbidden if opening this file would hurt its owner. A reader of a file in WAL mode makes its `-wal` and `-shm`
    where nobody else has the file open, and leaves them (https://www.sqlite.org/wal.html#read_only_databases): made by
    another user, they would lock the owner's own program out. (As root SQLite gives them to the owner.) Only to be
    asked before the first connection: closing a file lets go of all locks that this process has on it."""
    if os.geteuid() in (0, os.stat(path).st_uid) or os.path.exists(f"{path}-shm"):
        return
    with open(path, "rb") as file:
        header = file.read(20)
    if header[18:20] == _WAL:
        raise Forbidden(
            f"sqlite:///{path} is in WAL mode and nobody has it open: reading it would leave files of trueup's user "
            "beside it that its owner cannot write; run trueup as the owner, or keep it open in its program meanwhile"
        )


def _uri(path: str) -> str:
    """A `file:` URI (https://www.sqlite.org/uri.html), read-only."""
    return f"file:{quote(os.path.abspath(path))}?mode=ro"
