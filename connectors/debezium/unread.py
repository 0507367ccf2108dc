"""Messages that nobody understands, among which the rows may be that a transaction lacks.

A transaction that lacks no more rows than there are unread messages of its tables is not kept waiting once all that
was sent before its END has been read: these messages may be its rows, and their keys (or, where a key is not known, the
whole table) are told as blind with it. Before that they may be anybody's, and the rows may lie where nobody has read
yet. Should such a row come after all, it is told by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from connectors.debezium.columns import Stretch
from connectors.debezium.event import End
from connectors.debezium.pending import Partition
from connectors.debezium.source import TransactionId
from verifier.change import Blindness, Cause
from verifier.table import Key, TableName

Place: TypeAlias = tuple[Partition, int, Key | None]
"""Where such a message lies, and its key, if that was understood."""
_PLACES_MAX = 10_000
_SHORT_MAX = 1_000
_KEYS_MAX = 1_000
"""With more keys that one transaction may have touched its table is blind as a whole."""


class UnreadMessages:
    """By table, as they were read; the oldest go first where they are too many."""

    def __init__(self) -> None:
        self._places: dict[TableName, list[Place]] = {}
        self._short: dict[TransactionId, Mapping[Partition, int]] = {}  # delivered, perhaps without a row; see `beside`

    def __bool__(self) -> bool:
        return bool(self._places)

    def add(self, table: TableName, partition: Partition, offset: int, key: Key | None) -> None:
        places = self._places.setdefault(table, [])
        places.append((partition, offset, key))
        del places[:-_PLACES_MAX]

    def enough(self, end: End, lacking: int) -> bool:
        """Whether they may be the rows that a transaction lacks, so many."""
        return 0 < lacking <= sum(map(len, self._of(end).values()))

    def instead_of(self, end: End, lacking: int, *, sure: bool) -> tuple[Blindness, ...] | None:
        """What is told of a transaction that lacks so many rows; None if they are not among these messages. Not `sure`:
        its rows may yet come, so their keys may be any."""
        found = self._of(end)
        if lacking > sum(map(len, found.values())):
            return None
        blind = tuple(_unreadable(name, places if sure else ()) for name, places in found.items())
        for places in found.values():
            del places[:lacking]
        self._remember(end.xid, {})
        return blind

    def beside(self, end: End, highest: Mapping[Partition, int], *, sure: bool) -> tuple[Blindness, ...]:
        """What is told of a transaction of which nobody knows how many rows it has: any of these messages may be one of
        them. Not `sure`: others may yet come. Should one come after all, behind the `highest` of its partition, it is
        told by itself."""
        self._remember(end.xid, highest)
        if not sure:
            what = f"the connector went on in the middle of transaction {end.xid}: too much waits to know its rows"
            return (Blindness(Cause.GAP, None, what),)
        return tuple(Blindness(Cause.UNREADABLE, name, "a row of this transaction") for name in self._places)

    def _remember(self, xid: TransactionId, highest: Mapping[Partition, int]) -> None:
        self._short[xid] = highest
        if len(self._short) > _SHORT_MAX:
            del self._short[next(iter(self._short))]

    def _of(self, end: End) -> dict[TableName, list[Place]]:
        """Those of its tables."""
        names = [TableName.parse(name) for name, _ in end.by_table]
        return {name: self._places[name] for name in names if self._places.get(name)}

    def late(self, partition: Partition, xid: TransactionId, stretch: Stretch) -> list[Blindness]:
        """Rows of a transaction that was delivered: what is told of them, if it was delivered without a row."""
        known = self._short.get(xid)
        if known is None or stretch.table is None or max(stretch.orders) <= known.get(partition, -1):
            return []
        keys = None if stretch.told is None else tuple(dict.fromkeys(stretch.told.keys))
        return [Blindness(Cause.UNREADABLE, stretch.table, "rows that came behind their transaction", keys)]

    def forget_before(self, partition: Partition, offset: int) -> None:
        """A row of a delivered transaction lies there: what lies before it belongs to what was delivered."""
        for table, places in list(self._places.items()):
            places[:] = [place for place in places if place[0] != partition or place[1] >= offset]
            if not places:
                del self._places[table]


def _unreadable(name: TableName, places: Sequence[Place]) -> Blindness:
    keys = tuple(key for _, _, key in places[: _KEYS_MAX + 1] if key is not None)
    told = 0 < len(keys) == len(places) <= _KEYS_MAX
    return Blindness(Cause.UNREADABLE, name, "a row of this transaction", keys if told else None)
