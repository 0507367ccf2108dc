"""Two SQLite files, the leader's in WAL mode and the follower's not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from connectors.sqlite.replica import SqliteReplica
from verifier.look import Role
from verifier.table import Family
from worlds import WORLDS, World
from worlds.beside import BesideWorld, Statement

TYPES = {
    Family.INTEGER: "integer",
    Family.DECIMAL: "decimal(12,2)",
    Family.FLOAT: "double",
    Family.BOOLEAN: "boolean",
    Family.TEXT: "text",
    Family.CHAR: "char(8)",
    Family.BYTES: "blob",
    Family.DATE: "date",
    Family.TIME: "time",
    Family.TIMESTAMP: "timestamp",
    Family.TIMESTAMPTZ: "timestamptz",
    Family.UUID: "uuid",
    Family.JSON: "json",
}


class SqliteWorld(BesideWorld):
    types = TYPES

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._paths = (folder / "leader.db", folder / "follower.db")
        for path, mode in zip(self._paths, ("wal", "delete"), strict=True):
            with closing(sqlite3.connect(path)) as made:
                made.execute(f"pragma journal_mode = {mode}")
        self.leader = SqliteReplica("leader", f"sqlite:///{self._paths[0]}", Role.LEADER)
        self.follower = SqliteReplica("follower", f"sqlite:///{self._paths[1]}")

    def write(self, follower: bool, statements: Sequence[Statement]) -> None:
        with closing(sqlite3.connect(self._paths[follower])) as hand, hand:
            for sql, values in statements:
                hand.execute(sql, values)


def _world(request: pytest.FixtureRequest) -> Iterator[World]:
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("sqlite")
    world = SqliteWorld(folder)
    yield world
    world.leader.close()
    world.follower.close()


WORLDS["sqlite"] = _world
