"""The daemon beside a follower of another engine that Debezium's JDBC sink feeds: visibility by committed offsets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import psycopg
import pytest
from fixtures.background import beside
from fixtures.databases import Database
from fixtures.program import DaemonProcess, here, trueup
from fixtures.watched import kafka_stream
from stack.debezium import with_schemas
from stack.mysql_servers import MysqlPair
from stack.native import KafkaStack

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.mysql]

_SETTINGS = """\
journal: journal.db
http: {{listen: 127.0.0.1:0}}
groups:
  - name: shop
    leader: {{url: "{leader}"}}
    followers:
      - {{name: copy, url: "{follower}", fed_by: {{kafka_connect_sink: {sink}}}}}
    tables: {{include: ["public.orders"]}}
    {stream}
    scan: {{period: 2s}}
    lag: {{warn: 2500ms, stalled: 4s}}
    repair: {{mode: approve}}
"""
_HOT = (1, 2, 3)
_ALTERED, _LOST = 252, 253
_WRONG = {250: "mismatched", 251: "missing", 9001: "extra", _ALTERED: "mismatched", _LOST: "mismatched"}
_TRIGGER = f"""
create trigger misapply before update on orders for each row case new.id
  when {_ALTERED} then set new.status = 'bent';
  when {_LOST} then set new.status = old.status, new.amount = old.amount;
  else set new.amount = new.amount;
end case
"""
_CAUSES = {250: "rogue", 251: "rogue", 9001: "rogue", _ALTERED: "altered", _LOST: "lost"}


@contextmanager
def written(database: Database) -> Iterator[None]:
    """Somebody changes rows all the while: the hot ones twice in each transaction, and others now and then."""

    def write(ending: threading.Event) -> None:
        random = Random(7)
        with psycopg.connect(database.dsn) as session:
            while not ending.wait(0.01):
                for key in (*_HOT, random.randint(100, 200)):
                    for step in "ab":
                        session.execute(
                            "update orders set status = %s, amount = amount + 1 where id = %s",
                            (f"{step}{random.random():.6f}", key),
                        )
                if random.random() < 0.3:
                    session.execute("delete from orders where id = 4")
                    session.execute("insert into orders values (4, 'back', 1)")
                (session.rollback if random.random() < 0.1 else session.commit)()

    with beside(write):
        yield


def test_planted_rows_are_proven_by_visibility_and_no_other_is_ever_named(
    kafka_stack: KafkaStack, database: Database, mariadb_pair: MysqlPair, tmp_path: Path
) -> None:
    columns = "(id bigint primary key, status varchar(40) not null, amount {} not null)"
    database.sql(f"create table orders {columns.format('numeric(12,2)')}")
    database.sql("insert into orders select n, 'new', n from generate_series(1, 300) n")
    follower = mariadb_pair.leader
    follower.sql(f"create database {database.name} default collate utf8mb4_nopad_bin")
    follower.sql(f"create table orders {columns.format('decimal(12,2)')}", database=database.name)
    more = {**with_schemas(), "skipped.operations": "none"}  # one that keeps truncates to itself vouches for nothing
    name = kafka_stack.capture(database.cluster, database.name, ["public.orders"], more=more)
    sink = kafka_stack.deliver([f"{name}.public.orders"], follower, database.name)
    file = tmp_path / "trueup.yaml"
    file.write_text(
        _SETTINGS.format(
            leader=database.url,
            follower=follower.url(database.name),
            sink=sink,
            stream=kafka_stream(kafka_stack, name),
        )
    )

    with written(database), DaemonProcess(file) as daemon:

        def matched() -> float:
            return daemon.metric("trueup_touched_keys_verified_total", result="match") or 0

        daemon.until(lambda: daemon.metric("trueup_stream_blind_tables") == 0 and matched() >= 50, "touched rows")
        follower.sql("update orders set amount = 0 where id = 250", database=database.name)
        follower.sql("delete from orders where id = 251", database=database.name)
        follower.sql("insert into orders values (9001, 'extra', 1)", database=database.name)
        follower.sql(_TRIGGER, database=database.name)
        database.sql(f"update orders set status = 'paid' where id in ({_ALTERED}, {_LOST})")
        daemon.until(lambda: daemon.metric("trueup_drift_rows") == len(_WRONG), "the planted rows")
        assert told(file) == {(kind, key, "proven", "visibility") for key, kind in _WRONG.items()}
        daemon.until(lambda: None not in causes(file).values(), "why they drifted")
        # Such a follower tells neither versions of its rows nor what came with which of the leader's transactions.
        assert all(cause in (_CAUSES[key], "unknown") for key, cause in causes(file).items()), causes(file)
        for connector in (sink, name):  # the sink puts again what it had not committed, the source sends again
            kafka_stack.connect.rest.call("POST", f"/connectors/{connector}/restart?includeTasks=true")
            before = matched()
            daemon.until(lambda before=before: matched() >= before + 50, f"matches after {connector} was restarted")
        assert {key for _, key, *_ in told(file)} == _WRONG.keys()
        _lags(daemon, kafka_stack, file, sink)
        audited = trueup("audit", "--stream", "config", "--format", "json", "--config", file, seconds=120)
        assert audited.code == 1, audited
        (table,) = audited.json["tables"]
        assert {(one["key"]["id"], one["method"]) for one in table["rows_drifted"]} == {
            (key, "visibility") for key in _WRONG
        }
    without = trueup("audit", "--format", "json", "--config", file, seconds=120)
    assert (without.code, "--stream config" in without.json["tables"][0]["reason"]) == (4, True), without
    kafka_stack.release_all()
    follower.sql(f"drop database {database.name}")


def _lags(daemon: DaemonProcess, stack: KafkaStack, file: Path, sink: str) -> None:
    """A sink that is paused lags, then stands still, and says that it is paused; one that goes on catches up."""

    def is_(state: str) -> bool:
        return daemon.metric("trueup_replication_state", follower="copy", state=state) == 1

    daemon.until(lambda: is_("caught_up"), "known lag")
    stack.connect.rest.call("PUT", f"/connectors/{sink}/pause")
    daemon.until(lambda: is_("lagging") or is_("stalled"), "a paused sink that lags")
    daemon.until(lambda: is_("stalled"), "a paused sink that stands still")
    assert (daemon.metric("trueup_replication_lag_seconds", follower="copy") or 0) >= 4
    lag = trueup("lag", "--seconds", "1", "--format", "json", "--config", file)
    (copy,) = [hop for hop in lag.json["hops"] if hop["hop"] == "copy"]
    assert (lag.code, copy["state"] in ("lagging", "stalled"), copy["changes"] > 0) == (1, True, True), lag
    assert f"sink {sink}: paused" in copy["detail"]
    stack.connect.rest.call("PUT", f"/connectors/{sink}/resume")
    daemon.until(lambda: is_("caught_up"), "a sink that goes on")


def told(file: Path) -> set[tuple[object, ...]]:
    done = here("drift", "--format", "json", "--config", file)
    assert done.code == 1, done
    return {(one["kind"], *map(int, one["key"].values()), one["evidence"], one["method"]) for one in done.json["drift"]}


def causes(file: Path) -> dict[int, str | None]:
    """By key; None as long as nobody has looked into it."""
    found = here("drift", "--format", "json", "--config", file).json["drift"]
    return {int(next(iter(one["key"].values()))): one.get("cause") for one in found}
