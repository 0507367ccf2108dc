"""A follower of MariaDB and of MySQL that is judged by a watermark row: its drift is probable, and proven where the
leader's binlog says that the row stood still while it was looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fixtures.background import beside, until
from fixtures.mysql_servers import PairDatabase

from trueup.audit.progress import Silent
from trueup.audit.request import Request
from trueup.bootstrap.auditing import Plan, open_audit
from trueup.bootstrap.servers import Address
from verifier.policy import SettlePolicy
from verifier.watermark import DEFINITION, WatermarkPolicy

pytestmark = pytest.mark.mysql

PLANTED = {7: "mismatched", 8: "missing", 900: "extra"}


@contextmanager
def writing(shop: PairDatabase) -> Iterator[list[int]]:
    """Changes of other rows all the time."""
    commits = [0]

    def work(stop: threading.Event) -> None:
        with shop.pair.leader.session(shop.name) as cursor:
            while not stop.wait(0.01):
                cursor.execute("update items set v = v + 1 where id between 20 and 25")
                commits[0] += 1

    with beside(work):
        yield commits


@pytest.fixture
def shop(pair_database: PairDatabase) -> PairDatabase:
    pair_database.sql(
        "create table items (id int primary key, v int)",
        f"insert into items values {', '.join(f'({n}, {n})' for n in range(40))}",
        *DEFINITION.format(table="trueup_watermark").rstrip(";").split("; "),
    )
    pair_database.pair.caught_up()
    pair_database.plant(
        "update items set v = -1 where id = 7", "delete from items where id = 8", "insert into items values (900, 0)"
    )
    return pair_database


def audited(shop: PairDatabase, folder: Path, *, stream: str | None, ordered: bool) -> dict[int, tuple[str, str, str]]:
    """The replica, which would tell a position, is named as one that is judged by the watermark."""
    table = f"{shop.name}.trueup_watermark"
    plan = Plan(
        "g", Address("leader", shop.leader_url), (Address("f", shop.replica_url),),
        Request((f"{shop.name}.*", f"!{table}")), folder / f"{stream}{ordered}.db",
        settle=SettlePolicy(give_up_seconds=40.0), watermark=WatermarkPolicy(table, True, ordered, ("f",)),
        stream=stream,
    )  # fmt: skip
    opened = open_audit(plan, run=None, watcher=Silent(), stop=lambda: False)
    try:
        report: dict[str, Any] = opened.audit.run(opened.audit.begin(None))
    finally:
        opened.close()
    (entry,) = report["tables"]
    assert entry["verdict"] == "drift", entry["reason"]
    return {int(row["key"]["id"]): (row["kind"], row["evidence"], row["method"]) for row in entry["rows_drifted"]}


def test_the_binlog_proves_what_a_watermark_finds(shop: PairDatabase, tmp_path: Path) -> None:
    with writing(shop) as commits:
        proven = audited(shop, tmp_path, stream="binlog", ordered=True)
        unordered = audited(shop, tmp_path, stream="binlog", ordered=False)
        until(lambda: commits[0] > 5, "changes of other rows")
    assert proven == {key: (kind, "proven", "bracketed") for key, kind in PLANTED.items()}
    assert unordered == {key: (kind, "probable", "repeated") for key, kind in PLANTED.items()}
