"""Every drifted key now known.

A drift is opened, refreshed and cleared by looks that may be recorded in another order than they were made (an
audit's checkpoint against the stream's verdicts), so the later look wins: a finding older than the look that found the
key equal changes nothing, nor does an equal look older than the last finding. What opens, changes or clears a drift
puts its event into the outbox in the same transaction, through `Announce`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Connection, Row, and_, func, select, tuple_

from connectors.journal import tables
from connectors.journal.outbox import put
from connectors.journal.store import Store, paged
from verifier import weight
from verifier.drift import Certainty, Difference, Drift, DriftCause, Evidence, Kind, Method
from verifier.errors import Unsound
from verifier.identity import drift_id, key_text, parse_key
from verifier.journal import Attribution, OpenDrift
from verifier.keyrange import KeyRange
from verifier.table import Key, TableName

if TYPE_CHECKING:  # an audit starts without the causes of drift and without repairs
    from reconciler.ports import Event
    from verifier.trace import Recalled

Announce: TypeAlias = "Callable[[Drift, str], Event | None]"
"""The event that tells of a drift which was `opened`, `changed` or `cleared`; None: nothing to tell."""

MOST_SUSPECTS = 10_000
OPEN, CLEARED = "open", "cleared"
_COLUMNS = tables.drifts.c
_TOLD = [column for column in _COLUMNS if column.name != "history"]  # which is asked for by itself
_spelled = json.JSONEncoder(separators=(",", ":")).encode  # made once: that costs more than what it writes here


class SqlDrifts:
    """`verifier.journal.DriftJournal`."""

    def __init__(self, store: Store, announce: Announce | None) -> None:
        self._store = store
        self._announce = announce

    def record(self, drifts: Sequence[Drift]) -> Sequence[Drift]:
        """Insert or refresh; returns those that were not open before."""
        with self._store.write() as connection:
            return record(self._store, connection, drifts, self._announce)

    def clear(self, follower: str, table: TableName, keys: Sequence[Key], at: float) -> int:
        """Found equal at `at`: close what is open and was last seen no later; returns how many that closed."""
        equal = [(table, key) for key in keys]
        with self._store.write() as connection:
            return clear(self._store, connection, follower, equal, at, self._announce)

    def open(
        self, *, table: TableName | None = None, follower: str | None = None, limit: int = 1000, offset: int = 0
    ) -> Sequence[OpenDrift]:
        """Oldest first."""
        wanted = [_COLUMNS.group_name == self._store.group, _COLUMNS.state == OPEN]
        if table is not None:
            wanted += [_COLUMNS.schema_name == table.schema, _COLUMNS.table_name == table.name]
        if follower is not None:
            wanted.append(_COLUMNS.follower == follower)
        query = select(tables.drifts).where(and_(*wanted)).order_by(_COLUMNS.first_found_at, _COLUMNS.id)
        with self._store.read() as connection:
            rows = connection.execute(query.limit(limit).offset(offset)).all()
        return [_known(row, self._store.group) for row in rows]

    def findings(self) -> int:
        """A number that grows whenever drift is found, anew or again."""
        with self._store.read() as connection:
            return _findings(self._store, connection)

    def found_since(
        self, follower: str, finding: int | None, *, after: OpenDrift | None = None, limit: int = 500
    ) -> Sequence[OpenDrift]:
        """What is open there and was found later than at that number (None: all), oldest first, behind `after`: at most
        `limit`, and fewer of large ones."""
        mine = [_COLUMNS.group_name == self._store.group, _COLUMNS.state == OPEN, _COLUMNS.follower == follower]
        order = (_COLUMNS.first_found_at, _COLUMNS.id)
        if finding is not None:
            mine.append(_COLUMNS.finding > finding)
        if after is not None:
            mine.append(tuple_(*order) > tuple_(after.first_found_at, after.drift.id))
        size = func.length(_COLUMNS.columns) + func.length(_COLUMNS.key) + func.length(_COLUMNS.positions)
        measured = select(size).where(and_(*mine)).order_by(*order).limit(limit)
        query = select(*_TOLD).where(and_(*mine)).order_by(*order)
        with self._store.read() as connection:
            rows = connection.execute(query.limit(weight.fitting(connection.scalars(measured)))).all()
        return [_known(row, self._store.group) for row in rows]

    def attribute(self, causes: Mapping[str, Attribution]) -> Collection[str]:
        """Note why these drifts, by id, came about: those that are open, and that nobody has found anew since they were
        looked into. Returns which."""
        from connectors.journal.histories import history_text

        noted: set[str] = set()
        with self._store.write() as connection:
            for drift_id, told in causes.items():
                mine = and_(_COLUMNS.group_name == self._store.group, _COLUMNS.id == drift_id)
                mine = and_(mine, _COLUMNS.state == OPEN, _COLUMNS.found_at <= told.found_at)
                found = {"cause": told.cause.value, "since": told.since, "history": history_text(told.history)}
                if connection.execute(tables.drifts.update().where(mine).values(**found)).rowcount:
                    noted.add(drift_id)
        return noted

    def history(self, drift_id: str) -> Recalled | None:
        """The changes that were noted with the drift's cause; None if nobody has looked into it."""
        from connectors.journal.histories import history_of

        query = select(_COLUMNS.history).where(_COLUMNS.group_name == self._store.group, _COLUMNS.id == drift_id)
        with self._store.read() as connection:
            text = connection.execute(query).scalar()
        return None if text is None else history_of(text)

    def find(self, drift_id: str) -> OpenDrift | None:
        """The drift of that id, open or cleared."""
        query = select(tables.drifts).where(_COLUMNS.group_name == self._store.group, _COLUMNS.id == drift_id)
        with self._store.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _known(row, self._store.group)

    def counts(self) -> Mapping[tuple[str, TableName, str], int]:
        """Open drifts by (follower, table, kind)."""
        place = (_COLUMNS.follower, _COLUMNS.schema_name, _COLUMNS.table_name, _COLUMNS.kind)
        mine = and_(_COLUMNS.group_name == self._store.group, _COLUMNS.state == OPEN)
        with self._store.read() as connection:
            rows = connection.execute(select(*place, func.count()).where(mine).group_by(*place)).all()
        return {(row[0], TableName(row[1], row[2]), row[3]): row[4] for row in rows}

    def suspects(self, follower: str, table: TableName, within: KeyRange | None = None) -> Sequence[Key]:
        """Keys of open drifts of that table, least recently seen first and no more than MOST_SUSPECTS; the range is
        ignored, because only the engine can order keys."""
        query = (
            select(_COLUMNS.key)
            .where(_COLUMNS.group_name == self._store.group, _COLUMNS.state == OPEN, _COLUMNS.follower == follower)
            .where(_COLUMNS.schema_name == table.schema, _COLUMNS.table_name == table.name)
            .order_by(_COLUMNS.last_seen_at)
            .limit(MOST_SUSPECTS)
        )
        with self._store.read() as connection:
            return [parse_key(row.key) for row in connection.execute(query)]


def record(store: Store, connection: Connection, found: Sequence[Drift], announce: Announce | None) -> Sequence[Drift]:
    """Insert or refresh inside a write transaction; returns those that were not open before."""
    latest: dict[str, Drift] = {}
    for drift in found:
        check(store, drift)
        if drift.id not in latest or latest[drift.id].found_at <= drift.found_at:
            latest[drift.id] = drift
    before = _rows(store, connection, latest)
    opened: list[Drift] = []
    rows: list[dict[str, Any]] = []
    events: list[Event | None] = []
    for drift in latest.values():
        old = before.get(drift.id)
        was_open = old is not None and old.state == OPEN
        if old is not None and drift.found_at < (old.last_seen_at if was_open else old.cleared_at):
            continue
        row = drift_row(store.group, drift)
        if old is None or not was_open:
            opened.append(drift)
            told: str | None = "opened"
        else:
            same = (old.kind, old.columns) == (row["kind"], row["columns"])
            told = None if same else "changed"
            if same and drift.cause is None:
                # the same difference has the same cause
                row |= {"cause": old.cause, "since": old.since, "history": old.history}
            if same and old.certainty == Certainty.PROVEN.value and drift.evidence.certainty is Certainty.PROBABLE:
                # a weaker look at the same difference takes nothing away from the proof
                row |= {name: getattr(old, name) for name in ("certainty", "method", "positions", "found_at")}
        first = old.first_found_at if old is not None and was_open else drift.found_at
        row.setdefault("history", None)
        rows.append(row | {"state": OPEN, "first_found_at": first, "last_seen_at": drift.found_at, "cleared_at": None})
        if told is not None and announce is not None:
            events.append(announce(drift, told))
    if rows:
        finding = _findings(store, connection) + 1
        mine = tables.groups.c.group_name == store.group
        connection.execute(tables.groups.update().where(mine).values(findings=finding))
        store.upsert(connection, tables.drifts, [row | {"finding": finding} for row in rows])
    put(store, connection, [event for event in events if event is not None])
    return opened


def _findings(store: Store, connection: Connection) -> int:
    query = select(tables.groups.c.findings).where(tables.groups.c.group_name == store.group)
    return connection.execute(query).scalar_one() or 0


def clear(
    store: Store,
    connection: Connection,
    follower: str,
    equal: Sequence[tuple[TableName, Key]],
    at: float,
    announce: Announce | None,
) -> int:
    """Close open drifts inside a write transaction; returns how many were closed."""
    mine = and_(_COLUMNS.group_name == store.group, _COLUMNS.state == OPEN, _COLUMNS.follower == follower)
    # nearly always nothing is open: then the ids are not even computed
    if not equal or connection.execute(select(_COLUMNS.id).where(mine).limit(1)).first() is None:
        return 0
    ids = [drift_id(store.group, follower, table, key) for table, key in equal]
    events: list[Event | None] = []
    closed = 0
    for some in paged(ids):
        ours = and_(mine, _COLUMNS.id.in_(some), _COLUMNS.last_seen_at <= at)
        rows = connection.execute(select(tables.drifts).where(ours)).all()
        if not rows:
            continue
        closed += len(rows)
        gone = and_(_COLUMNS.group_name == store.group, _COLUMNS.id.in_([row.id for row in rows]))
        connection.execute(tables.drifts.update().where(gone).values(state=CLEARED, cleared_at=at))
        if announce is not None:
            events += [announce(drift_of(row, store.group), CLEARED) for row in rows]
    put(store, connection, [event for event in events if event is not None])
    return closed


def check(store: Store, drift: Drift) -> None:
    """A drift is found again by its id, so the id must follow from what it names."""
    if drift.group != store.group or drift.id != drift_id(store.group, drift.follower, drift.table, drift.key):
        raise Unsound(
            f"journal {store.name}: a drift of group {drift.group!r} in {drift.table} on {drift.follower!r} does not "
            f"carry the id that group {store.group!r} gives it: make it with verifier.identity.drift_id"
        )


def drift_row(group: str, drift: Drift) -> dict[str, Any]:
    """The drift as the columns that `drift_of` reads back."""
    columns = {name: [value.leader, value.follower] for name, value in drift.columns.items()}
    return {
        "group_name": group,
        "id": drift.id,
        "follower": drift.follower,
        "schema_name": drift.table.schema,
        "table_name": drift.table.name,
        "key": key_text(drift.key),
        "kind": drift.kind.value,
        "columns": _spelled(columns),
        "certainty": drift.evidence.certainty.value,
        "method": drift.evidence.method.value,
        "positions": _spelled(dict(drift.evidence.positions)),
        "found_at": drift.found_at,
        "cause": None if drift.cause is None else drift.cause.value,
        "since": drift.since,
    }


def drift_of(row: Row[Any], group: str) -> Drift:
    """The drift that `drift_row` spelled."""
    columns = {name: Difference(*values) for name, values in json.loads(row.columns).items()}
    evidence = Evidence(Certainty(row.certainty), Method(row.method), _positions(row.positions))
    table = TableName(row.schema_name, row.table_name)
    cause = None if row.cause is None else DriftCause(row.cause)
    return Drift(
        row.id, group, row.follower, table, parse_key(row.key), Kind(row.kind), columns, evidence, row.found_at,
        cause, row.since,
    )  # fmt: skip


@lru_cache(maxsize=64)
def _positions(text: str) -> Mapping[str, str]:
    """Keys that were judged together share their positions, and thousands of them are read at once."""
    found: Mapping[str, str] = json.loads(text)
    return MappingProxyType(found)


def _known(row: Row[Any], group: str) -> OpenDrift:
    return OpenDrift(drift_of(row, group), row.state, row.first_found_at, row.last_seen_at, row.cleared_at)


def _rows(store: Store, connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for some in paged(list(ids)):
        query = select(tables.drifts).where(_COLUMNS.group_name == store.group, _COLUMNS.id.in_(some))
        found |= {row.id: row for row in connection.execute(query)}
    return found
