"""What was written on a replica alone, by its own binlog, and audits of what was touched since, by both binlogs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from fixtures.audit_program import gone_on_from, valid
from fixtures.mysql_servers import PairDatabase
from fixtures.program import DaemonProcess, here, trueup
from fixtures.watched import pair_settings
from stack.mysql_servers import MysqlServer

pytestmark = pytest.mark.mysql


class Shop:
    """Two tables on leader and replica, and what trueup says of them."""

    def __init__(self, database: PairDatabase, folder: Path, *, own: bool = True) -> None:
        self.database = database
        self.file = folder / "trueup.yaml"
        database.sql(
            "create table orders (id int primary key, status varchar(20) not null)",
            "create table items (a int, b varchar(9), n int, primary key (a, b))",
            "create table notes (id int primary key)",
            "insert into orders (id, status) values " + ", ".join(f"({n}, 'new')" for n in range(1, 101)),
            "insert into items values (1, 'x', 1), (2, 'x', 2), (3, 'y', 3)",
        )
        database.pair.caught_up()
        stream = "stream: {kind: binlog}"
        told = [stream, "scan: {period: 1h}"]
        self.file.write_text(pair_settings(database, *told, tables=["orders", "items"], beside=stream if own else ""))

    def alone(self, *statements: str) -> None:
        """Written on the replica, and logged there: in a domain of its own where there are domains, because the next
        transaction of the leader's would be out of order (gtid_strict_mode)."""
        replica = self.database.pair.replica
        with replica.session(self.database.name) as cursor:
            if replica.engine == "mariadb":
                cursor.execute("set session gtid_domain_id = 77")
            for statement in statements:
                cursor.execute(statement)

    def audit(self, *words: str, code: int) -> dict[str, Any]:
        done = here("audit", "--config", self.file, "--format", "json", "--quiet", *words)
        assert done.code == code, done
        return valid(done.json)

    def drift(self) -> set[tuple[str, str, str]]:
        done = here("drift", "--format", "json", "--config", self.file)
        return {_place(one["table"], one["kind"], one["key"]) for one in done.json["drift"]}


def _place(table: str, kind: str, key: dict[str, Any]) -> tuple[str, str, str]:
    return table.partition(".")[2], kind, "/".join(map(str, key.values()))


def _drifted(report: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {_place(one["table"], row["kind"], row["key"]) for one in report["tables"] for row in one["rows_drifted"]}


def _keys(report: dict[str, Any]) -> dict[str, int | None]:
    """Keys looked at by table; None where it was looked at as a whole."""
    return {one["table"].partition(".")[2]: one["since"]["keys"] for one in report["tables"]}


def test_what_was_written_on_the_replica_alone_is_found_and_nothing_else_is_looked_at(
    pair_database: PairDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trueup.audit.since.CAUGHT_UP_SECONDS", 60.0)  # a daemon that others keep waiting is late
    shop = Shop(pair_database, tmp_path)
    examined = trueup("doctor", "--config", shop.file)
    assert "its own binlog tells what did not come from the leader" in examined.out, examined
    with DaemonProcess(shop.file) as daemon:
        daemon.until_ready()
        base, nothing = gone_on_from(shop.audit)
        assert _keys(nothing) == {"orders": 0, "items": 0}
        assert "sql_log_bin = 0" in " ".join(nothing["since"]["cannot_see"])

        shop.alone("update orders set status = 'rogue' where id in (3, 4, 5)", "delete from items where a = 2")
        pair_database.sql("update orders set status = 'touched' where id in (5, 6)", "insert into notes values (1)")
        pair_database.pair.caught_up()
        found = shop.audit("--since", base["run"], code=1)
        rogue = {("orders", "mismatched", "3"), ("orders", "mismatched", "4"), ("items", "missing", "2/x")}
        assert _drifted(found) == rogue  # replication brought row 5 as a whole, so it is right again
        assert _keys(found) == {"orders": 4, "items": 1}
        daemon.until(lambda: shop.drift() == rogue, "the daemon's own verdict, without any scan")
        assert {line["keys"] for line in daemon.said() if line.get("action") == "rogue_write"} == {"3", "1"}
        assert daemon.metric("trueup_rogue_writes_total", follower="replica", table=f"{pair_database.name}.orders") == 3
        assert daemon.metric("trueup_rogue_writes_total", follower="replica", table=f"{pair_database.name}.items") == 1

        # what no log recorded is not seen, and what was altered is looked at as a whole
        pair_database.plant("update orders set status = 'quiet' where id = 50")
        pair_database.sql("alter table items add column more int default 7")
        pair_database.pair.caught_up()
        last = shop.audit("--since", found["run"], code=1)
        assert _keys(last) == {"orders": 2, "items": None}
        assert _drifted(last) == rogue

    # a log that does not go on where it was read to has lost something: the leader's on one engine, the replica's own
    # on the other
    engine = pair_database.pair.leader.engine
    side = pair_database.pair.leader if engine == "mysql" else pair_database.pair.replica
    shop.alone("update orders set status = 'untold' where id = 60")
    _purge(side)
    with DaemonProcess(shop.file) as daemon:
        daemon.until(lambda: "stream_started" in daemon.actions(), "a stream")
        daemon.until_ready()
        gap = shop.audit("--since", last["run"], code=1)
        assert _keys(gap) == {"orders": None, "items": None}
        why = "the change stream has a gap since then" + ("" if engine == "mysql" else " (replica's own)")
        assert {one["since"]["why"] for one in gap["tables"]} == {why}
        assert _drifted(gap) == rogue | {("orders", "mismatched", "50"), ("orders", "mismatched", "60")}


def _purge(server: MysqlServer) -> None:
    """Only the file that is written to now is kept."""
    server.sql("flush binary logs")
    deadline = time.monotonic() + 30
    while len(files := server.sql("show binary logs")) > 1:  # a replica may still be reading the one before
        server.sql(f"purge binary logs to '{files[-1][0]}'")
        assert time.monotonic() < deadline, files
        time.sleep(0.05)
