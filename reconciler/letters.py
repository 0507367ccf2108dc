"""A message that nobody understood, as an event: kept whole, so that people can look at it and send it again.

The bytes are in the data as base64, because an event is JSON; a sink that can carry bytes (Kafka) sends them unchanged
and the rest as headers. The id is the message's place, time and bytes, so that reading it again tells nothing new, and
another message at the same place of a topic that was made anew does.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from reconciler.events import Announcer, rfc3339
from reconciler.ports import Event
from verifier.change import DeadLetter
from verifier.identity import stable_id

TOPIC = "dead-letters"


def dead_letter_event(announcer: Announcer, letter: DeadLetter, *, version: str, now: float) -> Event:
    """`version` is trueup's, `now` seconds since the epoch."""
    place = f"{letter.topic}:{letter.partition}"
    contents = blake2b(repr((letter.key, letter.value)).encode(), digest_size=16).hexdigest()
    identity = stable_id("event", "letter", announcer.group, place, str(letter.offset), repr(letter.at), contents)
    partition = f"{announcer.group}|{place}"
    data = {
        "group": announcer.group,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp": None if letter.at is None else rfc3339(letter.at),
        "error": letter.fault,
        "text": letter.text,
        "version": version,
        "key": _spelled(letter.key),
        "value": _spelled(letter.value),
        "headers": [[name, _spelled(value)] for name, value in letter.headers],
    }
    body = {
        "specversion": "1.0",
        "id": identity,
        "source": announcer.source,
        "type": "io.trueup.letter.dead.v1",
        "subject": place,
        "time": rfc3339(now),
        "datacontenttype": "application/json",
        "dataschema": "urn:trueup:events:letter.v1",
        "partitionkey": partition,
        "data": data,
    }
    return Event(id=identity, topic=TOPIC, key=partition, body=body)


@dataclass(frozen=True, slots=True)
class RawLetter:
    """The message of such an event as it was, and what was noted of it, in order."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    notes: tuple[tuple[str, str], ...]


_NOTED = ("topic", "partition", "offset", "timestamp", "error", "text", "version")


def raw(event: Event) -> RawLetter:
    """The bytes back out of an event that `dead_letter_event` made. ValueError or KeyError for any other."""
    data = event.body["data"]
    if not isinstance(data, Mapping):
        raise ValueError(f"event {event.id} is no dead letter")
    headers = tuple((str(name), _bytes(value)) for name, value in data["headers"])
    notes = tuple((name, str(data[name])) for name in _NOTED if data[name] is not None)
    return RawLetter(_bytes(data["key"]), _bytes(data["value"]), headers, notes)


def _spelled(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw).decode("ascii")


def _bytes(spelled: str | None) -> bytes | None:
    return None if spelled is None else b64decode(spelled, validate=True)
