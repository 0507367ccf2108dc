"""Worlds whose hands write to the leader, a transaction at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from verifier.table import TableName
from worlds import Values


class Written(ABC):
    """What one transaction of the leader does; `transaction` is the engine's."""

    def insert(self, table: TableName, rows: Sequence[Values]) -> None:
        with self.transaction() as transaction:
            for row in rows:
                transaction.insert(table, row)

    def update(self, table: TableName, where: Values, values: Values) -> None:
        with self.transaction() as transaction:
            transaction.update(table, where, values)

    def delete(self, table: TableName, where: Values) -> None:
        with self.transaction() as transaction:
            transaction.delete(table, where)

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Any]: ...
