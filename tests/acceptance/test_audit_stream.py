"""An audit that judges keys in flight by the leader's change stream."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.audit_program import Program, by_table, url
from fixtures.databases import TrioDatabase
from fixtures.order_writers import Planted, audited_beside_writers, told

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ROWS = 20_000
PLANTED = Planted(range(10_100, 19_000, 2_000), range(10_700, 19_000, 2_000), range(100_000, 100_003))


def test_exact_findings_under_writes_and_no_slot_is_left(trio_database: TrioDatabase, trueup: Program) -> None:
    shop = trio_database

    def followed() -> str:
        assert shop.subscription is not None
        return f"--stream=pgoutput:{shop.subscription.publication}"

    run = audited_beside_writers(shop, trueup, ROWS, PLANTED, followed, lambda: "--max-rows-per-second=8000")
    subscriber = by_table(run.report)["orders", "subscriber"]
    assert told(subscriber) == PLANTED.drifted
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
