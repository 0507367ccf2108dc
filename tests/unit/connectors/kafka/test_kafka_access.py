"""One set of settings for both clients, and what the stream needs whatever they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import FunctionType

import pytest
from stack.certificates import Certificates

from connectors.kafka.access import for_kafka_python, settings_of
from connectors.kafka.clients import sink_of
from connectors.kafka.confluent import configured
from connectors.kafka.kafka_python import KafkaAdminClient, KafkaConsumer, options
from verifier.errors import Misconfigured

SECURED = settings_of(
    protocol="SASL_SSL", mechanism="SCRAM-SHA-512", user="u", password="w", ca="/ca", certificate="/c", key="/k",
    key_password="kw", more={"ssl.endpoint.identification.algorithm": "none"},
)  # fmt: skip


def test_kafka_python_checks_messages_in_compiled_code() -> None:
    """In Python it takes a tenth of a second for each megabyte: a busy leader writes faster than that is read."""
    from kafka.record.util import calc_crc32c  # behind ours, which hears out the warnings of its import

    assert not isinstance(calc_crc32c.__defaults__[0], FunctionType)
    assert calc_crc32c(memoryview(b"123456789")) == 0xE3069283  # the check value of CRC-32/ISCSI


def test_librdkafkas_names() -> None:
    assert SECURED == {
        "security.protocol": "SASL_SSL", "sasl.mechanisms": "SCRAM-SHA-512", "sasl.username": "u",
        "sasl.password": "w", "ssl.ca.location": "/ca", "ssl.certificate.location": "/c", "ssl.key.location": "/k",
        "ssl.key.password": "kw", "ssl.endpoint.identification.algorithm": "none",
    }  # fmt: skip
    assert settings_of() == {}


def test_kafka_pythons_keywords_have_the_kind_of_their_defaults() -> None:
    told = {**SECURED, "fetch.wait.max.ms": "7", "check.crcs": "false", "session.timeout.ms": "soon", "new": "1"}
    assert for_kafka_python(told, KafkaConsumer.DEFAULT_CONFIG) == {
        "security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512", "sasl_plain_username": "u",
        "sasl_plain_password": "w", "ssl_cafile": "/ca", "ssl_certfile": "/c", "ssl_keyfile": "/k",
        "ssl_password": "kw", "ssl_check_hostname": False, "fetch_max_wait_ms": 7, "check_crcs": False,
        "session_timeout_ms": "soon", "new": "1",
    }  # fmt: skip
    assert for_kafka_python({"ssl.endpoint.identification.algorithm": "https"}, {}) == {"ssl_check_hostname": True}


def test_each_of_its_clients_is_told_what_it_knows_and_what_nobody_knows() -> None:
    told = {"fetch.max.bytes": "9", "sasl.username": "u", "no.such": "1"}
    assert options(told, KafkaAdminClient) == {"sasl_plain_username": "u", "no_such": "1"}
    assert options(told, KafkaConsumer) == {"fetch_max_bytes": 9, "sasl_plain_username": "u", "no_such": "1"}


def test_what_the_stream_needs_wins() -> None:
    meddling = {
        "bootstrap.servers": "elsewhere", "group.id": "other", "enable.auto.commit": "true",
        "enable.auto.offset.store": "true", "auto.offset.reset": "earliest", "isolation.level": "read_uncommitted",
        "fetch.max.bytes": "9", **SECURED,
    }  # fmt: skip
    made = configured("h:9", "trueup-shop", meddling)
    assert {name: made[name] for name in meddling if name not in SECURED} == {
        "bootstrap.servers": "h:9", "group.id": "trueup-shop", "enable.auto.commit": False,
        "enable.auto.offset.store": False, "auto.offset.reset": "error", "isolation.level": "read_committed",
        "fetch.max.bytes": "9",
    }  # fmt: skip
    assert {name: made[name] for name in SECURED} == SECURED


def test_a_client_that_refuses_its_settings_says_so_without_secrets() -> None:
    with pytest.raises(Misconfigured, match="kafka client refuses its settings") as caught:
        sink_of("127.0.0.1:1", "p", lambda: {**SECURED, "security.protocol": "TLS", "sasl.password": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_nobody_is_asked_for_the_password_of_a_key_that_has_one(tmp_path: Path) -> None:
    """Without a terminal the library would ask whatever standard input is."""
    made = Certificates.make(tmp_path)
    told = {
        "security.protocol": "SSL",
        "ssl.certificate.location": f"{made.client}",
        "ssl.key.location": f"{made.client_key}",
    }
    program = (
        "from connectors.kafka.kafka_python import KafkaPythonConsumer\n"
        f"KafkaPythonConsumer('127.0.0.1:1', 'g', {told!r})"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as asked:
        try:
            asked.wait(60)
        finally:
            asked.kill()
        assert asked.stderr is not None
        assert f"Misconfigured: kafka client cannot use {made.client}, {made.client_key}" in asked.stderr.read()
