"""What a sink's consumer group has committed, and where partitions end: asked of the broker beside the stream.

Kafka Connect calls the group `connect-` and the sink's name. Nobody joins it here, and nothing is ever committed to it:
reading its offsets needs the right to describe the group, and its topics.
"""

from __future__ import annotations

import logging
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from time import monotonic, sleep
from typing import Any, NamedTuple

from connectors.debezium.pending import Partition
from connectors.kafka.access import Settings, nothing
from connectors.kafka.clients import CLIENTS, consumer_of, unknown
from connectors.kafka.port import Consumer
from verifier.errors import Forbidden, Misconfigured, Unreachable

_log = logging.getLogger(__name__)
_SECONDS = 10.0
_ERRORS_MAX = 100


class GroupOffsets:
    """One group, asked by several threads in turn. Nothing is connected before the first question. Forbidden if the
    broker refuses us, and then the next question begins anew; Temporary for everything that may pass. `reader` is the
    group under which ends are asked for: nothing is committed to it."""

    def __init__(self, client: str, servers: str, group: str, *, reader: str, settings: Settings = nothing) -> None:
        if client not in CLIENTS:
            raise unknown(client)
        self.group = group
        self._client, self._servers, self._name, self._settings = client, servers, reader, settings
        self._lock = Lock()
        self._reader: Consumer | None = None
        self._question: _Question | None = None

    def committed(self) -> Mapping[Partition, int]:
        """By partition the offset behind the last one that the group vouches for; empty without such a group."""
        with self._asking():
            if self._question is None:
                question = _confluent if self._client == "confluent" else _kafka_python
                self._question = question(self._servers, self.group, self._settings())
            return self._question.ask()

    def ends(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """The offset behind the last message of each, asked afresh; without those that the broker does not have."""
        with self._asking():
            return {place: high for place, (_, high) in self._consumer().bounds(partitions).items()}

    def partitions(self) -> Collection[Partition]:
        """All that there are, asked afresh."""
        with self._asking():
            return [(topic, number) for topic, numbers in self._consumer().partitions().items() for number in numbers]

    def _consumer(self) -> Consumer:
        if self._reader is None:
            self._reader = consumer_of(self._client, self._servers, self._name, self._settings())
        return self._reader

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except Forbidden:
                self._end()
                raise

    def close(self) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        reader, self._reader = self._reader, None
        question, self._question = self._question, None
        if question is not None:
            question.close()
        if reader is not None:
            reader.close()


class _Question(NamedTuple):
    """What asks for the committed offsets, and lets go of its connections."""

    ask: Callable[[], Mapping[Partition, int]]
    close: Callable[[], object]


def _confluent(servers: str, group: str, settings: Mapping[str, str]) -> _Question:
    import confluent_kafka as ck
    from confluent_kafka.admin import AdminClient

    from connectors.kafka.confluent import told_by, translated

    errors: deque[ck.KafkaError] = deque(maxlen=_ERRORS_MAX)
    told: Any = {
        "reconnect.backoff.max.ms": 1000,
        **settings,
        "bootstrap.servers": servers,
        "error_cb": errors.append,
    }
    try:
        admin = AdminClient(told, logger=_log)
    except ck.KafkaException as error:
        raise Misconfigured(f"kafka client refuses its settings: {error.args[0].str()}") from error

    def ask() -> Mapping[Partition, int]:
        try:
            wanted = [ck.ConsumerGroupTopicPartitions(group)]
            (asked,) = admin.list_consumer_group_offsets(wanted, request_timeout=_SECONDS).values()
            until = monotonic() + _SECONDS
            while not asked.done() and told_by(admin, errors, servers) is None and monotonic() < until:
                sleep(0.02)
            told = asked.result(0)
        except ck.KafkaException as error:
            if error.args[0].name() == "GROUP_ID_NOT_FOUND":
                return {}
            raise told_by(admin, errors, servers) or translated(error.args[0], servers) from error
        except TimeoutError as error:
            raise told_by(admin, errors, servers) or Unreachable(
                f"kafka at {servers} does not answer: is it running"
            ) from error
        return {(one.topic, one.partition): one.offset for one in told.topic_partitions if one.offset >= 0}

    return _Question(ask, lambda: None)  # it lets go by itself


def _kafka_python(servers: str, group: str, settings: Mapping[str, str]) -> _Question:
    from connectors.kafka.kafka_python import admin_of, translated

    with warnings.catch_warnings():  # as there
        warnings.simplefilter("ignore", DeprecationWarning)
        from kafka import errors as kafka_errors

    try:
        admin, connections = admin_of(servers, settings)
    except (TypeError, ValueError, OSError, kafka_errors.KafkaConfigurationError) as error:
        raise Misconfigured(f"kafka client refuses its settings: {error}") from error
    except kafka_errors.KafkaError as error:
        raise translated(error, servers) from error

    def ask() -> Mapping[Partition, int]:
        try:
            told = admin.list_group_offsets(group)[group]
        except kafka_errors.GroupIdNotFoundError:
            return {}
        except kafka_errors.KafkaError as error:
            raise translated(connections.refusal() or error, servers) from error
        return {(place.topic, place.partition): at.offset for place, at in told.items() if at.offset >= 0}

    return _Question(ask, admin.close)
