"""How much of the binlog is left, on real MariaDB and MySQL; and lag counted in transactions."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fixtures.mysql_servers import PairDatabase

from connectors.mysql.lag import kept_binlog
from connectors.mysql.replica import MysqlReplica, Options
from verifier.gtid import DomainGtids, GtidSet
from verifier.lag import LagState, LagTracker
from verifier.look import Role

pytestmark = pytest.mark.mysql


@pytest.fixture
def sides(pair_database: PairDatabase) -> Iterator[tuple[PairDatabase, MysqlReplica, MysqlReplica]]:
    leader = MysqlReplica("leader", pair_database.leader_url, Options(role=Role.LEADER))
    follower = MysqlReplica("follower", pair_database.replica_url)
    pair_database.sql("create table t (id int primary key, v bigint)", "insert into t values (1, 0)")
    pair_database.pair.caught_up()
    yield pair_database, leader, follower
    leader.close()
    follower.close()


def test_lag_is_counted_in_transactions(sides: tuple[PairDatabase, MysqlReplica, MysqlReplica]) -> None:
    made, leader, follower = sides
    tracker = LagTracker()
    made.pair.replica.quietly("stop replica sql_thread")
    try:
        made.sql(*(f"update t set v = {n} where id = 1" for n in range(1, 6)))
        tracker.leader_at(leader.position(), time.time())
        tracker.follower_at("follower", follower.position(), time.time())
    finally:
        made.pair.replica.quietly("start replica sql_thread")
    (lag,) = tracker.followers(time.time())
    assert (lag.transactions, lag.state) == (5, LagState.LAGGING)
    made.pair.caught_up()
    tracker.follower_at("follower", follower.position(), time.time())
    (lag,) = tracker.followers(time.time())
    assert (lag.transactions, lag.state) == (0, LagState.CAUGHT_UP)


def test_who_needs_what_was_deleted_has_lost_it(sides: tuple[PairDatabase, MysqlReplica, MysqlReplica]) -> None:
    made, leader, follower = sides
    before = kept_binlog(leader)
    assert before.bytes > 0
    assert not before.lost_for(follower.position())
    made.sql("flush binary logs", "update t set v = 100 where id = 1", "flush binary logs")
    made.pair.caught_up()
    newest = made.pair.leader.sql("show binary logs")[-1][0]
    deadline = time.monotonic() + 60
    while kept_binlog(leader).files > 1:  # MariaDB keeps a file for a moment that somebody read or recovery may need
        assert time.monotonic() < deadline
        made.sql(f"purge binary logs to '{newest}'")
        time.sleep(0.05)
    kept = kept_binlog(leader)
    assert not kept.lost_for(follower.position())
    nothing = DomainGtids() if leader.dialect == "mariadb" else GtidSet()
    assert kept.lost_for(nothing)
