"""The simulated world under the same contracts as real servers: a leader and a follower in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader, Writing
from connectors.memory.replica import MemoryReplica
from connectors.memory.rows import key_of
from verifier.look import Role
from verifier.ports import Replica
from verifier.table import Column, Table, TableName
from worlds import WORLDS, Capability, Columns, Values, World


class MemoryWorld:
    """The follower applies at once, as far as it is not held."""

    speaks_sql = False
    lacks: Mapping[Capability, str] = {}

    def __init__(self, role: Role) -> None:
        self._source = Leader(VirtualClock().now)
        self._target = Follower(self._source, role)
        self.leader: Replica = MemoryReplica("leader", self._source)
        self.follower: Replica = MemoryReplica("follower", self._target, happen=self._target.catch_up)

    def create(self, name: str, columns: Columns, key: Sequence[str]) -> TableName:
        described = tuple(Column(n, family, family.value, nullable=n not in key) for n, family in columns)
        table = Table(TableName("public", name), described, tuple(key))
        self._source.create(table)
        self._target.shelves.create(table)
        return table.name

    def insert(self, table: TableName, rows: Sequence[Values]) -> None:
        with self.transaction() as writing:
            for row in rows:
                writing.insert(table, row)

    def update(self, table: TableName, where: Values, values: Values) -> None:
        with self.transaction() as writing:
            assert writing.update(table, key_of(self._source.shelves.tables[table].table, where), values)

    def delete(self, table: TableName, where: Values) -> None:
        with self.transaction() as writing:
            assert writing.delete(table, key_of(self._source.shelves.tables[table].table, where))

    @contextmanager
    def transaction(self) -> Iterator[Writing]:
        writing = self._source.begin()
        yield writing
        writing.commit()

    def applied(self) -> None:
        self._target.catch_up()

    def hold(self) -> None:
        self._target.held = True

    def release(self) -> None:
        self._target.held = False

    def clear(self) -> None:
        """Away with all tables."""
        self._source.shelves.tables.clear()
        self._target.catch_up()
        self._target.shelves.tables.clear()


def _world(role: Role, request: pytest.FixtureRequest) -> Iterator[World]:
    yield MemoryWorld(role)


for _role in (Role.STANDBY, Role.SUBSCRIBER):
    WORLDS[f"memory-{_role.value}"] = partial(_world, _role)
