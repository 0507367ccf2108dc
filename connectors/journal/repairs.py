"""Repairs and their states; each step with its audit line and its events, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, insert, not_, select, tuple_, update

from connectors.journal import audit, tables
from connectors.journal.outbox import put
from connectors.journal.store import Store, paged
from reconciler.ports import AuditEntry, Event, Outlined, RepairRecord
from reconciler.repair import Action, Outline, Repair, State
from verifier.drift import Kind
from verifier.errors import Unsound
from verifier.identity import key_text, parse_key
from verifier.table import TableName, Value

_COLUMNS = tables.repairs.c
_OUTLINE = [column for column in tables.repairs.c if column.name not in ("wanted", "expected")]


class SqlRepairs:
    """`reconciler.ports.RepairJournal`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, repairs: Sequence[Repair], *, actor: str, at: float, events: Sequence[Event] = ()) -> int:
        """Store as planned those not known yet; returns how many were new."""
        unique = {repair.id: repair for repair in repairs}
        for repair in unique.values():
            if repair.group != self._store.group:
                raise Unsound(f"repair {repair.id} is of group {repair.group!r}, not of {self._store.group!r}")
        with self._store.write() as connection:
            for some in paged(list(unique)):
                known = select(_COLUMNS.id).where(_COLUMNS.group_name == self._store.group, _COLUMNS.id.in_(some))
                for row in connection.execute(known).all():
                    del unique[row.id]
            if unique:
                connection.execute(insert(tables.repairs), [_row(r, actor, at) for r in unique.values()])
                lines = [(State.PLANNED.value, r.id, _told(r)) for r in unique.values()]
                audit.append(self._store, connection, at=at, actor=actor, lines=lines)
            put(self._store, connection, events)
        return len(unique)

    def move(
        self,
        repair_id: str,
        state: State,
        *,
        expected: State,
        actor: str,
        at: float,
        note: str = "",
        events: Sequence[Event] = (),
    ) -> bool:
        """From `expected` to `state`; False (and nothing written) if the repair is not in `expected`."""
        ours = and_(_COLUMNS.group_name == self._store.group, _COLUMNS.id == repair_id)
        values: dict[str, Any] = {"state": state.value, "changed_at": at, "actor": actor, "note": note}
        if state is State.APPLIED:
            values["applied_at"] = at
        step = update(tables.repairs).where(ours, _COLUMNS.state == expected.value).values(**values)
        with self._store.write() as connection:
            if connection.execute(step).rowcount != 1:
                return False
            detail = json.dumps({"from": expected.value, "note": note}, sort_keys=True)
            audit.append(self._store, connection, at=at, actor=actor, lines=[(state.value, repair_id, detail)])
            put(self._store, connection, events)
        return True

    def find(self, repair_id: str) -> RepairRecord | None:
        query = select(tables.repairs).where(_COLUMNS.group_name == self._store.group, _COLUMNS.id == repair_id)
        with self._store.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _record(row)

    def listed(
        self,
        *states: State,
        follower: str | None = None,
        tables_in: Collection[TableName] | None = None,
        tables_out: Collection[TableName] = (),
        after: str | None = None,
        limit: int = 1000,
    ) -> Sequence[Outlined]:
        """Those in any of these states (none given: all), oldest first: of this follower, of these tables, of none of
        those, and behind the repair of that id."""
        query = self._in(states)
        if follower is not None:
            query = query.where(_COLUMNS.follower == follower)
        if tables_in is not None:
            query = query.where(_of(tables_in))
        if tables_out:
            query = query.where(not_(_of(tables_out)))
        if after is not None:
            place = select(_COLUMNS.sequence).where(_COLUMNS.group_name == self._store.group, _COLUMNS.id == after)
            query = query.where(_COLUMNS.sequence > place.scalar_subquery())
        with self._store.read() as connection:
            return [_outlined(row) for row in connection.execute(query.order_by(_COLUMNS.sequence).limit(limit))]

    def of_drifts(self, drift_ids: Sequence[str], *states: State) -> Sequence[Outlined]:
        """Those of these drifts in any of these states (none given: all), oldest first."""
        found: list[Row[Any]] = []
        with self._store.read() as connection:
            for some in paged(drift_ids):
                found += connection.execute(self._in(states).where(_COLUMNS.drift_id.in_(some)))
        return [_outlined(row) for row in sorted(found, key=lambda row: row.sequence)]

    def settled(self, follower: str, *states: State, limit: int = 1000) -> Sequence[Outlined]:
        """Those of this follower in any of these states whose drift is open no more, oldest first."""
        drift = tables.drifts.c
        open_ = and_(drift.group_name == _COLUMNS.group_name, drift.id == _COLUMNS.drift_id, drift.state == "open")
        query = self._in(states).where(_COLUMNS.follower == follower, not_(exists().where(open_)))
        with self._store.read() as connection:
            return [_outlined(row) for row in connection.execute(query.order_by(_COLUMNS.sequence).limit(limit))]

    def counts(self) -> Mapping[State, int]:
        """How many there are in each state; those of which there is none are absent."""
        query = select(_COLUMNS.state, func.count()).where(_COLUMNS.group_name == self._store.group)
        with self._store.read() as connection:
            return {State(row[0]): row[1] for row in connection.execute(query.group_by(_COLUMNS.state))}

    def _in(self, states: Collection[State]) -> Select[Any]:
        query = select(*_OUTLINE).where(_COLUMNS.group_name == self._store.group)
        return query.where(_COLUMNS.state.in_([state.value for state in states])) if states else query

    def applied_since(self, at: float) -> int:
        """How many repairs were applied at or after that time, whatever became of them."""
        query = select(func.count()).where(_COLUMNS.group_name == self._store.group, _COLUMNS.applied_at >= at)
        with self._store.read() as connection:
            return connection.execute(query).scalar_one()

    def audit(self, *, limit: int = 1000) -> Sequence[AuditEntry]:
        """The newest lines, oldest of them first."""
        return audit.newest(self._store, limit)

    def audit_broken_at(self) -> int | None:
        """The first sequence number at which the chain does not hold; None: it holds."""
        return audit.broken_at(self._store)


def _of(names: Collection[TableName]) -> ColumnElement[bool]:
    return tuple_(_COLUMNS.schema_name, _COLUMNS.table_name).in_([(name.schema, name.name) for name in names])


def _told(repair: Repair) -> str:
    """What the audit line says of a new repair: both rows, so that it can be undone from the line alone."""
    told = {
        "action": repair.action.value,
        "drift": repair.drift_id,
        "expected": None if repair.expected is None else dict(repair.expected),
        "follower": repair.follower,
        "key": list(repair.key),
        "kind": repair.kind.value,
        "table": str(repair.table),
        "wanted": None if repair.wanted is None else dict(repair.wanted),
    }
    return json.dumps(told, sort_keys=True)


def _row(repair: Repair, actor: str, at: float) -> dict[str, Any]:
    return {
        "group_name": repair.group,
        "id": repair.id,
        "drift_id": repair.drift_id,
        "follower": repair.follower,
        "schema_name": repair.table.schema,
        "table_name": repair.table.name,
        "key": key_text(repair.key),
        "kind": repair.kind.value,
        "action": repair.action.value,
        "wanted": _spelled(repair.wanted),
        "expected": _spelled(repair.expected),
        "planned_at": repair.planned_at,
        "state": State.PLANNED.value,
        "changed_at": at,
        "actor": actor,
        "note": "",
        "applied_at": None,
    }


def _spelled(row: Mapping[str, Value] | None) -> str | None:
    return None if row is None else json.dumps(dict(row), separators=(",", ":"))


def _outlined(row: Row[Any]) -> Outlined:
    return Outlined(Outline(**_named(row)), State(row.state), row.changed_at, row.actor, row.note)


def _named(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "drift_id": row.drift_id,
        "group": row.group_name,
        "follower": row.follower,
        "table": TableName(row.schema_name, row.table_name),
        "key": parse_key(row.key),
        "kind": Kind(row.kind),
        "action": Action(row.action),
    }


def _record(row: Row[Any]) -> RepairRecord:
    repair = Repair(
        **_named(row),
        wanted=None if row.wanted is None else json.loads(row.wanted),
        expected=None if row.expected is None else json.loads(row.expected),
        planned_at=row.planned_at,
    )
    return RepairRecord(repair, State(row.state), row.changed_at, row.actor, row.note)
