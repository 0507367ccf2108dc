"""An audit that judges keys in flight by the leader's change stream."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from fixtures.audit_program import Program, by_table, url
from fixtures.databases import TrioDatabase
from fixtures.order_writers import writing

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ROWS = 20_000
MISSING, MISMATCHED, ROGUE = range(10_100, 19_000, 2_000), range(10_700, 19_000, 2_000), range(100_000, 100_003)


def test_exact_findings_under_writes_and_no_slot_is_left(trio_database: TrioDatabase, tmp_path: Path) -> None:
    shop = trio_database
    subscription = shop.subscribe("create table orders (id int primary key, n int not null, note text)")
    shop.leader.sql(f"insert into orders select i, 0, 'note' from generate_series(1, {ROWS}) i")
    shop.caught_up()
    shop.subscriber.sql("delete from orders where id = any(%s)", (list(MISSING),))
    shop.subscriber.sql("update orders set n = -1 where id = any(%s)", (list(MISMATCHED),))
    shop.subscriber.sql("insert into orders select i, 0, 'rogue' from unnest(%s) i", (list(ROGUE),))
    trio = shop.trio
    trueup = Program.knowing(tmp_path, trio.leader, trio.standby, trio.subscriber)
    words = ["audit", "--leader", url(trio.leader, shop.name), "--format", "json", "--chunk-time", "0.05"]
    for name in ("standby", "subscriber"):
        words += ["--follower", f"{name}={url(getattr(trio, name), shop.name)}"]
    words += ["--stream", f"pgoutput:{subscription.publication}", "--max-rows-per-second", "8000"]
    with writing(lambda: psycopg.connect(shop.leader.dsn), ROWS, {*MISSING, *MISMATCHED}) as commits:
        run = trueup(*words, seconds=200)
    assert run.code == 1, run.err
    assert sum(commits) > 100
    found = by_table(run.report)
    standby, subscriber = found["orders", "standby"], found["orders", "subscriber"]
    assert (standby["verdict"], standby["reason"], standby["rows_drifted"]) == ("match", None, [])
    assert {(row["kind"], row["key"]["id"]) for row in subscriber["rows_drifted"]} == {
        *(("missing", key) for key in MISSING),
        *(("mismatched", key) for key in MISMATCHED),
        *(("extra", key) for key in ROGUE),
    }
    assert {(row["evidence"], row["method"]) for row in subscriber["rows_drifted"]} == {("proven", "visibility")}
    slots = "select slot_name from pg_replication_slots where slot_name like 'trueup_audit%'"
    assert shop.leader.sql(slots) == []


def test_what_cannot_be_followed_is_said_before_anything_is_read(trio_database: TrioDatabase, tmp_path: Path) -> None:
    shop = trio_database
    shop.leader.sql("create table orders (id int primary key)")
    trueup = Program.knowing(tmp_path, shop.trio.leader, shop.trio.standby)
    words = ["audit", "--leader", url(shop.trio.leader, shop.name), "--follower", url(shop.trio.standby, shop.name)]
    unknown = trueup(*words, "--stream", "pgoutput:nobody")
    assert (unknown.code, "no publication nobody on the leader" in unknown.err) == (4, True), unknown.err
    wrong = trueup(*words, "--stream", "tape")
    assert (wrong.code, "need pgoutput:PUBLICATION, binlog or config" in wrong.err) == (3, True), wrong.err
    abroad = trueup(*words, "--stream", "binlog")
    assert (abroad.code, "a binlog is what MariaDB and MySQL write" in abroad.err) == (3, True), abroad.err
