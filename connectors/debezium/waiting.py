"""Rows whose transaction has not been delivered, by transaction and by the partition in which they lie.

Most transactions end soon after their rows were read, with all of them in one run. So the rows of the run that came
last are not taken apart (`fresh`): either each transaction's part of it is taken whole, in the order in which they lie
there, or they are settled, before anything else is done with rows: then they wait like all others, and the run is let
go of.

Who reads reads no further while too many bytes wait (`connectors.kafka.pressure`). Where that cannot be, since what the
transaction at the head lacks lies behind them, the largest of those that wait lose their values, and then their keys.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from connectors.debezium.columns import Stretch, Stretches
from connectors.debezium.event import End
from connectors.debezium.pending import VALUES_BYTES, Part, Partition, Pending
from connectors.debezium.run import PartOfRun, Run
from connectors.debezium.source import TransactionId
from verifier.table import TableName

BYTES_MAX = 2 * VALUES_BYTES


def rows_lacking(end: End, pending: Pending | None) -> int:
    """How many of its rows have not come, where these wait."""
    return end.events - (pending.count() if pending is not None else 0)


class WaitingRows:
    """`keep_max` bounds the rows of one transaction, and `bytes_max` the messages of all."""

    def __init__(self, keep_max: int, bytes_max: int = BYTES_MAX) -> None:
        self._keep_max = keep_max
        self._bytes_max = bytes_max
        self._kept = self._fresh_rows = self._bytes = 0
        self._pending: dict[TransactionId, Pending] = {}
        self._there: dict[Partition, dict[TransactionId, None]] = {}  # with a part there, in order of first arrival
        self._latest: tuple[Partition, Sequence[int], Run] | None = None
        self._fresh: deque[tuple[TransactionId, int, int]] = deque()  # of the latest run, from and to which index

    @property
    def kept(self) -> int:
        """How many rows wait."""
        return self._kept + self._fresh_rows

    def waiting(self, partition: Partition) -> int:
        """How many rows wait there; takes a while where there are many."""
        self._settle()
        there = self._there.get(partition, ())
        return sum([len(self._pending[xid].parts[partition].orders) for xid in there])

    @property
    def bytes(self) -> int:
        """About how many these rows take."""
        if not self._fresh or self._latest is None or self._latest[2].told is None:
            return self._bytes
        return self._bytes + self._latest[2].told.between(self._fresh[0][1], self._fresh[-1][2]).size

    @property
    def pending(self) -> Mapping[TransactionId, Pending]:
        self._settle()
        return self._pending

    def get(self, xid: TransactionId) -> Pending | None:
        """What waits of this transaction."""
        self._settle(xid)
        return self._pending.get(xid)

    def holds(self, partition: Partition, xid: TransactionId) -> bool:
        """Whether rows of this transaction wait that came in this partition."""
        self._settle(xid)
        return xid in self._there.get(partition, ())

    def begin(self, partition: Partition, offsets: Sequence[int], run: Run) -> bool:
        """This run came behind all others, each event at its offset; `fresh` then tells its parts. False if they must
        be `add`ed, because one of its transactions has others in between."""
        self._settle()
        self._latest = partition, offsets, run
        return len({xid for xid, _ in run.counts}) == len(run.counts)

    def fresh(self, xid: TransactionId, start: int, stop: int) -> bool:
        """Take in these events of the latest run, behind those before, all that the run has of their transaction; False
        if they must be `add`ed: there were others before, some came twice, or there are too many."""
        assert self._latest is not None
        count = stop - start
        orders = self._latest[2].orders[start:stop]
        if xid in self._pending or count > self._keep_max or len(set(orders)) != count:
            return False
        self._fresh.append((xid, start, stop))
        self._fresh_rows += count
        return True

    def add(self, partition: Partition, xid: TransactionId, first: int, last: int, stretch: Stretch) -> int:
        """Take in what lies in one partition between these offsets; returns by how much the number of kept rows grew
        (negative when the keys were let go)."""
        self._settle()
        return self._add(partition, xid, first, last, stretch)

    def _settle(self, xid: TransactionId | None = None) -> None:
        """With a transaction only if some of what is fresh is of it."""
        if xid is not None and not any(xid == other for other, _, _ in self._fresh):
            return
        if self._fresh and self._latest is not None:
            partition, offsets, run = self._latest
            for one, start, stop in self._fresh:
                self._add(partition, one, offsets[start], offsets[stop - 1], run.stretch(start, stop))
            self._fresh.clear()
            self._fresh_rows = 0

    def _add(self, partition: Partition, xid: TransactionId, first: int, last: int, stretch: Stretch) -> int:
        there = self._there.get(partition)
        if there is None:
            there = self._there[partition] = {}
        there[xid] = None
        pending = self._pending.get(xid)
        if pending is None:
            orders, size = set(stretch.orders), stretch.size
            if (grown := len(orders)) <= self._keep_max and size <= VALUES_BYTES:  # the same as below, and as most are
                part = Part(first, last, orders, [stretch], None, size)
                self._pending[xid] = Pending({partition: part}, grown, place=stretch.place, bytes=size)
                self._kept += grown
                self._bytes += size
                if self._bytes > self._bytes_max:
                    self._let_go()
                return grown
            pending = self._pending[xid] = Pending()
        before = pending.bytes
        grown = pending.add(partition, first, last, stretch, self._keep_max)
        self._kept += grown
        self._bytes += pending.bytes - before
        if self._bytes > self._bytes_max:
            self._let_go()
        return grown

    def _let_go(self) -> None:
        """Of the values of the largest, and then of their keys, until half as much waits as may."""
        for valueless in (False, True):
            waiting = [one for one in self._pending.values() if one.valueless == valueless and not one.large]
            for pending in sorted(waiting, key=lambda one: one.bytes, reverse=True):
                if self._bytes <= self._bytes_max // 2:
                    return
                self._bytes -= pending.bytes
                if valueless:
                    self._kept += pending.let_go()
                else:
                    pending.forget_values()
                self._bytes += pending.bytes

    def take_whole(self, end: End, fields: Mapping[TableName, tuple[str, ...]]) -> Stretches | None:
        """The changes of a transaction if one stretch holds each of its events once, with the very columns that their
        table's last rows had (`fields`), and blinds nothing: as most do. It then waits no longer, nor does what lies
        wholly before it."""
        if self._fresh and self._fresh[0][0] == end.xid:
            return self._take_fresh(end, fields)
        pending = self._pending.get(end.xid)
        if pending is None or pending.kept != end.events or pending.large or len(pending.parts) != 1:
            return None
        ((place, part),) = pending.parts.items()
        if len(part.stretches) != 1:
            return None
        (stretch,) = part.stretches
        blank = stretch.blind is not None or stretch.table is None or fields.get(stretch.table) is not stretch.fields
        if blank or len(stretch.orders) != end.events:
            return None
        self._drop(end.xid)
        self.drop_before(place, part.last)
        return Stretches((stretch,), size=0 if stretch.told is None else end.events)

    def _take_fresh(self, end: End, fields: Mapping[TableName, tuple[str, ...]]) -> Stretches | None:
        assert self._latest is not None
        partition, offsets, run = self._latest
        _, start, stop = self._fresh[0]
        if stop - start != end.events or (run.fields and fields.get(run.table) != run.fields):
            return None
        self._fresh.popleft()
        self._fresh_rows -= end.events
        if self._there.get(partition):
            self._drop_before(partition, offsets[stop - 1])  # what is fresh lies behind it
        return PartOfRun(run, start, stop)

    def drop(self, xid: TransactionId) -> None:
        """Forget the rows of a transaction, if there are any."""
        self._settle(xid)
        self._drop(xid)

    def _drop(self, xid: TransactionId) -> None:
        pending = self._pending.pop(xid, None)
        if pending is not None:
            self._kept -= pending.kept
            self._bytes -= pending.bytes
            for partition in pending.parts:
                self._there[partition].pop(xid, None)

    def drop_before(self, partition: Partition, offset: int) -> bool:
        """Forget what a transaction has in this partition where all of that lies before `offset`; whether there was
        any."""
        if self._fresh and self._latest is not None:
            place, offsets, _ = self._latest
            if place == partition and offsets[self._fresh[0][1]] < offset:
                self._settle()
        return self._drop_before(partition, offset)

    def _drop_before(self, partition: Partition, offset: int) -> bool:
        before: list[TransactionId] = []
        for xid in self._there.get(partition, ()):
            part = self._pending[xid].parts[partition]
            if part.first > offset:
                break
            if part.last < offset:
                before.append(xid)
        for xid in before:
            del self._there[partition][xid]
            pending = self._pending[xid]
            part = pending.parts.pop(partition)
            gone = len(part.orders)
            pending.kept -= gone
            pending.bytes -= part.bytes
            self._kept -= gone
            self._bytes -= part.bytes
            if not pending.parts:
                del self._pending[xid]
        return bool(before)

    def first(self) -> Iterator[tuple[Partition, int]]:
        """Where the oldest of them lie."""
        if self._fresh and self._latest is not None:
            partition, offsets, _ = self._latest
            yield partition, offsets[self._fresh[0][1]]
        for partition, there in self._there.items():
            if there:
                yield partition, self._pending[next(iter(there))].parts[partition].first
