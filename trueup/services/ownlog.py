"""What followers wrote themselves, remembered for those who ask why a row differs (`verifier.ownlog`).

A follower's own log tells every image that it wrote, and with which of the leader's transactions it came. From where on
it is known is a place in that log; anchors say what the follower had applied of the leader's at such places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from verifier.change import Batch, Transaction
from verifier.ports import ChangeStream
from verifier.position import Position
from verifier.remembered import Remembered
from verifier.table import Key, TableName
from verifier.trace import Recalled

OWN = "trueup"
"""The origin of our own repairs."""
_ANCHORS_MAX = 2048


class OwnLog(Protocol):
    """One follower's."""

    def place(self) -> Position | None:
        """How far it has been read, or is written; asked before the follower is asked what it has applied. None: not
        known yet."""
        ...

    def reached(self) -> bool:
        """Whether all that the follower shows by now has been read. Called again for a few seconds until it has."""
        ...

    def changes(self, table: TableName, key: Key) -> Recalled:
        """What was written of the key, oldest first, with the leader's commits as origins; complete behind `since`, a
        place in this log."""
        ...


@dataclass(slots=True)
class Heard:
    """An `OwnLog` that is fed as the follower's stream is read. `end`: how far the follower's log is written by now."""

    end: Callable[[], Position]
    _remembered: Remembered = field(default_factory=Remembered)
    _lock: Lock = field(default_factory=Lock)

    def batch(self, batch: Batch, now: float) -> None:
        with self._lock:
            self._remembered.add(batch, now)

    def place(self) -> Position | None:
        with self._lock:
            return self._remembered.through

    def reached(self) -> bool:
        end, through = self.end(), self.place()
        return through is not None and through.covers(end)

    def changes(self, table: TableName, key: Key) -> Recalled:
        with self._lock:
            return self._remembered.changes(table, key)


@dataclass(slots=True)
class Overheard:
    """A follower's `ChangeStream` beside its subscriptions, that tells `log` everything: for the thread that reads it.
    `overheard` is what the stream calls with each transaction."""

    stream: ChangeStream
    log: Heard
    now: Callable[[], float]
    _heard: list[Transaction] = field(default_factory=list)

    def overheard(self, transaction: Transaction) -> None:
        self._heard.append(transaction)

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        """What was heard before is heard again, or lost."""
        self._heard.clear()
        begin = self.stream.start(offsets, read_through)
        if begin is not None:
            self.log.batch(Batch((), begin), self.now())
        return begin

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        batch = self.stream.poll(changes_max=changes_max, seconds_max=seconds_max)
        heard, self._heard = tuple(self._heard), []
        self.log.batch(Batch(heard, batch.read_through, blind=batch.blind), self.now())
        return batch

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        self.stream.acknowledge(offsets)

    def close(self) -> None:
        self.stream.close()


@dataclass(slots=True)
class Anchors:
    """Of one follower, oldest first: places in its own log, and what it had applied of the leader's when asked after
    them. What is not covered by that was applied behind the place."""

    _kept: list[tuple[Position, Position]] = field(default_factory=list)

    def add(self, place: Position, applied: Position) -> None:
        if self._kept and not applied.covers(self._kept[-1][1]):
            self._kept.clear()  # another server, or a restored one
        self._kept.append((place, applied))
        if len(self._kept) > _ANCHORS_MAX:
            half = _ANCHORS_MAX // 2
            self._kept = self._kept[0:half:2] + self._kept[half:]

    def applied(self, since: Position) -> Position | None:
        """Everything that the leader committed and that this does not cover was applied behind `since`."""
        return next((applied for place, applied in self._kept if place.covers(since)), None)
