"""The changes of one key, read back from Debezium's topics.

The table's topic is read from a place that the limits allow up to its present end, and only the events of the wanted
key are kept. Their transactions' ends, which tell commits, stand in the transaction topic, which is read in the same
way. Nothing is committed to the broker, and the daemon's own place is not touched.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic

from connectors.debezium.decoder import Decoder
from connectors.debezium.event import End, RowEvent, Unreadable
from connectors.debezium.pending import Partition
from connectors.debezium.source import TransactionId
from connectors.kafka.port import Consumer, Record, Run
from verifier.position import Position
from verifier.table import Key, TableName
from verifier.trace import CUT, RECALLED_BYTES, Recalled, Traced

_RECORDS = 2000
_WAIT_SECONDS = 0.2
_OTHERS_BYTES = 8 << 20
"""Keys that are known to be others', which spares reading their messages."""


@dataclass(frozen=True, slots=True)
class Limits:
    """At most so many of the newest messages of a topic are read, and not for longer than `seconds` in all."""

    messages: int = 500_000
    seconds: float = 30.0


class KafkaHistory:
    """A `verifier.trace.History`. One thread; `seconds` is a monotonic clock."""

    def __init__(
        self,
        consumer: Consumer,
        decoder: Decoder,
        prefix: str,
        limits: Limits | None = None,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._consumer = consumer
        self._decoder = decoder
        self._prefix = prefix
        self._limits = limits or Limits()
        self._seconds = seconds

    def changes(self, table: TableName, key: Key, since: Position | None = None) -> Recalled:
        """Behind `since`, or as far back as the limits allow. Temporary or Forbidden as any read from the broker."""
        until = self._seconds() + self._limits.seconds
        topics = self._consumer.partitions()
        data = {
            (topic, number)
            for topic, numbers in topics.items()
            if self._decoder.table_named(topic) == table
            for number in numbers
        }
        if not data:
            return Recalled(note=f"the broker has no topic of {table}")
        events, firsts, whole, cut = self._events(data, table, key, until)
        wanted = {event.xid for _, event in events} | set(firsts.values())
        ends, ended = self._ends(wanted, until)
        found = [traced for place, event in events if (traced := _traced(place, event, ends)) is not None]
        notes = [] if whole and ended else ["not everything within the limits could be read in time"]
        if lost := len(events) - len(found):
            notes.append(f"of {lost} changes the transaction's end was not found, so they are left out")
        changes = tuple(one for one in found if since is None or not since.covers(one.commit))
        held = {record.place for record, _ in events} or set(firsts)
        begun = [ends[firsts[place]].commit if firsts[place] in ends else None for place in held]
        complete = _latest(begun) if not notes else None
        return Recalled(changes, complete, "; ".join([*notes, CUT] if cut else notes))

    def close(self) -> None:
        self._consumer.close()

    def _events(
        self, places: set[Partition], table: TableName, key: Key, until: float
    ) -> tuple[Sequence[tuple[Record, RowEvent]], dict[Partition, TransactionId], bool, bool]:
        """The events of the key with their messages, the newest that fit; the transaction with which what is known of
        each partition begins; whether all was read; and whether older ones did not fit."""
        found: deque[tuple[Record, RowEvent]] = deque()
        firsts: dict[Partition, TransactionId] = {}
        others: set[bytes] = set()
        held = passed = 0
        cut = False
        reading = _Reading(self._consumer, places, self._limits.messages, until, self._seconds)
        for run, index in reading.messages():
            bare, value = run.keys[index], run.values[index]
            if bare is None or value is None or bare in others:
                continue
            try:
                event = self._decoder.decode(run.place[0], bare, value)
            except Unreadable:
                continue  # the stream tells it
            if not isinstance(event, RowEvent) or event.change is None:
                continue
            firsts.setdefault(run.place, event.xid)
            if (event.change.table, event.change.key) != (table, key):
                others.add(bare)
                passed += len(bare)
                if passed > _OTHERS_BYTES:
                    others.clear()
                    passed = 0
                continue
            found.append((run.record(index), event))
            held += len(value)
            while held > RECALLED_BYTES and len(found) > 1:
                record, earlier = found.popleft()
                firsts[record.place], cut = earlier.xid, True
                held -= len(record.value or b"")
        return found, firsts, reading.complete, cut

    def _ends(self, wanted: set[TransactionId], until: float) -> tuple[dict[TransactionId, End], bool]:
        """The ends of these transactions."""
        if not wanted:
            return {}, True
        found: dict[TransactionId, End] = {}
        reading = _Reading(
            self._consumer, {(f"{self._prefix}.transaction", 0)}, 4 * self._limits.messages, until, self._seconds
        )
        for run, index in reading.messages():
            try:
                event = self._decoder.decode(run.place[0], run.keys[index], run.values[index])
            except Unreadable:
                continue
            if isinstance(event, End) and event.xid in wanted:
                found[event.xid] = event
        return found, reading.complete


class _Reading:
    """Partitions from as far back as is allowed to their present ends."""

    def __init__(
        self, consumer: Consumer, places: set[Partition], messages: int, until: float, seconds: Callable[[], float]
    ) -> None:
        self._consumer, self._until, self._seconds = consumer, until, seconds
        bounds = consumer.bounds(places)
        each = max(1, messages // max(1, len(bounds)))
        self._from = {place: max(low, high - each) for place, (low, high) in bounds.items() if high > low}
        self._ends = {place: high for place, (low, high) in bounds.items() if high > low}
        self.complete = False

    def messages(self) -> Iterator[tuple[Run, int]]:
        """In order per partition: a run, and the index in it."""
        reached = dict(self._from)
        if reached:
            self._consumer.assign(reached)
        while any(reached[place] < end for place, end in self._ends.items()):
            left = self._until - self._seconds()
            if left <= 0:
                return
            polled = self._consumer.poll(_RECORDS, min(left, _WAIT_SECONDS))
            for run in polled.runs:
                for index, offset in enumerate(run.offsets):
                    if offset < self._ends.get(run.place, 0):
                        reached[run.place] = offset + 1
                        yield run, index
            for place, offset in polled.ends.items():
                if place in reached:
                    reached[place] = max(reached[place], offset)
            if any(place in reached for place in polled.lost):
                return
        self.complete = True


def _latest(positions: Sequence[Position | None]) -> Position | None:
    """Behind it every partition was read; None if of one it is not known from where on."""
    latest: Position | None = None
    for position in positions:
        if position is None:
            return None
        latest = position if latest is None or position.covers(latest) else latest
    return latest


def _traced(record: Record, event: RowEvent, ends: Mapping[TransactionId, End]) -> Traced | None:
    end, change = ends.get(event.xid), event.change
    if end is None or change is None:
        return None
    place = f"{record.topic}:{record.partition}@{record.offset}"
    after = None if change.after is None else dict(change.after)
    return Traced(end.commit, change.operation, after, None, end.committed_at, None, str(event.xid), place)
