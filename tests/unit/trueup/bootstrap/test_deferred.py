"""A stream that its source refused is made anew, so that another password counts; and nothing stays open behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from config.stream import KafkaStream
from connectors.memory.clock import VirtualClock
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from trueup.bootstrap.deferred import Deferred
from trueup.bootstrap.kafka_topics import kafka_reading
from trueup.bootstrap.stream import Described
from trueup.services.group import TableBook
from verifier.change import Batch
from verifier.errors import Forbidden, Misconfigured
from verifier.position import Position


class Login:
    """A stream that lets in whoever has the password of the door."""

    ended: ClassVar[list[str]] = []
    door = "right"

    def __init__(self, password: str) -> None:
        self.password = password

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        self.poll(changes_max=1, seconds_max=0.0)
        return read_through

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        if self.password != self.door:
            raise Forbidden("refused")
        return Batch((), None)

    def acknowledge(self, offsets: Mapping[str, int]) -> None: ...

    def close(self) -> None:
        self.ended.append(self.password)


def test_after_a_refusal_the_next_start_looks_the_password_up_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Login, "ended", [])
    words = iter(["wrong", "right", "newer"])
    stream = Deferred(lambda: Login(next(words)))
    with pytest.raises(Forbidden):
        stream.start({}, None)
    stream.start({}, None)
    stream.poll(changes_max=1, seconds_max=0.0)
    assert Login.ended == ["wrong"]
    monkeypatch.setattr(Login, "door", "newer")
    with pytest.raises(Forbidden):
        stream.poll(changes_max=1, seconds_max=0.0)
    with pytest.raises(Misconfigured, match="not started"):
        stream.poll(changes_max=1, seconds_max=0.0)
    stream.start({}, None)
    assert Login.ended == ["wrong", "right"]


def test_what_was_opened_beside_a_stream_is_closed_behind_it_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Login, "ended", [])

    def made() -> Login:
        stream.ends.append(lambda: Login.ended.append("beside"))
        return Login(Login.door)

    stream = Deferred(made)
    stream.close()
    stream.start({}, None)
    assert Login.ended == []
    monkeypatch.setattr(Login, "door", "newer")
    with pytest.raises(Forbidden):
        stream.poll(changes_max=1, seconds_max=0.0)
    assert Login.ended == ["right", "beside"]
    stream.start({}, None)
    stream.close()
    stream.close()
    assert Login.ended == ["right", "beside", "newer", "beside", "newer"]


def test_a_registry_of_schemas_is_closed_with_what_reads_by_it() -> None:
    settings = KafkaStream.model_validate(
        {"bootstrap_servers": "127.0.0.1:1", "topic_prefix": "p", "schema_registry_url": "http://127.0.0.1:1"}
    )
    leader = MemoryReplica("leader", Leader(VirtualClock().now))
    book = TableBook(leader, {}, ["*"], VirtualClock())
    reading = kafka_reading("trueup-shop", "c", settings, Described(book))
    session = reading.close.__self__._client._rest_client.session  # type: ignore[attr-defined]
    assert not session.is_closed
    reading.consumer.close()
    reading.close()
    assert session.is_closed
