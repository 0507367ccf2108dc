"""Connectors that read a binlog: MySQL and MariaDB (what is said of both stands in `connectors.debezium.source`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from connectors.debezium import binlog_types, binlog_values
from connectors.debezium.modes import Modes
from connectors.debezium.source import TransactionId, named
from connectors.debezium.types import Type
from connectors.debezium.values import Decoded
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.position import Position
from verifier.table import Column, TableName

_DOMAIN = re.compile(r"(\d+)-(\d+)-(\d+)", re.ASCII)
_ORIGIN = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?::[a-z_][a-z0-9_]{0,31})?):(\d+)", re.ASCII | re.I)
_PLACE = re.compile(r"file=([^,]+),pos=(\d+)", re.ASCII)
_ROW_BITS = 32
"""More rows than any event holds."""


@dataclass(frozen=True, slots=True)
class BinlogSource:
    """`mariadb`: MariaDB's connector. `present` is the leader's `position`: a set of ids says where the present is only
    together with all ids before it. `fence`: MySQL alone."""

    mariadb: bool
    present: Callable[[], Position] | None = None
    fence: Callable[[], tuple[Position, Position]] | None = None
    linear = False

    def transaction(self, written: object) -> str:
        if isinstance(written, str) and (self._gtid().fullmatch(written) or _PLACE.fullmatch(written)):
            return written
        raise ValueError(
            f"transaction id {str(written)[:60]!r} is neither a GTID nor file=..,pos=..: another database?"
        )

    def runs(self, written: Sequence[str]) -> Sequence[tuple[TransactionId, int]]:
        return [(self.transaction(one), len(list(group))) for one, group in groupby(written)]

    def end(self, written: object) -> tuple[str, Position]:
        xid = self.transaction(written)
        return xid, self.position(xid)

    def position(self, xid: str) -> Position:
        """The position of one transaction by itself. Without a GTID it is a place inside the transaction."""
        place = _PLACE.fullmatch(xid)
        if place is not None:
            return Binlog(place[1], int(place[2]) + 1)
        return DomainGtids.parse(xid) if self.mariadb else GtidSet.parse(xid)

    def number(self, xid: TransactionId) -> int:
        return int(re.split(r"[-:=]", str(xid))[-1])

    def after(self, before: Position | None, own: Position) -> Position:
        known = before.gtids if isinstance(before, Logged) else before
        if isinstance(own, DomainGtids):
            return known.union(own) if isinstance(known, DomainGtids) else own
        if isinstance(own, GtidSet):
            return known.union(own) if isinstance(known, GtidSet) else own
        return before if before is not None and before.covers(own) else own

    def precedes(self, one: Position, other: Position) -> bool:
        if isinstance(one, GtidSet) and isinstance(other, GtidSet):  # of one origin, as far as a statement goes
            numbers = {origin: intervals[-1][1] for origin, intervals in other.intervals}
            return all(intervals[-1][1] < numbers.get(origin, 0) for origin, intervals in one.intervals)
        return one != other and other.covers(one)

    def passed_over(self, before: Position | None, own: Position) -> bool:
        known = before.gtids if isinstance(before, Logged) else before
        if isinstance(own, DomainGtids) and isinstance(known, DomainGtids):
            last = {domain: number for domain, _, number in known.last}
            return any(number > last.get(domain, 0) + 1 for domain, _, number in own.last)
        if isinstance(own, GtidSet) and isinstance(known, GtidSet):
            ends = {origin: intervals[-1][1] for origin, intervals in known.intervals}
            return any(intervals[0][0] > ends.get(origin, 0) + 1 for origin, intervals in own.intervals)
        return before is not None  # places do not tell

    def placed(self, through: Position, place: Binlog | None, before: Position | None) -> Position:
        if not isinstance(through, DomainGtids):
            return through
        if place is None and isinstance(before, Logged):
            place = before.binlog
        return through if place is None else Logged(through, place)

    def commit(self, own: Position, place: Binlog | None) -> Position:
        return own if place is None or not isinstance(own, DomainGtids) else Logged(own, place)

    def place(self, source: Mapping[str, object]) -> Binlog | None:
        file, offset = source.get("file"), source.get("pos")
        return Binlog(file, offset) if self.mariadb and isinstance(file, str) and isinstance(offset, int) else None

    @property
    def recounts(self) -> bool:
        return self.mariadb

    def number_of(self, order: int, source: Mapping[str, object], operation: str) -> int:
        return number_of_place(source.get("pos"), source.get("row"), operation) if self.mariadb else order

    @property
    def alone(self) -> bool:
        return True

    def statement(self, source: Mapping[str, object]) -> TransactionId | None:
        gtid = source.get("gtid")
        return None if gtid is None else self.transaction(gtid)

    def anew(self, source: Mapping[str, object]) -> bool:
        return False  # its first snapshot says so

    def snapshot(self, source: Mapping[str, object]) -> Position | None:
        return None  # its statements say so

    def table(self, source: Mapping[str, object]) -> TableName:
        return TableName(named(source, "db"), named(source, "table"))

    def owns(self, position: Position) -> bool:
        return isinstance(position, (DomainGtids, GtidSet, Binlog, Logged))

    def of_column(self, column: Column, schema: Mapping[str, object] | None = None) -> Type:
        return binlog_types.of_column(column, schema)

    def decode(self, value: object, kind: Type, modes: Modes) -> Decoded:
        return binlog_values.decode(value, kind, modes)

    def _gtid(self) -> re.Pattern[str]:
        return _DOMAIN if self.mariadb else _ORIGIN


def number_of_place(offset: object, row: object, operation: str) -> int:
    """A row by its event's offset in the binlog and its index in the event. A change of the key is two rows in the same
    place, of which the new one comes last. ValueError if it has no place."""
    if not isinstance(offset, int) or not isinstance(row, int):
        raise ValueError("a row without its place in the binlog: source.pos and source.row")
    return (offset << _ROW_BITS) + (row << 1) + (operation == "c")
