"""The HTTP server: formats, health with reasons, refusals, and an orderly stop."""

from __future__ import annotations

import http.client
import json
import logging
import socket
from collections.abc import Iterator

import pytest

from dashboards.exporter import Exporter
from dashboards.http import Health, Pages, Server
from dashboards.meter import Meter
from dashboards.snapshot import Snapshot
from verifier.errors import Misconfigured

REGISTRY = Exporter(lambda: Snapshot("1", "i"), Meter()).registry()


def failing() -> Health:
    raise RuntimeError("probe broke")


@pytest.fixture
def server() -> Iterator[Server]:
    pages = Pages(REGISTRY, lambda: Health(True), lambda: Health(False, ("group 'shop': stream is blind",)))
    server = Server("127.0.0.1", 0, pages)
    server.start()
    yield server
    server.stop()


def ask(server: Server, path: str, method: str = "GET", accept: str = "") -> tuple[int, str, bytes]:
    connection = http.client.HTTPConnection(*server.address, timeout=5)
    try:
        connection.request(method, path, headers={"Accept": accept})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    finally:
        connection.close()


def test_metrics_in_both_formats(server: Server) -> None:
    status, kind, body = ask(server, "/metrics?x=1")
    assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b'trueup_build_info{instance_name="i",version="1"} 1.0' in body
    status, kind, body = ask(server, "/metrics", accept="application/openmetrics-text; version=1.0.0,*/*;q=0.1")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


def test_health_says_why(server: Server) -> None:
    status, kind, body = ask(server, "/livez")
    assert (status, kind, json.loads(body)) == (200, "application/json", {"status": "ok", "reasons": []})
    status, _, body = ask(server, "/readyz")
    assert status == 503
    assert json.loads(body) == {"status": "failing", "reasons": ["group 'shop': stream is blind"]}


def test_a_probe_that_raises_is_red(caplog: pytest.LogCaptureFixture) -> None:
    server = Server("127.0.0.1", 0, Pages(REGISTRY, failing, failing))
    server.start()
    try:
        with caplog.at_level(logging.ERROR):
            assert ask(server, "/livez") == (500, "text/plain; charset=utf-8", b"failed; the log has the reason\n")
    finally:
        server.stop()
    assert "probe broke" in caplog.text


def test_only_reading_and_only_known_pages(server: Server) -> None:
    assert ask(server, "/metrics", "HEAD")[::2] == (200, b"")
    assert ask(server, "/metrics", "POST")[0] == 501
    assert ask(server, "/../etc/passwd")[0] == 404
    assert ask(server, "/")[0] == 200


def test_a_taken_port_says_what_to_do(server: Server) -> None:
    host, port = server.address
    pages = Pages(REGISTRY, failing, failing)
    with pytest.raises(Misconfigured, match=r"cannot listen on 127.0.0.1:\d+: .*in use; set http.listen"):
        Server(host, port, pages)


def test_stop_frees_the_port_and_may_be_repeated(server: Server) -> None:
    # A client that holds its connection open must not hold the stop.
    with socket.create_connection(server.address, timeout=5):
        server.stop()
        assert not server.alive
        server.stop()
    with pytest.raises(ConnectionError):
        socket.create_connection(server.address, timeout=5).close()
