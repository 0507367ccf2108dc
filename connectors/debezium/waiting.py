"""Rows whose transaction has not been delivered, by transaction and by the partition in which they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from connectors.debezium.columns import Stretch
from connectors.debezium.event import End
from connectors.debezium.pending import Part, Partition, Pending
from connectors.debezium.source import TransactionId
from verifier.table import TableName

_NOTHING: dict[TransactionId, None] = {}


class WaitingRows:
    """`kept` rows of all transactions that are in `pending`; `keep_max` bounds those of one."""

    def __init__(self, keep_max: int) -> None:
        self.kept = 0
        self.pending: dict[TransactionId, Pending] = {}
        self._keep_max = keep_max
        self._there: dict[Partition, dict[TransactionId, None]] = {}  # with a part there, in order of first arrival

    def add(self, partition: Partition, xid: TransactionId, first: int, last: int, stretch: Stretch) -> int:
        """Take in what lies in one partition between these offsets; returns by how much the number of kept rows grew
        (negative when the keys were let go)."""
        there = self._there.get(partition)
        if there is None:
            there = self._there[partition] = {}
        there[xid] = None
        pending = self.pending.get(xid)
        if pending is None:
            orders = set(stretch.orders)
            if (grown := len(orders)) <= self._keep_max:  # the same as below, and as most are
                part = Part(first, last, orders, [stretch])
                self.pending[xid] = Pending({partition: part}, grown, place=stretch.place)
                self.kept += grown
                return grown
            pending = self.pending[xid] = Pending()
        grown = pending.add(partition, first, last, stretch, self._keep_max)
        self.kept += grown
        return grown

    def take_whole(self, end: End, fields: Mapping[TableName, tuple[str, ...]]) -> Stretch | None:
        """The one stretch that holds each event of a transaction once, if that is so, its rows have the very columns
        that their table's last ones had (`fields`), and it blinds nothing: as most are. It then waits no longer, nor
        does what lies wholly before it."""
        pending = self.pending.get(end.xid)
        if pending is None or pending.kept != end.events or pending.large or len(pending.parts) != 1:
            return None
        ((place, part),) = pending.parts.items()
        if len(part.stretches) != 1:
            return None
        (stretch,) = part.stretches
        blank = stretch.blind is not None or stretch.table is None or fields.get(stretch.table) is not stretch.fields
        if blank or len(stretch.orders) != end.events:
            return None
        del self.pending[end.xid]
        self.kept -= pending.kept
        there = self._there[place]
        there.pop(end.xid, None)
        for xid in there:
            if self.pending[xid].parts[place].first < part.last:
                self.drop_before(place, part.last)
            break
        return stretch

    def drop(self, xid: TransactionId) -> None:
        """Forget the rows of a transaction, if there are any."""
        pending = self.pending.pop(xid, None)
        if pending is not None:
            self.kept -= pending.kept
            for partition in pending.parts:
                self._there[partition].pop(xid, None)

    def drop_before(self, partition: Partition, offset: int) -> bool:
        """Forget what a transaction has in this partition where all of that lies before `offset`; whether there was
        any."""
        there = self._there.get(partition, _NOTHING)
        before: list[TransactionId] = []
        for xid in there:
            part = self.pending[xid].parts[partition]
            if part.first > offset:
                break
            if part.last < offset:
                before.append(xid)
        for xid in before:
            del there[xid]
            pending = self.pending[xid]
            gone = len(pending.parts.pop(partition).orders)
            pending.kept -= gone
            self.kept -= gone
            if not pending.parts:
                del self.pending[xid]
        return bool(before)

    def first(self) -> Iterator[tuple[Partition, int]]:
        """Where the oldest of them lie."""
        for partition, there in self._there.items():
            if there:
                yield partition, self.pending[next(iter(there))].parts[partition].first
