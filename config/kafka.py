"""How Kafka's brokers are spoken to: login, encryption, and whatever else a client can be told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, ValidationInfo, field_validator

from config.model import Model
from config.secret import Password, Secret, is_secret, referred

_OURS = frozenset(
    (
        "bootstrap.servers", "metadata.broker.list", "group.id", "group.instance.id", "enable.auto.commit",
        "auto.commit.enable", "enable.auto.offset.store", "auto.offset.reset", "enable.partition.eof",
        "isolation.level", "allow.auto.create.topics", "enable.idempotence", "acks", "request.required.acks",
        "transactional.id", "message.timeout.ms", "delivery.timeout.ms",
    )
)  # fmt: skip
"""What trueup's truth rests on: an offset is what the journal says, and no event is doubled or dropped."""
_NAMED = {
    "security.protocol": "security_protocol",
    **dict.fromkeys(("sasl.mechanism", "sasl.mechanisms"), "sasl_mechanism"),
    **dict.fromkeys(("sasl.username", "sasl.plain.username"), "sasl_user"),
    **dict.fromkeys(("sasl.password", "sasl.plain.password"), "sasl_password"),
    **dict.fromkeys(("ssl.ca.location", "ssl.cafile"), "ssl_ca"),
    **dict.fromkeys(("ssl.certificate.location", "ssl.certfile"), "ssl_certificate"),
    **dict.fromkeys(("ssl.key.location", "ssl.keyfile"), "ssl_key"),
    **dict.fromkeys(("ssl.key.password", "ssl.password"), "ssl_key_password"),
}
_NO_SECRETS = (".location", ".url", ".ms", ".seconds")
_USER_AND_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


def _path(value: Path | None, info: ValidationInfo) -> Path | None:
    return None if value is None else (info.context or {}).get("folder", Path()) / value.expanduser()


File = Annotated[Path, AfterValidator(_path), PlainSerializer(str)]


class KafkaAccess(Model):
    """What a client of Kafka is told of the brokers' security."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] | None = None
    """How the brokers are spoken to. Unset: PLAINTEXT."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", "OAUTHBEARER"] | None = None
    """How trueup logs in there."""
    sasl_user: str | None = None
    """As whom it logs in, with PLAIN and SCRAM."""
    sasl_password: Password | None = None
    """That user's password. After a refusal it is looked up anew."""
    ssl_ca: File | None = None
    """The certificates (PEM) of whoever vouches for the brokers, relative to the configuration file. Unset: what
    the machine trusts."""
    ssl_certificate: File | None = None
    """trueup's own certificate (PEM), where the brokers ask for one."""
    ssl_key: File | None = None
    """Its key (PEM)."""
    ssl_key_password: Password | None = None
    """The key's password, if it has one."""
    client_settings: dict[str, str] = Field(default={}, examples=[{"ssl.endpoint.identification.algorithm": "none"}])
    """More of the client's settings, under librdkafka's names whichever client it is. Secrets as `env:NAME` or
    `file:/path`. What has a setting of its own stands there, and what trueup's truth rests on cannot be changed:
    offsets, commits, isolation, idempotence."""

    @field_validator("client_settings")
    @classmethod
    def _of_the_client(cls, value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        found = dict(value)
        for name, word in value.items():
            plain = name.lower().replace("_", ".")
            if plain in _OURS:
                raise ValueError(f"{name} is trueup's own to set: remove it")
            if plain in _NAMED:
                raise ValueError(f"{name} has a setting of its own: write {_NAMED[plain]}")
            if holds_secret(name):
                try:
                    found[name] = referred(word, info)
                except ValueError:  # whose own text speaks of a password
                    raise ValueError(f"{name} holds a secret: give it as 'env:NAME' or 'file:/path'") from None
        return found

    @property
    def secured(self) -> bool:
        """Whether anything is said of security."""
        return any(getattr(self, name) for name in KafkaAccess.model_fields)

    def more(self) -> dict[str, str]:
        """The other settings of the client, secrets looked up now. Misconfigured if one cannot be."""
        return {
            name: Secret(word).reveal() if holds_secret(name) else word for name, word in self.client_settings.items()
        }


def holds_secret(name: str) -> bool:
    """Whether a client's setting that is called so holds a secret."""
    plain = name.lower().replace("_", ".")
    return (is_secret(plain) or plain.endswith(".key.pem")) and not plain.endswith(_NO_SECRETS)


def access_findings(section: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What of a section's security does not fit together, each with the setting to change."""
    protocol = str(section.get("security_protocol") or "PLAINTEXT")
    sasl = [name for name in ("sasl_mechanism", "sasl_user", "sasl_password") if section.get(name)]
    tls = [name for name in ("ssl_ca", "ssl_certificate", "ssl_key", "ssl_key_password") if section.get(name)]
    if sasl and not protocol.startswith("SASL_"):
        yield sasl[0], f"security_protocol is {protocol}, so nobody logs in: set it to SASL_SSL or SASL_PLAINTEXT"
    if tls and not protocol.endswith("SSL"):
        yield tls[0], f"security_protocol is {protocol}, so nothing is encrypted: set it to SSL or SASL_SSL"
    mechanism = section.get("sasl_mechanism")
    if protocol.startswith("SASL_"):
        if not mechanism:
            yield "security_protocol", f"{protocol} needs sasl_mechanism"
        elif mechanism in _USER_AND_PASSWORD and len(sasl) < 3:
            yield "sasl_mechanism", f"{mechanism} needs sasl_user and sasl_password"
    if bool(section.get("ssl_certificate")) != bool(section.get("ssl_key")):
        yield (tls or ["ssl_key"])[0], "ssl_certificate and ssl_key go together"
