"""Driver errors become trueup's own at this border, classed by what happens next.

The message says what was tried and where, never the password, and never the server's DETAIL (it quotes rows). For
errors in data (class 22) even the server's sentence is left out, because it quotes the value; and so is what functions
of the database's owner raise, which may quote anything (a check, a policy or a view of theirs runs inside a statement).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy.exc
from psycopg.errors import lookup

from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, TrueupError, Unreachable

_LOGIN = {"28000", "28P01"}
_LOGIN_TEXTS = (
    "password authentication failed",
    "no pg_hba.conf entry",
    "no password supplied",
    "authentication failed",
    "permission denied for database",
    "is not permitted to log in",
)
_NOBODY = ("connection failed", "connection timeout", "could not", "failed to resolve", "no answer")
_SETTINGS = re.compile(
    r"bad value for |invalid (connection option|\w+ value:|integer value|port number)|"
    r"root certificate file .* does not exist|certificate .* private key file"
)
"""libpq's own sentences about an address, before it asks anybody."""
_TEMPORARY = {
    "57014": "the statement was cancelled by a time limit, by an operator or by recovery on a standby",
    "40001": "the statement was cancelled because it conflicted with recovery or another transaction",
    "40P01": "the statement was the victim of a deadlock",
    "55P03": "a lock was not free within the lock time limit",
    "55000": "the server is not in the state that this needs",
    "57P01": "the server is shutting down or an operator ended the session",
    "57P02": "the server crashed and is recovering",
    "57P05": "the server ended an idle session",
    "25P03": "the server ended a session that was idle in a transaction",
}
_RAISED = {"P0001", "P0004"}
_RAISING = {"exec_stmt_raise", "exec_stmt_assert"}
"""The server's own functions that raise what PL/pgSQL says, under whatever SQLSTATE it says."""
_FOREIGN = ("38", "39")
"""Classes of what functions in other languages raise."""


@contextmanager
def translated(doing: str, where: str) -> Iterator[None]:
    """Raise what happens inside as one of trueup's errors; `doing` and `where` open the message."""
    try:
        yield
    except sqlalchemy.exc.TimeoutError as error:
        raise Temporary(f"{doing} on {where}: no connection became free in time, all are busy") from error
    except sqlalchemy.exc.DBAPIError as error:
        cause = error.orig
        if isinstance(cause, psycopg.Error):
            raise translate(cause, doing, where) from cause
        raise Temporary(f"{doing} on {where}: {type(error).__name__}") from error
    except psycopg.Error as error:
        raise translate(error, doing, where) from error
    except OSError as error:
        raise Unreachable(f"{doing} on {where}: {error}") from error


def translate(error: psycopg.Error, doing: str, where: str) -> TrueupError:
    """The error of ours that says what `error` means."""
    state = error.sqlstate
    if state is None:
        return _without_state(error, doing, where)
    head = f"{doing} on {where}: "
    if _raised(error, state):
        return Permanent(
            f"{head}a function raised an exception ({type(error).__name__}, SQLSTATE {state}); its text may quote rows "
            "and is left out, run the statement by hand to see it"
        )
    said = error.diag.message_primary or type(error).__name__
    if state in _LOGIN:
        return Forbidden(f"{head}{said}; check user, password and pg_hba.conf")
    if state == "42501":
        return Forbidden(f"{head}{said}; grant that right to trueup's user")
    if state == "3D000":
        return Unreachable(f"{head}{said}; check the database name in the URL")
    if state == "57P03":
        return Unreachable(f"{head}{said}; wait until the server has started")
    if state in _TEMPORARY:
        return Temporary(f"{head}{said}: {_TEMPORARY[state]}; it is tried again")
    if state.startswith("08"):
        return Unreachable(f"{head}{said}; check that the server runs and can be reached")
    if state[:2] in ("53", "58", "40"):
        return Temporary(f"{head}{said}; it is tried again", delay_seconds=5.0)
    if state == "25006":
        return Permanent(f"{head}{said}; trueup only reads, use a select")
    if state.startswith("22"):
        return Permanent(f"{head}a value was not accepted ({type(error).__name__}, SQLSTATE {state})")
    return Permanent(f"{head}{said} (SQLSTATE {state})")


def _raised(error: psycopg.Error, state: str) -> bool:
    """Whether the text is not the server's own."""
    if state in _RAISED or state.startswith(_FOREIGN) or error.diag.source_function in _RAISING:
        return True
    try:
        lookup(state)
    except KeyError:  # none that PostgreSQL has
        return True
    return False


def _without_state(error: psycopg.Error, doing: str, where: str) -> TrueupError:
    """libpq reports failed connections and lost ones as text only."""
    said = " ".join(str(error).split())
    if any(text in said for text in _LOGIN_TEXTS) or ("FATAL:  role" in str(error) and "does not exist" in said):
        return Forbidden(f"{doing} on {where}: the login was refused ({said}); check user, password and pg_hba.conf")
    if _SETTINGS.search(said):
        return Misconfigured(
            f"{doing} on {where}: {said}; correct the settings in the URL (what stands behind its '?')"
        )
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        if any(text in said for text in _NOBODY):
            return Unreachable(
                f"{doing} on {where}: nobody answers ({said}); check that the server runs, host, port and firewall"
            )
        return Temporary(f"{doing} on {where}: the connection was lost ({said}); it is tried again")
    return Permanent(f"{doing} on {where}: {said}")
