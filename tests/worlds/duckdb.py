"""Strangers: two DuckDB files, and two SQLite files of whose engine nothing is assumed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import duckdb
import pytest

from connectors.generic.replica import GenericReplica
from verifier.look import Role
from verifier.table import Family
from worlds import WORLDS, Capability, World
from worlds.beside import BesideWorld, Statement
from worlds.sqlite import TYPES as SQLITE_TYPES

_LACKS = {**BesideWorld.lacks, Capability.LEADER_POSITION: "trueup knows no log of this engine"}


class DuckWorld(BesideWorld):
    """DuckDB lets nobody write a file that is open for reading: the hands have the replica close it first."""

    lacks = _LACKS
    types: ClassVar[Mapping[Family, str]] = {
        Family.INTEGER: "bigint",
        Family.DECIMAL: "decimal(12,2)",
        Family.FLOAT: "double",
        Family.BOOLEAN: "boolean",
        Family.TEXT: "varchar",
        Family.BYTES: "blob",
        Family.DATE: "date",
        Family.TIME: "time",
        Family.TIMESTAMP: "timestamp",
        Family.TIMESTAMPTZ: "timestamptz",
        Family.INTERVAL: "interval",
        Family.UUID: "uuid",
        Family.JSON: "json",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._paths = (folder / "leader.duckdb", folder / "follower.duckdb")
        for path in self._paths:
            duckdb.connect(str(path)).close()
        self.leader = GenericReplica("leader", f"duckdb:///{self._paths[0]}", Role.LEADER)
        self.follower = GenericReplica("follower", f"duckdb:///{self._paths[1]}")

    def write(self, follower: bool, statements: Sequence[Statement]) -> None:
        replica = self.follower if follower else self.leader
        assert isinstance(replica, GenericReplica)
        replica.sessions.close()  # it opens the file again when it is asked
        with duckdb.connect(str(self._paths[follower])) as hand:
            hand.begin()
            for sql, values in statements:
                hand.execute(sql, values)
            hand.commit()


class StrangerWorld(BesideWorld):
    """Keys of text must be ordered by trueup itself."""

    lacks = _LACKS
    types = SQLITE_TYPES

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._paths = (folder / "leader.db", folder / "follower.db")
        for path in self._paths:
            sqlite3.connect(path).close()
        self.leader = GenericReplica("leader", f"sqlite:///{self._paths[0]}", Role.LEADER)
        self.follower = GenericReplica("follower", f"sqlite:///{self._paths[1]}")

    def write(self, follower: bool, statements: Sequence[Statement]) -> None:
        with closing(sqlite3.connect(self._paths[follower])) as hand, hand:
            for sql, values in statements:
                hand.execute(sql, values)


def _world(request: pytest.FixtureRequest, made: type[DuckWorld] | type[StrangerWorld]) -> Iterator[World]:
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("generic")
    world = made(folder)
    yield world
    world.leader.close()
    world.follower.close()


WORLDS["duckdb"] = lambda request: _world(request, DuckWorld)
WORLDS["stranger"] = lambda request: _world(request, StrangerWorld)
