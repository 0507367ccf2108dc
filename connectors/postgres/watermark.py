"""Counting the watermark row up on a PostgreSQL leader: the one write there, and only if the operator asked for it.

One UPDATE of one row by its key, in a transaction of its own, under the time limits of every other statement.
"""

from __future__ import annotations

from connectors.postgres.session import Sessions
from verifier.policy import Limits
from verifier.position import Tick
from verifier.table import TableName
from verifier.watermark import no_row

_SECONDS = 5.0


class PostgresWatermark:
    """`verifier.watermark.Advancing`. One connection that may write; the login needs SELECT and UPDATE on the table."""

    def __init__(self, url: str, table: TableName, limits: Limits | None = None) -> None:
        given = limits or Limits()
        seconds = min(_SECONDS, given.statement_seconds)
        self._sessions = Sessions(url, Limits(1, given.connect_seconds, seconds, given.lock_seconds))
        self._table = table
        named = f"{self._sessions.quote(table.schema)}.{self._sessions.quote(table.name)}"
        self._sql = f"update {named} set tick = tick + 1 where id = 1 returning tick"

    def advance(self) -> Tick:
        with self._sessions.borrow(f"advancing the watermark {self._table}") as session:
            session.configure({"default_transaction_read_only": "off"})
            found = session.all(self._sql)
        if not found or found[0][0] is None:
            raise no_row(self._table, self._sessions.where)
        return Tick(int(found[0][0]))

    def close(self) -> None:
        self._sessions.close()
