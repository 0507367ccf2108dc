"""Messages that nobody understands, kept whole for people to look at."""

from __future__ import annotations

import re

from connectors.debezium.event import Unreadable
from connectors.kafka.port import Record
from verifier.change import DeadLetter

_QUOTED = re.compile(r"""'[^']*'|"[^"]*"|b'[^']*'""")
_TEXT_MAX = 300


def dead_letter(record: Record, error: Unreadable) -> DeadLetter:
    """The message as it came, with the class of what was wrong and what it said."""
    fault = type(error.__cause__).__name__ if error.__cause__ is not None else type(error).__name__
    return DeadLetter(
        record.topic,
        record.partition,
        record.offset,
        record.at,
        record.key,
        record.value,
        record.headers,
        fault,
        without_values(str(error)),
    )


def without_values(text: str) -> str:
    """An error's text without what it quotes: libraries quote what they could not read, which is somebody's data."""
    return _QUOTED.sub("...", text)[:_TEXT_MAX]
