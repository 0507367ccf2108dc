"""A replica's own binlog on real servers: what in it came from the leader, was written there, or came from a third."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from fixtures.mysql_servers import PairDatabase

from connectors.binlog.origins import Origins, shown
from connectors.binlog.standing import written
from connectors.binlog.stream import BinlogStream
from connectors.mysql.replica import MysqlReplica, Options
from verifier.change import Transaction
from verifier.look import Role
from verifier.table import TableName

pytestmark = pytest.mark.mysql

_THIRD = "0c0ffee0-0000-4000-8000-000000000001"


def test_only_what_did_not_come_from_the_leader_is_told(pair_database: PairDatabase) -> None:
    database = pair_database
    database.sql("create table t (id int primary key, v int)")
    database.pair.caught_up()
    leader = MysqlReplica("leader", database.leader_url, Options(role=Role.LEADER))
    replica = MysqlReplica("replica", database.replica_url)
    tables = {TableName(database.name, "t"): leader.table(TableName(database.name, "t"))}
    stream = BinlogStream(
        database.replica_url, table_of=tables.get, name=database.name, origin_of=Origins(leader, replica)
    )
    try:
        stream.start({}, None)
        database.sql("insert into t values (1, 1)")
        database.pair.caught_up()
        with _lenient(database):
            # without gtid_strict_mode this takes the number that the leader gives next in the same domain
            database.pair.replica.sql("insert into t values (2, 2)", database=database.name)
            database.sql(*(f"insert into t values ({n}, {n})" for n in (3, 4, 5)))
            database.pair.caught_up()
            _write_as_a_third(database, "insert into t values (6, 6)")
        database.sql("alter table t add column more int", "insert into t values (7, 7, 7)")
        database.pair.caught_up()
        database.pair.replica.quietly("update t set v = 0 where id = 1", database=database.name)
        told = _until_the_end(stream, replica)
    finally:
        stream.close()
        leader.close()
        replica.close()
    third = _THIRD if database.pair.replica.engine == "mysql" else "99"
    assert [([one.key for one in each.changes], each.origin) for each in told] == [([(2,)], None), ([(6,)], third)]


def _until_the_end(stream: BinlogStream, replica: MysqlReplica) -> list[Transaction]:
    wanted, found, deadline = written(replica), list[Transaction](), time.monotonic() + 60
    while True:
        batch = stream.poll(changes_max=100, seconds_max=0.2)
        assert batch.blind == ()
        found += batch.transactions
        if all(batch.read_through is not None and batch.read_through.covers(one) for one in wanted):
            assert shown(replica, [one.commit for one in found])
            return found
        assert time.monotonic() < deadline


@contextmanager
def _lenient(database: PairDatabase) -> Iterator[None]:
    """MariaDB's default, which the servers of the tests do not have."""
    replica = database.pair.replica
    if replica.engine != "mariadb":
        yield
        return
    replica.sql("set global gtid_strict_mode = OFF")
    try:
        yield
    finally:
        database.pair.caught_up()
        replica.sql("set global gtid_strict_mode = ON")


def _write_as_a_third(database: PairDatabase, statement: str) -> None:
    """As if it had come by replication from a server that the leader does not know."""
    with database.pair.replica.session(database.name) as cursor:
        if database.pair.replica.engine == "mysql":
            cursor.execute(f"set gtid_next = '{_THIRD}:{int(time.time())}'")
        else:
            cursor.execute("set session gtid_domain_id = 78, session server_id = 99")
        cursor.execute(statement)
        if database.pair.replica.engine == "mysql":
            cursor.execute("set gtid_next = 'AUTOMATIC'")
