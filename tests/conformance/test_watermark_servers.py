"""Counting the watermark row up on servers: one transaction each time, and nobody is waited for long."""

from __future__ import annotations

import psycopg
import pytest
from fixtures.databases import Database
from fixtures.mysql_servers import PairDatabase

from connectors.mysql.replica import MysqlReplica, Options
from connectors.mysql.watermark import MysqlWatermark
from connectors.postgres.watermark import PostgresWatermark
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.look import Role
from verifier.policy import Limits
from verifier.position import Tick
from verifier.table import TableName
from verifier.watermark import DEFINITION, Watermark

LIMITS = Limits(lock_seconds=0.2)
MADE = [one for one in DEFINITION.format(table="mark").split(";") if one.strip()]


@pytest.mark.postgres
def test_on_postgresql(database: Database) -> None:
    database.sql(";".join(MADE))
    writer = PostgresWatermark(database.url, TableName("public", "mark"), LIMITS)
    try:
        assert [writer.advance(), writer.advance()] == [Tick(1), Tick(2)]
        with psycopg.connect(database.dsn) as hand:
            hand.execute("select tick from mark for update nowait")  # nobody holds it any more
            with pytest.raises(Temporary, match=r"advancing the watermark public\.mark"):
                writer.advance()
        assert writer.advance() == Tick(3)
        assert database.sql("select count(*) from pg_stat_activity where state like 'idle in%'") == [(0,)]
        database.sql("delete from mark")
        with pytest.raises(Misconfigured, match="has no row with id 1 and a tick"):
            writer.advance()
        database.sql("drop table mark")
        with pytest.raises(Permanent, match="does not exist"):
            writer.advance()
    finally:
        writer.close()


@pytest.mark.mysql
def test_on_mysql_and_mariadb(pair_database: PairDatabase) -> None:
    pair_database.sql(*MADE)
    name = TableName(pair_database.name, "mark")
    writer = MysqlWatermark(pair_database.leader_url, name, LIMITS)
    follower = MysqlReplica("replica", pair_database.replica_url, Options(role=Role.SUBSCRIBER))
    try:
        assert [writer.advance(), writer.advance()] == [Tick(1), Tick(2)]
        pair_database.pair.caught_up()
        assert Watermark(follower, name).tick() == Tick(2)
        with pair_database.pair.leader.session(pair_database.name) as cursor:
            cursor.execute("begin")
            cursor.execute("select tick from mark for update")
            with pytest.raises(Temporary, match=r"advancing the watermark .*\.mark"):
                writer.advance()
            cursor.execute("rollback")
        assert writer.advance() == Tick(3)
        pair_database.sql("delete from mark")
        with pytest.raises(Misconfigured, match="has no row with id 1 and a tick"):
            writer.advance()
    finally:
        writer.close()
        follower.close()
