"""`Replica` over a leader or follower in memory.

`happen` is called wherever real time would pass: before each question, and within a follower's look between its first
position, its statement and its second position. A statement itself is one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import RLock
from typing import TypeVar

from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.rows import matches, row_hash
from verifier.digest import Digest
from verifier.errors import Permanent
from verifier.features import Feature
from verifier.keyrange import ALL, KeyRange
from verifier.look import Look, Publishes, Role, Row
from verifier.multiset import HashCounts
from verifier.ports import Answer, Explanation, Identity
from verifier.position import Position
from verifier.table import Column, Key, Table, TableName

T = TypeVar("T")


def nothing() -> None:
    """A world that stands still while it is asked."""


class MemoryReplica:
    """`lock` is shared by all replicas of a world, so that threads may ask them."""

    def __init__(
        self,
        name: str,
        server: Leader | Follower,
        *,
        happen: Callable[[], None] = nothing,
        lock: RLock | None = None,
    ) -> None:
        self._name = name
        self._server = server
        self._happen = happen
        self._lock = lock or RLock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def publishes(self) -> Publishes:
        standby = self._role() is Role.STANDBY
        return Publishes.AFTER_SHOWING if standby else Publishes.BEFORE_SHOWING

    @property
    def dialect(self) -> str:
        return "memory"

    @property
    def default_schema(self) -> str | None:
        return "public"

    def canonical(self, column: Column) -> bool:
        return False

    def identity(self) -> Identity:
        with self._lock:
            self._happen()
            system = self._name if self._role() is Role.SUBSCRIBER else "memory"
            return Identity("memory", "1", system, 1, self._role())

    def tables(self, patterns: Sequence[str]) -> Sequence[TableName]:
        with self._lock:
            self._happen()
            return sorted(name for name in self._server.shelves.tables if matches(name, list(patterns)))

    def table(self, name: TableName) -> Table:
        with self._lock:
            self._happen()
            self._known(name)
            return self._server.shelves.tables[name].table

    def features(self, name: TableName) -> Sequence[Feature]:
        with self._lock:
            self._happen()
            self._known(name)
            return self._server.shelves.tables[name].features

    def position(self) -> Position:
        with self._lock:
            self._happen()
            return self._server.tick()

    def mark(self, shown: Position | None = None) -> int:
        with self._lock:
            self._happen()
            return self._server.mark()

    def boundary(self, table: Table, after: Key | None, rows: int) -> Key | None:
        with self._lock:
            self._happen()
            self._known(table.name)
            keys = self._server.shelves.tables[table.name].within(KeyRange(after, None))
            return keys[rows] if rows < len(keys) else None

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        return self._look(table, lambda: Digest.of(self._hashes(table, within).values()))

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        return self._look(table, lambda: self._hashes(table, within))

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        return self._look(table, lambda: HashCounts.of(Counter(self._hashes(table, ALL).values())))

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        return self._look(table, lambda: {key: row.digest for key, row in self._rows(table, keys).items()})

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        return self._look(table, lambda: self._rows(table, keys))

    def explain(self, table: Table, within: KeyRange) -> Explanation:
        with self._lock:
            self._happen()
            self._known(table.name)
            rows = len(self._server.shelves.tables[table.name].within(within))
            bounds = [*(within.lower or ()), *(within.upper or ())]
            return Explanation(f"digest of {table.name}", tuple(map(str, bounds)), (f"walk of {rows} rows in memory",))

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        raise Permanent(f"{self._name}: the world in memory speaks no SQL, asked {sql[:40]!r}")

    def running(self) -> int:
        """Transactions that are open on the server: nothing else runs in this world."""
        with self._lock:
            self._happen()
            return self._server.running

    def close(self) -> None:
        """Nothing is held open."""

    def _look(self, table: Table, read: Callable[[], T]) -> Look[T]:
        with self._lock:
            self._happen()
            self._known(table.name)
            if isinstance(self._server, Leader):
                position = self._server.tick()
                return Look(read(), position, position, self._server.snapshot())
            low = self._server.tick()
            self._happen()
            value, view = read(), self._server.view()
            self._happen()
            return Look(value, low, self._server.tick(), view)

    def _hashes(self, table: Table, within: KeyRange) -> Mapping[Key, int]:
        shelf = self._server.shelves.tables[table.name]
        return {key: row_hash(table, shelf.rows[key][0]) for key in shelf.within(within)}

    def _rows(self, table: Table, keys: Collection[Key]) -> Mapping[Key, Row]:
        found = {key: self._server.shelves.row(table, key) for key in keys}
        return {key: row for key, row in found.items() if row is not None}

    def _known(self, name: TableName) -> None:
        if name not in self._server.shelves.tables:
            raise Permanent(f"{self._name} has no table {name}")

    def _role(self) -> Role:
        return Role.LEADER if isinstance(self._server, Leader) else self._server.role
