"""A user's own SELECT, fenced: it must begin as a query, in a snapshot of a read-only session, with a limit of rows and
of time. The session is pinned again afterwards.

It is not put into a subquery, where MariaDB would forget its order.
"""

from __future__ import annotations

import re

from connectors.mysql.session import Session, Sessions
from verifier.errors import Permanent
from verifier.ports import Answer
from verifier.table import Value

_AHEAD = re.compile(r"(\s+|/\*(?![!M]).*?\*/|#[^\n]*\n|--\s[^\n]*\n|\()*", re.DOTALL)
_QUERIES = ("select", "with", "values", "table")


def ask_once(sessions: Sessions, session: Session, sql: str, rows_max: int, seconds_max: float) -> Answer:
    """The answer, in the snapshot that the session has open."""
    text = sql.strip().rstrip(";").strip()
    begins = text[_AHEAD.match(text).end() :].lower() if text else ""  # type: ignore[union-attr]
    if not begins.startswith(_QUERIES):
        raise Permanent("the SQL is not a query; need one select statement")
    session.allow(seconds_max)
    session.run(sessions.dialect.time_limit(seconds_max))
    session.run(f"set sql_select_limit = {int(rows_max) + 1}")
    try:
        names, rows = session.raw(text)
    finally:
        if session.usable:
            session.raw("select release_all_locks()")  # the user's SQL may have taken some, which outlive a statement
            session.run("set sql_select_limit = default")
            session.run(sessions.dialect.time_limit(sessions.limits.statement_seconds))
            session.allow(sessions.limits.statement_seconds)
    cells = tuple(tuple(map(_spelled, row)) for row in rows[:rows_max])
    return Answer(names, cells, len(rows) > rows_max)


def _spelled(value: object) -> Value:
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return None if value is None else str(value)
