"""Events to whole transactions: pure, one event at a time.

A transaction is handed out when it ends. What cannot be told key by key is told as blindness: truncate, another
definition, statements, rows without a key, what could not be read. What is kept of a transaction is bounded
(`verifier.half`), and of all those that were prepared together too.

A replica's own binlog also holds what came from its leader (`OriginOf`); nothing of that is told.

XA: the rows are logged when the transaction is prepared, and become visible when it is committed, under an id of its
own. They are told with that one. MariaDB shows them at a moment that none of its positions tells, so there they are
also lost to the stream (`Assembler.lost`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors.binlog import statements
from connectors.binlog.events import (
    Began,
    Committed,
    Event,
    Prepared,
    Rotated,
    Rows,
    Statement,
    Undecodable,
    Unreadable,
)
from connectors.binlog.shape import Keyless, Shape, TableOf, shape_of
from connectors.binlog.statements import Kind
from verifier.change import Blindness, Cause, Change, Transaction
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.half import KEYS_BYTES, VALUES_BYTES, Half
from verifier.spans import TOO_LARGE
from verifier.table import TableName

_PREPARED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a transaction was made. `name`: as `verifier.change.Transaction.origin`."""

    leader: bool
    name: str | None = None


OriginOf = Callable[[DomainGtids | GtidSet], Origin]
"""Of a transaction with this id. Temporary while nobody can say."""

HERE = Origin(False)


class _Half(Half):
    """A transaction of which the end has not come yet. `explicit`: it has an end of its own."""

    __slots__ = ("began", "blind", "explicit", "origin")

    def __init__(self, began: Began, explicit: bool, origin: Origin = HERE) -> None:
        super().__init__()
        self.began, self.explicit, self.origin = began, explicit, origin
        self.blind: dict[tuple[Cause, TableName | None], Blindness] = {}

    def blinded(self, *blind: Blindness) -> None:
        for one in blind:
            self.blind.setdefault((one.cause, one.table), one)


@dataclass(frozen=True, slots=True)
class Ended:
    """A transaction ended. `gtid` None: it has none. `transaction` None: it told nothing."""

    gtid: DomainGtids | GtidSet | None
    transaction: Transaction | None


class Assembler:
    """Makes transactions of events. `events` counts the row events seen since it was made, `bytes` those that told
    changes; `lost` is what no transaction can carry; whoever takes it empties it."""

    def __init__(
        self,
        table_of: TableOf,
        *,
        mariadb: bool,
        fold: bool = False,
        changes_max: int = 100_000,
        origin_of: OriginOf | None = None,
        only: Callable[[Change], bool] | None = None,
    ) -> None:
        """`only`: no other changes are told."""
        self.events = self.bytes = 0
        self._only = only
        self.lost: list[Blindness] = []
        self._table_of = table_of
        self._origin_of = origin_of
        self._mariadb = mariadb
        self._fold = fold
        self._changes_max = changes_max
        self._shapes: dict[tuple[TableName, int], Shape] = {}
        self._prepared: dict[bytes, _Half] = {}
        self._half: _Half | None = None
        self._behind = Binlog("", 0)

    @property
    def open(self) -> bool:
        """Whether a transaction has begun and not ended."""
        return self._half is not None

    def reset(self) -> None:
        """A new connection: the half transaction comes again."""
        self._half = None
        self._shapes.clear()

    def forget(self) -> None:
        """Something was lost: nothing is known of what was prepared before."""
        self.reset()
        self._prepared.clear()

    def feed(self, event: Event, end: Binlog) -> Ended | None:
        """Take the next event, which ends at `end`; the transaction that it ended."""
        before, self._behind = self._behind, end
        if isinstance(event, Began):
            # Whatever should have ended the one before was not understood.
            ended = self._end(self._half, before, event.at) if self._half is not None else None
            self._half = _Half(event, self._mariadb and not event.standalone, self._origin(event))
            return ended
        if isinstance(event, Rotated):
            self._shapes.clear()
            return None
        half = self._half
        if half is None:
            return self._outside(event)
        if isinstance(event, Rows):
            self._rows(half, event)
        elif isinstance(event, Unreadable):
            half.blinded(Blindness(Cause.UNREADABLE, None, event.why))
            return None if half.explicit else self._end(half, end, half.began.at)
        elif isinstance(event, Committed):
            return self._end(half, end, event.at)
        elif isinstance(event, Prepared):
            return self._prepare(half, event)
        elif isinstance(event, Statement):
            return self._statement(half, event, end)
        return None

    def _origin(self, began: Began) -> Origin:
        return HERE if self._origin_of is None or began.gtid is None else self._origin_of(began.gtid)

    def _outside(self, event: Event) -> Ended | None:
        """Between transactions nothing should come that changes anything."""
        if isinstance(event, Unreadable):
            self.lost.append(Blindness(Cause.GAP, None, event.why))
        elif isinstance(event, Rows | Statement | Prepared):
            self.lost.append(Blindness(Cause.GAP, None, "changes outside any transaction"))
        return None

    def _statement(self, half: _Half, event: Statement, end: Binlog) -> Ended | None:
        found = statements.read(event.sql, event.schema, fold=self._fold)
        if found.kind is Kind.BEGIN or found.kind is Kind.PREPARING:
            half.explicit = True
            return None
        if found.kind is Kind.COMMIT:
            return self._end(half, end, event.at)
        if found.kind in (Kind.XA_COMMIT, Kind.XA_ROLLBACK):
            return self._decide(half, found, end, event.at)
        half.blinded(*found.blind)
        if any(one.cause is Cause.DDL for one in found.blind):
            self._shapes.clear()
        return None if half.explicit else self._end(half, end, event.at)

    def _rows(self, half: _Half, rows: Rows) -> None:
        self.events += 1
        if half.origin.leader:
            return
        place = (rows.table, rows.table_id)
        shape = self._shapes.get(place)
        if shape is None:
            shape = shape_of(rows, self._table_of(rows.table))
            if shape is None:  # nobody's business now; asked again each time, so that whoever describes tables knows
                return
            self._shapes[place] = shape
        if shape.problem:
            half.blinded(Blindness(Cause.KEYLESS, rows.table, shape.problem))
            return
        known = len(half.changes)
        try:
            for row in rows.read():
                half.changes.extend(filter(self._only, shape.changes(row)) if self._only else shape.changes(row))
        except Keyless as why:
            half.blinded(Blindness(Cause.KEYLESS, rows.table, str(why)))
        except Undecodable as why:
            half.blinded(Blindness(Cause.UNREADABLE, rows.table, str(why)))
        except Exception as error:
            # Whatever the library meets in bytes that it does not know. The class alone is told: no values.
            half.blinded(
                Blindness(Cause.UNREADABLE, rows.table, f"rows that cannot be decoded ({type(error).__name__})")
            )
        size = rows.size if len(half.changes) > known else 0
        self.bytes += size
        half.bound(size, self._changes_max)

    def _prepare(self, half: _Half, event: Prepared) -> Ended:
        self._half = None
        self._prepared[event.xid] = half
        waiting = self._prepared.values()
        over = sum(one.value_bytes for one in waiting) - VALUES_BYTES
        for one in waiting:
            if over <= 0:
                break
            over -= one.value_bytes
            one.forget_values()
        while (
            len(waiting) > _PREPARED_MAX
            or sum(len(one.changes) for one in waiting) > self._changes_max
            or sum(one.key_bytes for one in waiting) > KEYS_BYTES
        ):
            self._prepared.pop(next(iter(self._prepared)))  # its commit will not be understood
        return Ended(half.began.gtid, None)

    def _decide(self, half: _Half, found: statements.Read, end: Binlog, at: float) -> Ended:
        prepared = self._prepared.pop(found.xid, None)
        if found.kind is Kind.XA_COMMIT and prepared is None:
            half.blinded(Blindness(Cause.UNREADABLE, None, "an XA transaction was prepared before it was followed"))
        elif found.kind is Kind.XA_COMMIT and prepared is not None:
            # Rows beside the decision should not be, but are not lost for that.
            half.changes = [*prepared.changes, *half.changes]
            half.blinded(
                *(Blindness(Cause.GAP, one, TOO_LARGE) for one in half.gathered.keys() & prepared.gathered.keys())
            )
            half.gathered = {**half.gathered, **prepared.gathered}
            half.blind.update(prepared.blind)
            if self._mariadb and not half.origin.leader:
                tables = {change.table for change in half.changes} | half.gathered.keys()
                detail = "XA: MariaDB does not tell when its rows are shown"
                self.lost.extend(Blindness(Cause.UNREADABLE, table, detail) for table in sorted(tables))
        return self._end(half, end, at)

    def _end(self, half: _Half, end: Binlog, at: float) -> Ended:
        self._half = None
        began = half.began
        if began.gtid is None:
            self.lost.append(Blindness(Cause.GAP, None, "a transaction without a GTID; set gtid_mode=ON"))
            return Ended(None, None)
        if half.origin.leader or not (half.changes or half.blind or half.gathered):
            return Ended(began.gtid, None)
        commit = Logged(began.gtid, end)
        blind = (*half.blind.values(), *half.large())
        at = at if began.committed_at is None else began.committed_at
        told = Transaction(began.number, commit, at, tuple(half.changes), blind, half.origin.name)
        return Ended(began.gtid, told)
