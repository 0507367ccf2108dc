"""The driver's errors become trueup's own at this border, classed by what happens next.

The message says what was tried and where. Where the driver would quote a value, its sentence is left out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from verifier.errors import Forbidden, Permanent, Temporary, TrueupError, Unreachable

_TEMPORARY = {
    sqlite3.SQLITE_BUSY: "another connection holds a lock for longer than the lock time limit",
    sqlite3.SQLITE_LOCKED: "another connection holds a lock on the table",
    sqlite3.SQLITE_INTERRUPT: "the statement ran into its time limit",
    sqlite3.SQLITE_SCHEMA: "the schema changed meanwhile",
    sqlite3.SQLITE_IOERR: "the file could not be read",
    sqlite3.SQLITE_PROTOCOL: "the write-ahead log is being opened by many at once",
}


@contextmanager
def translated(doing: str, where: str) -> Iterator[None]:
    """Raise what happens inside as one of trueup's errors; `doing` and `where` open the message."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, doing, where) from error
    except PermissionError as error:
        raise Forbidden(
            f"{doing} on {where}: the file may not be read; grant trueup's user the right to read it"
        ) from error
    except OSError as error:
        raise Unreachable(f"{doing} on {where}: there is no such file ({error.strerror}); check the path") from error


def translate(error: sqlite3.Error, doing: str, where: str) -> TrueupError:
    """One driver error by its result code (https://www.sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", None)
    head = f"{doing} on {where}: "
    if code is None:  # raised by the driver itself, which may quote a value
        if "user-defined function" in str(error):
            return Permanent(f"{head}a key holds text that is not UTF-8")
        return Permanent(f"{head}the driver refused it ({type(error).__name__})")
    primary = code & 0xFF
    if primary in _TEMPORARY:
        return Temporary(f"{head}{_TEMPORARY[primary]}; it is tried again")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return Unreachable(
            f"{head}the file cannot be opened ({error}); check the path, and in WAL mode that its folder can be written"
        )
    if primary in (sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return Forbidden(f"{head}{error}")
    if code in (sqlite3.SQLITE_READONLY_DIRECTORY, sqlite3.SQLITE_READONLY_CANTINIT):
        return Forbidden(f"{head}its folder cannot be written, which a file in WAL mode needs of its readers, too")
    if primary == sqlite3.SQLITE_READONLY:
        return Permanent(
            f"{head}{error}; trueup only reads: use a select; if a writer crashed, let its program open the file once"
        )
    # RAISE() in a trigger chooses the text of a broken constraint.
    if primary in (sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_CONSTRAINT):
        return Permanent(f"{head}a value was not accepted ({error.sqlite_errorname})")
    return Permanent(f"{head}{error}")
