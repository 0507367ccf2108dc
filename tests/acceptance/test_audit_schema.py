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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--columns", "shop.orders=amount,nte"], "shop.orders has no column 'nte', which --columns names"),
        (["--map-column", "shop.orders.nte=remark"], "shop.orders has no column 'nte', which --map-column names"),
        (
            ["--map-column", "shop.orders.note=rmark"],
            "archive.orders on f has no column 'rmark', which 'note' is mapped",
        ),
        (["--where", "shop.orders=regin = 'eu'"], 'column "regin" does not exist'),
        (["--where", "shop.orders=region = ("], "syntax error"),
        (["--map-table", "shop.orders=archive.nowhere"], "there is no table archive.nowhere"),
    ],
)
def test_what_is_wrong_with_one_table_is_its_reason_and_the_others_go_on(
    shop: Pair, words: list[str], said: str
) -> None:
    found = shop.entries("--table", "shop.*", "--map-table", "shop.*=archive.*", *words, code=4)
    assert found["orders"]["verdict"] == "unverified"
    assert said in found["orders"]["reason"]
    assert (found["items"]["verdict"], found["items"]["reason"]) == ("match", None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--where", "shop.orders= "], "needs an SQL condition"),
        (["--where", "a = 1", "--where", "b = 2"], "given twice for all tables"),
        (["--columns", "orders"], "needs schema.table=column,column"),
        (["--map-table", "shop.*=archive.orders"], "the same number of *"),
        (["--map-table", "orders=archive.orders"], "--map-table 'orders=archive.orders'"),
        (["--map-column", "shop.note=remark"], "needs schema.table.column=column"),
    ],
)
def test_options_that_cannot_be_understood_are_refused(bare: Pair, words: list[str], said: str) -> None:
    run = bare.audit(*words, code=3)
    assert said in run.err


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
    page = bare.program("audit", *bare.words, "--format", "html")
    assert "rows cannot be addressed" in page.out
    table = bare.program("audit", *bare.words)
    assert "rows cannot be addressed" in table.out


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
    assert "its next value 1 is not beyond 2" in bare.program("audit", *bare.words).out
    assert "its next value 1 is not beyond 2" in bare.program("audit", *bare.words, "--format", "html").out
