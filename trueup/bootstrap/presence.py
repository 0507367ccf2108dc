"""Whether the connector is there at all, and what is lost where it was deleted and registered anew.

A connector that Kafka Connect does not know tells nothing, and one that is registered again under its name need not go
on where the other was: with its slot or its offsets everything that was committed between is lost, and nothing in its
topics says so. So the stream is a gap twice: when the connector is missed, and with the first transaction that comes
from beyond where the leader stood when it was back, since whatever is lost lies before that one. Meanwhile no table is
judged by the stream. What was told is kept until the journal holds it, and told again where the stream starts once more
before that: nothing in the topics would bring it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

from verifier.change import Batch, Blindness, Cause
from verifier.ports import ChangeStream
from verifier.position import Position


@dataclass(slots=True)
class Presence:
    """Of one connector. Noted by whoever asks Kafka Connect, told by the thread that reads the stream. `written` is the
    leader's position now."""

    name: str
    written: Callable[[], Position]
    missed: bool = False
    _told: bool = True
    _back_at: Position | None = None
    _missing_held: bool = False
    _back_held: Position | None = None
    """What was told and is not journaled yet, as far as anybody knows."""
    _lock: Lock = field(default_factory=Lock)

    @property
    def whole(self) -> bool:
        """Nothing that the connector does not tell can be in flight."""
        return not self.missed and self._back_at is None

    def absent(self) -> None:
        """Kafka Connect does not know it."""
        with self._lock:
            if not self.missed:
                self.missed, self._told, self._back_at = True, False, None

    def present(self) -> None:
        """Kafka Connect knows it. Temporary or Permanent while the leader does not say where it stands."""
        if self.missed:
            written = self.written()
            with self._lock:
                self.missed, self._back_at = False, written

    def guard(self, batch: Batch) -> Batch:
        """The batch, with what is lost."""
        with self._lock:
            lost: list[str] = []
            if not self._told:
                self._told = self._missing_held = True
                lost.append("Kafka Connect does not know it: trueup connector register")
            back = self._back_at
            if back is not None and any(not back.covers(one.commit) for one in batch.transactions):
                self._back_at, self._back_held = None, back
                lost.append("it was registered anew, and need not go on where it was")
        blind = tuple(Blindness(Cause.GAP, None, f"connector {self.name}: {why}") for why in lost)
        return replace(batch, blind=(*batch.blind, *blind)) if blind else batch

    def journaled(self) -> None:
        """The journal holds everything that was told."""
        with self._lock:
            self._missing_held, self._back_held = False, None

    def again(self) -> None:
        """The stream starts (again) behind what the journal holds."""
        with self._lock:
            if self._missing_held:
                self._told = False
            if self._back_held is not None and self._back_at is None and not self.missed:
                self._back_at = self._back_held
            self._missing_held, self._back_held = False, None


@dataclass(slots=True)
class Guarded:
    """A `ChangeStream` whose connector's presence is watched."""

    stream: ChangeStream
    presence: Presence

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        self.presence.again()
        return self.stream.start(offsets, read_through)

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        return self.presence.guard(self.stream.poll(changes_max=changes_max, seconds_max=seconds_max))

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        self.presence.journaled()
        self.stream.acknowledge(offsets)

    def close(self) -> None:
        self.stream.close()
