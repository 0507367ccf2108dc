"""`Replica` over a leader or follower in memory.

`happen` is called wherever real time would pass: before each question, and within a follower's look between its first
position, its statement and its second position. A statement itself is one moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from threading import RLock
from typing import TypeVar

from connectors.memory.address import Address, Connection, Server, leads
from connectors.memory.leader import Leader
from connectors.memory.rows import Shelf, matches, row_hash
from verifier.digest import Digest
from verifier.errors import Permanent
from verifier.features import Feature
from verifier.keyrange import ALL, KeyRange
from verifier.look import Look, Publishes, Role, Row
from verifier.multiset import HashCounts
from verifier.ports import Answer, Explanation, Identity
from verifier.position import Position, Tick
from verifier.table import Column, Key, Table, TableName
from verifier.view import Mark
from verifier.weight import bounded, text_bytes

T = TypeVar("T")

_BEGINNING = Tick(0)
_END = Tick(1 << 62)


def nothing() -> None:
    """A world that stands still while it is asked."""


class MemoryReplica:
    """`lock` is shared by all replicas of a world, so that threads may ask them."""

    def __init__(
        self,
        name: str,
        server: Server | Address,
        *,
        role: Role | None = None,
        happen: Callable[[], None] = nothing,
        lock: RLock | None = None,
    ) -> None:
        self._name = name
        self._connection = Connection(name, server if isinstance(server, Address) else Address(server), role)
        self._happen = happen
        self._lock = lock or RLock()

    @property
    def name(self) -> str:
        return self._name

    @property
    def publishes(self) -> Publishes:
        if self._connection.role is None:
            self._connection.server()
        standby = self._connection.role is Role.STANDBY
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
            return self._connection.identity(self._reach())

    def tables(self, patterns: Sequence[str]) -> Sequence[TableName]:
        with self._lock:
            return sorted(name for name in self._reach().shelves.tables if matches(name, list(patterns)))

    def expect(self, names: Sequence[TableName]) -> None:
        return  # each is asked about when its turn comes

    def table(self, name: TableName) -> Table:
        with self._lock:
            return self._shelf(self._reach(), name).table

    def features(self, name: TableName) -> Sequence[Feature]:
        with self._lock:
            return self._shelf(self._reach(), name).features

    def position(self) -> Position:
        with self._lock:
            server = self._connection.acting(self._reach())
            if self._follows_nobody(server):
                raise Permanent(f"{self._name} does not tell how far it follows")
            return server.tick()

    def mark(self, shown: Position | None = None) -> Mark:
        with self._lock:
            server = self._reach()
            if self._connection.role is Role.STANDBY:
                return 0
            return (leads(server) or server).mark()

    def boundary(self, table: Table, after: Key | None, rows: int) -> Key | None:
        with self._lock:
            keys = self._shelf(self._reach(), table.name).within(KeyRange(after, None))
            return keys[rows] if rows < len(keys) else None

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        return self._look(table, lambda shelf: Digest.of(_hashes(table, shelf, within).values()))

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        return self._look(table, lambda shelf: _hashes(table, shelf, within))

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        return self._look(table, lambda shelf: HashCounts.of(Counter(_hashes(table, shelf, ALL).values())))

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        return self._look(table, lambda shelf: {key: row.digest for key, row in _rows(table, shelf, keys).items()})

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        def read(shelf: Shelf) -> Mapping[Key, Row]:
            rows = _rows(table, shelf, keys).items()
            held = bounded(rows, lambda one: text_bytes(one[1].values.values()), f"rows of {table.name}")
            return dict(held)

        return self._look(table, read)

    def explain(self, table: Table, within: KeyRange) -> Explanation:
        with self._lock:
            rows = len(self._shelf(self._reach(), table.name).within(within))
            bounds = [*(within.lower or ()), *(within.upper or ())]
            return Explanation(f"digest of {table.name}", tuple(map(str, bounds)), (f"walk of {rows} rows in memory",))

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        if sql != "select 1":
            raise Permanent(f"{self._name}: the world in memory speaks no SQL, asked {sql[:40]!r}")
        with self._lock:
            server = self._connection.acting(self._reach())
            return Look(Answer(("1",), (("1",),), False), server.tick(), server.tick(), server.view())

    def running(self) -> int:
        """Transactions that are open on the server: nothing else runs in this world."""
        with self._lock:
            return self._reach().running

    def close(self) -> None:
        """Nothing is held open."""

    def _reach(self) -> Server:
        """Time passes, and somebody answers."""
        self._happen()
        return self._connection.server()

    def _look(self, table: Table, read: Callable[[Shelf], T]) -> Look[T]:
        with self._lock:
            found = self._reach()
            server = self._connection.acting(found)
            shelf = self._shelf(server, table.name)
            if self._connection.role is Role.LEADER:
                position = server.tick()
                return Look(read(shelf), position, position, server.view())
            low = server.tick()
            self._happen()
            server = self._connection.acting(self._connection.still(found))
            value, view = read(self._shelf(server, table.name)), server.view()
            self._happen()
            server = self._connection.acting(self._connection.still(found))
            if self._follows_nobody(server):
                return Look(value, _BEGINNING, _END, view)
            return Look(value, low, server.tick(), view)

    def _follows_nobody(self, server: Server) -> bool:
        return self._connection.role is not Role.LEADER and isinstance(server, Leader)

    def _shelf(self, server: Server, name: TableName) -> Shelf:
        if name not in server.shelves.tables:
            raise Permanent(f"{self._name} has no table {name}")
        return server.shelves.tables[name]


def _hashes(table: Table, shelf: Shelf, within: KeyRange) -> Mapping[Key, int]:
    return {key: row_hash(table, shelf.rows[key][0]) for key in shelf.within(within)}


def _rows(table: Table, shelf: Shelf, keys: Collection[Key]) -> Mapping[Key, Row]:
    found = {key: shelf.row(table, key) for key in keys}
    return {key: row for key, row in found.items() if row is not None}
