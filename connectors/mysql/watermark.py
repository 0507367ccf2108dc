"""Counting the watermark row up on MySQL or MariaDB: the one write on a leader, and only if the operator asked for it.

One UPDATE of one row by its key, in a transaction of its own, under the time limits of every other statement. MySQL
limits selects alone; there the lock is waited for as long as `lock_seconds` says, and the row is found by its key.
"""

from __future__ import annotations

from connectors.mysql.session import Sessions
from verifier.policy import Limits
from verifier.position import Tick
from verifier.table import TableName
from verifier.watermark import no_row

_SECONDS = 5.0


class MysqlWatermark:
    """`verifier.watermark.Advancing`. One connection that may write; the login needs SELECT and UPDATE on the table."""

    def __init__(self, url: str, table: TableName, limits: Limits | None = None) -> None:
        given = limits or Limits()
        seconds = min(_SECONDS, given.statement_seconds)
        self._sessions = Sessions(url, Limits(1, given.connect_seconds, seconds, given.lock_seconds))
        self._table = table
        named = f"{self._sessions.quote(table.schema)}.{self._sessions.quote(table.name)}"
        self._sql = f"update {named} set tick = last_insert_id(tick + 1) where id = 1"

    def advance(self) -> Tick:
        with self._sessions.borrow(f"advancing the watermark {self._table}") as session:
            session.run("set session transaction read write")
            session.run(self._sql)
            changed, tick = session.one("select row_count(), last_insert_id()")
        if int(changed) != 1:
            raise no_row(self._table, self._sessions.where)
        return Tick(int(tick))

    def close(self) -> None:
        self._sessions.close()
