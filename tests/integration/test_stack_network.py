"""The breakable network breaks as promised, seen through a real driver."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from fixtures.databases import Database
from fixtures.proxy import TcpProxy

pytestmark = pytest.mark.postgres


@pytest.fixture
def way(proxy: Callable[[int], TcpProxy], database: Database) -> tuple[TcpProxy, str]:
    """A proxy in front of the database, and the connection string through it."""
    made = proxy(database.cluster.port)
    return made, psycopg.conninfo.make_conninfo(database.dsn, port=made.port, connect_timeout=30)


def test_stop_refuses_and_cuts_and_start_lets_in_again(way: tuple[TcpProxy, str]) -> None:
    proxy, dsn = way
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select 1")
        proxy.stop()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(dsn)
    proxy.start()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_cut_breaks_what_is_open_and_goes_on_accepting(way: tuple[TcpProxy, str]) -> None:
    proxy, dsn = way
    with psycopg.connect(dsn) as connection:
        proxy.cut()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    assert proxy.accepted == 2


def test_hang_is_silence_not_an_error_and_nothing_is_lost(way: tuple[TcpProxy, str]) -> None:
    proxy, dsn = way
    with psycopg.connect(dsn, autocommit=True) as connection:
        proxy.hang()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(dsn, connect_timeout=2)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(connection.execute, "select 42")
            time.sleep(0.3)
            assert not asked.done()
            proxy.flow()
            assert asked.result(60).fetchone() == (42,)


def test_delay_is_added_both_ways(way: tuple[TcpProxy, str]) -> None:
    proxy, dsn = way
    with psycopg.connect(dsn, autocommit=True) as connection:
        proxy.delay = 0.15
        started = time.monotonic()
        connection.execute("select 1")
        assert time.monotonic() - started >= 0.3
