"""A user's own SELECT, fenced: inside a subquery, with a limit of rows and of time, in a read-only transaction.

The session is pinned again afterwards, because SQL can call `set_config`. Unqualified names are looked up as the
user's own client would, in `"$user", public`.
"""

from __future__ import annotations

from connectors.postgres.session import Session, Sessions, statement_limit
from verifier.errors import Permanent
from verifier.ports import Answer

_BOOLEANS = {"t": "true", "f": "false"}


def ask_once(
    sessions: Sessions, session: Session, sql: str, told: str, rows_max: int, seconds_max: float
) -> tuple[tuple[str | None, ...], Answer]:
    """What was `told` (a list of SQL expressions) in the answer's own snapshot, and the answer."""
    text = sql.strip().rstrip(";").strip()
    if not text:
        raise Permanent("the SQL is empty; need one select statement")
    fenced = (
        f"select told.*, fenced.* from (select {told}) told left join "
        f"(select true as here, asked.* from (\n{text}\n) as asked limit {int(rows_max) + 1}) fenced on true"
    )
    session.allow(seconds_max)
    session.configure(statement_limit(seconds_max) | {"search_path": '"$user", public'})
    try:
        names, rows, booleans = session.raw(fenced)
    finally:
        if session.usable:
            sessions.pin(session)
    here = told.count(",") + 1
    answers = [
        tuple(_BOOLEANS[v] if n in booleans and v is not None else v for n, v in enumerate(row))[here + 1 :]
        for row in rows
        if row[here] is not None
    ]
    return rows[0][:here], Answer(names[here + 1 :], tuple(answers[:rows_max]), len(answers) > rows_max)
