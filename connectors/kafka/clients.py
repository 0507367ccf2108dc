"""Which client reads: chosen by name, imported only when chosen (neither is installed without the extra `kafka`)."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.kafka.port import Consumer
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
    raise Misconfigured(f"unknown kafka client {client!r}: use one of {', '.join(CLIENTS)}")
