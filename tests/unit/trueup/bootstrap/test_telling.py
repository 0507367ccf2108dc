"""What `trueup lag` takes from a running daemon's metrics page, and what it says where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import socket
from threading import Thread

import pytest

import config
from config.settings import Settings
from dashboards.exporter import Exporter
from dashboards.http import Health, Pages, Server
from dashboards.meter import Meter
from dashboards.snapshot import FollowerState, GroupState, Snapshot, StreamState
from trueup.bootstrap.telling import Told, completed, daemon_tells
from verifier.lag import HopLag, LagState

CAUGHT_UP, LAGGING, STALLED, UNKNOWN = LagState.CAUGHT_UP, LagState.LAGGING, LagState.STALLED, LagState.UNKNOWN
ABSENT = "no daemon answers"
DETAIL = "as the running daemon measures it"


@pytest.fixture
def page() -> Iterator[tuple[str, int]]:
    """A real exporter: one follower late by 40 s and 7 changes, one whose changes are not counted; another group."""
    late = FollowerState("eu", "subscriber", "stalled", lag_seconds=40.0, lag_changes=7)
    other = FollowerState("us", "standby", "lagging", lag_seconds=9.0)
    stream = StreamState("kafka", "caught_up", None, {"connector": 0.25, "broker": 0.5, "trueup": 0.75})
    groups = (
        GroupState("shop", "leader", followers=(late, other), stream=stream),
        GroupState("bank", "leader", followers=(replace(late, lag_changes=1000),)),
    )
    exporter = Exporter(lambda: Snapshot("1", "test", groups), Meter())
    server = Server("127.0.0.1", 0, Pages(exporter.registry(), lambda: Health(True), lambda: Health(True)))
    server.start()
    yield server.address
    server.stop()


def settings(place: tuple[str, int]) -> Settings:
    return config.parse(
        f"journal: j.db\nhttp: {{listen: '{place[0]}:{place[1]}'}}\n"
        "groups: [{name: shop, leader: {url: 'postgresql://h/d'}, followers: [{name: eu, url: 'postgresql://i/d'}]}]\n"
    )


def test_hops_and_followers_of_the_asked_group_alone(page: tuple[str, int]) -> None:
    told = daemon_tells(settings(page), "shop")
    assert told == Told(
        (
            HopLag("connector", 0.25, None, CAUGHT_UP, DETAIL),
            HopLag("broker", 0.5, None, CAUGHT_UP, DETAIL),
            HopLag("trueup", 0.75, None, CAUGHT_UP, DETAIL),
        ),
        {"eu": HopLag("eu", 40.0, 7, STALLED, DETAIL), "us": HopLag("us", 9.0, None, LAGGING, DETAIL)},
    )  # fmt: skip


def test_nobody_answers() -> None:
    with socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        assert daemon_tells(settings(nobody.getsockname()), "shop") is None


@pytest.fixture(params=["<!doctype html>", '{"a": 1}', 'trueup_stream_state{group="shop",state="of tomorrow"} 1\n'])
def stranger(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """Another program on that port, or a daemon of another version."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(request.param.encode())

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield "127.0.0.1", server.server_port
        server.shutdown()
        thread.join()


def test_what_speaks_no_http_is_no_daemon() -> None:
    with socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def speak() -> None:
            with other.accept()[0] as line:
                line.sendall(b"220 mail.example ESMTP\r\n")
                line.recv(4096)

        thread = Thread(target=speak)
        thread.start()
        assert daemon_tells(settings(other.getsockname()), "shop") is None
        thread.join()


def test_whoever_else_answers_there_is_no_daemon(stranger: tuple[str, int]) -> None:
    assert daemon_tells(settings(stranger), "shop") is None


TOLD = Told((), {"eu": HopLag("eu", 40.0, 7, STALLED), "us": HopLag("us", 9.0, None, LAGGING)})


@pytest.mark.parametrize(
    ("own", "told", "expected"),
    [
        # The daemon has watched for longer, and counted.
        (HopLag("eu", 3.0, None, LAGGING), TOLD, HopLag("eu", 40.0, 7, STALLED)),
        # What was seen here is not made younger, and what was counted here stays.
        (HopLag("eu", 50.0, 9, STALLED, "x"), TOLD, HopLag("eu", 50.0, 9, STALLED, "x")),
        (HopLag("eu", None, 5, LAGGING), TOLD, HopLag("eu", 40.0, 5, STALLED)),
        # Nothing is made of what does not answer, nor lag of what has none.
        (HopLag("eu", None, None, UNKNOWN, "away"), TOLD, HopLag("eu", None, None, UNKNOWN, "away")),
        (HopLag("eu", 0.0, 0, CAUGHT_UP), TOLD, HopLag("eu", 0.0, 0, CAUGHT_UP)),
        (HopLag("eu", 0.0, 0, CAUGHT_UP), None, HopLag("eu", 0.0, 0, CAUGHT_UP)),
        # Unknown, and why.
        (
            HopLag("us", 3.0, None, LAGGING, "paused"),
            TOLD,
            HopLag(
                "us", 9.0, None, LAGGING,
                "paused; changes unknown: it is late by more than the daemon has read of the stream",
            ),
        ),
        (HopLag("us", 3.0, None, LAGGING), None, HopLag("us", 3.0, None, LAGGING, f"changes unknown: {ABSENT}")),
        (
            HopLag("ap", 3.0, None, LAGGING),
            TOLD,
            HopLag("ap", 3.0, None, LAGGING, "changes unknown: the daemon does not know how many changes it lacks"),
        ),
        (
            HopLag("eu", 3.0, None, LAGGING),
            Told((), {"eu": HopLag("eu", 0.0, 0, CAUGHT_UP)}),
            HopLag("eu", 3.0, None, LAGGING, "changes unknown: the daemon has seen it catch up since"),
        ),
    ],
)  # fmt: skip
def test_what_was_seen_is_completed_by_what_the_daemon_knows(own: HopLag, told: Told | None, expected: HopLag) -> None:
    assert completed(own, told, ABSENT) == expected
