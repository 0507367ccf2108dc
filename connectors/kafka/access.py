"""How brokers are spoken to, in the words of either client.

The configuration, and everything here, has librdkafka's names; kafka-python has keywords of its own, and takes numbers
and switches as such. What a stream or a sink of ours needs wins over whatever it is told: see each client's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

Settings = Callable[[], Mapping[str, str]]
"""librdkafka's settings of security and whatever else, secrets looked up at the call: after a refusal they are looked
up anew. May raise Misconfigured."""

_KAFKA_PYTHON: Final = {
    "sasl.mechanism": "sasl_mechanism",
    "sasl.mechanisms": "sasl_mechanism",
    "sasl.username": "sasl_plain_username",
    "sasl.password": "sasl_plain_password",
    "ssl.ca.location": "ssl_cafile",
    "ssl.certificate.location": "ssl_certfile",
    "ssl.key.location": "ssl_keyfile",
    "ssl.key.password": "ssl_password",
    "ssl.crl.location": "ssl_crlfile",
    "ssl.cipher.suites": "ssl_ciphers",
    "ssl.endpoint.identification.algorithm": "ssl_check_hostname",
    "fetch.wait.max.ms": "fetch_max_wait_ms",
    "message.max.bytes": "max_request_size",
}


def nothing() -> Mapping[str, str]:
    """The settings of whoever needs none."""
    return {}


def settings_of(
    *,
    protocol: str | None = None,
    mechanism: str | None = None,
    user: str | None = None,
    password: str | None = None,
    ca: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    key_password: str | None = None,
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """librdkafka's settings; paths are of PEM files."""
    found = {
        "security.protocol": protocol,
        "sasl.mechanisms": mechanism,
        "sasl.username": user,
        "sasl.password": password,
        "ssl.ca.location": ca,
        "ssl.certificate.location": certificate,
        "ssl.key.location": key,
        "ssl.key.password": key_password,
    }
    return {**(more or {}), **{name: value for name, value in found.items() if value is not None}}


def for_kafka_python(settings: Mapping[str, str], known: Mapping[str, object]) -> dict[str, object]:
    """librdkafka's settings as keywords. `known` are the client's defaults: of what kind each is. What the client does
    not know keeps its name: it will refuse it."""
    found: dict[str, object] = {}
    for name, value in settings.items():
        keyword = _KAFKA_PYTHON.get(name, name.replace(".", "_"))
        if keyword == "ssl_check_hostname":
            found[keyword] = value.lower() not in ("none", "", "false")
        else:
            found[keyword] = _typed(value, known.get(keyword))
    return found


def _typed(value: str, default: object) -> object:
    if isinstance(default, bool):
        return value.lower() in ("true", "1", "yes")
    for kind in (int, float):
        if isinstance(default, kind):
            try:
                return kind(value)
            except ValueError:
                return value  # which the client refuses
    return value
