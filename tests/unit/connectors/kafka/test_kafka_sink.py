"""Events are repeated until they are confirmed and never doubled, whatever the user's settings say."""

from __future__ import annotations

import confluent_kafka as ck
import pytest

from connectors.kafka.sink import KafkaEventSink, producer_settings
from verifier.errors import Misconfigured

NOWHERE = "127.0.0.1:1"
MEDDLING = {
    "enable.idempotence": "false",
    "acks": "0",
    "request.required.acks": "1",
    "bootstrap.servers": "elsewhere:9092",
    "metadata.broker.list": "elsewhere:9092",
    "message.timeout.ms": "0",
    "delivery.timeout.ms": "0",
    "transactional.id": "ours",
    "linger.ms": "50",
}


@pytest.mark.parametrize("settings", [{}, MEDDLING], ids=["none", "meddling"])
def test_the_producer_is_idempotent_and_waits_for_all(settings: dict[str, str]) -> None:
    made = producer_settings(NOWHERE, settings, 30.0)
    assert {name: made[name] for name in ("enable.idempotence", "acks", "bootstrap.servers", "message.timeout.ms")} == {
        "enable.idempotence": True,
        "acks": "all",
        "bootstrap.servers": NOWHERE,
        "message.timeout.ms": 30_000,
    }
    assert made.keys().isdisjoint(
        {"request.required.acks", "metadata.broker.list", "delivery.timeout.ms", "transactional.id"}
    )
    assert made["linger.ms"] == settings.get("linger.ms", 5), "what is the user's stays the user's"


@pytest.mark.parametrize("settings", [{}, MEDDLING], ids=["none", "meddling"])
def test_the_client_itself_says_so(settings: dict[str, str]) -> None:
    """librdkafka accepts `enable.gapless.guarantee` from idempotent producers alone."""
    gapless = {"enable.gapless.guarantee": "true", "log_level": "0"}
    KafkaEventSink(NOWHERE, "p", lambda: {**settings, **gapless}, seconds_max=0.1).close()
    with pytest.raises(ck.KafkaException, match=r"requires `enable\.idempotence`"):
        ck.Producer({**gapless, "bootstrap.servers": NOWHERE})


@pytest.mark.parametrize(
    ("name", "value"),
    [("retries", "0"), ("max.in.flight", "6"), ("queuing.strategy", "lifo")],
)
def test_what_cannot_be_had_beside_it_is_refused(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match="kafka client refuses its settings"):
        KafkaEventSink(NOWHERE, "p", lambda: {name: value})
