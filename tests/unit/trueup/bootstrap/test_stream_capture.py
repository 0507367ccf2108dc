"""A connector that is told something new while the daemon runs is obeyed, or not believed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from fixtures.connect_server import ConnectServer

from connectors.debezium.modes import Modes
from connectors.debezium.template import Source, postgres_connector
from trueup.bootstrap.presence import Guarded, Presence
from trueup.bootstrap.stream import _Capture, _Connector, _Heard
from verifier.change import Batch, Blindness, Cause, Transaction
from verifier.position import Lsn, Position
from verifier.table import TableName

ORDERS = frozenset({TableName("public", "orders")})
CONFIG = postgres_connector("shop", Source("h", 1, "u", "p", "d"), sorted(ORDERS), slot="s", publication="p")
_RUNS = {"connector": {"state": "RUNNING"}, "tasks": [{"id": 0, "state": "RUNNING"}]}


def _capture(server: ConnectServer, name: str = "shop", modes: Modes | None = None, prefix: str = "shop") -> _Capture:
    return _Capture(server.url, name, prefix, Presence(name, lambda: Lsn(50)), modes=modes)


def test_other_spellings_than_those_that_are_read_are_not_judged_and_are_told(connect_server: ConnectServer) -> None:
    connect_server.answers["GET /connectors/shop/status"] = (200, _RUNS)
    connect_server.answers["GET /connectors/shop/config"] = (200, CONFIG)
    capture = _capture(connect_server, modes=Modes.of(CONFIG))
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
    assert _capture(connect_server).of(ORDERS) == frozenset()


def test_while_nobody_answers_the_last_configuration_holds(connect_server: ConnectServer) -> None:
    connect_server.turns["GET /connectors/shop/config"] = [(200, CONFIG), (503, {"message": "busy"})]
    capture = _capture(connect_server)
    assert capture.of(ORDERS) == ORDERS
    capture.asked_at = 0.0
    assert capture.of(ORDERS) == ORDERS
    assert _capture(connect_server, "away").of(ORDERS) == frozenset()


def test_a_failed_task_is_told_by_what_it_means(connect_server: ConnectServer) -> None:
    trace = "org.Broken: it ended\n\tat x\nCaused by: ERROR: all replication slots are in use\n"
    failed = {**_RUNS, "tasks": [{"id": 0, "state": "FAILED", "trace": trace}]}
    connect_server.answers["GET /connectors/shop/status"] = (200, failed)
    health = _Connector(connect_server.url, "shop", _Heard(at=1.0), _capture(connect_server))
    assert health.alive() == (
        1.0, "connector shop: the leader has no replication slot left; see trueup connector status"
    )  # fmt: skip


def test_topics_of_another_prefix_are_named_and_nothing_is_judged_by_ours(connect_server: ConnectServer) -> None:
    connect_server.answers["GET /connectors/shop/status"] = (200, _RUNS)
    connect_server.answers["GET /connectors/shop/config"] = (200, CONFIG)
    capture = _capture(connect_server, prefix="shops")
    health = _Connector(connect_server.url, "shop", _Heard(at=1.0), capture)
    assert (capture.of(ORDERS), health.alive()) == (
        frozenset(),
        (1.0, "connector shop writes to topics of prefix shop: set stream.kafka.topic_prefix: shop"),
    )


class Told:
    """A stream that brings what it is given."""

    batch = Batch()

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        return read_through

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        return self.batch

    def acknowledge(self, offsets: Mapping[str, int]) -> None: ...
    def close(self) -> None: ...


def test_a_connector_that_was_deleted_is_a_gap_and_so_is_its_return(connect_server: ConnectServer) -> None:
    connect_server.answers["GET /connectors/shop/status"] = (404, {"message": "no such connector"})
    connect_server.answers["GET /connectors/shop/config"] = (200, CONFIG)
    capture, source = _capture(connect_server), Told()
    stream = Guarded(source, capture.presence)
    health = _Connector(connect_server.url, "shop", _Heard(at=1.0), capture)

    def lost(*commits: int) -> list[tuple[Cause, str]]:
        transactions = tuple(Transaction(1, Lsn(commit), 0.0) for commit in commits)
        source.batch = Batch(transactions, blind=(Blindness(Cause.TRUNCATE, None, "its own"),))
        first, *more = stream.poll(changes_max=1, seconds_max=0.0).blind
        assert (first.detail, {one.table for one in more} <= {None}) == ("its own", True)
        return [(one.cause, one.detail) for one in more]

    def asked() -> frozenset[TableName]:
        capture.asked_at = 0.0
        return capture.of(ORDERS)

    assert (asked(), lost(40)) == (ORDERS, [])
    del connect_server.answers["GET /connectors/shop/config"]
    assert asked() == frozenset()
    assert health.alive() == (1.0, "connector shop is not known to Kafka Connect: trueup connector register")
    gone = (Cause.GAP, "connector shop: Kafka Connect does not know it: trueup connector register")
    assert (lost(), asked(), lost(45)) == ([gone], frozenset(), [])
    connect_server.answers["GET /connectors/shop/config"] = (200, CONFIG)
    assert asked() == frozenset()
    assert lost(48, 50) == [], "the one that was deleted had sent these"
    assert asked() == frozenset(), "what the new one does not tell may still be in flight"
    back = (Cause.GAP, "connector shop: it was registered anew, and need not go on where it was")
    assert (lost(50, 51), lost(52), asked()) == ([back], [], ORDERS)


def test_whoever_watches_its_health_notices_too_while_nothing_is_judged(connect_server: ConnectServer) -> None:
    capture, source = _capture(connect_server), Told()
    stream = Guarded(source, capture.presence)
    health = _Connector(connect_server.url, "shop", _Heard(at=1.0), capture)

    def lost() -> list[str]:
        health.asked_at = 0.0
        health.alive()
        return [one.detail for one in stream.poll(changes_max=1, seconds_max=0.0).blind]

    connect_server.answers["GET /connectors/shop/status"] = (404, b"<html>its web server alone is up</html>")
    assert (lost(), capture.presence.whole) == ([], True)
    connect_server.answers["GET /connectors/shop/status"] = (404, {"message": "Connector shop not found"})
    assert lost() == ["connector shop: Kafka Connect does not know it: trueup connector register"]
    connect_server.answers["GET /connectors/shop/status"] = (200, _RUNS)
    source.batch = Batch((Transaction(1, Lsn(51), 0.0),))
    assert lost() == ["connector shop: it was registered anew, and need not go on where it was"]


def test_a_gap_that_was_not_journaled_is_told_again_where_the_stream_starts_once_more() -> None:
    presence, source = Presence("shop", lambda: Lsn(50)), Told()
    stream = Guarded(source, presence)

    def lost(commit: int) -> list[str]:
        source.batch = Batch((Transaction(1, Lsn(commit), 0.0),))
        return [one.detail for one in stream.poll(changes_max=1, seconds_max=0.0).blind]

    gone = "connector shop: Kafka Connect does not know it: trueup connector register"
    back = "connector shop: it was registered anew, and need not go on where it was"
    presence.absent()
    assert (lost(40), lost(40)) == ([gone], [])
    stream.start({}, None)
    assert (lost(40), lost(40)) == ([gone], []), "the journal was locked"
    stream.acknowledge({"o": 1})
    stream.start({"o": 1}, None)
    assert lost(40) == []
    presence.present()
    assert (lost(50), lost(51), presence.whole) == ([], [back], True)
    stream.start({"o": 1}, None)
    assert not presence.whole, "what it does not tell may be in flight once more"
    assert (lost(50), lost(51), presence.whole) == ([], [back], True)
    stream.acknowledge({"o": 2})
    stream.start({"o": 2}, None)
    assert (lost(51), presence.whole) == ([], True)
    presence.absent()
    presence.present()
    assert lost(60) == [gone, back]
    presence.absent()
    stream.start({"o": 2}, None)
    assert (lost(60), lost(60)) == ([gone], []), "how it came back before does not matter any more"


def test_a_clock_that_was_set_back_does_not_keep_it_from_being_asked(
    connect_server: ConnectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_server.answers["GET /connectors/shop/status"] = (200, _RUNS)
    connect_server.turns["GET /connectors/shop/config"] = [
        (200, CONFIG), (200, {**CONFIG, "table.include.list": "public\\.others"}),
    ]  # fmt: skip
    capture = _capture(connect_server)
    health = _Connector(connect_server.url, "shop", _Heard(at=1.0), capture)
    assert (capture.of(ORDERS), health.alive()) == (ORDERS, (1.0, ""))
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    monkeypatch.setattr("trueup.bootstrap.stream._CAPTURE_SECONDS", 0.0)
    monkeypatch.setattr("trueup.bootstrap.stream._CONNECT_SECONDS", 0.0)
    connect_server.answers["GET /connectors/shop/status"] = (200, {**_RUNS, "connector": {"state": "PAUSED"}})
    assert capture.of(ORDERS) == frozenset()
    assert health.alive() != (1.0, "")
