"""The rights that `trueup init` writes down, given on a real server: enough to read, not enough to write."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from fixtures.databases import Database

import config

pytestmark = pytest.mark.postgres


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    name = f"reader {database.name}"
    yield name
    database.sql(f'drop owned by "{name}"')
    database.sql(f'drop role "{name}"')


def test_the_granted_rights_are_enough_and_not_more(database: Database, role: str) -> None:
    database.sql("create table before (id int primary key); insert into before values (1)")
    database.sql(config.grants(user=role, decoding=True))
    database.sql("create table after (id int primary key); insert into after values (2)")
    database.sql(f"alter role \"{role}\" password 'only4tests'")
    parts = psycopg.conninfo.conninfo_to_dict(database.dsn)
    login = psycopg.conninfo.make_conninfo(**{**parts, "user": role, "password": "only4tests"})
    with psycopg.connect(login, autocommit=True) as reader:
        assert reader.execute("select id from before union all select id from after").fetchall() == [(1,), (2,)]
        assert reader.execute("select count(*) from pg_stat_replication where state = 'nonsense'").fetchall() == [(0,)]
        for statement in ("insert into before values (3)", "create table mine (id int)"):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                reader.execute(statement)
        reader.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("insert into before values (3)")
    with psycopg.connect(login + " replication=database", autocommit=True) as decoder:
        slot = f"g_{database.name}"
        decoder.execute(f"CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT")
    assert database.sql("select pubname from pg_publication") == [("trueup",)]
