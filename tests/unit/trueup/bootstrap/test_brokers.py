"""How the configuration of a group reaches Kafka's clients."""

from __future__ import annotations

import pytest

import config
from config.settings import Group
from trueup.bootstrap.brokers import client_settings, events_to
from trueup.bootstrap.events import event_sink
from verifier.errors import Misconfigured

SASL = "security_protocol: SASL_PLAINTEXT, sasl_mechanism: PLAIN, sasl_user: u, sasl_password: 'env:WORD'"
TOLD = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanisms": "PLAIN", "sasl.username": "u", "sasl.password": "w1"}


def group(stream: str = SASL, events: str = "") -> Group:
    text = (
        "groups:\n  - name: shop\n    leader: {url: postgresql://t@h/shop}\n"
        "    followers: [{name: two, url: postgresql://t@h2/shop}]\n"
        f"    stream: {{kind: kafka, kafka: {{bootstrap_servers: 'k:9', topic_prefix: p, {stream}}}}}\n"
        f"    events: {{kind: kafka, {events}}}\n"
    )
    return config.parse(text).groups[0]


def test_secrets_are_looked_up_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "w1")
    found = group(SASL + ", client_settings: {client.rack: r1}")
    assert found.stream is not None
    assert found.stream.kafka is not None
    assert client_settings(found.stream.kafka) == {**TOLD, "client.rack": "r1"}
    monkeypatch.setenv("WORD", "w2")
    assert client_settings(found.stream.kafka)["sasl.password"] == "w2"
    monkeypatch.delenv("WORD")
    with pytest.raises(Misconfigured, match="'WORD' is not set"):
        client_settings(found.stream.kafka)


@pytest.mark.parametrize(
    ("events", "servers", "told"),
    [
        ("", "k:9", TOLD),
        (SASL.replace("u,", "other,"), "k:9", {**TOLD, "sasl.username": "other"}),
        ("bootstrap_servers: 'e:9'", "e:9", {}),
        ("bootstrap_servers: 'e:9', security_protocol: SSL", "e:9", {"security.protocol": "SSL"}),
    ],
    ids=["the stream's", "another login", "other servers are not told the stream's password", "other servers"],
)
def test_where_events_go_and_how(events: str, servers: str, told: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "w1")
    reached = events_to(group(events=events))
    assert reached is not None
    assert (reached[0], reached[1]()) == (servers, told)


def test_a_sink_whose_secret_is_missing_is_misconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORD", raising=False)
    with pytest.raises(Misconfigured, match="'WORD' is not set"):
        event_sink(group())


def test_only_the_client_that_can_send_every_event_may_be_named() -> None:
    with pytest.raises(Misconfigured, match=r"events\.client"):
        group(events="client: kafka-python")
    assert group(events="client: confluent").events.client == "confluent"
