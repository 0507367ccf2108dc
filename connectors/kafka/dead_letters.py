"""Messages that nobody understands, kept whole for people to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors.kafka.port import Record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """The message as it came (key, value, headers, topic, partition, offset) and what was wrong with it."""

    record: Record
    error: str


OnDeadLetter = Callable[[DeadLetter], None]


def ignore(letter: DeadLetter) -> None:
    """For those who keep none: the blindness of the table is recorded all the same."""
