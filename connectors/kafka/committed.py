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
from functools import partial
from threading import Lock
from typing import Any, NamedTuple

from connectors.debezium.pending import Partition
from connectors.kafka.access import Settings, nothing
from connectors.kafka.clients import CLIENTS, consumer_of, unknown
from connectors.kafka.port import Consumer
from verifier.errors import Forbidden, Misconfigured

_log = logging.getLogger(__name__)
_SECONDS = 10.0
_ERRORS_MAX = 100


class GroupOffsets:
    """One group, asked by several threads in turn. Nothing is connected before the first question. Forbidden if the
    broker refuses us, and then the next question begins anew; Temporary for everything that may pass. `prefix` begins
    the topics that are asked about; `reader` is the group under which ends are asked for: nothing is committed to
    it."""

    def __init__(
        self, client: str, servers: str, group: str, prefix: str, *, reader: str, settings: Settings = nothing
    ) -> None:
        if client not in CLIENTS:
            raise unknown(client)
        self.group, self._prefix = group, f"{prefix}."
        self._client, self._servers, self._name, self._settings = client, servers, reader, settings
        self._lock = Lock()
        self._reader: Consumer | None = None
        self._question: _Question | None = None

    def committed(self, places: Collection[Partition] = ()) -> Mapping[Partition, int]:
        """By partition of our topics the offset behind the last one that the group vouches for; empty without such a
        group. Of these `places`; of all, which takes longer, if there are none."""
        with self._asking():
            if self._question is None:
                question = _confluent if self._client == "confluent" else _kafka_python
                self._question = question(self._servers, self.group, self._ours, self._settings())
            return self._question.ask(places)

    def _ours(self, topic: str) -> bool:
        return topic.startswith(self._prefix)

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

    ask: Callable[[Collection[Partition]], Mapping[Partition, int]]
    close: Callable[[], object]


def _confluent(servers: str, group: str, ours: Callable[[str], bool], settings: Mapping[str, str]) -> _Question:
    """Asked as a member of the group would, without becoming one: librdkafka's `list_consumer_group_offsets` ends the
    whole process where a broker that has just begun answers that it does not coordinate the group (2.16: its handler
    tells a consumer's part of the client, which an admin's does not have)."""
    import confluent_kafka as ck

    from connectors.kafka.confluent import answered, configured, told_by, translated

    errors: deque[ck.KafkaError] = deque(maxlen=_ERRORS_MAX)
    told: Any = {**configured(servers, group, settings), "error_cb": errors.append}
    try:
        consumer = ck.Consumer(told, logger=_log)
    except ck.KafkaException as error:
        raise Misconfigured(f"kafka client refuses its settings: {error.args[0].str()}") from error

    def look(places: Collection[Partition], seconds: float) -> list[ck.TopicPartition]:
        if not places:
            topics = consumer.list_topics(timeout=seconds).topics
            places = [(name, number) for name in topics if ours(name) for number in topics[name].partitions]
        return consumer.committed([ck.TopicPartition(*place) for place in places], timeout=seconds) if places else []

    def why(error: ck.KafkaError) -> tuple[Exception, bool]:
        refused = told_by(consumer, errors, servers)
        return refused or translated(error, servers), refused is not None

    def ask(places: Collection[Partition]) -> Mapping[Partition, int]:
        found = answered(partial(look, places), why, _SECONDS)
        wrong = next((one.error for one in found if one.error is not None), None)
        if wrong is not None:
            raise translated(wrong, servers)
        return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}

    return _Question(ask, consumer.close)


def _kafka_python(servers: str, group: str, ours: Callable[[str], bool], settings: Mapping[str, str]) -> _Question:
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

    def ask(places: Collection[Partition]) -> Mapping[Partition, int]:
        try:
            told = admin.list_group_offsets(group)[group]
        except kafka_errors.GroupIdNotFoundError:
            return {}
        except kafka_errors.KafkaError as error:
            raise translated(connections.refusal() or error, servers) from error
        found = {(place.topic, place.partition): at.offset for place, at in told.items() if at.offset >= 0}
        return {place: offset for place, offset in found.items() if (place in places if places else ours(place[0]))}

    return _Question(ask, admin.close)
