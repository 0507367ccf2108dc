"""One transaction while its events arrive from any number of partitions.

A *part* is what one partition has brought of it. Parts know the first and the last offset at which the transaction
was seen there: the first bounds where a restart must begin to read, the last tells copies that were sent again from
copies that were not (see `connectors.debezium.assembly`).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from connectors.debezium.columns import Stretch
from verifier.gtid import Binlog
from verifier.spans import Gathered
from verifier.table import TableName

Partition = tuple[str, int]
_STRETCHES_MAX = 1_000


class Orders:
    """A set of small whole numbers as bits: what a transaction too large to keep is counted with."""

    __slots__ = ("_bits",)

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._bits = bytearray()
        for number in numbers:
            self.add(number)

    def add(self, number: int) -> None:
        index, bit = divmod(number, 8)
        if index >= len(self._bits):
            self._bits.extend(bytes(max(index + 1 - len(self._bits), 64)))
        self._bits[index] |= 1 << bit

    def as_int(self) -> int:
        return int.from_bytes(self._bits, "little")


class Part(msgspec.Struct, gc=False):
    """What one partition has brought: which of the transaction's events, and what they told, in the order of arrival.
    Once the transaction is too large they are only counted, in `many`."""

    first: int
    last: int
    orders: set[int]
    stretches: list[Stretch]
    many: Orders | None = None


class Pending(msgspec.Struct, gc=False):
    """A transaction whose end has not been delivered; of a `large` one the keys are no longer kept, but where they
    lie (`gathered`). `place` is that of one of its rows."""

    parts: dict[Partition, Part] = {}
    kept: int = 0
    large: bool = False
    gathered: dict[TableName, Gathered] = {}
    place: Binlog | None = None

    def add(self, partition: Partition, first: int, last: int, stretch: Stretch, keep_max: int) -> int:
        """Take in what lies in one partition between these offsets; returns by how much the number of kept rows grew
        (negative when the keys were let go)."""
        self.place = stretch.place
        part = self.parts.get(partition)
        if part is None:
            part = self.parts[partition] = Part(first, last, set() if self.large else set(stretch.orders), [stretch])
            grown = len(part.orders)
        else:
            part.last = max(part.last, last)
            part.stretches.append(stretch)
            before = len(part.orders)
            if not self.large:
                part.orders.update(stretch.orders)
            grown = len(part.orders) - before
        if self.large:
            self._count(part, stretch)
            return 0
        self.kept += grown
        return grown if self.kept <= keep_max else grown + self._shrink()

    def _count(self, part: Part, stretch: Stretch) -> None:
        if part.many is None:
            part.many = Orders()
        for order in stretch.orders:
            part.many.add(order)
        if stretch.table is not None and stretch.blind is None:
            gathered = self.gathered.setdefault(stretch.table, Gathered())
            if stretch.told is None:
                gathered.anywhere()
            else:
                gathered.add(stretch.told.keys)
        stretch.orders, stretch.told = (), None
        if len(part.stretches) > _STRETCHES_MAX:
            part.stretches = list({(one.table, one.fields, one.blind): one for one in part.stretches}.values())

    def _shrink(self) -> int:
        self.large, kept = True, self.kept
        for part in self.parts.values():
            for stretch in part.stretches:
                self._count(part, stretch)
            part.orders = set()
        self.kept = 0
        return -kept

    def count(self) -> int:
        """Distinct events received."""
        if self.large:
            bits = 0
            for part in self.parts.values():
                bits |= part.many.as_int() if part.many else 0
            return bits.bit_count()
        if len(self.parts) == 1:
            return self.kept
        return len(set().union(*(part.orders for part in self.parts.values())))

    def stretches(self) -> list[Stretch]:
        """What all partitions brought."""
        if len(self.parts) == 1:
            (part,) = self.parts.values()
            return part.stretches
        return [stretch for part in self.parts.values() for stretch in part.stretches]
