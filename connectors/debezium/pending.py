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
VALUES_BYTES = 48 << 20
"""Messages of one transaction that are kept, from which values are read: they say much besides these."""
KEYS_BYTES = 32 << 20
"""Text of keys of one transaction that are kept one by one, once its messages were let go of."""


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


class Rising:
    """A set of numbers of any size that rise in a partition, but where they come again (`Source.number_of`)."""

    __slots__ = ("count", "last")

    def __init__(self) -> None:
        self.count, self.last = 0, -1

    def add(self, number: int) -> None:
        if number > self.last:
            self.count, self.last = self.count + 1, number


class Part(msgspec.Struct, gc=False):
    """What one partition has brought: which of the transaction's events, and what they told, in the order of arrival.
    Once the transaction is too large they are only counted, in `many`."""

    first: int
    last: int
    orders: set[int]
    stretches: list[Stretch]
    many: Orders | Rising | None = None
    bytes: int = 0


class Pending(msgspec.Struct, gc=False):
    """A transaction whose end has not been delivered; of a `valueless` one only the keys are kept, and of a `large` one
    not even these, but where they lie (`gathered`). `bytes` is about what is kept. `place` is that of one of its
    rows; `several_logs`: others stand in another file, so they were read from several servers, as the connector went
    from one to another, and nothing tells which of them are the same."""

    parts: dict[Partition, Part] = {}
    kept: int = 0
    large: bool = False
    gathered: dict[TableName, Gathered] = {}
    place: Binlog | None = None
    valueless: bool = False
    bytes: int = 0
    several_logs: bool = False

    def add(self, partition: Partition, first: int, last: int, stretch: Stretch, keep_max: int) -> int:
        """Take in what lies in one partition between these offsets; returns by how much the number of kept rows grew
        (negative when the keys were let go)."""
        if self.place is not None and stretch.place is not None and self.place.file != stretch.place.file:
            self.several_logs = True
        self.place = stretch.place
        if self.valueless:
            stretch.forget_values()
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
        size = stretch.size
        part.bytes += size
        self.bytes += size
        if self.bytes > VALUES_BYTES and not self.valueless:
            self.forget_values()
        fits = self.kept <= keep_max and (self.bytes <= KEYS_BYTES or not self.valueless)
        return grown if fits else grown + self.let_go()

    def forget_values(self) -> None:
        """Keep of the changes what they are and their keys."""
        self.valueless, self.bytes = True, 0
        for part in self.parts.values():
            for stretch in part.stretches:
                stretch.forget_values()
            part.bytes = sum([stretch.size for stretch in part.stretches])
            self.bytes += part.bytes

    def _count(self, part: Part, stretch: Stretch) -> None:
        if part.many is None:
            part.many = Orders() if stretch.place is None else Rising()
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

    def let_go(self) -> int:
        """Keep of the changes only where their keys lie; returns by how much the number of kept rows grew: it sank."""
        self.large, self.valueless, kept = True, True, self.kept
        for part in self.parts.values():
            for stretch in part.stretches:
                self._count(part, stretch)
            part.orders, part.bytes = set(), 0
        self.kept = self.bytes = 0
        return -kept

    def count(self) -> int:
        """Distinct events received."""
        if self.large:
            bits = rising = 0
            for part in self.parts.values():
                if isinstance(part.many, Rising):
                    rising += part.many.count
                elif part.many is not None:
                    bits |= part.many.as_int()
            return bits.bit_count() + rising
        if len(self.parts) == 1:
            return self.kept
        return len(set().union(*(part.orders for part in self.parts.values())))

    def highest(self) -> dict[Partition, int]:
        """The last number of each partition, of numbers that rise in each."""
        parts = self.parts.items()
        return {
            place: one.many.last if isinstance(one.many, Rising) else max(one.orders, default=-1)
            for place, one in parts
        }

    def stretches(self) -> list[Stretch]:
        """What all partitions brought."""
        if len(self.parts) == 1:
            (part,) = self.parts.values()
            return part.stretches
        return [stretch for part in self.parts.values() for stretch in part.stretches]
