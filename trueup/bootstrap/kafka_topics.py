"""What reads and decodes a connector's topics: for the stream, and for whoever reads them back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from config.stream import KafkaStream as KafkaSettings
from trueup.bootstrap.brokers import client_settings
from verifier.errors import Misconfigured
from verifier.ports import Replica
from verifier.position import Position

if TYPE_CHECKING:
    from connectors.debezium.avro_registry import SchemaRegistry
    from connectors.debezium.decoder import Decoder
    from connectors.kafka.port import Consumer
    from trueup.bootstrap.stream import Described

_FENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class KafkaReading:
    """`close` lets go of what was opened beside the consumer, which is closed by whoever reads with it."""

    consumer: Consumer
    decoder: Decoder
    close: Callable[[], None] = lambda: None


def kafka_reading(readers: str, connector: str, settings: KafkaSettings, described: Described) -> KafkaReading:
    """What reads the connector's topics, and what decodes them. `readers`: the consumer group's name, for exporters
    alone. Connect tells how the connector spells values, so it must answer once."""
    from connectors.debezium.decoder import Decoder
    from connectors.debezium.modes import RECOMMENDED, RECOMMENDED_BINLOG, Modes
    from connectors.debezium.source import POSTGRES, Source
    from connectors.debezium.source_binlog import BinlogSource
    from connectors.kafka.clients import consumer_of

    source: Source = POSTGRES
    modes, leader = RECOMMENDED, described.book.leader
    if leader.dialect in ("mysql", "mariadb"):
        fence = partial(_fence, leader) if leader.dialect == "mysql" else None
        source = BinlogSource(leader.dialect == "mariadb", leader.position, fence)
        modes = RECOMMENDED_BINLOG
    if settings.connect_url is not None:
        modes = Modes.of(connector_config(settings.connect_url, connector))
    reader = consumer_of(settings.client, settings.bootstrap_servers, readers, client_settings(settings))
    registry = _registry(settings)
    read, close = None, lambda: None
    if registry is not None:
        from connectors.debezium.avro import AvroReader

        read, close = AvroReader(registry, f"{settings.topic_prefix}.").read, registry.close
    return KafkaReading(reader, Decoder(settings.topic_prefix, modes, described.table, source, read), close)


def connector_config(url: str, name: str) -> Mapping[str, str]:
    """As Kafka Connect has it now; errors as from `Connect`."""
    from connectors.debezium.connect import Connect

    return Connect(url).config(name)


def _fence(leader: Replica) -> tuple[Position, Position]:
    """What was executed before any read, and what had begun by its end."""
    look = leader.ask("select 1", rows_max=1, seconds_max=_FENCE_SECONDS)
    return look.low, look.high


def _registry(settings: KafkaSettings) -> SchemaRegistry | None:
    """What tells the schemas of Avro; Misconfigured if the libraries for it are not installed."""
    if settings.schema_registry_url is None:
        return None
    try:
        from connectors.debezium.avro_registry import SchemaRegistry
    except ImportError as error:
        raise Misconfigured("events in Avro need more libraries: install trueup[avro]") from error
    password = settings.schema_registry_password
    url, user = settings.schema_registry_url, settings.schema_registry_user
    return SchemaRegistry(url, user, password.reveal() if password is not None else None)
