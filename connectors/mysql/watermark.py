"""Counting the watermark row up on MySQL or MariaDB: the one write on a leader, and only if the operator asked for it.

One UPDATE of one row by its key, in a transaction of its own, under the time limits of every other statement. MySQL
limits selects alone; there the lock is waited for as long as `lock_seconds` says, and the row is found by its key.
"""

from __future__ import annotations

from connectors.mysql.session import Sessions
from verifier.policy import Limits
from verifier.position import Tick
from verifier.table import TableName
from verifier.watermark import counted_up, writing


class MysqlWatermark:
    """`verifier.watermark.Advancing`. One connection that may write; the login needs SELECT and UPDATE on the table."""

    def __init__(self, url: str, table: TableName, limits: Limits | None = None) -> None:
        self._sessions = Sessions(url, writing(limits))
        self._table = table
        named = f"{self._sessions.quote(table.schema)}.{self._sessions.quote(table.name)}"
        self._sql = f"update {named} set tick = last_insert_id(tick + 1) where id = 1"

    def advance(self) -> Tick:
        with self._sessions.borrow(f"advancing the watermark {self._table}") as session:
            session.run("set session transaction read write")
            session.run(self._sql)
            changed, tick = session.one("select row_count(), last_insert_id()")
        return counted_up([(tick,)] if int(changed) == 1 else [], self._table, self._sessions.where)

    def close(self) -> None:
        self._sessions.close()
