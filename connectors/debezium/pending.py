"""One transaction while its events arrive from any number of partitions.

A *part* is what one partition has brought of it. Parts know the first and the last offset at which the transaction
was seen there: the first bounds where a restart must begin to read, the last tells copies that were sent again from
copies that were not (see `connectors.debezium.assembly`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

from connectors.debezium.event import RowEvent
from verifier.gtid import Binlog
from verifier.table import TableName

Partition = tuple[str, int]
_ORDER = attrgetter("order")


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


@dataclass(slots=True)
class Part:
    """What one partition has brought. `rows` is by order; once the transaction is too large only `orders` count."""

    first: int
    last: int
    rows: dict[int, RowEvent] = field(default_factory=dict)
    orders: Orders | None = None


@dataclass(slots=True)
class Pending:
    """A transaction whose end has not been delivered. `large` are the tables whose keys are no longer kept, `place` is
    that of one of its rows."""

    parts: dict[Partition, Part] = field(default_factory=dict)
    kept: int = 0
    large: set[TableName] = field(default_factory=set)
    shrunk: bool = False
    place: Binlog | None = None

    def add(self, partition: Partition, offset: int, row: RowEvent, keep_max: int) -> int:
        """Take a row in; returns by how much the number of kept rows grew (negative when the keys were let go)."""
        part = self.parts.get(partition)
        if part is None:
            part = self.parts[partition] = Part(offset, offset)
        part.last = max(part.last, offset)
        self.place = row.place
        if not self.shrunk:
            before = len(part.rows)
            part.rows[row.order] = row
            grown = len(part.rows) - before
            self.kept += grown
            return grown if self.kept <= keep_max else grown + self._shrink()
        if part.orders is None:
            part.orders = Orders()
        part.orders.add(row.order)
        if row.table is not None:
            self.large.add(row.table)
        return 0

    def add_all(self, partition: Partition, first: int, last: int, rows: Sequence[RowEvent], keep_max: int) -> int:
        """`add` of several rows of one partition, read between these offsets."""
        if self.shrunk or self.kept + len(rows) > keep_max:
            return sum(self.add(partition, first if row is rows[0] else last, row, keep_max) for row in rows)
        part = self.parts.get(partition)
        if part is None:
            part = self.parts[partition] = Part(first, last)
        part.last = max(part.last, last)
        self.place = rows[-1].place
        before = len(part.rows)
        part.rows.update(zip(map(_ORDER, rows), rows, strict=True))
        grown = len(part.rows) - before
        self.kept += grown
        return grown

    def _shrink(self) -> int:
        self.shrunk, kept = True, self.kept
        for part in self.parts.values():
            part.orders = Orders(part.rows)
            self.large.update(row.table for row in part.rows.values() if row.table is not None)
            part.rows = {}
        self.kept = 0
        return -kept

    def count(self) -> int:
        """Distinct events received."""
        if self.shrunk:
            bits = 0
            for part in self.parts.values():
                bits |= part.orders.as_int() if part.orders else 0
            return bits.bit_count()
        if len(self.parts) == 1:
            return self.kept
        return len(set().union(*(part.rows for part in self.parts.values())))

    def rows(self) -> list[RowEvent]:
        """The kept rows in their order, each once."""
        parts = list(self.parts.values())
        found = parts[0].rows if parts else {}
        for part in parts[1:]:
            found = found | part.rows
        return [found[order] for order in sorted(found)]
