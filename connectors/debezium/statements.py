"""Statements that a binlog holds by themselves, until what stands before them has been delivered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from connectors.debezium.event import End, Statement
from connectors.debezium.pending import Partition
from connectors.debezium.source import Source, TransactionId
from verifier.change import Blindness
from verifier.gtid import Binlog
from verifier.position import Position

_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class Placed:
    """A statement with an id, and where it was read."""

    xid: TransactionId
    commit: Position
    committed_at: float
    blind: tuple[Blindness, ...]
    place: Binlog | None
    places: tuple[tuple[Partition, int], ...]


class Statements:
    """Waiting statements, and which were delivered lately (they come again when the connector goes back)."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._waiting: list[Placed] = []
        self._delivered: OrderedDict[TransactionId | None, frozenset[Blindness]] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether any waits."""
        return bool(self._waiting)

    def add(self, partition: Partition, offset: int, event: Statement) -> None:
        """One statement may be told of by several events: one for each table."""
        if event.xid is None or event.commit is None:
            raise ValueError("a statement without an id has no place among transactions")
        for index, known in enumerate(self._waiting):
            if known.xid == event.xid:
                blind = tuple(dict.fromkeys((*known.blind, *event.blind)))
                self._waiting[index] = replace(known, blind=blind, places=(*known.places, (partition, offset)))
                return
        places = ((partition, offset),)
        self._waiting.append(Placed(event.xid, event.commit, event.committed_at, event.blind, event.place, places))

    def told(self, event: Statement) -> bool:
        """Whether this very statement was delivered before."""
        return set(event.blind) <= self._delivered.get(event.xid, frozenset())

    def next(self, delivered: Position | None, head: End | None) -> Placed | None:
        """The next one to deliver, which then waits no longer: with a head one that stands before it, without a head
        one that follows directly on what was delivered."""
        ready = [found for found in self._waiting if self._ready(found, delivered, head)]
        if not ready:
            return None
        first = next((one for one in ready if not any(self._before(other, one) for other in ready)), ready[0])
        self._waiting.remove(first)
        self._delivered[first.xid] = frozenset(first.blind)
        if len(self._delivered) > _REMEMBERED:
            self._delivered.popitem(last=False)
        return first

    def first(self) -> Iterator[tuple[Partition, int]]:
        """Where the waiting ones were read."""
        return (place for found in self._waiting for place in found.places)

    def _ready(self, found: Placed, delivered: Position | None, head: End | None) -> bool:
        if delivered is not None and delivered.covers(found.commit):
            return True
        if head is not None:
            return self._source.precedes(found.commit, head.commit)
        return not self._source.passed_over(delivered, found.commit)

    def _before(self, one: Placed, other: Placed) -> bool:
        return one is not other and self._source.precedes(one.commit, other.commit)
