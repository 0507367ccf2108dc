"""SQLAlchemy's errors become trueup's own at this border. Which of an unknown driver's errors pass is told by their
class in the DB-API (PEP 249) alone. Data errors are not quoted, they name values, nor are errors that SQL raises itself
where their number tells it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy.exc

from verifier.errors import Forbidden, Permanent, Temporary, TrueupError, Unreachable

_LOGIN = ("password", "authentication", "access denied", "login failed", "permission denied")
_WRONG = re.compile(r"no such|does ?n[o']t exist|unknown|not found|syntax|permission|denied", re.IGNORECASE)
"""Words of mistakes in what was asked: some drivers class all of their server's errors as operational."""
_RAISED = re.compile(r"ORA-20\d{3}\b|\(5\d{4}[,)]|SQLSTATE[ =]*45\d{3}|Invalid Input Error", re.IGNORECASE)
"""raise_application_error of Oracle; THROW and RAISERROR of SQL Server; SIGNAL of the standard; error() of DuckDB."""
_READ_ONLY = re.compile(r"^Invalid Input Error: Cannot execute statement of type \S+ on database .* read-only mode")
"""DuckDB's, which shares its class with what SQL raises."""
_TEMPORARY = (sqlalchemy.exc.OperationalError, sqlalchemy.exc.InternalError, sqlalchemy.exc.InterfaceError)


@contextmanager
def translated(doing: str, where: str, *, connecting: bool = False) -> Iterator[None]:
    """Raise what happens inside as one of trueup's errors; `doing` and `where` open the message."""
    try:
        yield
    except sqlalchemy.exc.TimeoutError as error:
        raise Temporary(f"{doing} on {where}: no connection became free in time, all are busy") from error
    except sqlalchemy.exc.DBAPIError as error:
        raise translate(error, f"{doing} on {where}", connecting=connecting) from error.orig
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise Permanent(f"{doing} on {where}: {_said(error)}") from error
    except OSError as error:
        raise Unreachable(f"{doing} on {where}: {error.strerror or type(error).__name__}") from error


def translate(error: sqlalchemy.exc.DBAPIError, head: str, *, connecting: bool = False) -> TrueupError:
    """One driver error."""
    said = _said(error.orig or error)
    if connecting:
        if any(word in said.lower() for word in _LOGIN):
            return Forbidden(f"{head}: the login was refused ({said}); check user and password")
        return Unreachable(f"{head}: cannot connect ({said}); check that it is there, and that nobody else holds it")
    if error.connection_invalidated:
        return Temporary(f"{head}: the connection was lost ({said}); it is tried again")
    if isinstance(error, sqlalchemy.exc.DataError | sqlalchemy.exc.IntegrityError):
        return Permanent(f"{head}: a value was not accepted ({type(error.orig).__name__})")
    if _READ_ONLY.search(said):
        return Permanent(f"{head}: the database is open read-only; trueup only reads, use a select")
    if _RAISED.search(said):
        return Permanent(
            f"{head}: the statement itself raised an error ({type(error.orig).__name__}); its text may quote rows and "
            "is left out, run the statement by hand to see it"
        )
    if isinstance(error, _TEMPORARY) and not _WRONG.search(said):
        return Temporary(f"{head}: {said}; it is tried again")
    return Permanent(f"{head}: {said}")


def _said(error: BaseException) -> str:
    """The first line: what follows quotes statements."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:500]
