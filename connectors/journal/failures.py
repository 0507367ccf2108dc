"""What the journal's database refused, in words: where, what, and what to do. Row values never reach a message."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, TrueupError, Unreachable, Unsound

_SQLITE: tuple[tuple[str, type[TrueupError], str], ...] = (
    ("SQLITE_BUSY", Temporary, "another process has been writing to it for too long; it will be tried again"),
    ("SQLITE_LOCKED", Temporary, "another process has been writing to it for too long; it will be tried again"),
    ("SQLITE_FULL", Temporary, "the disk is full: free some space, trueup goes on by itself"),
    ("SQLITE_READONLY", Forbidden, "it cannot be written: give this user the right to write the file and its folder"),
    ("SQLITE_PERM", Forbidden, "it cannot be opened: give this user the right to read and write it"),
    ("SQLITE_CANTOPEN", Forbidden, "it cannot be opened: check that the folder exists and this user may write there"),
    ("SQLITE_NOTADB", Misconfigured, "the file is not a SQLite database: name another file, or move this one away"),
    ("SQLITE_CORRUPT", Unsound, "the file is damaged: keep a copy, restore a backup or begin with an empty journal"),
    ("SQLITE_IOERR", Temporary, "the disk failed or is full: look at the system's log, trueup tries again"),
)

_POSTGRES: tuple[tuple[str, type[TrueupError], str], ...] = (
    ("28", Forbidden, "the server refuses the login: check user, password and pg_hba.conf"),
    ("42501", Forbidden, "a right is missing: the user must own the journal's tables and may create in their schema"),
    ("3D000", Misconfigured, "the database does not exist: create it, or name another"),
    ("3F000", Misconfigured, "there is no schema to create the tables in: create it, or set the user's search_path"),
    ("25006", Temporary, "the server is read-only (a standby?): name the leader of the journal's database"),
    ("53100", Temporary, "the server's disk is full: free some space, trueup goes on by itself"),
    ("53", Temporary, "the server is out of connections or memory; it will be tried again"),
    ("40", Temporary, "the transaction collided with another; it will be tried again"),
    ("55P03", Temporary, "another process holds the journal's lock for too long; it will be tried again"),
    ("57014", Temporary, "the statement was cancelled; it will be tried again"),
    ("57P", Unreachable, "the server is shutting down or starting up"),
    ("08", Unreachable, "the connection broke"),
)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise trueup's errors instead of the driver's, the cause chained; `where` names the journal without secrets."""
    try:
        yield
    except PoolTimeout as error:
        raise Temporary(f"journal {where}: all connections are in use; it will be tried again") from error
    except DBAPIError as error:
        raise _worded(where, error) from error


def _worded(where: str, error: DBAPIError) -> TrueupError:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorname", "")
        return _found(_SQLITE, code, f"journal {where}: {cause}")
    import psycopg  # whoever has another journal and other servers starts without it

    if isinstance(cause, psycopg.Error):
        said = (cause.diag.message_primary or str(cause)).strip().replace("\n", "; ")
        if cause.sqlstate is None and isinstance(cause, psycopg.OperationalError):
            return _unanswered(f"journal {where}: {said}")
        return _found(_POSTGRES, cause.sqlstate or "", f"journal {where}: {said}")
    return Permanent(f"journal {where}: {cause}")


def _unanswered(message: str) -> TrueupError:
    """Before a session exists libpq gives no code, only text: the server's own words follow `FATAL:`."""
    if "authentication failed" in message or "no pg_hba.conf entry" in message:
        return Forbidden(f"{message}: check user, password and pg_hba.conf")
    if "does not exist" in message and "FATAL" in message:
        return Misconfigured(f"{message}: create it, or name another")
    return Unreachable(f"{message}: check host and port, and that the server runs")


def _found(rules: tuple[tuple[str, type[TrueupError], str], ...], code: str, message: str) -> TrueupError:
    for start, kind, advice in rules:
        if code.startswith(start):
            return kind(f"{message}: {advice}")
    return Permanent(f"{message} ({code or 'no code'})")
