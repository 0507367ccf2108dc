"""The confluent-kafka client (librdkafka) behind the `Consumer` port."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import groupby
from time import monotonic, sleep
from typing import Any, TypeVar, cast

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, ConfigResource, OffsetSpec, ResourceType  # type: ignore[attr-defined]

from connectors.debezium.pending import Partition
from connectors.kafka.port import Polled, Record, Run
from verifier.errors import Forbidden, Misconfigured, Temporary, Unreachable

T = TypeVar("T")
_log = logging.getLogger(__name__)
_LOST = {
    "_AUTO_OFFSET_RESET",
    "OFFSET_OUT_OF_RANGE",
    "UNKNOWN_TOPIC_OR_PART",
    "_UNKNOWN_PARTITION",
    "_UNKNOWN_TOPIC",
}
_ELECTING = {"NOT_LEADER_FOR_PARTITION", "LEADER_NOT_AVAILABLE", "FENCED_LEADER_EPOCH", "UNKNOWN_LEADER_EPOCH"}
"""A partition changes its leader, or has just been made: the broker knows more in a moment."""
_LEADERLESS = {*_ELECTING, "_NOENT"}
"""The last: not one of all that were asked for has a leader, or is there."""
_LATER = object()
_EARLIEST, _LATEST = OffsetSpec.earliest(), OffsetSpec.latest()  # type: ignore[no-untyped-call]
_REFUSED = {
    "_AUTHENTICATION",
    "SASL_AUTHENTICATION_FAILED",
    "TOPIC_AUTHORIZATION_FAILED",
    "GROUP_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",
}
_SPOILT = {"_BAD_MSG", "_BAD_COMPRESSION"}
"""Messages that are not as they were sent. The client goes on behind them."""
_ASKING_SECONDS = 1.0
_AWAY = {"_TRANSPORT", "_ALL_BROKERS_DOWN", "_RESOLVE", "_TIMED_OUT"}


def configured(servers: str, group: str, settings: Mapping[str, str]) -> dict[str, object]:
    """What a consumer is told: `settings`, and what the stream needs, which wins."""
    return {
        "fetch.wait.max.ms": 100,
        "reconnect.backoff.max.ms": 1000,
        "queued.max.messages.kbytes": 16_384,
        "fetch.queue.backoff.ms": 5,  # by default it rests for a second whenever that queue was full
        "fetch.max.bytes": 8_388_608,
        "check.crcs": True,
        **settings,
        "bootstrap.servers": servers,
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "allow.auto.create.topics": False,
    }


class ConfluentConsumer:
    """`settings` are librdkafka's own (security, SASL, SSL), added to what the stream needs. Questions
    to the broker wait at most `seconds_max`."""

    def __init__(
        self, servers: str, group: str, settings: Mapping[str, str] | None = None, *, seconds_max: float = 10.0
    ) -> None:
        self._servers = servers
        self._seconds_max = seconds_max
        self._outage: str | None = None
        self._past: str | None = None  # an outage before what came last, which may have waited here already
        self._told = False
        self._extra = dict(settings or {})
        self._asking: AdminClient | None = None
        self._assigned = self._met = self._ending = self._barred = False
        try:
            self._consumer = ck.Consumer(
                {**configured(servers, group, self._extra), "error_cb": self._on_error}, logger=_log
            )
        except ck.KafkaException as error:
            raise Misconfigured(f"kafka client refuses its settings: {error.args[0].str()}") from error

    def _on_error(self, error: ck.KafkaError) -> None:
        if self._ending:
            return
        if error.name() in _REFUSED:
            raise translated(error, self._servers)
        self._barred = error.name() == "_SSL"
        if self._barred or (error.name() == "_ALL_BROKERS_DOWN" and self._outage is None):
            self._outage, self._told, self._past = error.str(), self._told and self._past is None, None

    def partitions(self) -> Mapping[str, Sequence[int]]:
        self._barred = False
        topics = answered(
            lambda seconds: self._consumer.list_topics(timeout=seconds).topics, self._why, self._seconds_max
        )
        self._met = True
        return {name: sorted(topic.partitions) for name, topic in topics.items() if topic.error is None}

    def _why(self, error: ck.KafkaError) -> tuple[Exception, bool]:
        self._hear()
        return translated(error, self._servers, self._outage), self._barred

    def _hear(self) -> None:
        """Forbidden if we were refused, which a question does not tell: it merely is not answered. While something is
        assigned `poll` tells it."""
        if not self._assigned:
            self._consumer.poll(0)

    def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """All at once and beside the stream's own connection: what is asked there one by one waits behind a fetch each
        time, for a tenth of a second."""
        if partitions and not self._met:
            self.partitions()  # which notices that we are refused
        found: dict[Partition, tuple[int, int]] = {}
        until, asked = monotonic() + self._seconds_max, list(partitions)
        while asked:
            low, high = self._offsets(asked, _EARLIEST), self._offsets(asked, _LATEST)
            told = {place: self._bound(low[place], high[place], last=monotonic() > until) for place in asked}
            found |= {place: bound for place, bound in told.items() if isinstance(bound, tuple)}
            if asked := [place for place, bound in told.items() if bound is _LATER]:
                sleep(0.1)
                known = self.partitions()
                asked = [place for place in asked if place[1] in known.get(place[0], ())]
        return found

    def _offsets(self, places: Collection[Partition], what: OffsetSpec) -> Mapping[Partition, Future[Any]]:
        asked = {ck.TopicPartition(*place): what for place in places}
        answers = self._admin().list_offsets(
            asked, isolation_level=ck.IsolationLevel.READ_COMMITTED, request_timeout=self._seconds_max
        )
        return {(place.topic, place.partition): answer for place, answer in answers.items()}

    def _bound(self, low: Future[Any], high: Future[Any], *, last: bool) -> tuple[int, int] | object | None:
        """None where there is no such partition; `_LATER` if that will be known in a moment, unless it was the `last`
        time that it was asked."""
        try:
            return low.result(self._seconds_max).offset, high.result(self._seconds_max).offset
        except ck.KafkaException as error:
            name = error.args[0].name()
            if name in _LOST:
                return None
            if name in _LEADERLESS and not last:
                return _LATER
            if name in _AWAY:
                self._hear()
            raise translated(error.args[0], self._servers) from error
        except TimeoutError as error:
            raise self._away() from error

    def made(self, topics: Collection[str]) -> Mapping[str, int]:
        asked = self._admin().describe_topics(ck.TopicCollection(list(topics)), request_timeout=self._seconds_max)
        found = {topic: self._answer(answer) for topic, answer in asked.items()} if topics else {}
        return {topic: _number(told.topic_id) for topic, told in found.items() if told is not None}

    def compacted(self, topics: Collection[str]) -> Collection[str]:
        asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        answers = self._admin().describe_configs(asked, request_timeout=self._seconds_max) if topics else {}
        told = {resource.name: self._answer(answer) for resource, answer in answers.items()}
        return [topic for topic, config in told.items() if config and "compact" in config["cleanup.policy"].value]

    def _admin(self) -> AdminClient:
        if self._asking is None:
            self._asking = AdminClient({**self._extra, "bootstrap.servers": self._servers}, logger=_log)
        return self._asking

    def _answer(self, answer: Future[Any]) -> Any:
        """None where the broker does not tell: no right to ask, no such topic, an old broker."""
        try:
            return answer.result(self._seconds_max)
        except ck.KafkaException as error:
            if error.args[0].name() in _AWAY:
                raise translated(error.args[0], self._servers) from error
            return None
        except TimeoutError as error:
            raise self._away() from error

    def _away(self) -> Unreachable:
        return Unreachable(f"kafka at {self._servers} does not answer: is it running")

    def assign(self, positions: Mapping[Partition, int]) -> None:
        self._assigned = bool(positions)
        self._consumer.assign([ck.TopicPartition(*partition, offset) for partition, offset in positions.items()])

    def poll(self, records_max: int, seconds_max: float) -> Polled:
        first = self._consumer.poll(seconds_max)
        if first is None:
            if self._past is not None:
                self._mind_the_past(self._past)
            if self._outage and not self._told:
                self._told = True
                raise Unreachable(f"kafka at {self._servers} does not answer ({self._outage}): is it running")
            return Polled()
        # consume() waits until it has as many as asked for, or its timeout: with 0 it takes what is there
        messages = [first, *self._consumer.consume(records_max - 1, 0)] if records_max > 1 else [first]
        lost: list[Partition] = []
        ends: dict[Partition, int] = {}
        if any(map(ck.Message.error, messages)):
            odd = [message for message in messages if message.error() is not None]
            messages = [message for message in messages if message.error() is None]
            self._heed(odd, lost, ends)
        if (messages or ends) and self._outage is not None:
            self._outage, self._past = None, self._outage
        return Polled(_runs(messages), lost, ends)

    def _mind_the_past(self, outage: str) -> None:
        """Ask whether somebody is there: an outage is heard of once, and what was fetched before may come after it."""
        self._past = None
        try:
            self._consumer.list_topics(timeout=_ASKING_SECONDS)
        except ck.KafkaException as error:
            self._outage = outage if error.args[0].name() in _AWAY else None
        else:
            self._told = False

    def _heed(self, odd: Sequence[ck.Message], lost: list[Partition], ends: dict[Partition, int]) -> None:
        """What came as messages and are none."""
        for message in odd:
            error = message.error()
            if error is None:
                continue
            if error.name() == "_PARTITION_EOF":
                ends[_place(message)] = message.offset() or 0
            elif error.name() in _LOST:
                lost.append(_place(message))
            elif error.name() in _SPOILT:
                _log.error("kafka: %s", error.str())
                lost.append(_place(message))
            elif error.name() in _REFUSED:
                raise translated(error, self._servers)
            else:
                self._outage = error.str()
                _log.warning("kafka: %s", error.str())

    def pause(self, partitions: Collection[Partition], paused: bool) -> None:
        change = self._consumer.pause if paused else self._consumer.resume
        change([ck.TopicPartition(*partition) for partition in partitions])

    def high(self, partition: Partition) -> int | None:
        known = self._consumer.get_watermark_offsets(ck.TopicPartition(*partition), cached=True)
        return known[1] if known is not None and known[1] >= 0 else None

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        places = [ck.TopicPartition(*partition, offset) for partition, offset in offsets.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except ck.KafkaException as error:
            _log.warning("kafka: offsets for exporters not committed: %s", error.args[0].str())

    def close(self) -> None:
        self._ending = True  # being refused is no hindrance
        self._consumer.close()
        self._asking = None


def _number(identity: Any) -> int:
    """128 bits, of which the client has two signed halves."""
    high, low = int(identity.get_most_significant_bits()), int(identity.get_least_significant_bits())
    return (high % 2**64 << 64) + low % 2**64


def _place(message: ck.Message) -> Partition:
    return message.topic() or "", message.partition() or 0


def _runs(messages: Sequence[ck.Message]) -> list[Run]:
    """By partition, as they came. What is asked of every message is asked without a loop of ours, by methods of the
    class: to look each of them up in its message would take four times as long."""
    topics, partitions = list(map(ck.Message.topic, messages)), list(map(ck.Message.partition, messages))
    if messages and topics.count(topics[0]) == partitions.count(partitions[0]) == len(messages):
        return [_run(_place(messages[0]), messages)]
    runs: list[Run] = []
    start = 0
    for _, group in groupby(zip(topics, partitions, strict=True)):
        end = start + len(list(group))
        runs.append(_run(_place(messages[start]), messages[start:end]))
        start = end
    return runs


def _run(place: Partition, messages: Sequence[ck.Message]) -> Run:
    offsets = cast("list[int]", list(map(ck.Message.offset, messages)))  # None is for messages that were not consumed
    keys, values = list(map(ck.Message.key, messages)), list(map(ck.Message.value, messages))
    return Run(place, offsets, keys, values, _at(messages[-1]), partial(_whole, messages), messages[-1].leader_epoch())


def _whole(messages: Sequence[ck.Message], index: int) -> Record:
    return _record(messages[index])


def _at(message: ck.Message) -> float | None:
    kind, milliseconds = message.timestamp()
    return milliseconds / 1000 if kind != ck.TIMESTAMP_NOT_AVAILABLE else None


def _record(message: ck.Message) -> Record:
    at = _at(message)
    headers = [(entry[0], entry[1]) for entry in message.headers() or () if not isinstance(entry[1], str)]
    return Record(*_place(message), message.offset() or 0, message.key(), message.value(), at, tuple(headers))


def answered(
    question: Callable[[float], T], why: Callable[[ck.KafkaError], tuple[Exception, bool]], seconds_max: float
) -> T:
    """What `question` answers, which is told how many seconds it has: asked again, for twice as long, while nobody
    answers, for `seconds_max` in all. `why` says what an error means, and whether it is in vain to ask again."""
    until, seconds = monotonic() + seconds_max, _ASKING_SECONDS
    while True:
        try:
            return question(min(seconds, seconds_max))
        except ck.KafkaException as error:
            meaning, in_vain = why(error.args[0])
            if in_vain or error.args[0].name() not in _AWAY or monotonic() + seconds > until:
                raise meaning from error
            seconds *= 2


def told_by(client: ck.Consumer, noted: Iterable[ck.KafkaError], servers: str) -> Exception | None:
    """Why a question was not answered, if it is that we were refused; `noted` is what the client's `error_cb` fills."""
    client.poll(0)
    return next((translated(error, servers) for error in noted if error.name() in _REFUSED), None)


def translated(error: ck.KafkaError, servers: str, why: str | None = None) -> Exception:
    """The client's error as one of ours; `why` says more of an outage."""
    if error.name() in _REFUSED:
        return Forbidden(f"kafka at {servers} refuses us: {error.str()}; check user, password and topic rights")
    if error.name() in _AWAY:
        return Unreachable(f"kafka at {servers} does not answer ({why or error.str()}): is it running")
    return Temporary(f"kafka at {servers}: {error.str()}")
