"""PostgreSQL's own tables: keys of every type, odd names, partitions, domains, collations, and how a key is chosen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fixtures.databases import Database
from fixtures.walking import walk
from sqlalchemy.engine import make_url

from connectors.postgres.agreement import agree
from connectors.postgres.expressions import RowForm
from connectors.postgres.replica import Options, PostgresReplica
from verifier.digest import EMPTY, Digest
from verifier.errors import Forbidden, Permanent
from verifier.keyrange import ALL, KeyRange
from verifier.look import Role
from verifier.table import Family, TableName

pytestmark = pytest.mark.postgres

KEYS = {
    "negative bigint": ("k bigint", "k", "select g from generate_series(-3, 3) g union select -9223372036854775808"),
    "smallint": ("k smallint", "k", "select generate_series(-5, 5)"),
    "oid": ("k oid", "k", "select g::oid from generate_series(1, 9) g union select 4294967295"),
    "text": ("k text", "k", "values (''), (' '), ('a'), ('A'), ('aa'), ('Ab'), ('é'), ('z'), ('ß'), ('%s'), ('日')"),
    "varchar": ("k varchar(4)", "k", "values (''), ('a'), ('abcd'), ('B')"),
    "char": ("k char(4)", "k", "values ('a'), ('abcd'), ('B'), ('')"),
    "uuid": ("k uuid", "k", "select md5(g::text)::uuid from generate_series(1, 9) g"),
    "timestamptz": ("k timestamptz", "k", "select '2026-01-01'::timestamptz + g * interval '1.000001 s' from "
                    "generate_series(1, 9) g union values ('infinity'::timestamptz), ('-infinity')"),
    "timestamp": ("k timestamp(3)", "k", "select '2026-01-01'::timestamp + g * interval '1 h' from "
                  "generate_series(1, 9) g"),
    "date": ("k date", "k", "select '2026-01-01'::date + g from generate_series(1, 9) g union select '0044-03-15 BC'"),
    "numeric": ("k numeric", "k", "values (0.1::numeric), (1.00), (-1), (1e30), (1e-30), ('NaN')"),
    "scaled numeric": ("k numeric(12,2)", "k", "values (0.1), (1.00), (-1), (99.99)"),
    "double": ("k double precision", "k", "values (0.1::float8), (1e300), (-1e-300), (0.30000000000000004), ('NaN')"),
    "bytea": ("k bytea", "k", "values ('\\x'::bytea), ('\\x00'), ('\\xff'), ('\\x5c78')"),
    "enum": ("k mood", "k", "values ('sad'::mood), ('so, so'), ('Happy')"),
    "inet": ("k inet", "k", "values ('10.0.0.1'::inet), ('10.0.0.0/8'), ('::1')"),
    "interval": ("k interval", "k", "values ('1 day'::interval), ('25 hours'), ('1 mon')"),
    "boolean": ("k boolean", "k", "values (true), (false)"),
    "array": ("k int[]", "k", "values ('{}'::int[]), ('{1,2}'), ('{{1,2}}'), ('{NULL}')"),
    "domain": ("k price", "k", "values (1.50), (2.25), (-3)"),
    "composite of three": ("k text, l uuid, m int", "k, l, m", "select chr(97 + g % 3), md5(g::text)::uuid, -g from "
                           "generate_series(1, 20) g"),
}  # fmt: skip
TYPES = "create type mood as enum ('sad', 'so, so', 'Happy'); create domain price as numeric(10,2) check (value > -9)"


@pytest.fixture
def replica(versioned_database: Database) -> Iterator[PostgresReplica]:
    made = PostgresReplica("leader", versioned_database.url, Options(role=Role.LEADER))
    yield made
    made.close()


def test_every_kind_of_key_is_walked_read_and_named(versioned_database: Database, replica: PostgresReplica) -> None:
    versioned_database.sql(TYPES)
    for number, (columns, key, rows) in enumerate(KEYS.values()):
        versioned_database.sql(f"create table t{number} ({columns}, primary key ({key}), v text default 'x')")
        versioned_database.sql(f"insert into t{number} ({key}) {rows}")
    tables = [replica.table(TableName("public", f"t{number}")) for number in range(len(KEYS))]
    for agreed in (False, True):
        if agreed:
            agree([replica], tables)
        for kind, table in zip(KEYS, tables, strict=True):
            whole = replica.row_digests(table, ALL).value
            assert whole, kind
            assert replica.digest(table, ALL).value == Digest.of(whole.values()), kind
            parts = [replica.row_digests(table, within).value for within in walk(replica, table, 2)]
            assert [len(part) for part in parts[:-1]] == [2] * (len(parts) - 1), kind
            assert sum(map(len, parts)) == len(whole), kind
            assert {key: h for part in parts for key, h in part.items()} == dict(whole), kind
            assert replica.point_digests(table, list(whole)).value == dict(whole), kind
            rows = replica.rows(table, list(whole)).value
            assert {key: tuple(row.values[name] for name in table.key) for key, row in rows.items()} == {
                key: tuple(map(str, key)) for key in whole
            }, kind


def test_odd_names_are_quoted(database: Database) -> None:
    database.sql('create schema "Ünder"')
    database.sql(
        'create table "Ünder"."we""ird %s.t" ("select" int, "B b" text, "100%" text, primary key ("B b", "select"))'
    )
    database.sql('insert into "Ünder"."we""ird %s.t" select g, \'%s\', null from generate_series(1, 9) g')
    replica = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    (name,) = replica.tables(["*"])
    assert name == TableName("Ünder", 'we"ird %s.t')
    table = replica.table(name)
    assert table.key == ("B b", "select")
    assert replica.boundary(table, None, 3) == ("%s", 4)
    assert replica.rows(table, [("%s", 4)]).value["%s", 4].values == {"select": "4", "B b": "%s", "100%": None}
    assert replica.digest(table, KeyRange(("%s", 3), ("%s", 5))).value.rows == 2
    replica.close()


def test_keys_are_compared_exactly_and_never_rounded_or_cut(database: Database) -> None:
    database.sql("create table n (k numeric(6,2) primary key); insert into n values (1.23)")
    database.sql("create table c (k varchar(3) primary key); insert into c values ('abc')")
    replica = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    for name, wrong, right in (("n", "1.234", "1.230"), ("c", "abcd", "abc")):
        table = replica.table(TableName("public", name))
        assert set(replica.point_digests(table, [(wrong,), (right,)]).value) == {(right,)}
    replica.close()


def test_the_key_is_the_primary_key_else_the_smallest_sure_one(database: Database) -> None:
    cases = {
        "create table t (a int primary key, b int not null unique)": ("a",),
        "create table t (a int not null, b int not null, c int not null unique, unique (a, b))": ("c",),
        "create table t (b int not null, a int not null, unique (a, b))": ("a", "b"),
        "create table t (a int unique, b int)": (),
        "create table t (a int not null, b int); create unique index on t (a) where b > 0": (),
        "create table t (a text not null); create unique index on t (lower(a))": (),
        "create table t (a int not null, b int); create unique index on t (a) include (b)": ("a",),
        "create table t (a int not null unique deferrable)": (),
        "create view t as select 1 as a": (),
    }
    replica = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    for made, key in cases.items():
        database.sql(made)
        table = replica.table(TableName("public", "t"))
        assert table.key == key, made
        if not key:
            with pytest.raises(Permanent, match="cannot be addressed"):
                replica.row_digests(table, ALL)
            assert replica.digest(table, ALL).value.rows == len(replica.multiset(table).value)
        database.sql("drop view t" if "view" in made else "drop table t")
    replica.close()


def test_types_are_described_by_family_and_base(database: Database) -> None:
    database.sql(TYPES)
    database.sql("create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    database.sql("create type t_pair as (a int, b text)")
    database.sql(
        "create table t (id int generated always as identity primary key, p price, q numeric(12,2), m mood, j json,"
        " a text[], s text collate ci, g int generated always as (id * 2) stored, x xml,"
        " n cidr, b bit varying(3), r int4range, o t_pair, z timetz)"
    )
    replica = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    columns = {c.name: c for c in replica.table(TableName("public", "t")).columns}
    assert {name: (c.family, c.declared) for name, c in columns.items()} == {
        "id": (Family.INTEGER, "integer"),
        "p": (Family.DECIMAL, "numeric(10,2)"),
        "q": (Family.DECIMAL, "numeric(12,2)"),
        "m": (Family.ENUM, "public.mood"),
        "j": (Family.JSON, "json"),
        "a": (Family.ARRAY, "text[]"),
        "s": (Family.TEXT, "text"),
        "g": (Family.INTEGER, "integer"),
        "x": (Family.XML, "xml"),
        "n": (Family.INET, "cidr"),
        "b": (Family.BIT, "bit varying(3)"),
        "r": (Family.RANGE, "int4range"),
        "o": (Family.COMPOSITE, "public.t_pair"),
        "z": (Family.OTHER, "time with time zone"),
    }
    assert columns["s"].collation == "ci (nondeterministic)"
    assert columns["g"].generated
    assert not columns["id"].nullable
    replica.close()


def test_a_nondeterministic_collation_hides_nothing(database: Database) -> None:
    database.sql("create collation ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    database.sql("create table a (id int primary key, s text collate ci); insert into a values (1, 'ABC')")
    database.sql("create table b (id int primary key, s text); insert into b values (1, 'abc')")
    database.sql("create table c (id int primary key, s text); insert into c values (1, 'ABC')")
    replica = PostgresReplica("leader", database.url, Options(role=Role.LEADER))
    for scheme in RowForm:
        replica.adopt(scheme, frozenset())
        a, b, c = (replica.digest(replica.table(TableName("public", n)), ALL).value for n in "abc")
        assert a == c != b
    database.sql("create table k (s text collate ci primary key); insert into k values ('abc'), ('B'), ('c')")
    table = replica.table(TableName("public", "k"))
    assert sum((replica.digest(table, r).value for r in walk(replica, table, 1)), EMPTY).rows == 3
    replica.close()


def test_a_partitioned_table_is_one_table(versioned_database: Database, replica: PostgresReplica) -> None:
    versioned_database.sql(
        "create table p (id int, day date, v text, primary key (id, day)) partition by range (day);"
        "create table p1 partition of p for values from ('2026-01-01') to ('2026-02-01');"
        "create table p2 partition of p for values from ('2026-02-01') to ('2026-03-01');"
        "insert into p select g, '2026-01-15'::date + g, 'x' from generate_series(1, 30) g"
    )
    assert replica.tables(["*"]) == [TableName("public", "p")]
    table = replica.table(TableName("public", "p"))
    assert replica.digest(table, ALL).value.rows == 30
    before = replica.rows(table, [(1, "2026-01-16"), (30, "2026-02-14")]).value
    assert len({row.version for row in before.values()}) == 2


def test_rights_are_missed_by_name(database: Database) -> None:
    database.sql(
        "create table t (id int primary key); create schema hidden; create table hidden.t (id int primary key)"
    )
    database.sql(
        "do $$ begin create role nobody_reads login password 'x'; exception when duplicate_object then null; end $$"
    )
    replica = PostgresReplica("leader", _as_user(database.url, "nobody_reads"), Options(role=Role.LEADER))
    assert replica.tables(["*"]) == replica.tables(["public.*", "!hidden.*"]) == [TableName("public", "t")]
    assert replica.tables(["public.*", "hidden.*"]) == [TableName("hidden", "t"), TableName("public", "t")]
    with pytest.raises(Forbidden, match=r"public\.t .*grant select"):
        replica.table(TableName("public", "t"))
    with pytest.raises(Forbidden):
        replica.table(TableName("hidden", "t"))
    replica.close()


def _as_user(url: str, user: str) -> str:
    return make_url(url).set(username=user, password="x").render_as_string(hide_password=False)


def test_only_digests_of_ranges_leave_the_order_of_the_index(
    versioned_database: Database, replica: PostgresReplica
) -> None:
    versioned_database.sql("create table t (k int primary key, v text)")
    versioned_database.sql("insert into t select g, 'v' || g from generate_series(1, 20000) g")
    versioned_database.sql("analyze t")
    table, some = replica.table(TableName("public", "t")), KeyRange((100,), (2_000,))
    most = KeyRange((100,), (19_000,))
    planned = [" ".join(replica.explain(table, within).plan) for within in (some, most, ALL)]
    assert "Bitmap Heap Scan" in planned[0]
    assert "Bitmap Heap Scan" in planned[1], "nobody reads a whole table for each of its ranges"
    assert "Seq Scan" in planned[2]
    digest = replica.digest(table, some).value
    with replica.sessions.borrow("testing") as session:
        assert session.one("show enable_indexscan", by_bitmap=None) == ("off",)
        assert session.one("show enable_indexscan") == ("on",)
    packed = replica.row_digests(table, some).value
    assert (list(packed), Digest.of(packed.values())) == ([(k,) for k in range(100, 2_000)], digest)
