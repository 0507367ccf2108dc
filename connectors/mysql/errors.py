"""Driver errors become trueup's own at this border, classed by what happens next.

The message says what was tried and where, never the password. Where the server's sentence quotes values (a duplicate
key, data that cannot be converted) it is left out, and so is what routines of the database's owner signal, which may
quote anything (a view or a check of theirs runs inside a statement).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pymysql

from verifier.errors import Forbidden, Permanent, Temporary, TrueupError, Unreachable

# Numbers of https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html and MariaDB's own from 1900 on.
_LOGIN = {1045, 1130, 1251, 1698, 1862, 3118, 4151}
_RIGHTS = {1044, 1142, 1143, 1227, 1370, 3530}
_TIMED_OUT = {1317, 1907, 1969, 3024}
_TEMPORARY = {
    1028: "the server could not sort the rows, it ran out of something",
    1040: "the server has too many connections",
    1203: "trueup's user has too many connections",
    1205: "a lock was not free within the lock time limit",
    1213: "the statement was the victim of a deadlock",
    1226: "trueup's user used up what it may use in an hour",
    1412: "the table was altered meanwhile",
    1615: "the table was altered meanwhile",
    1927: "an operator ended the session",
    3170: "the server ran out of memory for this statement",
    4031: "the server ended an idle session",
}
_GOING = {1053, 1077, 1079, 1080, 3169}
_VALUES = {1062, 1264, 1292, 1366, 1367, 1411, 1525, 1690}
_SIGNALLED = {1642, 1643, 1644}
_SERVERS = range(1000, 5000)
"""Numbers of the servers' own errors to clients, and of the driver's. SIGNAL may choose any other one."""
_OWN = "45"
"""The class of SQLSTATEs for what routines signal."""
_LOST = {2006, 2013, 2014, 2055}
_NOBODY = {2002, 2003, 2005}


@contextmanager
def translated(doing: str, where: str) -> Iterator[None]:
    """Raise what happens inside as one of trueup's errors; `doing` and `where` open the message."""
    try:
        yield
    except pymysql.MySQLError as error:
        raise translate(error, doing, where) from error
    except OSError as error:
        raise Unreachable(f"{doing} on {where}: {error}") from error


def translate(error: pymysql.MySQLError, doing: str, where: str) -> TrueupError:
    """The error of ours that says what `error` means."""
    number, said = numbered(error)
    head = f"{doing} on {where}: "
    if number in _LOGIN:
        return Forbidden(f"{head}the login was refused (error {number}); check user, password and host of the account")
    if number in _RIGHTS:
        return Forbidden(f"{head}{said}; grant that right to trueup's user")
    if number == 1049:
        return Unreachable(f"{head}{said}; check the database name in the URL")
    if number in _TIMED_OUT:
        return Temporary(f"{head}the statement was cancelled by a time limit or by an operator; it is tried again")
    if number in _TEMPORARY:
        return Temporary(f"{head}{said}: {_TEMPORARY[number]}; it is tried again", delay_seconds=5.0)
    if number in _GOING:
        return Unreachable(f"{head}{said}; wait until the server has started")
    if number in _NOBODY:
        return Unreachable(f"{head}nobody answers ({said}); check that the server runs, host, port and firewall")
    if number in _LOST or isinstance(error, pymysql.InterfaceError):
        return Temporary(f"{head}the connection was lost ({said or 'closed'}); it is tried again")
    if number in (1290, 1792):
        return Permanent(f"{head}{said}; trueup only reads, use a select")
    quoting = _quoting(error, number, said)
    if quoting:
        return Permanent(f"{head}{quoting}")
    if number == 1105 and isinstance(error, pymysql.OperationalError):
        return Temporary(f"{head}{said}; it is tried again", delay_seconds=5.0)
    return Permanent(f"{head}{said} (error {number})")


def _quoting(error: pymysql.MySQLError, number: int, said: str) -> str:
    """What is told instead where the server's sentence may quote values; empty for any other."""
    state = getattr(error, "sqlstate", None) or ""
    if number in _SIGNALLED or (number and number not in _SERVERS) or state.startswith(_OWN):
        return (
            f"a routine signalled an error ({number}); its text may quote rows and is left out, run the statement by "
            "hand to see it"
        )
    if number in _VALUES or isinstance(error, pymysql.DataError) or (number == 1105 and said.startswith("XPATH")):
        return f"a value was not accepted ({type(error).__name__}, error {number})"
    return ""


def numbered(error: pymysql.MySQLError) -> tuple[int, str]:
    """The server's number (0 if there is none) and sentence."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    return number, " ".join(str(error.args[1] if len(error.args) > 1 else error).split())
