"""`trueup audit --cutover` as users run it: go for a clean pair whose leader stands still, and no-go for each trap.

One pair of servers, one schema; each trap is planted, seen, and taken away again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures.audit_program import Ended, Program, url
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
    trio_database.subscribe(SCHEMA)
    trio_database.leader.sql(FILL)
    trio_database.subscriber.sql(SEQUENCES)
    trio_database.caught_up()
    return trio_database


@pytest.fixture
def trueup(tmp_path: Path, trio_database: TrioDatabase) -> Program:
    trio = trio_database.trio
    return Program.knowing(tmp_path, trio.leader, trio.standby, trio.subscriber)


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
    print(run.out, run.err)
    assert run.code == 0
