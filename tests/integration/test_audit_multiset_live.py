"""A table without a key while writers write: what is damaged stays visible and is counted exactly, the faithful standby
is never called drifted, and a leader that comes to rest gives proof."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fixtures.background import beside
from fixtures.databases import TrioDatabase

from trueup.audit.progress import Silent
from trueup.audit.request import Request
from trueup.bootstrap.auditing import Plan, open_audit
from trueup.bootstrap.servers import Address
from verifier.policy import SettlePolicy

pytestmark = pytest.mark.postgres


@contextmanager
def writer(database: TrioDatabase) -> Iterator[None]:
    """Rows come, are changed and go, some of them equal to others."""

    def write(stop: threading.Event) -> None:
        with psycopg.connect(database.leader.dsn, autocommit=True) as connection:
            number = 0
            while not stop.wait(0.003):
                number += 1
                connection.execute("insert into log values ('hot', %s), ('hot', %s)", (number % 50, number))
                connection.execute("delete from log where kind = 'hot' and n = %s", (number - 40,))

    with beside(write):
        yield


def audited(database: TrioDatabase, journal: Path) -> dict[str, dict[str, Any]]:
    plan = Plan(
        "g",
        Address("leader", database.leader.url),
        (Address("standby", database.standby.url), Address("subscriber", database.subscriber.url)),
        Request(("public.log",)),
        str(journal),
        settle=SettlePolicy(give_up_seconds=7.0),
    )
    opened = open_audit(plan, run=None, watcher=Silent(), stop=lambda: False)
    try:
        report = opened.audit.run(opened.audit.begin(None))
    finally:
        opened.close()
    return {entry["follower"]: entry for entry in report["tables"]}


def test_what_is_lost_and_added_is_counted_on_the_move_and_proven_at_rest(
    trio_database: TrioDatabase, tmp_path: Path
) -> None:
    trio_database.subscribe("create table log (kind text, n int); alter table log replica identity full")
    trio_database.leader.sql("insert into log select 'cold', i from generate_series(1, 300) i")
    trio_database.caught_up()
    with writer(trio_database):
        before = audited(trio_database, tmp_path / "before.db")
        trio_database.subscriber.sql(
            "delete from log where kind = 'cold' and n <= 3; insert into log values ('rogue', 1)"
        )
        trio_database.subscriber.sql("update log set n = -9 where kind = 'cold' and n = 9")
        for number in range(6):
            moving = audited(trio_database, tmp_path / f"moving{number}.db")
            if moving["subscriber"]["verdict"] != "unverified":  # it gave up before three looks were alike
                break
    trio_database.caught_up()
    resting = audited(trio_database, tmp_path / "resting.db")
    nothing = {"missing": 0, "extra": 0, "mismatched": 0}
    assert [before[name]["drift"] for name in ("standby", "subscriber")] == [nothing, nothing]
    assert moving["standby"]["drift"] == resting["standby"]["drift"] == nothing
    damage = {"missing": 4, "extra": 2, "mismatched": 0}
    told = moving["subscriber"]
    assert (told["verdict"], told["drift"]) == ("drift", damage)
    assert (told["multiset"]["evidence"], told["multiset"]["method"]) in {
        ("probable", "repeated"),
        ("proven", "snapshot"),  # where the writer, beside which other tests run, was kept waiting for long enough
    }
    told = resting["subscriber"]
    assert (told["verdict"], told["drift"], told["multiset"]["evidence"], told["multiset"]["method"]) == (
        "drift", damage, "proven", "snapshot",
    )  # fmt: skip
    assert resting["standby"]["verdict"] == "match"
