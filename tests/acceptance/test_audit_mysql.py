"""An audit of MariaDB and of MySQL while writers write: exactly what was planted on the replica, and nothing else."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from fixtures import order_writers
from fixtures.audit_program import Program, by_table
from fixtures.mysql_servers import PairDatabase

pytestmark = [pytest.mark.mysql, pytest.mark.slow]

ROWS = 12_000
PLANTED = order_writers.Planted(range(100, 12_000, 3_000), range(1_700, 12_000, 2_500), range(100_000, 100_005))
WRITTEN_AT_REST = "proven", "snapshot"
WRITTEN_TO = "probable", "repeated"
FOLLOWED = "proven", "visibility"


def writing(shop: PairDatabase) -> AbstractContextManager[list[int]]:
    return order_writers.writing(
        lambda: shop.pair.leader.connect(shop.name), ROWS, PLANTED.keys, threads=2, rest_seconds=0.002
    )


@pytest.fixture
def shop(pair_database: PairDatabase) -> PairDatabase:
    pair_database.sql(
        "create table orders (id int primary key, n int not null, note varchar(2000))",
        "insert into orders values (1, 0, 'note')",
        *(f"insert into orders select id + {2**n}, n, note from orders where id + {2**n} <= {ROWS}" for n in range(15)),
    )
    pair_database.pair.caught_up()
    return pair_database


def words(shop: PairDatabase) -> list[str]:
    leader, follower = shop.leader_url, f"replica={shop.replica_url}"
    return ["audit", "--leader", leader, "--follower", follower, "--table", f"{shop.name}.*", "--format", "json"]


@pytest.mark.parametrize(
    ("more", "evidence"),
    [([], {WRITTEN_TO, WRITTEN_AT_REST}), (["--stream", "binlog"], {FOLLOWED})],
    ids=["bracketed", "binlog"],
)
def test_exact_findings_under_writes(
    shop: PairDatabase, tmp_path: Path, more: list[str], evidence: set[tuple[str, str]]
) -> None:
    shop.plant(*PLANTED.statements)
    with writing(shop) as commits:
        run = Program(tmp_path, {})(*words(shop), *more, "--chunk-time", "0.02", seconds=120)
    assert run.code == 1, run.err
    assert sum(commits) > 50
    entry = by_table(run.report)["orders", "replica"]
    assert order_writers.told(entry) == PLANTED.drifted
    assert (entry["verdict"], entry["reason"], entry["scheme"]) == ("drift", None, "native")
    assert {(r["evidence"], r["method"]) for r in entry["rows_drifted"]} <= evidence
    assert {tuple(r["columns"]) for r in entry["rows_drifted"] if r["kind"] == "mismatched"} == {("n",)}


def test_equal_while_writers_write(shop: PairDatabase, tmp_path: Path) -> None:
    with writing(shop) as commits:
        run = Program(tmp_path, {})(*words(shop), "--chunk-time", "0.02", seconds=120)
    assert run.code == 0, (run.out, run.err)
    assert sum(commits) > 50
    entry = by_table(run.report)["orders", "replica"]
    assert (entry["verdict"], entry["reason"], entry["rows_drifted"]) == ("match", None, [])


def test_what_stands_still_is_proven(shop: PairDatabase, tmp_path: Path) -> None:
    shop.plant("update orders set note = null where id = 7")
    secret = shop.pair.leader.password
    told = [word.replace(f":{secret}@", "@") for word in words(shop)]
    run = Program(tmp_path, {"MYSQL_PWD": secret})(*told, seconds=120)
    assert run.code == 1, run.err
    assert secret not in run.out + run.err
    (found,) = by_table(run.report)["orders", "replica"]["rows_drifted"]
    assert (found["kind"], found["key"], found["evidence"], found["method"]) == (
        "mismatched", {"id": 7}, *WRITTEN_AT_REST,
    )  # fmt: skip
