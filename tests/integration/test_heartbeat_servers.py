"""Every engine tells a heartbeat's time to the microsecond, whatever the type of its column."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from fixtures.databases import Database
from fixtures.mysql_servers import PairDatabase

from connectors.generic.replica import GenericReplica
from connectors.mysql.replica import MysqlReplica
from connectors.postgres.replica import PostgresReplica
from verifier.heartbeat import Heartbeat, HeartbeatPolicy
from verifier.ports import Replica

_AT = 1_795_681_273_001_230
_TEXT = "2026-11-26 08:21:13.001230"


def _told(replica: Replica, table: str, *columns: str) -> dict[str, int]:
    return {
        column: Heartbeat(HeartbeatPolicy(table, column, "server_id = 1"), {replica.name: table}).beat(replica).value
        for column in columns
    }


@pytest.mark.postgres
def test_postgresql(database: Database) -> None:
    database.sql(
        "create table beat (server_id int primary key, ts varchar(26), at timestamptz, plain timestamp, n bigint); "
        f"insert into beat values (1, '{_TEXT.replace(' ', 'T')}', '{_TEXT}+00', '{_TEXT}', {_AT}), "
        "(2, '2030-01-01', '2030-01-01', '2030-01-01', 1)"
    )
    replica = PostgresReplica("leader", database.url)
    assert _told(replica, "public.beat", "ts", "at", "plain", "n") == dict.fromkeys(("ts", "at", "plain", "n"), _AT)
    replica.close()


@pytest.mark.mysql
def test_mysql_and_mariadb(pair_database: PairDatabase) -> None:
    pair_database.sql(
        "create table beat (server_id int primary key, ts varchar(26), at datetime(6), n bigint)",
        f"insert into beat values (1, '{_TEXT.replace(' ', 'T')}', '{_TEXT}', {_AT}), (2, '2030', '2030-01-01', 1)",
    )
    replica = MysqlReplica("leader", pair_database.leader_url)
    assert _told(replica, f"{pair_database.name}.beat", "ts", "at", "n") == dict.fromkeys(("ts", "at", "n"), _AT)
    replica.close()


def test_a_stranger(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "copy.duckdb")) as hand:
        hand.execute("create table beat (server_id int primary key, ts varchar, moment timestamp, n bigint)")
        hand.execute(f"insert into beat values (1, '{_TEXT.replace(' ', 'T')}', '{_TEXT}', {_AT}), (2, '9', null, 1)")
    replica = GenericReplica("copy", f"duckdb:///{tmp_path}/copy.duckdb")
    assert _told(replica, "main.beat", "ts", "moment", "n") == dict.fromkeys(("ts", "moment", "n"), _AT)
    replica.close()
