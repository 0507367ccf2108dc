"""`trueup audit` over tables that are not alike: other names, fewer columns, a condition, no key, other definitions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.audit_program import Ended, Program, by_table, url
from fixtures.databases import Database, fresh_name
from fixtures.servers import Servers

from connectors.embedded import Cluster

pytestmark = pytest.mark.postgres

LEADER = """
create schema shop;
create table shop.orders (id int primary key, region text not null, amount numeric(12,2), note text);
insert into shop.orders select i, case when i % 2 = 0 then 'eu' else 'us' end, i * 1.5, 'note ' || i || ' 100%'
from generate_series(1, 2000) i;
create table shop.items (id int primary key, sku text);
insert into shop.items select i, 'sku' || i from generate_series(1, 10) i;
"""
FOLLOWER = """
create schema archive;
create table archive.orders (id int primary key, region text not null, amount numeric(12,2), remark text, at date);
insert into archive.orders select i, case when i % 2 = 0 then 'eu' else 'us' end, i * 1.5, 'note ' || i || ' 100%'
from generate_series(1, 2000) i;
create table archive.items (id int primary key, sku text);
insert into archive.items select i, 'sku' || i from generate_series(1, 10) i;
"""
NAMES = ("--map-table", "shop.*=archive.*", "--map-column", "shop.orders.note=remark")


class Pair:
    """Two databases of one quiet server: the second follows nobody and is compared with a leader that stands still."""

    def __init__(self, cluster: Cluster, folder: Path, leader: str = "", follower: str = "") -> None:
        self.cluster = cluster
        self.leader, self.follower = (Database(cluster, fresh_name()) for _ in range(2))
        for database, made in ((self.leader, leader), (self.follower, follower)):
            cluster.sql(f'create database "{database.name}"')
            if made:
                database.sql(made)
        self.program = Program.knowing(folder, cluster)

    @property
    def words(self) -> list[str]:
        f = f"f={url(self.cluster, self.follower.name)}"
        return ["--leader", url(self.cluster, self.leader.name), "--follower", f]

    def audit(self, *words: str, code: int) -> Ended:
        run = self.program("audit", *self.words, *words, "--format", "json")
        assert run.code == code, (run.code, run.err, run.out)
        return run

    def entries(self, *words: str, code: int) -> dict[str, dict[str, Any]]:
        return {table: entry for (table, _), entry in by_table(self.audit(*words, code=code).report).items()}

    def drop(self) -> None:
        for database in (self.leader, self.follower):
            self.cluster.sql(f'drop database "{database.name}" with (force)')


@pytest.fixture
def shop(postgres_server: Servers, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(postgres_server(15), tmp_path, LEADER, FOLLOWER)
    yield made
    made.drop()


@pytest.fixture
def bare(postgres_server: Servers, tmp_path: Path) -> Iterator[Pair]:
    made = Pair(postgres_server(15), tmp_path)
    yield made
    made.drop()


def test_tables_and_columns_of_other_names_are_compared_and_the_report_says_so(shop: Pair) -> None:
    shop.follower.sql("update archive.orders set remark = 'x' where id = 7; delete from archive.items where id = 3")
    found = shop.entries("--table", "shop.*", *NAMES, code=1)
    orders, items = found["orders"], found["items"]
    assert [(row["key"], row["columns"]) for row in orders["rows_drifted"]] == [
        ({"id": 7}, {"note": {"leader": "note 7 100%", "follower": "x"}})
    ]
    assert (orders["table_on_follower"], orders["renamed_columns"]) == ("archive.orders", {"note": "remark"})
    assert [(row["kind"], row["key"]) for row in items["rows_drifted"]] == [("missing", {"id": 3})]
    assert (items["table_on_follower"], items["renamed_columns"]) == ("archive.items", {})
    assert orders["schema"] == [
        {"object": "at", "what": "column", "leader": None, "follower": "date", "severity": "warning", "note": None}
    ]


def test_only_the_rows_of_the_condition_exist(shop: Pair) -> None:
    shop.follower.sql("delete from archive.orders where region = 'us' and id > 20")
    shop.follower.sql("update archive.orders set region = 'us' where id = 100")  # leaves the condition there
    shop.leader.sql("update shop.orders set region = 'us' where id = 200")  # and there
    wanted = "shop.orders=region = 'eu' or region = 'eu' and note like '%100%' -- ours"
    found = shop.entries("--table", "shop.*", *NAMES, "--where", wanted, code=1)
    orders = found["orders"]
    assert {(row["kind"], row["key"]["id"]) for row in orders["rows_drifted"]} == {("missing", 100), ("extra", 200)}
    assert (orders["where"], orders["rows"]) == (wanted.partition("=")[2], {"leader": 999, "follower": 999})
    assert (found["items"]["where"], found["items"]["verdict"]) == (None, "match")
    narrow = shop.entries("--table", "shop.orders", *NAMES, "--where", "id <= 20 or note = '%s'", code=0)
    assert narrow["orders"]["rows"] == {"leader": 20, "follower": 20}


def test_only_some_columns_are_compared_and_each_other_says_why_not(shop: Pair) -> None:
    shop.follower.sql("update archive.orders set region = 'cn' where id = 1; update archive.items set sku = 'x'")
    only = ("--columns", "shop.orders=amount,note", "--exclude", "shop.items.sku", "--exclude", "shop.items.gone")
    found = shop.entries("--table", "shop.*", *NAMES, *only, code=0)
    assert found["orders"]["excluded_columns"] == ["region"]
    assert found["orders"]["excluded_why"] == {"region": "not among the columns asked for"}
    assert found["orders"]["columns_compared"] == 3
    assert found["items"]["excluded_why"] == {"sku": "excluded by name"}
    assert found["items"]["remarks"] == ["column 'gone' was to be excluded, but neither side has it"]


def test_what_is_wrong_with_one_table_is_its_reason_and_the_others_go_on(shop: Pair) -> None:
    for name in ("a", "b", "c", "d", "e"):
        shop.leader.sql(f"create table shop.{name} (id int primary key, note text)")
        shop.follower.sql(f"create table archive.{name} (id int primary key, note text)")
    words = (
        *(
            "--columns",
            "shop.orders=amount,nte",
            "--map-column",
            "shop.a.nte=remark",
            "--map-column",
            "shop.b.note=rmark",
        ),
        *("--where", "shop.c=regin = 'eu'", "--where", "shop.d=note = (", "--map-table", "shop.e=archive.nowhere"),
    )
    found = shop.entries("--table", "shop.*", "--map-table", "shop.*=archive.*", *words, code=4)
    said = {
        "orders": "shop.orders has no column 'nte', which --columns names; check its spelling and case",
        "a": "shop.a has no column 'nte', which --map-column names",
        "b": "archive.b on f has no column 'rmark', which 'note' is mapped to",
        "c": 'column "regin" does not exist',
        "d": "syntax error",
        "e": "there is no table archive.nowhere",
    }
    for name, words_of_it in said.items():
        assert (found[name]["verdict"], words_of_it in found[name]["reason"]) == ("unverified", True), found[name]
    assert (found["items"]["verdict"], found["items"]["reason"]) == ("match", None)


def test_options_that_cannot_be_understood_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    nobody = ("--leader", "postgresql://x@127.0.0.1:1/x", "--follower", "postgresql://x@127.0.0.1:1/y")
    run = Program(tmp_path, {})("audit", *nobody, "--map-table", "shop.*=archive.orders")
    assert run.code == 3
    assert "the same number of *" in run.err


def test_a_configuration_says_the_same_and_a_daemon_refuses_it(shop: Pair, tmp_path: Path) -> None:
    shop.follower.sql("update archive.orders set remark = 'x' where id in (7, 8)")
    file = tmp_path / "audit.yaml"
    file.write_text(f"""
groups:
  - name: shop
    leader: {{url: "{url(shop.cluster, shop.leader.name)}"}}
    followers: [{{name: f, url: "{url(shop.cluster, shop.follower.name)}"}}]
    tables:
      include: [shop.*]
      columns: {{shop.orders: [note]}}
      where: {{shop.orders: "region = 'eu'"}}
      map_tables: {{shop.*: archive.*}}
      map_columns: {{shop.orders: {{note: remark}}}}
""")
    run = shop.program("audit", "--config", file, "--format", "json")
    assert run.code == 1, run.err
    orders = by_table(run.report)["orders", "f"]
    assert [row["key"] for row in orders["rows_drifted"]] == [{"id": 8}]
    assert orders["excluded_columns"] == ["region", "amount"]
    daemon = shop.program("run", "--config", file)
    assert daemon.code == 3
    assert (
        "tables.columns, tables.where, tables.map_tables, tables.map_columns are for 'trueup audit' alone" in daemon.err
    )


def test_a_table_without_a_key_is_counted_by_its_rows(bare: Pair) -> None:
    for side in (bare.leader, bare.follower):
        side.sql(
            "create table log (kind text, n int); insert into log select 'k' || i % 7, i from generate_series(1, 90) i"
        )
        side.sql("create table same (a int, b int); insert into same values (1, null), (1, null), (null, 1)")
    bare.leader.sql("insert into log values ('twice', 1), ('twice', 1)")
    bare.follower.sql("insert into log values ('twice', 1), ('alone', 2); update log set n = -5 where n = 5")
    run = bare.audit(code=1)
    found = {table: entry for (table, _), entry in by_table(run.report).items()}
    log = found["log"]
    assert (log["verdict"], log["reason"], log["key"], log["truncated"]) == ("drift", None, [], True)
    assert log["rows"] == {"leader": 92, "follower": 92}
    assert log["drift"] == {"missing": 2, "extra": 2, "mismatched": 0}
    assert log["rows_drifted"] == []
    assert "rows cannot be addressed" in log["remarks"][0]
    told = log["multiset"]
    assert (told["exact"], told["evidence"], told["method"]) == (True, "proven", "snapshot")
    assert told["positions"].keys() == {"leader", "follower_low", "follower_high"}
    assert (found["same"]["verdict"], found["same"]["drift"]["missing"]) == ("match", 0)


def test_what_differs_beside_the_columns_is_a_finding_and_no_drift(bare: Pair) -> None:
    bare.leader.sql(
        "create table p (id int primary key);"
        "create table t (id serial primary key, a int default 1, b int references p on delete cascade, c text,"
        " check (a > 0), unique (c)); create index by_a on t (a) where a > 5;"
        "create table i (id int generated always as identity primary key); insert into i default values;"
        "insert into t (a) values (1), (2)"
    )
    bare.follower.sql(
        "create table p (id int primary key);"
        "create table t (id serial primary key, a int default 2, b int references p, c text, check (a > 0));"
        "create table i (id int generated by default as identity primary key); insert into i values (1);"
        "insert into t values (1, 1), (2, 2)"
    )
    run = bare.audit(code=0)
    found = {table: entry["schema"] for (table, _), entry in by_table(run.report).items()}
    assert [(f["what"], f["object"], f["leader"], f["follower"], f["severity"]) for f in found["t"]] == [
        ("index", "by_a", "index USING btree (a) WHERE (a > 5)", None, "notice"),
        ("unique", "t_c_key", "unique USING btree (c)", None, "warning"),
        (
            "foreign key", "t_b_fkey", "FOREIGN KEY (b) REFERENCES public.p(id) ON DELETE CASCADE",
            "FOREIGN KEY (b) REFERENCES public.p(id)", "warning",
        ),
        ("default", "a", "1", "2", "notice"),
        ("sequence", "id", None, "integer by 1 from 1 to 2147483647", "notice"),
    ]  # fmt: skip
    assert found["t"][-1]["note"] == "on the follower: its next value 1 is not beyond 2, which the column holds already"
    assert [(f["what"], f["leader"], f["follower"]) for f in found["i"]] == [
        ("default", "generated always as identity", "generated by default as identity"),
        ("sequence", None, "integer by 1 from 1 to 2147483647"),
    ]
    assert found["p"] == []
    for side in (bare.leader, bare.follower):
        side.sql("create table keyless (v int)")
    for words in ((), ("--format", "html")):
        told = bare.program("audit", *bare.words, *words).out
        assert "its next value 1 is not beyond 2" in told
        assert "rows cannot be addressed" in told


KEYS = {
    "smallint": ("k smallint", "k", "select generate_series(-5, 5)", "k = -5"),
    "text": ("k text", "k", "values (''), (' '), ('a'), ('A'), ('é'), ('ß'), ('%s'), ('日'), ('\\')", "k = '日'"),
    "char": ("k char(4)", "k", "values ('a'), ('abcd'), ('B'), ('')", "k = 'a'"),
    "uuid": ("k uuid", "k", "select md5(g::text)::uuid from generate_series(1, 9) g", "k = md5('1')::uuid"),
    "numeric": ("k numeric", "k", "values (0.10), (1.00), (-1), (1e30), ('NaN')", "k = 0.1"),
    "date": ("k date", "k", "values ('2026-01-01'::date), ('0044-03-15 BC'), ('infinity')", "k < '0001-01-01'"),
    "stamp": ("k timestamptz", "k", "values ('2026-01-01'::timestamptz), ('-infinity')", "k > '2000-01-01'"),
    "bytea": ("k bytea", "k", "values ('\\x'::bytea), ('\\x00'), ('\\xff')", "k = '\\xff'"),
    "enum": ("k mood", "k", "values ('sad'::mood), ('so, so'), ('Happy')", "k = 'so, so'"),
    "boolean": ("k boolean", "k", "values (true), (false)", "k"),
    "composite": ("k text, l uuid, m int", "k, l, m",
                  "select chr(97 + g % 3), md5(g::text)::uuid, -g from generate_series(1, 9) g", "m = -4"),
}  # fmt: skip
KEYED = {
    "smallint": {"k": -5}, "text": {"k": "日"}, "char": {"k": "a"},
    "uuid": {"k": "c4ca4238-a0b9-2382-0dcc-509a6f75849b"},
    "numeric": {"k": "0.10"}, "date": {"k": "0044-03-15 BC"}, "stamp": {"k": "2026-01-01 00:00:00+00"},
    "bytea": {"k": "\\xff"}, "enum": {"k": "so, so"}, "boolean": {"k": "true"},
    "composite": {"k": "b", "l": "a87ff679-a2f3-e71d-9181-a67b7542122c", "m": -4},
}  # fmt: skip


def test_keys_of_every_type_and_odd_names_are_named_exactly(bare: Pair) -> None:
    for side in (bare.leader, bare.follower):
        side.sql("create type mood as enum ('sad', 'so, so', 'Happy')")
        for name, (columns, key, rows, _) in KEYS.items():
            side.sql(f"create table {name}_ ({columns}, v text default 'x', primary key ({key}))")
            side.sql(f"insert into {name}_ ({key}) {rows}")
        side.sql('create schema "Sélect 1"')
        side.sql('create table "Sélect 1"."we""ird %s" ("select" int, "Ünder B" text, "100%" text, "a.b" int,'
                 ' primary key ("Ünder B", "select"))')  # fmt: skip
        side.sql('insert into "Sélect 1"."we""ird %s" select g, \'k%s\', null, g from generate_series(1, 9) g')
    for name, (_, _, _, one) in KEYS.items():
        bare.follower.sql(f"update {name}_ set v = 'y' where {one}")
    bare.follower.sql('update "Sélect 1"."we""ird %s" set "100%" = \'%s\', "a.b" = 0 where "select" = 4')
    found = bare.entries(code=1)
    assert {name: [row["key"] for row in found[f"{name}_"]["rows_drifted"]] for name in KEYS} == {
        name: [key] for name, key in KEYED.items()
    }
    (odd,) = found['we"ird %s']["rows_drifted"]
    assert odd["key"] == {"Ünder B": "k%s", "select": 4}
    assert odd["columns"] == {
        "100%": {"leader": None, "follower": "%s"},
        "a.b": {"leader": "4", "follower": "0"},
    }


def test_views_parts_and_parents_are_compared_as_what_they_are(bare: Pair) -> None:
    for side in (bare.leader, bare.follower):
        side.sql(
            "create table t (id int primary key, v text, w int generated always as (id * 2) stored);"
            "insert into t select i, 'v' from generate_series(1, 9) i; create view seen as select id, v from t;"
            "create materialized view kept as select id, v from t;"
            "create table parent (id int primary key, v text); create table child () inherits (parent);"
            "alter table child add primary key (id);"
            "insert into parent values (1, 'p'); insert into child values (1, 'c');"
            "create table parts (id int primary key, v text) partition by range (id);"
            "create table low partition of parts for values from (0) to (5);"
            "create table high partition of parts for values from (5) to (10);"
            "insert into parts select i, 'v' from generate_series(1, 9) i;"
            "create extension file_fdw; create server files foreign data wrapper file_fdw;"
            "create foreign table f (id int, v text) server files "
            "options (program 'printf \"1,x\\n2,y\\n\"', format 'csv')"
        )
    bare.follower.sql(
        "update t set v = 'x' where id = 3; refresh materialized view kept;"
        "alter foreign table f options (set program 'printf \"1,x\\n2,z\\n\"');"
        "update parts set v = 'x' where id in (2, 7); update child set v = 'x'"
    )
    words = ("--table", "*", "--table", "public.seen", "--table", "kept", "--table", "f")
    keys = ("--key", "public.seen=id", "--key", "public.kept=id", "--key", "public.f=id")
    found = bare.entries(*words, *keys, code=1)
    assert {name: sorted(row["key"]["id"] for row in entry["rows_drifted"]) for name, entry in found.items()} == {
        "t": [3], "seen": [3], "kept": [3], "parent": [], "child": [1], "parts": [2, 7], "f": [2],
    }  # fmt: skip
    assert {row["method"] for row in found["seen"]["rows_drifted"]} == {"snapshot"}
    assert found["seen"]["remarks"] == [
        "on the leader it is a view: its rows have no versions that could prove a difference while it changes",
        "on the follower it is a view: its rows have no versions that could prove a difference while it changes",
        "its key (id) was named by the user and is trusted to be unique",
    ]
    assert "only its own rows are compared" in found["parent"]["remarks"][0]
    assert found["t"]["remarks"] == []


def test_differences_of_schema_never_stop_what_can_be_compared(bare: Pair) -> None:
    bare.leader.sql(
        "create table a (id int primary key, gone text, same int); insert into a values (1, 'x', 1), (2, 'y', 2);"
        "create table b (id int primary key, v int not null); insert into b values (1, 1), (2, 2);"
        "create table c (id int primary key, v json); insert into c values (1, '{}');"
        "create table d (id int primary key); create table e (id int primary key, v int); insert into e values (1, 1)"
    )
    bare.follower.sql(
        "create table a (id int primary key, same int, more text default 'm'); insert into a values (1, 1), (2, 9);"
        "create table b (id int primary key, v numeric); insert into b values (1, 1.00), (2, 3);"
        "create table c (id int primary key, v int); insert into c values (1, 1);"
        "create table e (id int, v int); insert into e values (1, 2)"
    )
    found = bare.entries(code=1)
    assert {name: (entry["verdict"], len(entry["rows_drifted"])) for name, entry in found.items()} == {
        "a": ("drift", 1), "b": ("drift", 1), "c": ("unverified", 0), "d": ("unverified", 0), "e": ("drift", 1),
    }  # fmt: skip
    told = {
        name: [(f["what"], f["object"], f["leader"], f["follower"]) for f in e["schema"]] for name, e in found.items()
    }
    assert told == {
        "a": [("column", "gone", "text", None), ("column", "more", None, "text")],
        "b": [("type", "v", "integer", "numeric"), ("nullability", "v", "not null", "null")],
        "c": [("type", "v", "json", "integer")],
        "d": [],
        "e": [
            ("nullability", "id", "not null", "null"),
            ("key", "key", "id", None),
            ("unique", "e_pkey", "primary key USING btree (id)", None),
        ],
    }
    assert "column 'gone' is missing on the follower" in found["a"]["reason"]
    assert "the values cannot be compared" in found["c"]["reason"]
    assert "there is no table public.d" in found["d"]["reason"]
