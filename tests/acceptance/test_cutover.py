"""`trueup audit --cutover` as users run it: go for a clean pair whose leader stands still, and no-go for each trap.

One pair of servers, one schema; each trap is planted, seen, and taken away again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from fixtures.audit_program import Ended, Program, url
from fixtures.background import again, beside
from fixtures.databases import TrioDatabase

pytestmark = pytest.mark.postgres

SCHEMA = """
create table customers (id int primary key generated always as identity, name text not null);
create table orders (
    id serial primary key, customer int references customers, amount numeric(12,2) check (amount >= 0), note text
);
create index orders_customer on orders (customer);
create sequence invoice_numbers;
create function touched() returns trigger language plpgsql as 'begin return new; end';
create trigger orders_touched before update on orders for each row execute function touched();
create view big_orders as select * from orders where amount > 100;
"""
FILL = """
insert into customers (name) select 'customer ' || i from generate_series(1, 50) i;
insert into orders (customer, amount, note) select 1 + i % 50, i, 'note ' || i from generate_series(1, 500) i;
"""
SEQUENCES = """
select setval('customers_id_seq', 50); select setval('orders_id_seq', 500);
"""


@pytest.fixture
def shop(trio_database: TrioDatabase) -> TrioDatabase:
    trio_database.filled(SCHEMA, FILL)
    trio_database.subscriber.sql(SEQUENCES)
    return trio_database


def cutover(trueup: Program, shop: TrioDatabase, *followers: str, settle: float = 10, how: str = "json") -> Ended:
    words = ["--leader", url(shop.trio.leader, shop.name)]
    for name in followers or ("subscriber",):
        words += ["--follower", f"{name}={url(getattr(shop.trio, name), shop.name)}"]
    return trueup("audit", "--cutover", *words, "--settle", str(settle), "--format", how)


def results(run: Ended, on: str = "subscriber") -> dict[str, str]:
    return {check["id"]: check["result"] for check in run.report["cutover"]["checks"] if check["on"] == on}


def check(run: Ended, name: str, on: str = "subscriber") -> dict[str, Any]:
    return next(one for one in run.report["cutover"]["checks"] if (one["id"], one["on"]) == (name, on))


def test_go(shop: TrioDatabase, trueup: Program) -> None:
    run = cutover(trueup, shop, "subscriber", "standby")
    assert run.code == 0, run.out
    report = run.report
    assert (report["verdict"], report["cutover"]["verdict"]) == ("match", "go")
    assert report["cutover"]["still"]["position"].startswith("lsn:")
    for follower in ("subscriber", "standby"):
        assert set(results(run, follower).values()) == {"pass"}, results(run, follower)
        assert results(run, follower).keys() >= {
            "applied", "rows", "row-counts", "complete", "schema", "evidence", "tables", "replication", "prepared",
            "sequences", "indexes", "constraints", "triggers", "policies", "views", "routines", "extensions", "grants",
            "database", "large-objects",
        }  # fmt: skip
    leader = results(run, "leader")
    assert leader["leader-still"] == leader["prepared"] == leader["slots"] == "pass"
    assert leader["read-only"] == "warning"
    assert check(run, "sequences")["detail"] == "3 checked"
    assert check(run, "rows")["detail"] == "2 tables, 550 rows, none differs"


def test_every_trap_is_a_line_of_its_own(shop: TrioDatabase, trueup: Program) -> None:
    follower = shop.subscriber
    follower.sql("select setval('orders_id_seq', 10)")
    follower.sql("select setval('invoice_numbers', 1, false)")
    shop.leader.sql("select nextval('invoice_numbers') from generate_series(1, 5)")
    follower.sql("drop index orders_customer")
    follower.sql("alter table orders drop constraint orders_amount_check")
    follower.sql("alter table orders add constraint orders_amount_check check (amount >= 0) not valid")
    follower.sql("alter table orders disable trigger orders_touched")
    follower.sql("drop view big_orders")
    follower.sql("create or replace function touched() returns trigger language plpgsql as 'begin return null; end'")
    follower.sql("create table leftovers (id int primary key)")
    follower.sql("update customers set name = 'somebody else' where id = 7")
    follower.sql("alter table customers alter column name drop not null")
    shop.leader.sql("select lo_create(0)")
    shop.leader.sql("create table forgotten (id int primary key)")
    shop.caught_up()
    run = cutover(trueup, shop)
    assert run.code == 1
    assert (run.report["verdict"], run.report["cutover"]["verdict"]) == ("drift", "no-go")
    found = results(run)
    failed = {name for name, result in found.items() if result == "fail"}
    assert failed == {
        "rows", "schema", "tables", "sequences", "indexes", "constraints", "triggers", "views", "routines",
        "large-objects",
    }  # fmt: skip
    assert {name for name, result in found.items() if result == "unknown"} == set()
    assert check(run, "tables")["detail"] == "public.forgotten is missing; public.leftovers is on the follower only"
    sequences = check(run, "sequences")
    assert "public.orders_id_seq gives 11 next, and public.orders.id holds 500 already" in sequences["detail"]
    assert "public.invoice_numbers gives 1 next, the leader 6" in sequences["detail"]
    assert "select setval('public.orders_id_seq', 500)" in sequences["todo"]
    assert check(run, "indexes")["detail"] == "btree (customer) of public.orders is missing"
    assert check(run, "constraints")["detail"] == ("CHECK ((amount >= (0)::numeric)) of public.orders is not validated")
    assert "orders_touched of public.orders: leader enabled" in check(run, "triggers")["detail"]
    assert check(run, "views")["detail"] == "public.big_orders is missing"
    assert "public.customers: 1 rows differ" in check(run, "rows")["detail"]
    for statement in (*sequences["todo"].split("; "),):
        follower.sql(statement)
    assert results(cutover(trueup, shop))["sequences"] == "pass"


def written_to(trueup: Program, shop: TrioDatabase, write: Callable[[], object], said: str) -> Ended:
    """A cutover that says so of a leader that is written to. Two small tables are read in a tenth of a second, and a
    busy machine keeps the writer waiting for longer: such a leader did stand still, and is looked at again."""
    with beside(again(write)):
        for _ in range(20):
            run = cutover(trueup, shop)
            if said in check(run, "leader-still", "leader")["detail"]:
                break
    return run


def test_a_leader_that_moves_proves_nothing(shop: TrioDatabase, trueup: Program) -> None:
    update = "update orders set note = note || '.' where id = 7"
    run = written_to(trueup, shop, lambda: shop.leader.sql(update), "public.orders: 1 rows written")
    assert run.code == 4, run.out
    assert run.report["cutover"]["verdict"] == "no-go"
    still = check(run, "leader-still", "leader")
    assert still["result"] == "unknown"
    assert "public.orders: 1 rows written" in still["detail"]
    assert "make the leader read-only" in still["todo"]


def test_what_others_do_is_no_movement(shop: TrioDatabase, trueup: Program) -> None:
    def noise() -> None:
        shop.trio.leader.sql("select pg_current_xact_id()")  # another database
        for statement in ("analyze orders", "vacuum customers", "checkpoint"):
            shop.leader.sql(statement)
        shop.leader.sql("begin; update orders set note = 'never' where id = 3; rollback")

    noise()
    run = written_to(trueup, shop, noise, "none of it wrote a row of the 2 tables")
    assert run.code == 0, run.out
    still = check(run, "leader-still", "leader")
    assert still["result"] == "pass"
    assert "none of it wrote a row of the 2 tables" in still["detail"]


def test_an_open_transaction_proves_nothing(shop: TrioDatabase, trueup: Program) -> None:
    with psycopg.connect(shop.leader.dsn) as connection:
        connection.execute("update orders set note = 'not yet' where id = 3")
        run = cutover(trueup, shop, settle=0.5)
        connection.rollback()
    assert run.code == 4, run.out
    assert check(run, "leader-still", "leader")["detail"].startswith("transactions were running before the first read")
    assert "1 of unnamed as postgres" in check(run, "sessions", "leader")["detail"]


def test_a_subscription_that_fails_is_no_go(shop: TrioDatabase, trueup: Program) -> None:
    shop.subscriber.sql("insert into orders (id, note) values (501, 'in the way')")
    shop.leader.sql("insert into orders (id, note) values (501, 'new')")
    run = cutover(trueup, shop, settle=1.5)
    assert run.code == 1, run.out
    applied = check(run, "applied")
    assert applied["result"] == "fail"
    assert "the leader stands at lsn:" in applied["detail"]
    assert results(run)["replication"] in ("warning", "fail")


def test_what_is_left_out_is_said(shop: TrioDatabase, trueup: Program) -> None:
    words = ["--leader", url(shop.trio.leader, shop.name), "--follower", url(shop.trio.subscriber, shop.name)]
    shop.leader.sql("create table trueup_heartbeat (id int primary key)")  # not the application's
    narrow = ("--table", "public.orders", "--exclude", "public.orders.note")
    run = trueup("audit", "--cutover", *words, *narrow, "--format", "json")
    assert run.code == 4
    assert check(run, "complete", "follower1")["detail"] == (
        "public.customers was not asked for; public.orders without note"
    )
    wrong = trueup("audit", "--cutover", *words, "--resume", "7")
    assert (wrong.code, wrong.out) == (3, "")
    assert "speak of one moment" in wrong.err


def test_for_people(shop: TrioDatabase, trueup: Program) -> None:
    shop.subscriber.sql("select setval('orders_id_seq', 10)")
    run = cutover(trueup, shop, how="table")
    assert run.code == 1
    assert "cutover: no-go" in run.out.splitlines()
    assert any(line.split()[:2] == ["FAIL", "subscriber"] and "orders_id_seq" in line for line in run.out.splitlines())
    page = cutover(trueup, shop, how="html").out
    assert "Cutover: no-go" in page
    assert "orders_id_seq" in page
