"""The rights that `trueup init` writes down, given on a real server: enough to read, not enough to write.

Those of MariaDB and MySQL: `test_stream_credentials`.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from fixtures.databases import Database

from connectors.sql.quoting import quoted
from trueup.bootstrap.granting import granted

PASSWORD = "only4tests"


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    name = f"reader {database.name}"
    yield name
    for one in (name, f"{name} fixer"):
        database.sql(f"drop owned by {quoted(one)}")
        database.sql(f"drop role {quoted(one)}")


@pytest.mark.postgres
def test_the_granted_rights_are_enough_and_not_more(database: Database, role: str) -> None:
    fixer = f"{role} fixer"
    url = f"postgresql://{role.replace(' ', '%20')}@h/{database.name}"
    database.sql("create table before (id int primary key); insert into before values (1)")
    database.sql("create schema sales; create table sales.t (id int primary key); insert into sales.t values (3)")
    leader, _, follower = granted(url, {"f": url}, ["public.*", "s?les.*"], decodes=True, repair_user=fixer).partition(
        "-- follower f"
    )
    database.sql(leader)
    database.sql(follower[follower.index("CREATE ROLE", follower.index("This login writes repairs")) :])
    database.sql("create table after (id int primary key); insert into after values (2)")

    def login(name: str) -> str:
        database.sql(f"alter role {quoted(name)} password '{PASSWORD}'")
        parts = psycopg.conninfo.conninfo_to_dict(database.dsn)
        return psycopg.conninfo.make_conninfo(**{**parts, "user": name, "password": PASSWORD})

    with psycopg.connect(login(role), autocommit=True) as reader:
        every = "select id from before union all select id from after union all select id from sales.t"
        assert reader.execute(every).fetchall() == [(1,), (2,), (3,)]
        assert reader.execute("select count(*) from pg_stat_replication where state = 'nonsense'").fetchall() == [(0,)]
        for statement in ("insert into before values (3)", "create table mine (id int)"):
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                reader.execute(statement)
        reader.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("insert into before values (3)")
    with psycopg.connect(login(role) + " replication=database", autocommit=True) as decoder:
        slot = f"g_{database.name}"
        decoder.execute(f"CREATE_REPLICATION_SLOT {slot} TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT")
    assert database.sql("select pubname from pg_publication") == [("trueup",)]
    with psycopg.connect(login(fixer), autocommit=True) as writer:
        writer.execute("insert into before values (5); update sales.t set id = 6; delete from after")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            writer.execute("truncate before")
    assert database.sql("select id from before union all select id from sales.t") == [(1,), (5,), (6,)]
