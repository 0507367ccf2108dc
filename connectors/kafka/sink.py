"""Events to Kafka: CloudEvents 1.0 in binary mode through an idempotent producer.

Attributes travel as `ce_*` headers and the data as the message, so that consumers route without parsing. The
producer repeats what the broker did not confirm without doubling it; what is not confirmed in time is not reported
as sent, stays in the outbox, and comes again with the same id.

A dead letter goes out as the message that it was: its own key, value and headers, and what is known of it as headers
`trueup.*` beside the `ce_*`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic

import confluent_kafka as ck

from connectors.kafka.access import Settings, nothing
from reconciler.letters import TOPIC as DEAD_LETTERS
from reconciler.letters import raw
from reconciler.ports import Event
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, TrueupError, Unreachable

Headers = list[tuple[str, str | bytes | None]]
_log = logging.getLogger(__name__)
_REFUSED = {
    "_AUTHENTICATION",
    "SASL_AUTHENTICATION_FAILED",
    "TOPIC_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED",  # brokers before 2.8 grant an idempotent producer by itself
}
_NO_TOPIC = {"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"}
_LISTEN_SECONDS = 0.5
_BYTES_MAX = 64_000_000
"""The broker's limit decides what is too large, not the client's of 1 MB: a dead letter was a message already."""
_OURS = {"metadata.broker.list", "request.required.acks", "delivery.timeout.ms", "transactional.id"}
"""Other names of settings that are ours (https://github.com/confluentinc/librdkafka, CONFIGURATION.md), and one that
asks for transactions."""
_TOO_LARGE = {"MSG_SIZE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"}


class KafkaEventSink:
    """An `EventSink` for topics `prefix.<topic>`; `settings` are asked for anew after a refusal. A call waits at most
    `seconds_max` for confirmations."""

    def __init__(self, servers: str, prefix: str, settings: Settings = nothing, *, seconds_max: float = 30.0) -> None:
        self._servers = servers
        self._prefix = prefix
        self._seconds_max = seconds_max
        self._settings = settings
        self._refused: ck.KafkaError | None = None
        self._producer: ck.Producer | None = self._made()

    def send(self, events: Sequence[Event]) -> Sequence[str]:
        """Ids that the broker confirmed. Only if there is none: Unreachable, Forbidden or Misconfigured (no topic)."""
        confirmed: list[str] = []
        failed: list[tuple[Event, ck.KafkaError]] = []
        producer = self._producer = self._producer or self._made()
        for event in events:
            self._produce(producer, event, confirmed, failed)
        if self._left(producer):  # not confirmed and not refused: forget them here, the outbox keeps them
            producer.purge()
            producer.flush(1.0)
        for event, error in failed:
            _log.warning("event %s was not delivered: %s", event.id, error.str())
        if self._refused is not None or any(error.fatal() for _, error in failed):
            self._producer = None
        if events and not confirmed:
            raise self._translated(failed[0] if failed else None)
        return confirmed

    def close(self) -> None:
        if self._producer is not None:
            self._producer.flush(self._seconds_max)

    def _left(self, producer: ck.Producer) -> int:
        """How many were not confirmed in time, or by when we were refused."""
        until = monotonic() + self._seconds_max
        while True:
            left = producer.flush(max(0.0, min(_LISTEN_SECONDS, until - monotonic())))
            if not left or self._refused is not None or monotonic() >= until:
                return left

    def _on_error(self, error: ck.KafkaError) -> None:
        if error.name() in _REFUSED:
            self._refused = error

    def _made(self) -> ck.Producer:
        """A new one: it doubles nothing that another one sent, since that is given up for good or was confirmed."""
        self._refused = None
        told = producer_settings(self._servers, self._settings(), self._seconds_max)
        try:
            return ck.Producer({**told, "error_cb": self._on_error}, logger=_log)
        except ck.KafkaException as error:
            raise Misconfigured(f"kafka client refuses its settings: {error.args[0].str()}") from error

    def _produce(
        self, producer: ck.Producer, event: Event, confirmed: list[str], failed: list[tuple[Event, ck.KafkaError]]
    ) -> None:
        def delivered(error: ck.KafkaError | None, _: object) -> None:
            if error is None:
                confirmed.append(event.id)
            else:
                failed.append((event, error))

        key, value, headers = message(event)
        send = partial(
            producer.produce, f"{self._prefix}.{event.topic}", value, key, headers=headers, on_delivery=delivered,
        )  # fmt: skip
        try:
            send()
        except BufferError:  # the client's queue is full: let it empty, then try once more
            producer.flush(self._seconds_max)
            send()
        except ck.KafkaException as error:
            failed.append((event, error.args[0]))
        producer.poll(0)

    def _translated(self, failure: tuple[Event, ck.KafkaError] | None) -> TrueupError:
        if self._refused is not None:
            why = f"kafka at {self._servers} refuses us: {self._refused.str()}"
            return Forbidden(f"{why}; check user, password and the right to write {self._prefix}.*")
        if failure is None:
            return Unreachable(f"kafka at {self._servers} confirmed nothing within {self._seconds_max:g} s")
        event, error = failure
        topic = f"{self._prefix}.{event.topic}"
        if error.name() in _REFUSED:
            return Forbidden(f"kafka at {self._servers} refuses us: {error.str()}; grant write on topic {topic}")
        if error.name() in _NO_TOPIC:
            return Misconfigured(f"kafka at {self._servers} has no topic {topic} and makes none: create it")
        if error.name() in _TOO_LARGE:
            return Permanent(f"event {event.id} is larger than kafka topic {topic} takes: raise max.message.bytes")
        if error.name() in ("_MSG_TIMED_OUT", "_TRANSPORT", "_ALL_BROKERS_DOWN", "_PURGE_QUEUE", "_PURGE_INFLIGHT"):
            return Unreachable(f"kafka at {self._servers} confirmed nothing within {self._seconds_max:g} s")
        return Temporary(f"kafka at {self._servers}: {error.str()}")


def producer_settings(servers: str, settings: Mapping[str, str], seconds_max: float) -> dict[str, object]:
    """The client's settings, those of the user among them. Where events go, that they are repeated without being
    doubled and how long they are waited for is ours to say, under each of the names that the client knows."""
    return {
        "linger.ms": 5,
        "message.max.bytes": _BYTES_MAX,
        "compression.type": "gzip",  # every client can read it without further packages
        "reconnect.backoff.max.ms": 1000,
        "client.id": "trueup",
        **{name: value for name, value in settings.items() if name not in _OURS},
        "bootstrap.servers": servers,
        "enable.idempotence": True,
        "acks": "all",
        "message.timeout.ms": int(seconds_max * 1000),
    }


def message(event: Event) -> tuple[bytes | None, bytes | None, Headers]:
    """Key, value and headers of the Kafka message that carries the event."""
    if event.topic != DEAD_LETTERS:
        return event.key.encode(), *binary(event)
    letter = raw(event)
    _, attributes = binary(event)
    about = [(name, value) for name, value in attributes if name != "content-type"]
    noted: Headers = [(f"trueup.{name}", value.encode()) for name, value in letter.notes]
    return letter.key, letter.value, [*letter.headers, *about, *noted]


def binary(event: Event) -> tuple[bytes, Headers]:
    """The data as JSON, and the other attributes as headers (CloudEvents 1.0, Kafka protocol binding)."""
    attributes = dict(event.body)
    data = attributes.pop("data", None)
    content_type = str(attributes.pop("datacontenttype", "application/json"))
    headers: Headers = [(f"ce_{name}", str(value).encode()) for name, value in attributes.items() if value is not None]
    return json.dumps(data, ensure_ascii=False).encode(), [*headers, ("content-type", content_type.encode())]
