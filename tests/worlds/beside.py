"""Two databases side by side that follow nobody: hands write to both, to the second one later if it is held."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from verifier.ports import Replica
from verifier.table import Family, TableName
from worlds import Capability, Columns, Values

Statement = tuple[str, list[str | None]]
_WHY = "nothing replicates here: there is no log, and the follower tells no position"


class _Writing:
    """Statements of one transaction."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []

    def insert(self, table: TableName, row: Values) -> None:
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        self.statements.append((f"insert into {named(table)} ({names}) values ({marks})", list(row.values())))


class BesideWorld(ABC):
    speaks_sql = True
    leader: Replica
    follower: Replica
    types: Mapping[Family, str]
    lacks: Mapping[Capability, str] = {
        Capability.FOLLOWER_POSITION: _WHY,
        Capability.TRANSACTION_IDS: "transactions have no ids that views could tell",
    }

    def __init__(self) -> None:
        self._held = False
        self._late: list[list[Statement]] = []
        self._made: list[TableName] = []

    @abstractmethod
    def write(self, follower: bool, statements: Sequence[Statement]) -> None:
        """One transaction on the leader, or on the follower."""

    def create(self, name: str, columns: Columns, key: Sequence[str]) -> TableName:
        table = TableName("main", name)
        typed = [f'"{column}" {self.types[family]}{" not null" if column in key else ""}' for column, family in columns]
        keyed = ["primary key (" + ", ".join(f'"{part}"' for part in key) + ")"] if key else []
        self._both([(f"create table {named(table)} ({', '.join(typed + keyed)})", [])])
        self._made.append(table)
        return table

    def insert(self, table: TableName, rows: Sequence[Values]) -> None:
        with self.transaction() as writing:
            for row in rows:
                writing.insert(table, row)

    def update(self, table: TableName, where: Values, values: Values) -> None:
        changes = ", ".join(f'"{name}" = ?' for name in values)
        sql = f"update {named(table)} set {changes} where {_matching(where)}"
        self._both([(sql, [*values.values(), *where.values()])])

    def delete(self, table: TableName, where: Values) -> None:
        self._both([(f"delete from {named(table)} where {_matching(where)}", list(where.values()))])

    @contextmanager
    def transaction(self) -> Iterator[_Writing]:
        writing = _Writing()
        yield writing
        self._both(writing.statements)

    def applied(self) -> None:
        """It is, unless held."""
        return

    def hold(self) -> None:
        self._held = True

    def release(self) -> None:
        self._held = False
        for statements in self._late:
            self.write(True, statements)
        self._late.clear()

    def clear(self) -> None:
        drops: list[Statement] = [(f"drop table {named(table)}", []) for table in self._made]
        if drops:
            self._both(drops)
        self._made.clear()

    def _both(self, statements: list[Statement]) -> None:
        self.write(False, statements)
        if self._held:
            self._late.append(statements)
        else:
            self.write(True, statements)


def named(table: TableName) -> str:
    return f'"{table.schema}"."{table.name}"'


def _matching(where: Values) -> str:
    return " and ".join(f'"{name}" = ?' for name in where)
