"""What a name can stand for on PostgreSQL: views, foreign and inherited tables; conditions; what tables have beside
their columns. On one server, with exact answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from fixtures.databases import Database, fresh_name
from fixtures.servers import Servers

from connectors.postgres.expressions import RowForm
from connectors.postgres.features import portable_default
from connectors.postgres.keyorders import all_keyed
from connectors.postgres.replica import Options, PostgresReplica
from verifier.digest import EMPTY, Digest
from verifier.errors import Forbidden, Permanent
from verifier.features import Feature
from verifier.keyrange import ALL, KeyRange
from verifier.look import Role
from verifier.sequences import sequence_problem
from verifier.table import Kind, Table, TableName

pytestmark = pytest.mark.postgres


@pytest.fixture
def replica(database: Database) -> Iterator[PostgresReplica]:
    made = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    yield made
    made.close()


def named(name: str) -> TableName:
    return TableName("public", name)


KINDS = """
create table t (id int primary key, v text, w int generated always as (id * 2) stored);
insert into t values (1, 'a'), (2, 'b'), (3, 'c');
create view v as select * from t where id > 1;
create materialized view m as select * from t;
create table parent (id int primary key, v text); create table child (extra int) inherits (parent);
insert into parent values (1, 'p'); insert into child values (1, 'c', 1), (2, 'c', 2);
create table parts (id int primary key, v text) partition by range (id);
create table low partition of parts for values from (0) to (10); insert into parts values (1, 'x');
create extension file_fdw; create server files foreign data wrapper file_fdw;
create foreign table f (id int, v text) server files options (program 'printf "1,x\\n2,y\\n"', format 'csv');
create table mixed (id int, v text) partition by range (id);
create foreign table far partition of mixed for values from (0) to (9) server files
  options (program 'printf "1,x\\n"', format 'csv');
"""


def test_views_and_foreign_tables_are_compared_only_where_they_are_named(
    database: Database, replica: PostgresReplica
) -> None:
    database.sql(KINDS)
    plain = [named(name) for name in ("child", "mixed", "parent", "parts", "t")]
    assert replica.tables(["*"]) == replica.tables(["public.*"]) == plain
    assert replica.tables(["public.v", "m", "public.f", "t", "f?"]) == [named(name) for name in ("f", "m", "t", "v")]
    assert replica.tables(["v", "!v"]) == []
    kinds = {str(name.name): replica.table(name).kind for name in (*plain, named("v"), named("m"), named("f"))}
    assert kinds == {
        "child": Kind.TABLE,
        "mixed": Kind.FOREIGN,
        "parent": Kind.PARENT,
        "parts": Kind.PARTITIONED,
        "t": Kind.TABLE,
        "v": Kind.VIEW,
        "m": Kind.VIEW,
        "f": Kind.FOREIGN,
    }


def test_rows_without_versions_say_so_and_a_parent_has_its_own_rows_alone(
    database: Database, replica: PostgresReplica
) -> None:
    database.sql(KINDS)
    for name, keys in (("v", {(2,), (3,)}), ("m", {(1,), (2,), (3,)}), ("f", {(1,), (2,)}), ("mixed", {(1,)})):
        table = replace(replica.table(named(name)), key=("id",))
        rows = replica.rows(table, [(1,), (2,), (3,)]).value
        assert rows.keys() == keys, name
        assert {row.version for row in rows.values()} == {None}, name
        assert replica.digest(table, ALL).value == Digest.of(row.digest for row in rows.values()), name
        assert replica.row_digests(table, ALL).value.keys() == keys, name
    for name, keys in (("t", {(1,), (2,), (3,)}), ("parts", {(1,)})):
        rows = replica.rows(replica.table(named(name)), [(1,), (2,), (3,)]).value
        assert rows.keys() == keys
        assert None not in {row.version for row in rows.values()}
    parent, child = replica.table(named("parent")), replace(replica.table(named("child")), key=("id",))
    assert {key: row.values["v"] for key, row in replica.rows(parent, [(1,), (2,)]).value.items()} == {(1,): "p"}
    assert replica.digest(parent, ALL).value.rows == 1
    assert replica.digest(child, ALL).value.rows == 2
    assert replica.table(named("t")).column("w").generated
    assert replica.rows(replica.table(named("t")), [(3,)]).value[3,].values["w"] == "6"


CONDITIONS = [
    ("v like '%1' or v = '50%'", {1, 11, 50}),
    ("v = '%s' -- '", {60}),
    ("v = 'a''b' /* %d */", {61}),
    ('"wh""ere" = 7 or false', {7}),
    ("trueup_k <= 2", {1, 2}),
    ("null", set()),
]


def test_every_statement_keeps_to_the_condition(database: Database, replica: PostgresReplica) -> None:
    database.sql(
        'create table c (id int primary key, v text, "wh""ere" int, trueup_k int);'
        "insert into c select i, i::text, i, i from generate_series(1, 20) i;"
        "insert into c values (50, '50%'), (60, '%s'), (61, 'a''b')"
    )
    table = replica.table(named("c"))
    for condition, wanted in CONDITIONS:
        keeps_to(replica, replace(table, where=condition), {(number,) for number in wanted})
    database.sql("alter table c rename v to remark")  # as a follower that calls its columns otherwise
    stored = replica.table(named("c"))
    columns = tuple(replace(c, name="v", source="remark") if c.name == "remark" else c for c in stored.columns)
    for condition, wanted in CONDITIONS:
        keeps_to(replica, replace(stored, columns=columns, where=condition), {(number,) for number in wanted})
    kept = columns[:2]  # the others are left out of the comparison, and still known to a condition
    keeps_to(
        replica, replace(stored, columns=kept, where="v like '1%' and trueup_k > 11"), {(n,) for n in range(12, 20)}
    )
    database.sql("alter table c add column v text")  # and the leader's name is another column's here
    keeps_to(replica, replace(stored, columns=kept, where="v = '7'"), {(7,)})


def keeps_to(replica: PostgresReplica, table: Table, keys: set[tuple[int]]) -> None:
    everything = [(number,) for number in (*range(1, 21), 50, 60, 61)]
    for form in RowForm:
        replica.adopt(form, frozenset())
        whole = replica.row_digests(table, ALL).value
        assert set(whole) == keys, table.where
        assert replica.digest(table, ALL).value == Digest.of(whole.values()), table.where
        assert dict(replica.point_digests(table, everything).value) == dict(whole), table.where
        assert set(replica.rows(table, everything).value) == keys, table.where
        inner = {key: value for key, value in whole.items() if 2 <= int(key[0]) < 50}
        assert dict(replica.row_digests(table, KeyRange((2,), (50,))).value) == inner, table.where
        assert replica.digest(table, KeyRange((62,), None)).value == EMPTY
    walked = [replica.boundary(table, None, rows) for rows in range(len(keys) + 1)]
    assert walked == [*sorted(keys), None], table.where


def test_a_condition_on_a_table_without_a_key(database: Database, replica: PostgresReplica) -> None:
    database.sql("create table k (v text, n int); insert into k values ('a', 1), ('a', 1), ('%', 2), (null, 3)")
    table = replace(replica.table(named("k")), where="v = '%' or n = 1 -- all of them?")
    counts = replica.multiset(table).value
    assert sorted(counts.values()) == [1, 2]
    assert replica.digest(table, ALL).value.rows == 3


def test_a_condition_that_is_wrong_is_permanent(database: Database, replica: PostgresReplica) -> None:
    database.sql("create table c (id int primary key)")
    for wrong, said in (("nothing = 1", "does not exist"), ("id = (", "syntax error"), ("id", "boolean")):
        with pytest.raises(Permanent, match=said):
            replica.digest(replace(replica.table(named("c")), where=wrong), ALL)


def test_a_named_key_that_is_null_somewhere_hides_no_row(database: Database, replica: PostgresReplica) -> None:
    database.sql(
        "create table n (id int, l text, v int); insert into n select i, i::text, i from generate_series(1, 9) i"
    )
    database.sql("create table same as select * from n")
    alone, both = (replace(replica.table(named("n")), key=key) for key in (("id",), ("l", "id")))
    for table in (alone, both):
        before = replica.digest(table, KeyRange(None, replica.boundary(table, None, 3))).value
        assert before.rows == 3
        assert replica.row_digests(table, ALL).value.keys() == replica.rows(table, list(keys_of(table))).value.keys()
    database.sql("insert into n values (null, '99', 1), (5, null, 2)")
    for table, extra in ((alone, 1), (both, 2)):
        upper = replica.boundary(table, None, 3)
        assert replica.digest(table, KeyRange(None, upper)).value.rows == 3 + extra
        assert replica.digest(table, KeyRange(upper, None)).value.rows == 6 + (2 - extra)
        assert replica.digest(table, ALL).value.rows == 11
        assert replica.boundary(table, None, 11 - extra) is None
        with pytest.raises(Permanent, match="NULL in their key"):
            replica.row_digests(table, ALL)


def test_a_constraint_that_is_not_valid_yet_makes_no_key(postgres_server: Servers) -> None:
    """PostgreSQL 18: NOT NULL ... NOT VALID, beside rows that hold NULL. No range has them."""
    database = Database(postgres_server(18), fresh_name())
    database.cluster.sql(f'create database "{database.name}"')
    database.sql(
        "create table loose (u text unique, n int, v int); insert into loose values (null, 1, 1), ('b', 2, 2);"
        "alter table loose add constraint told not null u not valid; alter table loose alter n set not null"
    )
    with closing(PostgresReplica("leader", database.url, Options(role=Role.LEADER))) as replica:
        loose = replica.table(named("loose"))
        assert (loose.key, loose.column("u").nullable, loose.column("n").nullable) == ((), True, False)
        assert replica.digest(replace(loose, key=("u",)), ALL).value.rows == 2
        upper = KeyRange(("a",), None)
        assert replica.digest(replace(loose, key=("u",)), upper).value.rows == 1
        assert replica.digest(replace(loose, key=("u",)), KeyRange(None, ("a",))).value.rows == 1
        with replica.sessions.borrow("listing keys") as session:
            assert all_keyed(session) == []
            database.sql("delete from loose where u is null; alter table loose validate constraint told")
            assert [one.name for one in all_keyed(session)] == [named("loose")]
        loose = replica.table(named("loose"))
        assert (loose.key, loose.column("u").nullable) == (("u",), False)
    database.cluster.sql(f'drop database "{database.name}"')


def keys_of(table: Table) -> list[tuple[int | str, ...]]:
    return [(i,) if table.key == ("id",) else (str(i), i) for i in range(1, 10)]


FEATURES = """
create schema other; create table other.ref (a int, b int, primary key (a, b));
create table t (
  id bigserial primary key, a int default 5, b int default -1, s text default 'it''s', u text default 'x' not null,
  n numeric(4,2) default 1.50, at timestamptz default now(), e int generated always as (a + 1) stored,
  ok bool default true, mixed float8 default 5::float8 + random(),
  constraint refers foreign key (a, b) references other.ref (a, b) deferrable, constraint positive check (a > 0),
  constraint apart exclude using btree (b with =)
);
create unique index whole on t (s, u) include (a); create index part on t (a desc) where b > 0;
create index lowered on t (lower(s)); create table i (id int generated by default as identity primary key);
"""


def test_indexes_constraints_defaults_and_sequences_are_told(database: Database, replica: PostgresReplica) -> None:
    database.sql(FEATURES)
    assert set(replica.features(named("t"))) == {
        Feature("part", "index", "index USING btree (a DESC) WHERE (b > 0)"),
        Feature("lowered", "index", "index USING btree (lower(s))"),
        Feature("whole", "unique", "unique USING btree (s, u) INCLUDE (a)", "s, u"),
        Feature("t_pkey", "unique", "primary key USING btree (id)", "id"),
        Feature("positive", "check", "CHECK ((a > 0))"),
        Feature("apart", "unique", "EXCLUDE USING btree (b WITH =)"),
        Feature("apart", "index", "index USING btree (b)", "b"),
        Feature(
            "refers", "foreign key", "FOREIGN KEY (a, b) REFERENCES other.ref(a, b) DEFERRABLE", "a, b -> ref(a, b)"
        ),
        Feature("id", "default", "next value of a sequence", "sequence"),
        Feature("a", "default", "5", "5"),
        Feature("b", "default", "'-1'::integer", "-1"),
        Feature("s", "default", "'it''s'::text"),
        Feature("u", "default", "'x'::text", "x"),
        Feature("n", "default", "1.50", "1.50"),
        Feature("at", "default", "now()", "now"),
        Feature("e", "default", "generated as (a + 1)"),
        Feature("ok", "default", "true", "1"),
        Feature("mixed", "default", "((5)::double precision + random())"),
        Feature("id", "sequence", "bigint by 1 from 1 to 9223372036854775807"),
    }
    assert replica.features(named("nowhere")) == ()


def test_a_sequence_behind_its_column_is_a_problem(database: Database, replica: PostgresReplica) -> None:
    def problem(table: str) -> str | None:
        (found,) = [one.problem for one in replica.features(named(table)) if one.what == "sequence"]
        return found

    database.sql(FEATURES)
    assert problem("i") is None
    database.sql("insert into i values (1), (7)")
    assert problem("i") == "its next value 1 is not beyond 7, which the column holds already"
    database.sql("select setval('i_id_seq', 7)")
    assert problem("i") is None
    database.sql("select setval('i_id_seq', 7, false)")
    assert problem("i") == "its next value 7 is not beyond 7, which the column holds already"
    database.sql("alter sequence i_id_seq maxvalue 8; select setval('i_id_seq', 8)")
    assert problem("i") == "it is used up: the next value would be 9"
    database.sql("alter sequence i_id_seq cycle")
    assert problem("i") is None
    database.sql("create table down (id int primary key); create sequence d increment -1; insert into down values (-3)")
    database.sql("alter table down alter id set default nextval('d')")
    assert problem("down") == "its next value -1 is not beyond -3, which the column holds already"
    database.sql("create table unindexed (id serial, v int); insert into unindexed (id) values (9)")
    assert problem("unindexed") is None  # a scan of the whole table would be asked for it
    database.sql("create sequence s; create table worded (no text primary key default 'A-' || nextval('s'))")
    database.sql("insert into worded default values")
    assert problem("worded") is None  # what it holds are no numbers


def test_what_may_not_be_read_is_not_told_and_breaks_nothing(database: Database) -> None:
    database.sql(FEATURES + "; insert into i values (9)")
    database.sql(
        "do $$ begin create role sees_little login password 'x'; exception when duplicate_object then null; end $$;"
        "grant select on i to sees_little"
    )
    url = database.url.replace("//postgres:", "//sees_little:").replace(database.cluster.password, "x")
    replica = PostgresReplica("leader", url, Options(role=Role.LEADER))
    try:
        found = replica.features(named("i"))
        assert Feature("id", "sequence", "integer by 1 from 1 to 2147483647") in found
        with pytest.raises(Forbidden):
            replica.table(named("t"))
    finally:
        replica.close()


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (None, None), ("sequence", "sequence"), ("'a'::text", "a"), ("'a''b'::text", None), ("'{}'::jsonb", "{}"),
        ("(-5)", "-5"), ("0.5::double precision", "0.5"), ("false", "0"), ("CURRENT_TIMESTAMP", "now"),
        ("lower('x'::text)", None), ("('now'::text)::date", None), ("ARRAY[1]", None), ("1 + 1", None),
        ("'a'::text || x", None), ("((5)::double precision + random())", None), ("'1'::text = x", None),
        ("'a'::character varying(20)", "a"), ("(5)::numeric(10,2)", "5"), ("'{}'::integer[]", "{}"),
        ("'2024-01-01'::timestamp(3) without time zone", "2024-01-01"), ("'x'::\"My\".\"Kind\"", "x"), ("''", ""),
        ("'a'::text AND true", None), ("-0.5", "-0.5"), ("('-1'::integer)::bigint", None), ("5 - now()", None),
    ],
)  # fmt: skip
def test_defaults_as_any_engine_says_them(expression: str | None, said: str | None) -> None:
    assert portable_default(expression) == said


def test_sequences_that_count_either_way() -> None:
    assert sequence_problem(5, 1, 1, 10, None) is None
    assert sequence_problem(5, 1, 1, 10, 4) is None
    assert "not beyond 5" in (sequence_problem(5, 1, 1, 10, 5) or "")
    assert sequence_problem(-5, -1, -10, -1, -4) is None
    assert "not beyond -6" in (sequence_problem(-5, -1, -10, -1, -6) or "")
    assert "used up" in (sequence_problem(-11, -1, -10, -1, -10) or "")
