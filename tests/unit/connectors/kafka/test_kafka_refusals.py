"""Being refused by brokers after they had let us in, as far as that can be told without one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer, Source

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.kafka import kafka_python
from connectors.kafka.committed import GroupOffsets
from connectors.kafka.kafka_python import KafkaAdminClient, kafka_errors
from connectors.kafka.stream import KafkaStream
from verifier.errors import Forbidden, Unreachable

HUNG_UP = kafka_errors.KafkaConnectionError("socket disconnected")
DOWN = kafka_errors.KafkaConnectionError("connection refused")


class Net:
    """Stands for the library's `KafkaNetClient`; each connection ends as told."""

    ends: ClassVar[list[object]] = []

    def __init__(self, **_: object) -> None:
        from kafka.future import Future  # the module above knows how to import the library in silence

        self._manager = SimpleNamespace(get_connection=lambda: SimpleNamespace(init_future=Future()))

    def connect(self) -> None:
        end = self.ends.pop(0)
        future = self._manager.get_connection().init_future
        future.failure(end) if isinstance(end, Exception) else future.success(end)

    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("login", "ends", "told"),
    [
        (True, [HUNG_UP, HUNG_UP], [None, kafka_errors.SaslAuthenticationFailedError]),
        (True, [HUNG_UP, DOWN, HUNG_UP], [None, None, None]),
        (True, [HUNG_UP, True, HUNG_UP], [None, None, None]),
        (False, [HUNG_UP, HUNG_UP], [None, None]),
        (False, [kafka_errors.SaslAuthenticationFailedError("no"), HUNG_UP],
         [kafka_errors.SaslAuthenticationFailedError, None]),
    ],
)  # fmt: skip
def test_who_is_hung_up_on_time_and_again_is_refused_however_often_it_is_asked(
    login: bool, ends: list[object], told: list[type | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_python, "KafkaNetClient", Net)
    monkeypatch.setattr(Net, "ends", list(ends))
    connections = kafka_python.Connections(login=login)
    client = connections()
    found = []
    for _ in ends:
        client.connect()
        refusal = connections.refusal()
        found.append(None if refusal is None else type(refusal))
    assert found == told
    assert connections.refusal() is None


class Admin:
    """Stands for the library's `KafkaAdminClient` behind a broker that answers nothing but `answer`."""

    DEFAULT_CONFIG = KafkaAdminClient.DEFAULT_CONFIG
    open = 0

    def __init__(self, *, kafka_client: kafka_python.Connections, **_: object) -> None:
        self.net = kafka_client()
        type(self).open += 1

    def list_group_offsets(self, _: str) -> object:
        self.net.connect()
        raise kafka_errors.KafkaTimeoutError

    def close(self) -> None:
        type(self).open -= 1


def test_what_asks_for_a_groups_offsets_is_made_anew_after_a_refusal_and_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kafka_python, "KafkaNetClient", Net)
    monkeypatch.setattr(kafka_python, "KafkaAdminClient", Admin)
    monkeypatch.setattr(Net, "ends", [DOWN, HUNG_UP, HUNG_UP, DOWN])
    words = iter(("old", "new"))
    login = {"security.protocol": "SASL_SSL", "sasl.mechanisms": "PLAIN", "sasl.username": "u"}
    offsets = GroupOffsets(
        "kafka-python", "127.0.0.1:1", "connect-sink", "t", reader="trueup-g",
        settings=lambda: {**login, "sasl.password": next(words)},
    )  # fmt: skip
    for refused in (Unreachable, Unreachable, Forbidden):
        with pytest.raises(refused):
            offsets.committed()
    assert Admin.open == 0
    with pytest.raises(Unreachable):
        offsets.committed()
    assert (Admin.open, next(words, "none is left")) == (1, "none is left"), "with the password as it is by now"
    offsets.close()
    assert Admin.open == 0


def test_a_stream_that_cannot_begin_again_has_nothing_assigned_so_that_a_refusal_is_heard() -> None:
    broker = MemoryBroker()
    for topic in ("p.transaction", "p.public.t"):
        broker.topic(topic)
    consumer = MemoryConsumer(broker)
    stream = KafkaStream(consumer, Decoder("p", RECOMMENDED, lambda _: None), "p", seconds=lambda: consumer.waited)
    stream.start({}, None)
    Source(broker).transaction(1)
    batch = stream.poll(changes_max=10, seconds_max=1.0)
    assert consumer.positions
    broker.down = True
    with pytest.raises(Unreachable):
        stream.start(batch.offsets, batch.read_through)
    assert not consumer.positions
    broker.down = False
    stream.start(batch.offsets, batch.read_through)
    assert consumer.positions.keys() == set(broker.logs)
