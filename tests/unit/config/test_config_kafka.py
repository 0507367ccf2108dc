"""What a configuration may say of Kafka's security, and what of a client's settings is trueup's own."""

from __future__ import annotations

from pathlib import Path

import pytest

import config
from config.kafka import holds_secret
from verifier.errors import Misconfigured

HEAD = """\
groups:
  - name: shop
    leader: {url: postgresql://t@h/shop}
    followers:
      - {name: two, url: postgresql://t@h2/shop}
"""
SASL = "security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_user: u, sasl_password: 'env:WORD'"


def kafka(more: str) -> str:
    return HEAD + f"    stream: {{kind: kafka, kafka: {{bootstrap_servers: k, topic_prefix: p, {more}}}}}\n"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("sasl_user: u", "groups[0].stream.kafka.sasl_user: security_protocol is PLAINTEXT, so nobody logs in"),
        (
            "security_protocol: SSL, sasl_mechanism: PLAIN",
            "sasl_mechanism: security_protocol is SSL, so nobody logs in",
        ),
        ("ssl_ca: a.pem", "ssl_ca: security_protocol is PLAINTEXT, so nothing is encrypted: set it to SSL or SASL_SSL"),
        ("security_protocol: SASL_SSL", "security_protocol: SASL_SSL needs sasl_mechanism"),
        (
            "security_protocol: SASL_SSL, sasl_mechanism: SCRAM-SHA-256, sasl_user: u",
            "sasl_mechanism: SCRAM-SHA-256 needs sasl_user and sasl_password",
        ),
        ("security_protocol: SSL, ssl_key: k.pem", "ssl_key: ssl_certificate and ssl_key go together"),
        ("security_protocol: TLS", "'PLAINTEXT', 'SSL', 'SASL_PLAINTEXT' or 'SASL_SSL'"),
        ("client_settings: {enable.auto.commit: 'true'}", "enable.auto.commit is trueup's own to set: remove it"),
        ("client_settings: {isolation_level: read_uncommitted}", "isolation_level is trueup's own to set"),
        ("client_settings: {enable.idempotence: 'false'}", "enable.idempotence is trueup's own to set"),
        ("client_settings: {sasl.password: 'env:A'}", "sasl.password has a setting of its own: write sasl_password"),
        ("client_settings: {sasl.oauthbearer.client.secret: hunter2}", "client.secret holds a secret: give it as"),
        ("client_settings: {ssl.key.pem: hunter2}", "ssl.key.pem holds a secret: give it as 'env:NAME'"),
        ("security_protocol: SASL_SSL, sasl_password: hunter2", "a password is given by reference"),
    ],
)
def test_what_does_not_fit_together_is_told_without_secrets(more: str, told: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        config.parse(kafka(more))
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_events_are_examined_in_the_same_way() -> None:
    with pytest.raises(Misconfigured, match=r"events\.sasl_user: security_protocol is PLAINTEXT"):
        config.parse(HEAD + "    events: {kind: kafka, bootstrap_servers: k, sasl_user: u}\n")


def test_only_references_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "hunter2")
    (tmp_path / "secret").write_text("hunter3\n")
    text = kafka(SASL + ", ssl_ca: ca.pem, client_settings: {sasl.oauthbearer.client.secret: 'file:secret', a: b}")
    settings = config.parse(text, folder=tmp_path)
    stream = settings.groups[0].stream
    assert stream is not None
    assert stream.kafka is not None
    assert stream.kafka.ssl_ca == tmp_path / "ca.pem"
    assert stream.kafka.more() == {"sasl.oauthbearer.client.secret": "hunter3", "a": "b"}
    shown = config.show(settings)
    assert f"sasl.oauthbearer.client.secret: file:{tmp_path}/secret" in shown
    assert "sasl_password: env:WORD" in shown
    for told in (shown, repr(settings), str(settings)):
        assert "hunter" not in told
    assert config.parse(shown, folder=tmp_path / "elsewhere") == settings


def test_a_password_file_that_all_may_read_is_warned_of(tmp_path: Path) -> None:
    word = tmp_path / "word"
    word.write_text("x")
    word.chmod(0o644)
    (tmp_path / "trueup.yaml").write_text(kafka(SASL.replace("env:WORD", "file:word")))
    (problem,) = config.check(tmp_path / "trueup.yaml")
    assert problem.path == "groups[0].stream.kafka.sasl_password"
    assert problem.message == f"everybody on this machine can read it: chmod o-r {word}"


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("ssl.keystore.password", True),
        ("sasl.oauthbearer.assertion.private.key.passphrase", True),
        ("ssl.key.pem", True),
        ("sasl.oauthbearer.token.endpoint.url", False),
        ("ssl.crl.location", False),
        ("socket.keepalive.enable", False),
    ],
)
def test_what_holds_a_secret(name: str, secret: bool) -> None:
    assert holds_secret(name) is secret
