"""`trueup audit --cutover` on MariaDB and MySQL: go for a clean pair, and a line of its own for each trap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fixtures.audit_program import Ended, Program
from fixtures.background import again, beside
from fixtures.mysql_servers import PairDatabase

pytestmark = pytest.mark.mysql


@pytest.fixture
def shop(pair_database: PairDatabase) -> PairDatabase:
    pair_database.sql(
        "create table customers (id int primary key auto_increment, name varchar(40) not null)",
        "create table orders (id int primary key auto_increment, customer int, amount decimal(12,2), "
        "key of_customer (customer), constraint their foreign key (customer) references customers (id))",
        "create trigger orders_checked before insert on orders for each row set new.amount = coalesce(new.amount, 0)",
        "create view big_orders as select * from orders where amount > 100",
        "insert into customers (name) values ('a'), ('b'), ('c')",
        "insert into orders (customer, amount) values (1, 5), (2, 50), (3, 500)",
    )
    pair_database.pair.caught_up()
    return pair_database


def cutover(trueup: Program, shop: PairDatabase) -> Ended:
    servers = ["--leader", shop.leader_url, "--follower", f"replica={shop.replica_url}"]
    words = ["--table", f"{shop.name}.*", "--settle", "5", "--format", "json"]
    return trueup("audit", "--cutover", *servers, *words)


def checks(run: Ended, on: str = "replica") -> dict[str, dict[str, Any]]:
    return {check["id"]: check for check in run.report["cutover"]["checks"] if check["on"] == on}


def test_go_and_each_trap(shop: PairDatabase, tmp_path: Path) -> None:
    trueup = Program(tmp_path, {})
    run = cutover(trueup, shop)
    assert run.code == 0, (run.out, run.err)
    assert {check["result"] for check in checks(run).values()} == {"pass"}
    assert checks(run, "leader")["leader-still"]["result"] == "pass"
    assert run.report["cutover"]["verdict"] == "go"

    shop.plant(
        "drop trigger orders_checked",
        "alter table orders drop foreign key their, drop key of_customer",
        "drop view big_orders",
        "delete from orders where id = 3",
        "alter table customers auto_increment = 4",
    )
    shop.sql("insert into customers (name) values ('d')", "delete from customers where name = 'd'")
    shop.pair.caught_up()
    shop.plant("alter table customers auto_increment = 4")
    shop.pair.hold()
    try:
        run = cutover(trueup, shop)
    finally:
        shop.pair.release()
    assert run.code == 1, (run.out, run.err)
    found = checks(run)
    failed = {name for name, check in found.items() if check["result"] == "fail"}
    assert failed >= {"rows", "row-counts", "indexes", "constraints", "triggers", "views", "sequences", "replication"}
    assert {name for name, check in found.items() if check["result"] == "unknown"} == set()
    assert f"alter table `{shop.name}`.`customers` auto_increment = 5" in found["sequences"]["todo"]
    assert "the sql thread does not run" in found["replication"]["detail"]


def test_a_leader_that_moves_proves_nothing(shop: PairDatabase, tmp_path: Path) -> None:
    raised, trueup = "update orders set amount = amount + 1 where id = 1", Program(tmp_path, {})
    with shop.pair.leader.session(shop.name) as cursor, beside(again(lambda: cursor.execute(raised))):
        for _ in range(20):  # the writer may be kept waiting for longer than an audit of six rows takes
            run = cutover(trueup, shop)
            if checks(run, "leader")["leader-still"]["result"] != "pass":
                break
    assert run.code == 4, (run.out, run.err)
    assert run.report["cutover"]["verdict"] == "no-go"
    assert checks(run, "leader")["leader-still"]["result"] == "unknown"
    assert {check["result"] for check in checks(run).values()} == {"pass"}, "nothing is amiss on the replica"


def test_a_restore_drill_against_a_leader_that_stands_and_one_that_moved_on(shop: PairDatabase, tmp_path: Path) -> None:
    trueup = Program(tmp_path, {})
    at = trueup("position", "--leader", shop.leader_url).out.split()[-1]
    words = ["--leader", shop.leader_url, "--follower", f"backup={shop.replica_url}", "--table", f"{shop.name}.*"]
    drill = trueup("audit", *words, "--restored-at", at, "--format", "json")
    assert drill.code == 0, (drill.out, drill.err)
    assert (drill.report["restore"]["leader_stands"], drill.report["restore"]["percent"]) == (True, 100.0)
    shop.sql("update orders set amount = 6 where id = 1")
    drill = trueup("audit", *words, "--restored-at", at, "--format", "json")
    assert drill.code == 4, (drill.out, drill.err)
    assert drill.report["restore"]["rows"] == {"backup": 6, "proven": 0, "changed": 6, "gone": 0, "new": 0}
