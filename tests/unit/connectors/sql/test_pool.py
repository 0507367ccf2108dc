"""A pool asks whether a connection is still there only where it may not be, and lends none that is spoilt."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from connectors.sql.pool import Pool
from verifier.errors import Temporary
from verifier.policy import Limits


@dataclass
class Server:
    """Files in memory; those in `spoilt` are not usable, those in `gone` do not answer."""

    made: list[sqlite3.Connection] = field(default_factory=list)
    asked: list[sqlite3.Connection] = field(default_factory=list)
    spoilt: list[sqlite3.Connection] = field(default_factory=list)
    gone: list[sqlite3.Connection] = field(default_factory=list)

    def connect(self) -> sqlite3.Connection:
        self.made.append(sqlite3.connect(":memory:"))
        return self.made[-1]

    def ping(self, driver: sqlite3.Connection) -> None:
        self.asked.append(driver)
        if driver in self.gone:
            raise sqlite3.OperationalError("gone")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("connectors.sql.pool._TRUSTED_SECONDS", 600.0)
    made = Server()
    yield made
    for one in made.made:
        one.close()


@pytest.fixture
def pool(server: Server) -> Iterator[Pool[sqlite3.Connection]]:
    usable = server.spoilt
    made = Pool(
        server.connect,
        Limits(connections=2, pool_seconds=0.01),
        usable=lambda driver: driver not in usable,
        ping=server.ping,
        lost=(sqlite3.Error,),
    )
    with closing(made):
        yield made


def test_who_answered_just_now_is_not_asked_again(server: Server, pool: Pool[sqlite3.Connection]) -> None:
    for _ in range(3):
        with pool.lent("a") as driver:
            assert driver is server.made[0]
    assert server.asked == []


def test_where_one_was_lost_the_others_are_asked_once(server: Server, pool: Pool[sqlite3.Connection]) -> None:
    with pool.lent("a") as lost, pool.lent("b") as other:
        server.spoilt.append(lost)
    for _ in range(3):
        with pool.lent("c") as fresh, pool.lent("d") as second:
            assert (fresh, second) == (server.made[2], other)
    assert server.asked == [other]


def test_who_does_not_answer_is_replaced(server: Server, pool: Pool[sqlite3.Connection]) -> None:
    with pool.lent("a") as lost, pool.lent("b") as other:
        server.spoilt.append(lost)
    server.gone.append(other)
    with pool.lent("c"), pool.lent("d") as second:
        assert second is server.made[3]
    assert server.asked == [other]


def test_all_are_busy(pool: Pool[sqlite3.Connection]) -> None:
    busy = pytest.raises(Temporary, match=r"^reading on here: no connection became free in time, all are busy")
    with pool.lent("a"), pool.lent("b"), busy, pool.lent("reading on here"):
        pass
