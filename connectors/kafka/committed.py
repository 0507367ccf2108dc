"""What a sink's consumer group has committed, and where partitions end: asked of the broker beside the stream.

Kafka Connect calls the group `connect-` and the sink's name. Nobody joins it here, and nothing is ever committed to it:
reading its offsets needs the right to describe the group, and its topics.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from threading import Lock

from connectors.debezium.pending import Partition
from connectors.kafka.clients import CLIENTS, consumer_of
from connectors.kafka.port import Consumer
from verifier.errors import Misconfigured, Unreachable

_SECONDS = 10.0


class GroupOffsets:
    """One group, asked by several threads in turn. Nothing is connected before the first question. Forbidden if the
    broker refuses us, Temporary for everything that may pass."""

    def __init__(self, client: str, servers: str, group: str) -> None:
        if client not in CLIENTS:
            raise Misconfigured(f"unknown kafka client {client!r}: use one of {', '.join(CLIENTS)}")
        self.group = group
        self._client, self._servers = client, servers
        self._lock = Lock()
        self._reader: Consumer | None = None
        self._ask: Callable[[], Mapping[Partition, int]] | None = None

    def committed(self) -> Mapping[Partition, int]:
        """By partition the offset behind the last one that the group vouches for; empty without such a group."""
        with self._lock:
            if self._ask is None:
                self._ask = _asking(self._client, self._servers, self.group)
            return self._ask()

    def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """The offset behind the last message of each, asked afresh; without those that the broker does not have."""
        with self._lock:
            if self._reader is None:
                self._reader = consumer_of(self._client, self._servers, "trueup-ends")
            return {place: high for place, (_, high) in self._reader.bounds(partitions).items()}

    def partitions(self) -> Collection[Partition]:
        """All that there are, asked afresh."""
        with self._lock:
            if self._reader is None:
                self._reader = consumer_of(self._client, self._servers, "trueup-ends")
            return [(topic, number) for topic, numbers in self._reader.partitions().items() for number in numbers]

    def close(self) -> None:
        with self._lock:
            if self._reader is not None:
                self._reader.close()
            self._reader = self._ask = None


def _asking(client: str, servers: str, group: str) -> Callable[[], Mapping[Partition, int]]:
    return _confluent(servers, group) if client == "confluent" else _kafka_python(servers, group)


def _confluent(servers: str, group: str) -> Callable[[], Mapping[Partition, int]]:
    import confluent_kafka as ck
    from confluent_kafka.admin import AdminClient

    from connectors.kafka.confluent import translated

    admin = AdminClient({"bootstrap.servers": servers, "reconnect.backoff.max.ms": 1000})

    def ask() -> Mapping[Partition, int]:
        try:
            wanted = [ck.ConsumerGroupTopicPartitions(group)]
            (asked,) = admin.list_consumer_group_offsets(wanted, request_timeout=_SECONDS).values()
            told = asked.result(_SECONDS)
        except ck.KafkaException as error:
            if error.args[0].name() == "GROUP_ID_NOT_FOUND":
                return {}
            raise translated(error.args[0], servers) from error
        except TimeoutError as error:
            raise Unreachable(f"kafka at {servers} does not answer: is it running") from error
        return {(one.topic, one.partition): one.offset for one in told.topic_partitions if one.offset >= 0}

    return ask


def _kafka_python(servers: str, group: str) -> Callable[[], Mapping[Partition, int]]:
    from connectors.kafka.kafka_python import translated

    with warnings.catch_warnings():  # as there
        warnings.simplefilter("ignore", DeprecationWarning)
        from kafka import KafkaAdminClient
        from kafka import errors as kafka_errors

    try:
        admin = KafkaAdminClient(bootstrap_servers=servers.split(","), client_id="trueup")
    except kafka_errors.KafkaError as error:
        raise translated(error, servers) from error

    def ask() -> Mapping[Partition, int]:
        try:
            told = admin.list_group_offsets(group)[group]
        except kafka_errors.GroupIdNotFoundError:
            return {}
        except kafka_errors.KafkaError as error:
            raise translated(error, servers) from error
        return {(place.topic, place.partition): at.offset for place, at in told.items() if at.offset >= 0}

    return ask
