"""The Connect client against a server that answers as Connect does."""

from __future__ import annotations

import base64
import socket

import pytest
from fixtures.connect_server import ConnectServer as Server

from connectors.debezium.connect import REDACTED, Connect, NotRegistered, Rebalancing, redacted
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, Unreachable

STATUS = {
    "name": "shop",
    "connector": {"state": "RUNNING", "worker_id": "w:8083"},
    "tasks": [{"id": 0, "state": "FAILED", "worker_id": "w:8083", "trace": "org.Broken: no slot\n\tat x\n"}],
}


@pytest.fixture
def server(connect_server: Server) -> Server:
    return connect_server


@pytest.fixture
def connect(server: Server) -> Connect:
    return Connect(f"http://127.0.0.1:{server.port}/", seconds_max=5)


def test_a_running_connector_with_a_failed_task_is_not_running(server: Server, connect: Connect) -> None:
    server.answers["GET /connectors/shop/status"] = (200, STATUS)
    status = connect.status("shop")
    assert (status.state, status.running, status.failure) == ("RUNNING", False, "org.Broken: no slot")
    server.answers["GET /connectors/shop/status"] = (200, {**STATUS, "tasks": []})
    assert (connect.status("shop").running, connect.status("shop").failure) == (False, None)


def test_a_trace_keeps_its_end_and_loses_its_secrets(server: Server, connect: Connect) -> None:
    trace = "first: password=hunter2\n" + "\tat x\n" * 5000 + "Caused by: the slot is gone"
    status = {**STATUS, "tasks": [{"id": 0, "state": "FAILED", "trace": trace}]}
    server.answers["GET /connectors/shop/status"] = (200, status)
    (told,) = connect.status("shop").traces
    assert told.startswith("first: password=[hidden]\n")
    assert told.endswith("Caused by: the slot is gone")
    assert len(told) < 8100


def test_all_of_a_connector_is_its_tasks_too(server: Server, connect: Connect) -> None:
    paused = {"name": "shop", "connector": {"state": "PAUSED"}, "tasks": [{"id": 0, "state": "RUNNING"}]}
    server.answers["GET /connectors/shop/status"] = (200, paused)
    assert not connect.status("shop").all("PAUSED")
    stopped = {"name": "shop", "connector": {"state": "STOPPED"}, "tasks": []}
    server.answers["GET /connectors/shop/status"] = (200, stopped)
    assert connect.status("shop").all("STOPPED")


def test_a_rebalance_is_waited_for_within_bounds(server: Server) -> None:
    patient = Connect(f"http://127.0.0.1:{server.port}", rebalance_seconds=10)
    server.turns["PUT /connectors/shop/pause"] = [(409, {"message": "rebalance"})] * 2 + [(202, None)]
    patient.pause("shop")
    assert len(server.asked) == 3
    server.answers["PUT /connectors/shop/resume"] = (409, {"message": "rebalance"})
    with pytest.raises(Rebalancing):
        Connect(f"http://127.0.0.1:{server.port}", rebalance_seconds=0.3).resume("shop")


def test_each_call_goes_where_connect_expects_it(server: Server, connect: Connect) -> None:
    calls = {
        "PUT /connectors/a%2Fb/config": lambda: connect.register("a/b", {"x": "1"}),
        "POST /connectors/shop/restart?includeTasks=true&onlyFailed=true": lambda: connect.restart(
            "shop", only_failed=True
        ),
        "PUT /connectors/shop/pause": lambda: connect.pause("shop"),
        "PUT /connectors/shop/resume": lambda: connect.resume("shop"),
        "PUT /connectors/shop/stop": lambda: connect.stop("shop"),
        "DELETE /connectors/shop/offsets": lambda: connect.forget("shop"),
        "DELETE /connectors/shop": lambda: connect.delete("shop"),
    }
    for call in calls:
        server.answers[call] = (202, None)
    for make in calls.values():
        make()
    assert [call for call, _, _ in server.asked] == list(calls)
    assert server.asked[0][1] == {"x": "1"}


def test_what_is_read_back(server: Server, connect: Connect) -> None:
    offsets = [{"partition": {"server": "p"}, "offset": {"lsn": 5}}]
    server.answers["GET /connectors/shop/offsets"] = (200, {"offsets": offsets})
    server.answers["GET /connectors/shop/config"] = (200, {"name": "shop", "database.password": "hunter2"})
    assert connect.offsets("shop") == offsets
    assert connect.config("shop") == {"name": "shop", "database.password": REDACTED}


def test_secrets_are_hidden_and_references_are_not() -> None:
    shown = redacted(
        {
            "database.password": "a", "sasl.jaas.config": "b", "producer.override.ssl.key.password": "c",
            "some.secret": "d", "other.password": "${file:/x:y}", "key.converter": "Json", "database.user": "e",
            "database.ssl.key.passphrase": "f",
        }
    )  # fmt: skip
    assert shown == {
        "database.password": REDACTED, "sasl.jaas.config": REDACTED, "producer.override.ssl.key.password": REDACTED,
        "some.secret": REDACTED, "other.password": "${file:/x:y}", "key.converter": "Json", "database.user": "e",
        "database.ssl.key.passphrase": REDACTED,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("code", "body", "kind", "says"),
    [
        (409, {"message": "rebalance"}, Rebalancing, "rebalancing"),
        (404, {"message": "Connector shop not found"}, NotRegistered, "registered under that name"),
        (404, b"<html>Error 404 Not Found</html>", Temporary, "it is starting"),
        (401, b"", Forbidden, "user and password"),
        (400, {"message": "database.password=hunter2 is wrong"}, Misconfigured, "is wrong"),
        (500, {"message": "worker is starting"}, Temporary, "worker is starting"),
        (503, b"<html>busy</html>", Temporary, "busy"),
    ],
)
def test_refusals_say_what_to_do_and_no_secret(
    server: Server, connect: Connect, code: int, body: object, kind: type[Exception], says: str
) -> None:
    server.answers["GET /connectors/shop/status"] = (code, body)
    with pytest.raises(kind, match=says) as caught:
        connect.status("shop")
    assert type(caught.value) is kind
    assert "hunter2" not in str(caught.value)


def test_nobody_there_is_unreachable_and_the_login_is_not_shown() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://bob:hunter2@127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(Unreachable, match="is it running") as caught:
            Connect(url, seconds_max=2).config("shop")
    assert "hunter2" not in str(caught.value)


def test_another_service_on_that_port_is_named_so(server: Server, connect: Connect) -> None:
    server.answers["GET /connectors/shop/config"] = (200, b"<html>hello</html>")
    with pytest.raises(Permanent, match="another service"):
        connect.config("shop")


def test_the_login_is_sent(server: Server) -> None:
    server.answers["GET /connectors/shop/offsets"] = (200, {"offsets": []})
    Connect(f"http://bob:p%40ss@127.0.0.1:{server.port}").offsets("shop")
    assert server.asked[0][2] == "Basic " + base64.b64encode(b"bob:p@ss").decode()


@pytest.mark.parametrize("url", ["", "localhost:8083", "ftp://x", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        Connect(url)
