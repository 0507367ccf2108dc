"""A world is a leader with one follower that a contract test can write to: real servers, or the simulated world.

`WORLDS` names what every contract is run against; each is a function of the pytest request that gives a `World`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import pytest

from verifier.ports import Replica
from verifier.table import Family, TableName, Value

Columns = Sequence[tuple[str, Family]]
Values = Mapping[str, Value]


class Capability(enum.Enum):
    """What not every world can show."""

    LEADER_POSITION = "the leader tells how far its log is written"
    FOLLOWER_POSITION = "the follower follows the leader's log and tells how far"
    TRANSACTION_IDS = "transactions have ids when they begin, and views tell of them"


class OpenTransaction(Protocol):
    """A leader's transaction that has an id and has not ended; leaving the context commits it."""

    def insert(self, table: TableName, row: Values) -> None: ...


class World(Protocol):
    """Leader and follower, and hands to write with. Values are texts as in `Row.values`."""

    leader: Replica
    follower: Replica
    speaks_sql: bool
    lacks: Mapping[Capability, str]
    """What this world cannot show, and why not."""

    def create(self, name: str, columns: Columns, key: Sequence[str]) -> TableName:
        """An empty table on both sides, replicated. Without a key only inserts are asked of it."""
        ...

    def insert(self, table: TableName, rows: Sequence[Values]) -> None:
        """One transaction on the leader."""
        ...

    def update(self, table: TableName, where: Values, values: Values) -> None: ...
    def delete(self, table: TableName, where: Values) -> None: ...
    def transaction(self) -> AbstractContextManager[OpenTransaction]: ...
    def applied(self) -> None:
        """Wait until the follower shows everything that was committed."""
        ...

    def hold(self) -> None:
        """The follower stops applying."""
        ...

    def release(self) -> None: ...
    def clear(self) -> None:
        """Drop every table on both sides; a world serves many tests."""
        ...


def needs(world: World, *capabilities: Capability) -> None:
    """Skip the test, with the reason, where the world lacks one of these: a property of the engine and never of the
    machine, so it holds in CI as well. Servers that are missing fail there (`fixtures.missing`)."""
    for one in capabilities:
        if one in world.lacks:
            pytest.skip(f"{one.value}: {world.lacks[one]}")


WORLDS: dict[str, Callable[[pytest.FixtureRequest], Iterator[World]]] = {}
