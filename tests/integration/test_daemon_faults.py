"""What happens around the daemon: servers and networks that fail and come back. Red with the reason, green again,
nothing lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import psycopg
import pytest
from fixtures.program import DaemonProcess
from fixtures.proxy import TcpProxy
from fixtures.running import Served

pytestmark = pytest.mark.postgres


def green_again(served: Served, daemon: DaemonProcess, *, damage: int) -> None:
    """Ready, everything touched is verified, and a damaged row is found: the one that was damaged, no other."""
    daemon.until_ready()
    served.subscriber.sql("update orders set status = 'damaged' where id = %s", (damage,))
    daemon.until(lambda: daemon.metric("trueup_drift_rows") == 1, "the damaged row")
    assert served.drift().keys() == {("subscriber", "public.orders", (str(damage),))}
    assert daemon.health("/livez") == (200, "")
    daemon.until(lambda: served.ask("lag", "--seconds", "1").code == 0, "nobody late")


def test_leader_and_follower_are_killed_and_come_back(served: Served) -> None:
    leader, subscriber = served.world.trio.leader, served.world.trio.subscriber
    with served.daemon() as daemon:
        daemon.until_ready()
        leader.kill()
        try:
            reasons = daemon.until_red("leader")
        finally:
            leader.start()
        assert "shop: follow:" in reasons or "shop: lag:" in reasons
        assert served.password_free(reasons)
        assert daemon.health("/livez") == (200, "")
        daemon.until_ready()
        subscriber.kill()
        try:
            served.leader.sql("update orders set status = 'while you were out' where id <= 300")
            reasons = daemon.until_red("verify:subscriber")
            daemon.until(lambda: daemon.metric("trueup_touched_keys_pending", follower="standby") == 0, "the standby")
            daemon.until(lambda: daemon.metric("trueup_touched_keys_pending", follower="subscriber") == 300, "keys")
            assert daemon.metric("trueup_replication_state", follower="subscriber", state="caught_up") == 0
            assert daemon.health("/livez") == (200, "")
        finally:
            subscriber.start()
        green_again(served, daemon, damage=400)
        question = "select count(*) from orders where status = 'while you were out'"
        assert served.subscriber.sql(question) == [(300,)]


def test_a_network_that_hangs_is_red_and_heals(served: Served, proxy: Callable[[int], TcpProxy]) -> None:
    lines = {name: proxy(port) for name, port in served.ports.items() if name != "standby"}
    served.ports |= {name: line.port for name, line in lines.items()}
    served.write(edit=lambda text: text.replace("period: 3s", "period: 3s, statement_timeout: 2s"))
    with served.daemon() as daemon:
        daemon.until_ready()
        for line in lines.values():
            line.hang()
            served.leader.sql("update orders set amount = amount + 1 where id <= 100")
            reasons = daemon.until_red(f"127.0.0.1:{line.port}/{served.world.name}: nobody answers")
            assert served.password_free(reasons)
            assert daemon.health("/livez") == (200, "")
            line.flow()
            daemon.until_ready()
        green_again(served, daemon, damage=5)
        lines["leader"].hang()
        daemon.until_red(f"127.0.0.1:{lines['leader'].port}/{served.world.name}: nobody answers")
        assert daemon.stop() == 0


def test_it_starts_while_a_follower_is_away(served: Served) -> None:
    served.write(mode="apply")
    subscriber = served.world.trio.subscriber
    subscriber.stop()
    try:
        with served.daemon() as daemon:
            daemon.until_red("subscriber")
            daemon.until(lambda: daemon.metric("trueup_touched_keys_pending", follower="standby") == 0, "the standby")
            assert daemon.metric("trueup_follower_info", follower="subscriber", role="unknown") == 1
            subscriber.start()
            daemon.until_ready()
            served.subscriber.sql("delete from orders where id = 9")
            daemon.until(lambda: served.subscriber.sql("select id from orders where id = 9"), "the repair")
    finally:
        if not subscriber.is_running():
            subscriber.start()


def test_a_stream_that_lost_something_is_blind_until_everything_was_scanned(served: Served) -> None:
    with served.daemon() as daemon:
        daemon.until_ready()
    served.leader.sql("select pg_drop_replication_slot(%s)", (served.slot,))
    served.subscriber.sql("update orders set amount = 0 where id = 77")
    with psycopg.connect(served.subscriber.dsn) as blocker:
        blocker.execute("lock table orders in access exclusive mode")  # nobody can scan it
        with served.daemon() as daemon:
            reasons = daemon.until_red("shop: the stream is blind for public.orders until it is scanned again")
            alone = {"follower": "subscriber", "reason": "gap"}
            daemon.until(lambda: daemon.metric("trueup_unverified_tables", **alone) == 1, "the other tables")
            assert "blind for public.orders" in daemon.health("/readyz")[1]
            assert "stream_blind" in daemon.actions(), reasons
            assert daemon.metric("trueup_stream_blind_tables", cause="gap") == 1
            assert daemon.health("/livez") == (200, "")
            blocker.rollback()
            daemon.until_ready()
            assert daemon.metric("trueup_unverified_tables", reason="gap") == 0
            daemon.until(lambda: daemon.metric("trueup_drift_rows") == 1, "what was damaged meanwhile")
            assert served.drift().keys() == {("subscriber", "public.orders", ("77",))}


@pytest.mark.parametrize(
    ("change", "cause"),
    [("truncate items", "truncate"), ("alter table items add column gift boolean not null default true", "ddl")],
)
def test_truncate_and_ddl_blind_one_table_until_it_was_scanned(served: Served, change: str, cause: str) -> None:
    with served.daemon() as daemon:
        daemon.until_ready()
        if cause == "ddl":
            served.subscriber.sql(change)
        with psycopg.connect(served.subscriber.dsn) as blocker:
            blocker.execute("lock table items in access exclusive mode")
            served.leader.sql(change)
            served.leader.sql("insert into items (order_id, line, sku) values (9000, 1, 'after')")
            daemon.until_red("shop: the stream is blind for public.items until it is scanned again")
            assert daemon.metric("trueup_unverified_tables", follower="subscriber", reason=cause) == 1
            assert "blind for public.orders" not in daemon.health("/readyz")[1]
            blocker.rollback()
        daemon.until_ready()
        assert daemon.metric("trueup_unverified_tables", reason=cause) == 0
        assert served.drift() == {}
        assert daemon.metric("trueup_drift_rows") in (0, None)


def test_a_service_that_dies_turns_liveness_red(served: Served) -> None:
    with served.daemon() as daemon:
        daemon.until_ready()
        with sqlite3.connect(served.folder / "journal.db", timeout=10) as journal:
            # What trueup never writes: a fault that no retry mends, and that no supervisor may overlook.
            journal.execute(
                "insert into trueup_touched (group_name, follower, key_hash, schema_name, table_name, key, "
                "commit_position, generation, touched_at) "
                "values ('shop', 'subscriber', 'x', 'public', 'orders', 'no key', 'x', 0, 0)"
            )
        journal.close()
        daemon.until(lambda: daemon.health("/livez")[0] == 503, "liveness to turn red")
        status, reasons = daemon.health("/livez")
        assert (status, "shop: verify:subscriber died: " in reasons) == (503, True), reasons
        assert daemon.health("/readyz")[0] == 503
        assert "service_died" in daemon.actions()
        assert (daemon.metric("trueup_service_failures_total", service="verify") or 0) >= 1
        assert daemon.stop() == 4, "it says also in its exit code that it was not well"
