"""How a group's configuration reaches Kafka's brokers: one place for streams, sinks, doctors and whoever asks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from config.kafka import KafkaAccess

if TYPE_CHECKING:
    from pathlib import Path

    from config.settings import Group
    from config.stream import KafkaStream
    from connectors.kafka.access import Settings
    from connectors.kafka.committed import GroupOffsets


def client_settings(access: KafkaAccess) -> dict[str, str]:
    """Under librdkafka's names, secrets looked up now. Misconfigured if one cannot be."""
    from connectors.kafka.access import settings_of

    return settings_of(
        protocol=access.security_protocol,
        mechanism=access.sasl_mechanism,
        user=access.sasl_user,
        password=access.sasl_password.reveal() if access.sasl_password is not None else None,
        ca=_text(access.ssl_ca),
        certificate=_text(access.ssl_certificate),
        key=_text(access.ssl_key),
        key_password=access.ssl_key_password.reveal() if access.ssl_key_password is not None else None,
        more=access.more(),
    )


def readers_of(group: str) -> str:
    """The consumer group of all that trueup reads for a group: offsets are committed to it for exporters alone, and it
    is the only one that trueup needs the right to."""
    return f"trueup-{group}"


def offsets_of(group: str, kafka: KafkaStream, consumer_group: str) -> GroupOffsets:
    """What tells how far another consumer group is. Nothing is connected yet."""
    from connectors.kafka.committed import GroupOffsets

    return GroupOffsets(
        kafka.client,
        kafka.bootstrap_servers,
        consumer_group,
        kafka.topic_prefix,
        reader=readers_of(group),
        settings=partial(client_settings, kafka),
    )


def events_to(group: Group) -> tuple[str, Settings] | None:
    """The servers that the group's events go to, and how these are reached; None if no servers are named."""
    events, kafka = group.events, group.stream.kafka if group.stream is not None else None
    if events.bootstrap_servers is not None:
        return events.bootstrap_servers, partial(client_settings, events)
    if kafka is None:
        return None
    return kafka.bootstrap_servers, partial(client_settings, events if events.secured else kafka)


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
