"""What PostgreSQL tells beside the rows, on every version: each kind of fact; and how young rows and tables are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from fixtures.databases import Database
from sqlalchemy.engine import make_url

from connectors.postgres.cutover import PostgresSurroundings
from connectors.postgres.dated import PostgresDated
from connectors.postgres.replica import Options, PostgresReplica
from verifier.look import Role
from verifier.surroundings import Fact, Written
from verifier.table import TableName

pytestmark = pytest.mark.postgres

ORDERS = TableName("public", "Orders")
SCHEMA = """
create table customers (id int primary key);
create table "Orders" (id serial primary key, customer int references customers, "a b" int check ("a b" > 0));
create unique index on "Orders" ("a b") where "a b" > 7;
create sequence "Odd 'one'" increment by -2;
create function touched() returns trigger language plpgsql as 'begin return new; end';
create trigger touched before update on "Orders" for each row execute function touched();
alter table "Orders" enable row level security;
create policy mine on "Orders" for select using ("a b" > 0);
create view v as select 1 as one;
create materialized view m as select 1 as one with no data;
insert into "Orders" values (900, null, 1);
"""


@pytest.fixture
def replica(versioned_database: Database) -> Iterator[PostgresReplica]:
    versioned_database.sql(SCHEMA)
    made = PostgresReplica("leader", versioned_database.url, Options(role=Role.LEADER))
    yield made
    made.close()


def test_everything_is_told(replica: PostgresReplica, versioned_database: Database) -> None:
    told = PostgresSurroundings(replica).surroundings([ORDERS, TableName("public", "missing")])
    assert told.tables == {ORDERS}
    facts = {(fact.topic, fact.object): fact for fact in told.facts}
    assert facts["indexes", 'unique btree ("a b") WHERE ("a b" > 7)'] == Fact(
        "indexes", ORDERS, 'unique btree ("a b") WHERE ("a b" > 7)'
    )
    assert ("constraints", "FOREIGN KEY (customer) REFERENCES public.customers(id)") in facts
    assert ("constraints", 'CHECK (("a b" > 0))') in facts
    assert facts["triggers", "touched"].text.startswith("enabled 19 ")
    assert facts["policies", "row security"].text == "on"
    assert facts["policies", "policy mine"].text.split() == ["r", '("a', 'b"', ">", "0)"]
    assert ("views", "public.v") in facts
    assert facts["views", "public.m"].problem == "is not populated"
    assert ("routines", "public.touched()") in facts
    assert facts["grants", "owner and grants"].text == "postgres, 0 grants"
    assert ("extensions", "plpgsql") in facts
    assert facts["database", "encoding"].text == "UTF8"
    assert {(one.name.name, one.used_by, one.next, one.step, one.reach) for one in told.sequences} == {
        ("Orders_id_seq", (ORDERS, "id"), 1, 1, 900),
        ("Odd 'one'", None, -1, -2, None),
    }
    (odd,) = (one for one in told.sequences if one.used_by is None)
    versioned_database.sql(odd.setting.replace("{last}", "-5"))
    assert versioned_database.sql("select nextval('\"Odd ''one''\"')") == [(-7,)]
    assert {check.id for check in told.checks} == {"prepared", "read-only", "sessions", "slots"}
    assert told.large_objects == 0


def test_a_sequence_that_cannot_be_read_is_a_line_of_its_own(database: Database) -> None:
    database.sql(
        "create sequence s; create table flags (id serial primary key, flag boolean default nextval('s') % 2 = 0)"
    )
    replica = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    flags = TableName("public", "flags")
    told = {one.used_by: one for one in PostgresSurroundings(replica).surroundings([flags]).sequences}
    replica.close()
    assert (told[flags, "id"].next, told[flags, "id"].problem) == (1, "")
    assert told[flags, "flag"].problem.startswith("reading the sequence public.s on ")
    assert "max(boolean)" in told[flags, "flag"].problem


def test_disabled_foreign_keys_and_invalid_things_are_problems(
    replica: PostgresReplica, versioned_database: Database
) -> None:
    versioned_database.sql('alter table "Orders" disable trigger all')
    versioned_database.sql('alter table "Orders" add constraint later check (id > 0) not valid')
    problems = {
        fact.object: fact.problem
        for fact in PostgresSurroundings(replica).surroundings([ORDERS]).facts
        if fact.problem and fact.topic != "views"
    }
    assert problems == {
        "foreign keys": "are not enforced: their triggers are disabled",
        "CHECK ((id > 0))": "is not validated",
    }


def test_how_young_rows_and_definitions_are(replica: PostgresReplica, versioned_database: Database) -> None:
    around, dated = PostgresSurroundings(replica), PostgresDated(replica)
    table, mark = replica.table(ORDERS), replica.mark()
    assert around.written(table, mark) == Written(1, 0)
    assert dated.redefined(table, mark) == ""
    versioned_database.sql('analyze "Orders"; create index on "Orders" (customer)')
    versioned_database.sql('vacuum "Orders"')
    assert dated.redefined(table, mark) == ""
    versioned_database.sql('insert into "Orders" values (901, null, 2)')
    assert around.written(table, mark) == Written(2, 1)
    versioned_database.sql('vacuum (freeze) "Orders"')
    assert around.written(table, mark) == Written(2, 1)
    versioned_database.sql('alter table "Orders" alter customer set default 7')
    assert dated.redefined(table, mark) != ""


def test_large_objects_are_told_by_their_contents_or_why_not(database: Database) -> None:
    database.sql(
        "select lo_from_bytea(7, 'seven'), lo_from_bytea(4000000000, ''), lo_from_bytea(9, repeat('x', 9000)::bytea)"
    )
    reader = f"reader_{database.name}"
    database.sql(f"create role {reader} login password '{database.cluster.password}'")
    made = [
        PostgresReplica(
            "leader", make_url(database.url).set(username=user).render_as_string(False), Options(Role.LEADER)
        )
        for user in (None, reader)
    ]
    try:
        told, refused = (PostgresSurroundings(one).surroundings([]) for one in made)
        assert told.large_objects == refused.large_objects == 3
        assert told.contents is not None
        assert told.contents.named == {
            7: hashlib.md5(b"seven").hexdigest(),
            9: hashlib.md5(b"x" * 9000).hexdigest(),
            4_000_000_000: hashlib.md5(b"").hexdigest(),
        }
        assert refused.contents is not None
        assert "permission denied for large object 7" in refused.contents.problem
        database.sql("select lo_put(9, 5, 'y')")
        changed = PostgresSurroundings(made[0]).surroundings([]).contents
        assert changed is not None
        assert changed.digest != told.contents.digest
    finally:
        for one in made:
            one.close()
        database.sql(f"drop role {reader}")
