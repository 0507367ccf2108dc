"""Counting the watermark row up in an SQLite leader: the one write there, and only if the operator asked for it.

One UPDATE of one row by its key, in a transaction of its own. The file's other writers are waited for as long as
`lock_seconds` says.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from connectors.sql.quoting import quoted
from connectors.sqlite.errors import translated
from connectors.sqlite.session import Files
from verifier.policy import Limits
from verifier.position import Tick
from verifier.table import TableName
from verifier.watermark import counted_up


class SqliteWatermark:
    """`verifier.watermark.Advancing`. The file is opened for each write, and never made."""

    def __init__(self, url: str, table: TableName, limits: Limits | None = None) -> None:
        self._files, self._table = Files.of(url), table
        self._lock_seconds = (limits or Limits()).lock_seconds
        self._sql = f"update {quoted(table.name)} set tick = tick + 1 where id = 1 returning tick"

    def advance(self) -> Tick:
        with translated(f"advancing the watermark {self._table}", self._files.where):
            path = dict(self._files.attached).get(self._table.schema, self._files.main)
            uri = f"{Path(path).absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(uri, uri=True, timeout=self._lock_seconds, isolation_level=None)) as made:
                found = made.execute(self._sql).fetchall()
        return counted_up(found, self._table, self._files.where)

    def close(self) -> None:
        """Nothing is held."""
