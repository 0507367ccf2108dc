"""Opening a journal: find it or make it, bring its schema up to date, and hand out its subjects.

SQLite runs with a write-ahead log and `synchronous=FULL`: every step is on the disk before the call returns. NORMAL
would survive `kill -9` as well, but a power cut could take the last steps back, after the stream had been told that it
may forget what caused them, and after a repair had been written to a follower without its audit line.
"""

from __future__ import annotations

import os
import sqlite3
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from connectors.journal import tables
from connectors.journal.drifts import Announce, SqlDrifts
from connectors.journal.failures import translated
from connectors.journal.pauses import SqlPauses
from connectors.journal.runs import SqlRuns
from connectors.journal.schema import bring_up_to_date
from connectors.journal.store import WRITES, Fence, Store
from verifier.errors import Forbidden, Misconfigured

if TYPE_CHECKING:
    from connectors.journal.dirty import SqlDirty
    from connectors.journal.leases import SqlLeases
    from connectors.journal.marks import Marker, SqlMarks
    from connectors.journal.outbox import SqlOutbox
    from connectors.journal.repairs import SqlRepairs
    from connectors.journal.scans import SqlScans
    from connectors.journal.stream import SqlStream

BUSY_SECONDS = 10.0
"""How long a write waits for another process's write."""
_PATIENCE = {
    "connect_timeout": "10",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
"""Of libpq (https://www.postgresql.org/docs/current/libpq-connect.html): all of the daemon waits for its journal, so a
network that swallows everything is noticed within some fifteen seconds."""


class Journal:
    """The journal of one group, by subject. Safe to share between threads.

    What an audit has no use for is imported by whoever asks for it: that is a fifth of what a journal takes to open."""

    def __init__(self, store: Store, announce: Announce | None) -> None:
        self.group, self.store = store.group, store
        self.runs, self.drifts, self.pauses = SqlRuns(store, announce), SqlDrifts(store, announce), SqlPauses(store)
        self._announce = announce

    @cached_property
    def _marker(self) -> Marker:
        from connectors.journal.marks import Marker

        return Marker(self.store)

    @cached_property
    def stream(self) -> SqlStream:
        from connectors.journal.stream import SqlStream

        return SqlStream(self.store, self._announce, self._marker)

    @cached_property
    def scans(self) -> SqlScans:
        from connectors.journal.scans import SqlScans

        return SqlScans(self.store)

    @cached_property
    def repairs(self) -> SqlRepairs:
        from connectors.journal.repairs import SqlRepairs

        return SqlRepairs(self.store)

    @cached_property
    def outbox(self) -> SqlOutbox:
        from connectors.journal.outbox import SqlOutbox

        return SqlOutbox(self.store)

    @cached_property
    def leases(self) -> SqlLeases:
        from connectors.journal.leases import SqlLeases

        return SqlLeases(self.store)

    @cached_property
    def marks(self) -> SqlMarks:
        from connectors.journal.marks import SqlMarks

        return SqlMarks(self.store, self._marker)

    @cached_property
    def dirty(self) -> SqlDirty:
        from connectors.journal.dirty import SqlDirty

        return SqlDirty(self.store)

    def fence(self, lease: str, token: int) -> None:
        """From now on write under this lease: once another owner has taken it, every write raises Permanent."""
        self.store.fence(Fence(lease, token))

    def prune(self, before: float) -> int:
        """Delete history older than `before` (finished runs, cleared drift, sent events); returns the rows deleted.
        The audit chain, repairs and everything still open stay. Bounded: call again until it returns 0."""
        from connectors.journal.pruning import prune

        return prune(self.store, before)

    def close(self) -> None:
        """Close all connections. What was recorded is on the disk already."""
        self.store.close()


def open_journal(target: str | Path, group: str, *, announce_drift: Announce | None = None) -> Journal:
    """Open, and create where it does not exist, the journal at a file path or a URL (`sqlite:///...` or
    `postgresql://...`).

    `announce_drift` shapes the event that tells of drift that was opened, changed or cleared; it goes to the outbox in
    the same transaction. Raises Misconfigured (not a journal, written by a newer trueup), Forbidden (no right to
    write), Unreachable, Temporary (disk full, locked for too long).
    """
    url = _url(target)
    on_file = url.get_backend_name() == "sqlite"
    name = str(url.database) if on_file else url.render_as_string(hide_password=True)
    if on_file:
        _prepare_file(Path(name))
    engine = _sqlite(url) if on_file else _postgres(url)
    store = Store(engine, group, name)
    try:
        with translated(name):
            bring_up_to_date(engine, name)
        with store.write() as connection:
            known = store.insert(tables.groups).on_conflict_do_nothing(index_elements=["group_name"])
            connection.execute(known, {"group_name": group, "audit_sequence": 0, "audit_hash": ""})
    except BaseException:
        engine.dispose()
        raise
    return Journal(store, announce_drift)


def _url(target: str | Path) -> URL:
    text = str(target)
    if isinstance(target, Path) or "://" not in text:
        return URL.create("sqlite", database=str(Path(text).expanduser().absolute()))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # the cause may quote a part of the password
        raise Misconfigured("journal: the URL cannot be read: write sqlite:///path or postgresql://host/db") from None
    backend = url.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise Misconfigured(f"journal: {backend} cannot hold a journal: use a file path or a postgresql:// URL")
    if url.database in (None, "", ":memory:"):
        raise Misconfigured("journal: a journal in memory would forget everything: name a file")
    return URL.create("sqlite", database=str(Path(str(url.database)).absolute()))


def _prepare_file(path: Path) -> None:
    """Rows of production data are inside, so the file is made readable for its owner alone."""
    if path.is_dir():
        raise Misconfigured(f"journal {path}: this is a folder: name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise Forbidden(
            f"journal {path}: it cannot be opened for writing ({error.strerror}): "
            "give this user the right to write the file and its folder, or name another file"
        ) from error


def _sqlite(url: URL) -> Engine:
    arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    engine = create_engine(url, connect_args=arguments, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def set_up(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # the driver must not begin transactions by itself
        cursor = raw.cursor()
        _write_ahead(cursor)
        for pragma in ("synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """Turning a new file over to its write-ahead log needs it alone, and SQLite does not wait for that by itself:
    two processes may open a new journal at once."""
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as problem:
            if "locked" not in str(problem) or time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _postgres(url: URL) -> Engine:
    query = _PATIENCE | {"application_name": "trueup journal"} | dict(url.query)
    engine = create_engine(url.set(query=query), pool_pre_ping=True, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def set_up(raw: Any, _record: object) -> None:
        with raw.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {int(BUSY_SECONDS * 1000)}")
            # a server set to lose its last commits on a crash would lose ours as well
            cursor.execute("SHOW synchronous_commit")
            if cursor.fetchone() == ("off",):
                cursor.execute("SET synchronous_commit = on")
        raw.commit()

    return engine
