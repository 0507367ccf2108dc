"""A connector that is told something new while the daemon runs is obeyed, or not believed."""

from __future__ import annotations

from fixtures.connect_server import ConnectServer

from connectors.debezium.modes import Modes
from connectors.debezium.template import Source, postgres_connector
from trueup.bootstrap.stream import _Capture, _Connector, _Heard
from verifier.table import TableName

ORDERS = frozenset({TableName("public", "orders")})
CONFIG = postgres_connector("shop", Source("h", 1, "u", "p", "d"), sorted(ORDERS), slot="s", publication="p")
_RUNS = {"connector": {"state": "RUNNING"}, "tasks": [{"id": 0, "state": "RUNNING"}]}


def test_other_spellings_than_those_that_are_read_are_not_judged_and_are_told(connect_server: ConnectServer) -> None:
    connect_server.answers["GET /connectors/shop/status"] = (200, _RUNS)
    connect_server.answers["GET /connectors/shop/config"] = (200, CONFIG)
    capture = _Capture(connect_server.url, "shop", modes=Modes.of(CONFIG))
    health = _Connector(connect_server.url, "shop", _Heard(at=1.0), capture)
    assert (capture.of(ORDERS), health.alive()) == (ORDERS, (1.0, ""))

    connect_server.answers["GET /connectors/shop/config"] = (200, {**CONFIG, "time.precision.mode": "adaptive"})
    capture.asked_at = health.asked_at = 0.0
    assert capture.of(ORDERS) == frozenset()
    told = health.alive()
    assert told is not None
    assert told[1] == "connector shop spells values otherwise than when trueup started: restart trueup"

    connect_server.answers["GET /connectors/shop/config"] = (200, {**CONFIG, "poll.interval.ms": "500"})
    capture.asked_at = health.asked_at = 0.0
    assert (capture.of(ORDERS), health.alive()) == (ORDERS, (1.0, "")), "that changes no spelling"


def test_a_table_that_is_taken_out_is_not_judged_any_more(connect_server: ConnectServer) -> None:
    connect_server.answers["GET /connectors/shop/config"] = (200, {**CONFIG, "table.include.list": "public\\.others"})
    assert _Capture(connect_server.url, "shop").of(ORDERS) == frozenset()


def test_while_nobody_answers_the_last_configuration_holds(connect_server: ConnectServer) -> None:
    connect_server.turns["GET /connectors/shop/config"] = [(200, CONFIG), (503, {"message": "busy"})]
    capture = _Capture(connect_server.url, "shop")
    assert capture.of(ORDERS) == ORDERS
    capture.asked_at = 0.0
    assert capture.of(ORDERS) == ORDERS
    assert _Capture(connect_server.url, "away").of(ORDERS) == frozenset()


def test_a_failed_task_is_told_by_what_it_means(connect_server: ConnectServer) -> None:
    trace = "org.Broken: it ended\n\tat x\nCaused by: ERROR: all replication slots are in use\n"
    failed = {**_RUNS, "tasks": [{"id": 0, "state": "FAILED", "trace": trace}]}
    connect_server.answers["GET /connectors/shop/status"] = (200, failed)
    health = _Connector(connect_server.url, "shop", _Heard(at=1.0), _Capture(connect_server.url, "shop"))
    assert health.alive() == (
        1.0, "connector shop: the leader has no replication slot left; see trueup connector status"
    )  # fmt: skip
