"""The kafka-python client behind the `Consumer` port: for places without librdkafka. Its extra `crc32c` is needed:
without it each message is checked byte by byte in Python, which is slower than a busy leader writes.

It reconnects in silence, so an outage is found by asking: after some idle time the ends of the partitions are asked
for, and nobody answering is an outage.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from time import monotonic, sleep
from typing import Any, TypeVar

from connectors.debezium.pending import Partition
from connectors.kafka.access import for_kafka_python
from connectors.kafka.closing import ClosingSelector
from connectors.kafka.knocking import knock
from connectors.kafka.port import Polled, Record, Run
from verifier.errors import Forbidden, Misconfigured, Temporary, TrueupError, Unreachable

with warnings.catch_warnings():  # the client reads its own schemas by a way that Python 3.11 calls deprecated
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
    from kafka import errors as kafka_errors
    from kafka.admin import ConfigResource, ConfigResourceType
    from kafka.net.compat import KafkaNetClient
    from kafka.structs import OffsetAndMetadata

_IDLE_SECONDS = 2.0
_MEETING_SECONDS, _SECONDS = 1.0, 10.0
_KNOWN = {**KafkaProducer.DEFAULT_CONFIG, **KafkaAdminClient.DEFAULT_CONFIG, **KafkaConsumer.DEFAULT_CONFIG}
_REFUSED = (
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
)
_SLOT = "_next_partition_records"
T = TypeVar("T")


def options(settings: Mapping[str, str], client: type[Any]) -> dict[str, object]:
    """librdkafka's settings as keywords of this client, without those that are another client's."""
    found = for_kafka_python(settings, _KNOWN)
    return {name: value for name, value in found.items() if name in client.DEFAULT_CONFIG or name not in _KNOWN}


class Connections:
    """Makes the connections of a client, and notes why one was refused, which the client only logs. There is no public
    way: without it a refusal is an outage."""

    def __init__(self, *, login: bool) -> None:
        self._login = login
        self._made: list[Any] = []
        self._refused: Exception | None = None
        self._hung_up = 0  # on how many connections, one after the other

    def __call__(self, **settings: Any) -> Any:
        client = KafkaNetClient(**settings)
        self._made.append(client)
        manager = getattr(client, "_manager", None)
        get = getattr(manager, "get_connection", None)

        def noting(*args: Any, **more: Any) -> Any:
            assert get is not None
            connection = get(*args, **more)
            if hasattr(connection, "init_future"):
                connection.init_future.add_callback(self._met)
                connection.init_future.add_errback(self._lost)
            return connection

        if manager is not None and get is not None:
            manager.get_connection = noting
        return client

    def _met(self, _: object) -> None:
        self._hung_up = 0

    def _lost(self, error: Exception) -> None:
        if isinstance(error, _REFUSED):
            self._refused = error
        self._hung_up = self._hung_up + 1 if str(error).endswith("socket disconnected") else 0

    def refusal(self) -> Exception | None:
        """The latest one since the last call."""
        found, self._refused = self._refused, None
        if found is None and self._login and self._hung_up > 1:
            # Over TLS the client does not read what the broker said before it hung up.
            found, self._hung_up = kafka_errors.SaslAuthenticationFailedError("it hangs up while we log in"), 0
        return found

    def end(self) -> None:
        """A client that could not be made would leave its thread behind."""
        for one in self._made:
            one.close()


def made(client: Any, told: Mapping[str, object], seconds_max: float) -> tuple[Any, Connections]:
    """Raises the client's own errors. Whoever is refused is told so soon, and not only when all patience is over."""
    until, seconds = monotonic() + seconds_max, min(_MEETING_SECONDS, seconds_max)
    while True:
        connections = Connections(login=str(told.get("security_protocol", "")).startswith("SASL"))
        try:
            ours = {"bootstrap_timeout_ms": int(seconds * 1000), "kafka_client": connections}
            return client(**{**told, **ours, "selector": ClosingSelector}), connections
        except BaseException as error:
            connections.end()
            refusal = connections.refusal()
            if refusal is not None:
                raise refusal from error
            if not isinstance(error, kafka_errors.KafkaTimeoutError) or monotonic() + seconds > until:
                raise
            seconds *= 2


class KafkaPythonConsumer:
    """`settings` carry librdkafka's names of security, SASL and SSL settings. Questions to the broker wait at
    most `seconds_max`."""

    def __init__(
        self, servers: str, group: str, settings: Mapping[str, str] | None = None, *, seconds_max: float = 10.0
    ) -> None:
        self._servers = servers
        self._seconds_max = seconds_max
        self._told = False
        self._heard_at = monotonic()
        self._assigned: set[Partition] = set()
        self._settings = dict(settings or {})
        knock(servers, options(self._settings, KafkaConsumer), seconds_max)
        try:
            self._consumer, self._connections = made(KafkaConsumer, self._configured(group), seconds_max)
        except (TypeError, ValueError, AssertionError, OSError, kafka_errors.KafkaConfigurationError) as error:
            raise Misconfigured(f"kafka client refuses its settings: {error}") from error
        except kafka_errors.KafkaError as error:
            raise self._translated(error) from error

    def _configured(self, group: str) -> dict[str, object]:
        """What it was told, and what the stream needs, which wins."""
        return {
            "fetch_max_wait_ms": 100,
            "client_id": "trueup",
            **options(self._settings, KafkaConsumer),
            "bootstrap_servers": self._servers.split(","),
            "group_id": group,
            "enable_auto_commit": False,
            "auto_offset_reset": "none",
            "isolation_level": "read_committed",
            "allow_auto_create_topics": False,
        }

    def partitions(self) -> Mapping[str, Sequence[int]]:
        names = self._asked(self._consumer.topics)
        return {name: sorted(self._consumer.partitions_for_topic(name) or ()) for name in names}

    def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        known = self.partitions()
        places = [TopicPartition(*place) for place in partitions if place[1] in known.get(place[0], ())]
        if not places:
            return {}
        low = self._asked(lambda: self._consumer.beginning_offsets(places, timeout_ms=int(self._seconds_max * 1000)))
        high = self._asked(lambda: self._consumer.end_offsets(places, timeout_ms=int(self._seconds_max * 1000)))
        return {(place.topic, place.partition): (low[place], high[place]) for place in places}

    def made(self, topics: Collection[str]) -> Mapping[str, int]:
        self.partitions()  # asks for the topics anew
        cluster = getattr(getattr(self._consumer, "_client", None), "cluster", None)  # there is no public way
        numbers = {topic: cluster.topic_id(topic) for topic in topics if cluster is not None}
        return {topic: number.int for topic, number in numbers.items() if number is not None and number.int}

    def compacted(self, topics: Collection[str]) -> Collection[str]:
        if not topics:
            return []
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
        admin, _ = self._asked(lambda: admin_of(self._servers, self._settings))
        try:
            told = admin.describe_configs(asked).get("topic", {})
        except (kafka_errors.KafkaError, AttributeError):
            return []  # whoever may not ask is not told
        finally:
            admin.close()
        return [topic for topic, config in told.items() if "compact" in str(config.get("cleanup.policy", ""))]

    def assign(self, positions: Mapping[Partition, int]) -> None:
        self._assigned = set(positions)
        if not positions:  # then nothing is polled
            return
        self._consumer.assign([TopicPartition(*place) for place in positions])
        for place, offset in positions.items():
            self._consumer.seek(TopicPartition(*place), offset)

    def poll(self, records_max: int, seconds_max: float) -> Polled:
        if not self._assigned:  # this client returns at once without an assignment
            sleep(seconds_max)
            return Polled()
        self._unpark()
        try:
            found = self._consumer.poll(timeout_ms=int(seconds_max * 1000), max_records=records_max)
        except kafka_errors.OffsetOutOfRangeError as error:
            lost = [(place.topic, place.partition) for place in error.args[0]]
            return Polled((), lost)
        except kafka_errors.NoOffsetForPartitionError as error:
            return Polled((), [(place.topic, place.partition) for place in error.args[0]])
        except kafka_errors.CorruptRecordError as error:  # asked again here, this client looks for the rest without end
            told = re.findall(r"topic='([^']+)', partition=(\d+)", str(error))
            return Polled((), [(topic, int(number)) for topic, number in told] or sorted(self._assigned))
        except kafka_errors.KafkaError as error:
            raise self._translated(error) from error
        if found:
            self._heard_at, self._told = monotonic(), False
            return Polled([_run((place.topic, place.partition), messages) for place, messages in found.items()])
        refusal = self._connections.refusal()
        if refusal is not None:
            raise self._translated(refusal)
        self._check()
        return Polled((), (), self._ends())

    def _unpark(self) -> None:
        """What was fetched of a partition and then paused comes back only into an empty slot, and the client leaves
        what it has used up in there (3.0.12): while nothing else came, a resumed partition brought nothing, for good.
        There is no public way."""
        fetcher = getattr(self._consumer, "_fetcher", None)
        if fetcher is not None and not getattr(fetcher, _SLOT, None):
            setattr(fetcher, _SLOT, None)

    def _check(self) -> None:
        """Ask whether somebody is there when nothing was heard for a while; says so once per outage."""
        if monotonic() - self._heard_at < _IDLE_SECONDS:
            return
        place = TopicPartition(*min(self._assigned))
        try:
            self._asked(lambda: self._consumer.end_offsets([place], timeout_ms=2000))
        except Forbidden:
            raise
        except TrueupError:
            if not self._told:
                self._told = True
                raise
        else:
            self._told = False
        self._heard_at = monotonic()

    def _ends(self) -> Mapping[Partition, int]:
        """Positions have passed everything that is never delivered, transaction markers among it."""
        found = {}
        for place in self._assigned:
            partition = TopicPartition(*place)
            high = self._consumer.highwater(partition)
            if high is not None and self._consumer.position(partition, timeout_ms=100) == high:
                found[place] = high
        return found

    def pause(self, partitions: Collection[Partition], paused: bool) -> None:
        change = self._consumer.pause if paused else self._consumer.resume
        change(*[TopicPartition(*place) for place in partitions])

    def high(self, partition: Partition) -> int | None:
        place = TopicPartition(*partition)
        high = self._consumer.highwater(place) if partition in self._assigned else None
        return int(high) if high is not None else None

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        places = {TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
        self._consumer.commit_async(places)

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=2000)

    def _asked(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except kafka_errors.KafkaError as error:
            raise self._translated(self._connections.refusal() or error) from error

    def _translated(self, error: Exception) -> TrueupError:
        return translated(error, self._servers)


def admin_of(servers: str, settings: Mapping[str, str]) -> tuple[Any, Connections]:
    """One that asks, to be closed: it has a thread. Raises the client's own errors."""
    told = {"client_id": "trueup", **options(settings, KafkaAdminClient), "bootstrap_servers": servers.split(",")}
    return made(KafkaAdminClient, told, _SECONDS)


def translated(error: Exception, servers: str) -> TrueupError:
    """The client's error as one of ours."""
    if isinstance(error, _REFUSED):
        return Forbidden(f"kafka at {servers} refuses us: {error}; check user, password and topic rights")
    if isinstance(error, kafka_errors.UnsupportedCodecError):
        return Misconfigured(f"kafka-python cannot unpack a message: {error}; install that codec or use confluent")
    if isinstance(error, (kafka_errors.KafkaTimeoutError, kafka_errors.KafkaConnectionError)):
        return Unreachable(f"kafka at {servers} does not answer ({type(error).__name__}): is it running")
    return Temporary(f"kafka at {servers}: {error}")


def _run(place: Partition, messages: Sequence[Any]) -> Run:
    return Run(
        place,
        [message.offset for message in messages],
        [message.key for message in messages],
        [message.value for message in messages],
        _at(messages[-1]),
        lambda index: _record(messages[index]),
        _epoch(messages[-1]),
    )


def _epoch(message: Any) -> int | None:
    return message.leader_epoch if message.leader_epoch is not None and message.leader_epoch >= 0 else None


def _at(message: Any) -> float | None:
    return message.timestamp / 1000 if message.timestamp is not None and message.timestamp >= 0 else None


def _record(message: Any) -> Record:
    at = _at(message)
    headers = tuple(message.headers or ())
    return Record(message.topic, message.partition, message.offset, message.key, message.value, at, headers)
