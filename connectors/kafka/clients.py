"""Which client reads: chosen by name, imported only when chosen (none is installed without the extra `kafka`)."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.kafka.access import Settings, nothing
from connectors.kafka.port import Consumer
from reconciler.ports import EventSink
from verifier.errors import Misconfigured

CLIENTS = ("confluent", "kafka-python")


def consumer_of(client: str, servers: str, group: str, settings: Mapping[str, str] | None = None) -> Consumer:
    """A consumer of `servers` (`host:port,..`). `group` is only for those who export its lag; `settings` carry
    librdkafka's names whichever client it is. Misconfigured if the client is unknown or not installed."""
    try:
        if client == "confluent":
            from connectors.kafka.confluent import ConfluentConsumer

            return ConfluentConsumer(servers, group, settings)
        if client == "kafka-python":
            from connectors.kafka.kafka_python import KafkaPythonConsumer

            return KafkaPythonConsumer(servers, group, settings)
    except ImportError as error:
        raise Misconfigured(f"kafka client {client} is not installed: pip install 'trueup[kafka]'") from error
    raise unknown(client)


def sink_of(servers: str, prefix: str, settings: Settings = nothing) -> EventSink:
    """What sends events to topics `prefix.<topic>`, by confluent-kafka: kafka-python sends no message without key and
    value, and no header without a value, as dead letters may have them. Misconfigured as above."""
    try:
        from connectors.kafka.sink import KafkaEventSink
    except ImportError as error:
        raise Misconfigured("events to kafka need confluent-kafka: pip install 'trueup[kafka]'") from error
    return KafkaEventSink(servers, prefix, settings)


def unknown(client: str) -> Misconfigured:
    return Misconfigured(f"unknown kafka client {client!r}: use one of {', '.join(CLIENTS)}")
