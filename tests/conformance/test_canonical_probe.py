"""A server whose SQL cannot write the encoding is found out at start, and its rows are hashed by trueup."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fixtures.databases import Database, fresh_name
from fixtures.servers import Servers
from fixtures.typed_servers import ENGINES, TypedServers

from connectors.mysql.replica import MysqlReplica
from connectors.postgres.replica import Options, PostgresReplica
from trueup.bootstrap.engines import Endpoints
from verifier.compare import comparison, using
from verifier.encoding import TEXTS
from verifier.keyrange import ALL
from verifier.look import Role
from verifier.scheme import chosen
from verifier.table import Scheme, TableName


@pytest.fixture
def latin_database(postgres_server: Servers) -> Iterator[Database]:
    """A database that stores text in LATIN1, where a length in bytes is not the one of UTF-8."""
    cluster, name = postgres_server(15), fresh_name()
    cluster.sql(f"create database \"{name}\" encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0")
    yield Database(cluster, name)
    cluster.sql(f'drop database "{name}" with (force)')


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_writes_every_form(typed_servers: TypedServers, engine: str) -> None:
    replica = typed_servers(engine).replica
    assert isinstance(replica, PostgresReplica | MysqlReplica)
    assert replica.distrusted() == set()


def test_another_encoding_of_the_server_steps_down_visibly(
    latin_database: Database, typed_servers: TypedServers
) -> None:
    for database_sql in (latin_database.sql, typed_servers("mysql").sql):
        database_sql("create table latin (id int primary key, a varchar(10), b varchar(10))")
        database_sql("create table plain (id int primary key, d date)")
        database_sql("insert into latin values (1, 'é', 'üü'), (2, '', null)")
        database_sql("insert into plain values (1, '2024-02-29')")
    leader = PostgresReplica("old", latin_database.url, Options(role=Role.LEADER))
    other = typed_servers("mysql")
    assert leader.distrusted() == TEXTS
    remarks = Endpoints(leader, {"mysql": other.replica}).settle()
    assert [remark for remark in remarks if remark.startswith("old (postgresql) does not write the canonical form of")]
    for name, scheme in (("latin", Scheme.CLIENT), ("plain", Scheme.CANONICAL)):
        compared = comparison(leader.table(TableName("public", name)), other.table(name), abroad=True)
        choice = chosen(compared, leader, other.replica, native=False)
        assert choice.scheme is scheme
        both = using(compared, choice.scheme)
        assert leader.digest(both.leader, ALL).value == other.replica.digest(both.follower, ALL).value
    assert "a (character varying(10) on old)" in chosen(
        comparison(leader.table(TableName("public", "latin")), other.table("latin"), abroad=True),
        leader, other.replica, native=False,
    ).why  # fmt: skip
    leader.close()
    for name in ("latin", "plain"):
        other.sql(f"drop table {name}")
