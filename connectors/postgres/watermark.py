"""Counting the watermark row up on a PostgreSQL leader: the one write there, and only if the operator asked for it.

One UPDATE of one row by its key, in a transaction of its own, under the time limits of every other statement.
"""

from __future__ import annotations

from connectors.postgres.session import Sessions
from verifier.policy import Limits
from verifier.position import Tick
from verifier.table import TableName
from verifier.watermark import counted_up, writing


class PostgresWatermark:
    """`verifier.watermark.Advancing`. One connection that may write; the login needs SELECT and UPDATE on the table."""

    def __init__(self, url: str, table: TableName, limits: Limits | None = None) -> None:
        self._sessions = Sessions(url, writing(limits))
        self._table = table
        named = f"{self._sessions.quote(table.schema)}.{self._sessions.quote(table.name)}"
        self._sql = f"update {named} set tick = tick + 1 where id = 1 returning tick"

    def advance(self) -> Tick:
        with self._sessions.borrow(f"advancing the watermark {self._table}") as session:
            session.configure({"default_transaction_read_only": "off"})
            found = session.all(self._sql)
        return counted_up(found, self._table, self._sessions.where)

    def close(self) -> None:
        self._sessions.close()
