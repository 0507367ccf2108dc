"""A real Prometheus scrapes a real daemon on real servers: lag, streams and planted drift become metrics and alerts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.databases import TrioDatabase
from fixtures.prometheus import Prometheus, panels, prometheus

from dashboards.catalogue import BY_NAME

pytestmark = [pytest.mark.prometheus, pytest.mark.postgres]

RULES = Path(__file__).parent.parent.parent / "dashboards" / "prometheus"
SCHEMA = """
create table orders (id bigint primary key, amount numeric(12, 2) not null);
create table ledger (id bigint primary key, account_id bigint not null, amount int not null);
"""
SETTINGS = """\
journal: {journal}
http: {{listen: 127.0.0.1:0}}
groups:
  - name: shop
    leader: {{url: "{leader}"}}
    followers:
      - {{name: standby, url: "{standby}"}}
      - {{name: subscriber, url: "{subscriber}", subscription: {subscription}}}
    tables: {{include: [public.orders, public.ledger]}}
    stream: {{kind: pgoutput, pgoutput: {{slot: {slot}, publication: {slot}, create: true}}}}
    scan: {{period: 10s}}
    invariants:
      - {{name: stock, kind: violations, endpoint: leader, sql: select id from ledger where amount < 0, every: 1s}}
"""
# What this group cannot have: no Kafka, no global ids, no follower with a stream of its own, no limit of a slot, and
# nothing that would hold its scan back.
ABSENT = {
    "trueup_kafka_backlog_messages",
    "trueup_replication_lag_transactions",
    "trueup_rogue_writes_total",
    "trueup_slot_safe_bytes",
    "trueup_throttle_seconds_total",
}


@contextmanager
def daemon(file: Path) -> Iterator[int]:
    """`trueup run` on `file` as a process; gives the port of its metrics, and insists on an orderly end."""
    log = file.with_suffix(".log")
    command = [sys.executable, "-m", "trueup", "run", "--config", str(file)]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ}) as process:
        try:
            yield _port(log, process)
        finally:
            process.terminate()
            code = process.wait(60)
    assert code == 0, log.read_text()


def _port(log: Path, process: subprocess.Popen[bytes]) -> int:
    for _ in range(900):
        found = re.search(r"http://127\.0\.0\.1:(\d+)/metrics", log.read_text())
        if found is not None:
            return int(found[1])
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"the daemon did not start:\n{log.read_text()}")


def silent(server: Prometheus) -> list[str]:
    """Panels whose query selects nothing of a real daemon, but for those of what it cannot have. What a panel leaves
    out while all is well (`> 0`), and what it shows in place of nothing, is left out of the question."""
    found = []
    for title, expr in panels():
        asked = re.sub(r" (> 0|== 1)$", "", expr.removesuffix(" or vector(0)"))
        names = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"trueup_\w+", asked)}
        if not names <= ABSENT and not server.query(asked):
            found.append(f"{title}: {asked}")
    return found


def test_a_daemon_tells_prometheus_what_it_finds(trio_database: TrioDatabase, tmp_path: Path) -> None:
    world = trio_database
    subscription = world.subscribe(SCHEMA)
    world.leader.sql("insert into orders select g, g from generate_series(1, 500) g")
    world.leader.sql("insert into ledger select g, g % 7, g from generate_series(1, 200) g")
    world.caught_up()
    file = tmp_path / "trueup.yaml"
    text = SETTINGS.format(
        journal=tmp_path / "journal.db",
        leader=world.leader.url,
        standby=world.standby.url,
        subscriber=world.subscriber.url,
        subscription=subscription.subscription,
        slot=f"m_{world.name}",
    )
    file.write_text(text)
    with daemon(file) as port, prometheus(tmp_path, port, RULES) as server:
        server.until('sum(trueup_replication_state{state="caught_up"}) == 2')
        server.until("trueup_tables_never_verified == 0 and trueup_tables == 2")
        assert server.query("trueup_drift_rows > 0") == []
        world.leader.sql("update orders set amount = amount + 1 where id <= 50")
        server.until('sum(trueup_touched_keys_verified_total{result="match"}) >= 100')
        assert server.query("trueup_drift_rows > 0") == []
        world.subscriber.sql("delete from orders where id = 77")
        world.leader.sql("update ledger set amount = -1 where id = 3")
        server.until('ALERTS{alertname="TrueupDriftConfirmed", alertstate="firing", follower="subscriber"}')
        server.until('ALERTS{alertname="TrueupInvariantViolated", alertstate="firing", invariant="stock"}')
        (found,) = server.query("trueup_drift_rows > 0")
        labels = {name: found["metric"][name] for name in ("group", "follower", "table", "kind")}
        expected = {"group": "shop", "follower": "subscriber", "table": "public.orders", "kind": "missing"}
        assert (labels, found["value"][1]) == (expected, "1")
        rules = [rule for group in server.get("/api/v1/rules")["groups"] for rule in group["rules"]]
        assert [rule["name"] for rule in rules if rule["health"] != "ok"] == []
        exported = set(server.get("/api/v1/label/__name__/values"))
        series = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exported} | exported
        assert {name for name in BY_NAME if name not in series} <= ABSENT
        deadline = time.monotonic() + 60  # a rate needs a second sample of what has just begun
        while left := silent(server):
            assert time.monotonic() < deadline, left
            time.sleep(0.5)
        with urllib.request.urlopen(f"http://{server.target}/livez", timeout=30) as answer:
            assert json.load(answer) == {"status": "ok", "reasons": []}
        assert "could not be read" not in (tmp_path / "trueup.log").read_text()
