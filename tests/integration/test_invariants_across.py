"""Invariants across real servers: a ledger on one, balances on another; late, paused, written to, and broken once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from fixtures.background import beside
from fixtures.databases import TrioDatabase
from fixtures.mysql_servers import PairDatabase

from connectors.embedded import pause_replay, resume_replay
from trueup.bootstrap.engines import Endpoints, open_endpoints
from trueup.bootstrap.servers import Address
from trueup.clock import SystemClock
from verifier.check import Checker
from verifier.invariant import EqualByKey, Finding, Side, Standing, Violations
from verifier.policy import Limits
from verifier.sides import CheckPolicy

SCHEMA = """
create table ledger (id bigint primary key, account int not null, amount numeric(12,2) not null);
create table balances (account int primary key, balance numeric(12,2) not null);
"""
ACCOUNTS, GRACE = 40, 0.5
LEDGER = "select account, sum(amount) from ledger group by account"
BALANCES = "select account, balance from balances"
HOLDS, VIOLATED, UNVERIFIED = Standing.HOLDS, Standing.VIOLATED, Standing.UNVERIFIED


def check(servers: Endpoints, left: str, right: str, *, grace: float = 0.0, wait: float = 30.0) -> Finding:
    """A one-shot check of the ledger on `left` against the balances on `right`."""
    books = EqualByKey("books", Side(left, LEDGER), Side(right, BALANCES), grace)
    endpoints = {servers.leader.name: servers.leader, **servers.followers}
    return Checker(books, endpoints, "leader", SystemClock(), CheckPolicy(wait_max_seconds=wait)).settled()


def rows(finding: Finding) -> list[dict[str, str | None]]:
    return [dict(row) for row in finding.sample]


@pytest.fixture
def trio(trio_database: TrioDatabase) -> Iterator[tuple[TrioDatabase, Endpoints]]:
    trio_database.subscribe(SCHEMA)
    trio_database.leader.sql(
        f"insert into ledger select g, g % {ACCOUNTS}, g from generate_series(1, 200) g; "
        "insert into balances select account, sum(amount) from ledger group by account"
    )
    trio_database.caught_up()
    followers = [Address(one, getattr(trio_database, one).url) for one in ("standby", "subscriber")]
    with closing(open_endpoints(Address("leader", trio_database.leader.url), followers, Limits())) as servers:
        yield trio_database, servers


def book(database: TrioDatabase, number: int, account: int) -> None:
    """One transaction that keeps the rule."""
    with psycopg.connect(database.leader.dsn) as connection:
        connection.execute("insert into ledger values (%s, %s, 1)", (number, account))
        connection.execute("update balances set balance = balance + 1 where account = %s", (account,))


def test_paused_followers_break_nothing_and_one_wrong_balance_is_named(
    trio: tuple[TrioDatabase, Endpoints],
) -> None:
    world, servers = trio
    assert world.subscription is not None
    assert check(servers, "leader", "subscriber").standing is HOLDS
    world.subscription.pause()
    book(world, 1001, 4)
    late = check(servers, "leader", "subscriber", wait=0.3)
    assert (late.standing, late.violations) == (UNVERIFIED, 0)
    assert "subscriber did not apply" in str(late.reason)
    # Both followers are right, and at different places in the log.
    apart = check(servers, "standby", "subscriber", wait=0.3)
    assert (apart.standing, apart.violations) == (UNVERIFIED, 0)
    world.subscription.resume()
    for left, right in (("leader", "subscriber"), ("standby", "subscriber"), ("subscriber", "leader")):
        assert check(servers, left, right).standing is HOLDS
    pause_replay(world.trio.standby)
    try:
        book(world, 1002, 7)
        for left, right in (("standby", "subscriber"), ("subscriber", "standby"), ("leader", "standby")):
            found = check(servers, left, right, wait=0.3)
            assert (found.standing, found.violations) == (UNVERIFIED, 0)
            assert "standby did not apply" in str(found.reason)
    finally:
        resume_replay(world.trio.standby)
    assert check(servers, "standby", "subscriber").standing is HOLDS
    world.subscriber.sql("update balances set balance = balance + 0.01 where account = 4")
    total = world.leader.sql("select sum(amount)::text from ledger where account = 4")[0][0]
    wrong = world.subscriber.sql("select balance::text from balances where account = 4")[0][0]
    for left in ("leader", "standby"):
        found = check(servers, left, "subscriber")
        assert (found.standing, found.violations, found.more) == (VIOLATED, 1, False)
        assert rows(found) == [{"account": "4", "left": total, "right": wrong}]
    assert check(servers, "subscriber", "standby").standing is HOLDS


def test_under_writes_nothing_is_violated_and_what_is_broken_on_the_leader_is_found(
    trio: tuple[TrioDatabase, Endpoints],
) -> None:
    """Money is booked in two transactions, so the rule is broken somewhere at each moment."""
    world, servers = trio
    with writing(world) as late:
        for left, right in (("leader", "leader"), ("leader", "subscriber"), ("standby", "subscriber")):
            found = check(servers, left, right, grace=GRACE, wait=1.0)
            assert found.standing in (HOLDS, UNVERIFIED) or accounts(found) <= late(), found
        world.leader.sql("update balances set balance = balance - 5 where account = 0")
        found = check(servers, "leader", "leader", grace=GRACE, wait=1.0)
        assert (found.standing, accounts(found) - late()) == (VIOLATED, {"0"})
    world.caught_up()
    total = world.leader.sql("select sum(amount)::text from ledger where account = 0")[0][0]
    balance = world.leader.sql("select balance::text from balances where account = 0")[0][0]
    for left, right in (("leader", "subscriber"), ("subscriber", "standby")):
        assert rows(check(servers, left, right)) == [{"account": "0", "left": total, "right": balance}]


def accounts(found: Finding) -> set[str | None]:
    return {row["account"] for row in found.sample}


@contextmanager
def writing(world: TrioDatabase) -> Iterator[Callable[[], set[str | None]]]:
    """Bookings on all accounts but 0, ledger and balance a moment apart; an error of the writer fails the test. Tells
    the accounts for which it was kept waiting between the two for as long as the grace, so that they count rightly."""
    halves: list[tuple[int, float, float | None]] = []

    def write(stop: threading.Event) -> None:
        chance, number = random.Random(7), 10_000
        with psycopg.connect(world.leader.dsn, autocommit=True) as connection:
            while not stop.is_set():
                number, account, began = number + 1, chance.randrange(1, ACCOUNTS), time.monotonic()
                halves.append((account, began, None))
                connection.execute("insert into ledger values (%s, %s, 1)", (number, account))
                stop.wait(0.005)
                connection.execute("update balances set balance = balance + 1 where account = %s", (account,))
                halves[-1] = account, began, time.monotonic()

    def late() -> set[str | None]:
        now = time.monotonic()
        return {str(account) for account, began, ended in halves if (ended or now) - began >= GRACE}

    with beside(write):
        yield late


def test_on_mariadb_and_mysql_as_well(pair_database: PairDatabase) -> None:
    pair_database.sql(
        "create table ledger (id bigint primary key, account int not null, amount decimal(12,2) not null)",
        "create table balances (account int primary key, balance decimal(12,2) not null)",
        "insert into ledger values (1, 1, 5), (2, 1, 6), (3, 2, 7)",
        "insert into balances select account, sum(amount) from ledger group by account",
    )
    pair = pair_database.pair
    pair.caught_up()
    urls = Address("leader", pair_database.leader_url), [Address("replica", pair_database.replica_url)]
    with closing(open_endpoints(*urls, Limits())) as servers:
        assert check(servers, "leader", "replica").standing is HOLDS
        assert check(servers, "replica", "leader").standing is HOLDS
        assert check(servers, "replica", "replica").standing is HOLDS
        pair.hold()
        try:
            pair_database.sql(
                "insert into ledger values (4, 2, 1)", "update balances set balance = 8 where account = 2"
            )
            late = check(servers, "leader", "replica", wait=0.3)
            assert (late.standing, late.violations) == (UNVERIFIED, 0)
            assert "replica did not apply" in str(late.reason)
        finally:
            pair.release()
        assert check(servers, "leader", "replica").standing is HOLDS
        pair_database.plant("update balances set balance = 11.50 where account = 1")
        found = check(servers, "leader", "replica")
        assert (found.standing, found.violations) == (VIOLATED, 1)
        assert rows(found) == [{"account": "1", "left": "11.00", "right": "11.50"}]


def test_what_would_write_or_takes_too_long_is_unverified_and_does_no_harm(trio_database: TrioDatabase) -> None:
    database = trio_database.leader
    database.sql("create table ledger (id int); insert into ledger select generate_series(1, 200)")
    database.sql("create sequence numbers")
    with closing(open_endpoints(Address("leader", database.url), [], Limits())) as servers:
        for sql, why in (
            ("with gone as (delete from ledger returning id) select id from gone", "WITH clause"),
            ("select nextval('numbers')", "trueup only reads"),
            ("select pg_sleep(30)", "time limit"),
            ("select 1; delete from ledger", "syntax error"),
        ):
            rule, policy = Violations("rows", "leader", sql), CheckPolicy(seconds_max=0.3)
            found = Checker(rule, {"leader": servers.leader}, "leader", SystemClock(), policy).check()
            assert (found.standing, why in str(found.reason)) == (UNVERIFIED, True), (sql, found)
    assert database.sql("select count(*), (select last_value from numbers) from ledger") == [(200, 1)]
