"""What the stream needs from a Kafka client, so that everything else is written once.

Partitions are assigned explicitly and read from explicit offsets: the journal is the only truth about where we are.
A client's own reconnecting stays the client's; a call says so once with `Temporary` and the next call goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from connectors.debezium.pending import Partition


@dataclass(frozen=True, slots=True)
class Record:
    """One message as the broker holds it; `at` is its timestamp in seconds since the epoch."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    at: float | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def place(self) -> Partition:
        return self.topic, self.partition


@dataclass(frozen=True, slots=True)
class Run:
    """Messages of one partition, in order, column by column: taking each of them apart by itself would cost more than
    what is read from it. `at` is the timestamp of the last one, seconds since the epoch; `record` gives one whole, by
    its index; `epoch` counts the partition's leaders up to the one that wrote the last one (None: not told)."""

    place: Partition
    offsets: Sequence[int]
    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    at: float | None
    record: Callable[[int], Record]
    epoch: int | None = None


@dataclass(frozen=True, slots=True)
class Polled:
    """Messages, in order per partition; partitions whose offset the broker no longer (or not yet) holds; and ends that
    were reached, as the offset behind everything there (transaction markers too, which are never delivered)."""

    runs: Sequence[Run] = ()
    lost: Sequence[Partition] = ()
    ends: Mapping[Partition, int] = field(default_factory=dict)


class Consumer(Protocol):
    """Forbidden if the broker refuses us, Temporary for everything that may pass."""

    def partitions(self) -> Mapping[str, Sequence[int]]:
        """All topics with their partitions, asked afresh."""
        ...

    def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """First offset that can be read and the offset behind the last, asked afresh; without partitions that the
        broker does not have."""
        ...

    def made(self, topics: Collection[str]) -> Mapping[str, int]:
        """The broker's own number of each topic: another one means that the topic was deleted and made anew. Without
        topics whose number it does not tell."""
        ...

    def compacted(self, topics: Collection[str]) -> Collection[str]:
        """Those of which the broker may throw away messages that have a later one with the same key, as far as it tells
        us."""
        ...

    def assign(self, positions: Mapping[Partition, int]) -> None:
        """Read exactly these partitions, each from the given offset."""
        ...

    def poll(self, records_max: int, seconds_max: float) -> Polled:
        """What has come; waits only if there is nothing."""
        ...

    def pause(self, partitions: Collection[Partition], paused: bool) -> None:
        """Read none of these for now, or go on. What is assigned once more stays paused."""
        ...

    def high(self, partition: Partition) -> int | None:
        """The offset behind the last message as of the last fetch, without asking; None if not known yet."""
        ...

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell the group (and whoever exports its lag); never waited for."""
        ...

    def close(self) -> None: ...
