"""A verb ends when the state is real, whatever Kafka Connect says in between."""

from __future__ import annotations

import pytest
from fixtures.connect_server import ConnectServer

from connectors.debezium.connect import Connect, NotRegistered
from connectors.debezium.lifecycle import Lifecycle

_STATUS = "GET /connectors/shop/status"


def told(connector: str, *tasks: str, trace: str = "") -> tuple[int, object]:
    parts = [{"id": number, "state": state, "trace": trace} for number, state in enumerate(tasks)]
    return 200, {"name": "shop", "connector": {"state": connector}, "tasks": parts}


@pytest.fixture
def shop(connect_server: ConnectServer) -> Lifecycle:
    for call in ("POST /connectors/shop/restart?includeTasks=true&onlyFailed=false", "PUT /connectors/shop/pause",
                 "PUT /connectors/shop/resume", "PUT /connectors/shop/stop", "DELETE /connectors/shop/offsets",
                 "DELETE /connectors/shop"):  # fmt: skip
        connect_server.answers[call] = (202, None)
    return Lifecycle(Connect(connect_server.url), "shop", steady_seconds=0.25, seconds_max=30.0)


def test_an_old_state_is_not_believed(connect_server: ConnectServer, shop: Lifecycle) -> None:
    connect_server.turns[_STATUS] = [told("RUNNING", "RUNNING"), told("RUNNING", "FAILED", trace="old")]
    connect_server.answers[_STATUS] = told("RUNNING", "RUNNING")
    outcome = shop.restart()
    assert outcome.reached
    assert outcome.waited_seconds >= 0.4


def test_a_task_that_fails_soon_after_is_told(connect_server: ConnectServer, shop: Lifecycle) -> None:
    connect_server.turns[_STATUS] = [told("RUNNING", "RUNNING")] * 2
    connect_server.answers[_STATUS] = told("RUNNING", "FAILED", trace="org.Broken: no slot")
    outcome = shop.resume()
    assert not outcome.reached
    assert outcome.status is not None
    assert outcome.status.failure == "org.Broken: no slot"
    assert outcome.waited_seconds < 15


def test_a_pause_counts_when_the_tasks_have_paused(connect_server: ConnectServer, shop: Lifecycle) -> None:
    connect_server.turns[_STATUS] = [told("PAUSED", "RUNNING")] * 3 + [(503, {"message": "busy"})]
    connect_server.answers[_STATUS] = told("PAUSED", "PAUSED")
    assert shop.pause().reached
    connect_server.answers[_STATUS] = told("PAUSED", "RUNNING")
    outcome = Lifecycle(shop.connect, "shop", steady_seconds=0.1, seconds_max=0.5).pause()
    assert (outcome.reached, outcome.status is not None and outcome.status.state) == (False, "PAUSED")


def test_delete_ends_when_nobody_knows_it_any_more(connect_server: ConnectServer, shop: Lifecycle) -> None:
    connect_server.turns[_STATUS] = [told("RUNNING", "RUNNING")] * 2
    assert shop.delete().reached
    assert "DELETE /connectors/shop/offsets" not in [call for call, _, _ in connect_server.asked]


def test_it_is_stopped_before_its_offsets_are_forgotten(connect_server: ConnectServer, shop: Lifecycle) -> None:
    connect_server.turns[_STATUS] = [told("RUNNING", "RUNNING"), *[told("STOPPED")] * 5]
    assert shop.delete(forget=True).reached
    order = [call for call, _, _ in connect_server.asked if call != _STATUS]
    assert order == ["PUT /connectors/shop/stop", "DELETE /connectors/shop/offsets", "DELETE /connectors/shop"]


def test_a_name_that_nobody_knows_is_said_at_once(connect_server: ConnectServer) -> None:
    with pytest.raises(NotRegistered):
        Lifecycle(Connect(connect_server.url), "other").pause()
