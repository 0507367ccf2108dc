"""The daemon beside MariaDB and MySQL: it follows the binlog, and the visibility rule judges parallel replicas."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.mysql_servers import PairDatabase
from fixtures.program import DaemonProcess, here
from fixtures.watched import pair_settings

pytestmark = pytest.mark.mysql


def test_touched_rows_are_judged_by_visibility_and_planted_ones_are_named(
    pair_database: PairDatabase, tmp_path: Path
) -> None:
    database = pair_database
    database.sql(
        "create table orders (id bigint unsigned primary key, status varchar(20) not null, amount decimal(12, 2))",
        "create table parents (id int primary key)",
        "create table children (id int primary key, parent int, foreign key (parent) references parents (id) "
        "on delete cascade)",
        "insert into orders (id, status, amount) values " + ", ".join(f"({n}, 'new', {n})" for n in range(1, 301)),
        "insert into parents values (1), (2)",
        "insert into children values (1, 1), (2, 2)",
    )
    database.pair.caught_up()
    file = tmp_path / "trueup.yaml"
    file.write_text(pair_settings(database, "stream: {kind: binlog}", "scan: {period: 3s}", "lag: {warn: 2s}"))
    with DaemonProcess(file) as daemon:
        daemon.until_ready()
        database.sql(
            "update orders set status = 'paid' where id between 100 and 200", "delete from parents where id = 1"
        )
        daemon.until(lambda: (daemon.metric("trueup_touched_keys_verified_total", result="match") or 0) >= 102, "looks")
        database.plant("update orders set amount = 0 where id = 7", "delete from orders where id = 8")
        daemon.until(lambda: daemon.metric("trueup_drift_rows") == 2, "the planted rows")
        found = ok_drift(file)
        assert {(one["kind"], *one["key"].values(), one["evidence"]) for one in found} == {
            ("mismatched", 7, "proven"),
            ("missing", 8, "proven"),
        }
        assert {one["method"] for one in found} == {"visibility"}
        daemon.until(lambda: daemon.metric("trueup_stream_state", state="caught_up") == 1, "an idle stream")
        caught_up = {"follower": "replica", "state": "caught_up"}
        daemon.until(lambda: daemon.metric("trueup_replication_state", **caught_up) == 1, "an idle replica")
        database.pair.hold()
        database.sql("update orders set status = 'late' where id = 300")
        daemon.until(lambda: daemon.metric("trueup_replication_state", follower="replica", state="lagging") == 1, "lag")
        database.pair.release()
        daemon.until(lambda: daemon.metric("trueup_replication_state", **caught_up) == 1, "all")
        assert daemon.metric("trueup_drift_rows") == 2
    before = ok_drift(file)
    database.sql("update orders set status = 'meanwhile' where id = 250")
    with DaemonProcess(file) as daemon:
        daemon.until(
            lambda: (daemon.metric("trueup_touched_keys_verified_total", result="match") or 0) >= 1,
            "what came meanwhile",
        )
        assert "stream_blind" not in daemon.actions()
    assert [one["id"] for one in ok_drift(file)] == [one["id"] for one in before]


def ok_drift(file: Path) -> list[dict[str, object]]:
    done = here("drift", "--format", "json", "--config", file)
    assert done.code == 1, done
    return list(done.json["drift"])
