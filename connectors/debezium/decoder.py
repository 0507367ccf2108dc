"""From bytes to events: Debezium's JSON envelope, with schemas or without.

A message that cannot be understood raises `Unreadable` and nothing else. If only its row cannot be told (a key of a
type that the connector's mode distorts, no key at all), it is still a counted event of its transaction and carries
the blindness of its table, so that the transaction completes and its other rows are judged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from connectors.debezium import values
from connectors.debezium.boundaries import Boundaries
from connectors.debezium.definitions import tables_of
from connectors.debezium.event import (
    TOOK_A_SNAPSHOT,
    Aside,
    Begin,
    End,
    Event,
    RowEvent,
    Statement,
    Unreadable,
)
from connectors.debezium.modes import Modes
from connectors.debezium.naming import topic_of
from connectors.debezium.plain import Keys, PlainRows
from connectors.debezium.run import Run
from connectors.debezium.shape import Shape
from connectors.debezium.source import POSTGRES, Source
from connectors.debezium.types import Type
from verifier.change import Blindness, Cause, Change, Operation
from verifier.encoding import canonical_key
from verifier.position import Position
from verifier.table import Key, Scheme, Table, TableName, Value

TableOf = Callable[[TableName], Table | None]
_OPERATIONS = {"c": Operation.INSERT, "u": Operation.UPDATE, "d": Operation.DELETE}
_Json = Mapping[str, object]
Read = Callable[[bytes], tuple[_Json, _Json]]
_NO_SCHEMA: _Json = {}
_AVRO = b"\0"
_JSON = json.JSONDecoder(parse_float=values.Number, parse_constant=values.Number)


class Decoder:
    """Messages of one connector. `table_of` answers from the leader's catalog; tables it does not know are counted
    but their rows are not told (they are not verified). `source` is the database behind the connector. `avro` reads
    messages in the registry's wire format (`connectors.debezium.avro`)."""

    def __init__(
        self, prefix: str, modes: Modes, table_of: TableOf, source: Source = POSTGRES, avro: Read | None = None
    ) -> None:
        self.source = source
        self._avro = avro
        self._definitions = prefix
        self._transactions = f"{prefix}.transaction"
        self._heartbeats = f"__debezium-heartbeat.{prefix}"
        self._prefix = f"{prefix}."
        self._modes = modes
        self._table_of = table_of
        self._shapes: dict[TableName, Shape] = {}
        self._topics: dict[TableName, str] = {}
        self._boundaries = Boundaries(source)
        self._plain = PlainRows(source, modes, self._shape_of, Keys(self._key, self._key_value), self._image)

    @property
    def modes(self) -> Modes:
        """With which it reads values, whatever the connector does by now."""
        return self._modes

    def decode(self, topic: str, key: bytes | None, value: bytes | None) -> Event:
        """The event, or Unreadable. Temporary while the schema of a message cannot be had: ask again, skip nothing."""
        if value is None:
            return Aside()
        if topic == self._transactions and (boundary := self._boundaries.one(value)) is not None:
            return boundary
        try:
            schema, payload = self._read(value)
            if topic == self._heartbeats:
                return Aside(_seconds(payload.get("ts_ms")))
            if topic == self._transactions:
                return self._boundary(payload)
            if topic == self._definitions:
                return self._definition(payload)
            return self._row(topic, schema, payload, key)
        except Unreadable:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
            raise Unreadable(f"{type(error).__name__}: {error}"[:300], self._blamed(topic)) from error

    def rows(self, topic: str, keys: Sequence[bytes | None], messages: Sequence[bytes]) -> Run | None:
        """The same as `decode` of each of these messages of one partition, at a fraction of its cost; None if that
        cannot be had, because one of them is not a row event as most are."""
        if topic in (self._transactions, self._heartbeats, self._definitions):
            return None
        found = self._plain.decode(topic, keys, messages)
        return found if found is not None and self._carries(topic, found.table) else None

    def ends(self, messages: Sequence[bytes]) -> Sequence[End] | None:
        """The same as `decode` of each of these messages of the transaction topic; None if one of them is not an END as
        nearly all are."""
        return self._boundaries.ends(messages)

    def _read(self, message: bytes) -> tuple[_Json, _Json]:
        """Schema (empty if there is none) and payload."""
        if message[:1] != _AVRO:
            return _unwrap(message)
        if self._avro is None:
            raise ValueError("Avro in a registry's wire format: set the stream's schema_registry_url")
        return self._avro(message)

    def table_named(self, topic: str) -> TableName | None:
        """The table whose rows a topic carries, by the connector's own naming; None for other topics."""
        rest = topic.removeprefix(self._prefix)
        schema, dot, name = rest.partition(".")
        return TableName(schema, name) if rest != topic and dot and name else None

    def key_of(self, table: TableName | None, key: bytes | None) -> Key | None:
        """The row that a message of this table told of, from its key alone; None if that cannot be told."""
        shape = None if table is None else self._shape_of(table)
        if shape is None or key is None or not shape.table.key:
            return None
        try:
            return self._key(shape, key)
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
            return None

    def _blamed(self, topic: str) -> TableName | None:
        """Whose row a message of this topic may have told of; None: that of any table. Topics spell odd names with `_`,
        so the table may be another than they say."""
        name = self.table_named(topic)
        if name is None or self._table_of(name) is not None:
            return name
        return None if "_" in str(name) or "." in name.name else name

    def _carries(self, topic: str, name: TableName) -> bool:
        known = self._topics.get(name)
        if known is None:
            known = self._topics[name] = topic_of(self._definitions, name)
        return topic == known

    def _row(self, topic: str, schema: _Json, payload: _Json, key: bytes | None) -> Event:
        operation, source = payload.get("op"), payload.get("source")
        if not isinstance(operation, str) or not isinstance(source, Mapping):
            raise ValueError("not a change event: op or source is missing (is a flattening transform configured?)")
        handled_at = _seconds(payload.get("ts_ms"))
        boundary = payload.get("transaction")
        if operation == "r":
            return self._snapshot_row(source, handled_at)
        if operation == "t" and self.source.alone:
            return self._alone(source, (Blindness(Cause.TRUNCATE, self._named(topic, source)),), handled_at)
        if not isinstance(boundary, Mapping):
            if operation == "m":
                return Aside(handled_at)  # a message outside any transaction
            xid = self.source.statement(source)  # refuses where there is no such row
            what = f"a row outside any transaction ({xid}): XA, or provide.transaction.metadata=true is missing"
            apart = (Blindness(Cause.GAP, self._named(topic, source), what),)
            return self._alone(source, apart, handled_at, lasting=True)
        xid, order = self.source.transaction(boundary["id"]), _whole(boundary["total_order"])
        anew = self.source.anew(source)
        if operation == "m":
            return RowEvent(xid, order, None, None, None, (), handled_at, None, anew)
        name, order = self._named(topic, source), self.source.number_of(order, source, operation)
        after = payload.get("after")
        fields = _names(after)
        change, blind = self._told(name, operation, schema, payload, key)
        return RowEvent(xid, order, name, change, blind, fields, handled_at, self.source.place(source), anew)

    def _snapshot_row(self, source: _Json, handled_at: float | None) -> Event:
        """What an incremental snapshot reads is told as well by the transactions that it runs beside; any other stands
        where the connector does not go on where it had been (or stopped for a while)."""
        through = self.source.snapshot(source)
        if source.get("snapshot") in (None, "false", "incremental") or through is None:
            return Aside(handled_at)
        return _of_a_snapshot(handled_at, through)

    def _named(self, topic: str, source: _Json) -> TableName:
        """The table of a row; Unreadable, of any table, if it is not that of its topic."""
        name = self.source.table(source)
        if not self._carries(topic, name):
            raise Unreadable(
                f"rows of {name} in topic {topic[:200]}: is a transform or a topic naming strategy set?", None
            )
        return name

    def _boundary(self, payload: _Json) -> Event:
        status = payload["status"]
        if status == "BEGIN":
            return Begin(self.source.transaction(payload["id"]))
        if status != "END":
            raise ValueError(f"unknown transaction status {str(status)[:20]!r}")
        xid, commit = self.source.end(payload["id"])
        collections = payload.get("data_collections") or []
        by_table: list[tuple[str, int]] = []
        if isinstance(collections, list):
            by_table = [(str(entry["data_collection"]), _whole(entry["event_count"])) for entry in collections]
        committed_at = _seconds(payload.get("ts_ms"))
        if committed_at is None:
            raise ValueError("transaction end without ts_ms")
        return End(xid, commit, _whole(payload["event_count"]), tuple(by_table), committed_at)

    def _definition(self, payload: _Json) -> Event:
        """A statement that the connector took for a change of definitions. Those of its snapshot say what there is, and
        that it begins anew, wherever that may be."""
        source, handled_at = payload["source"], _seconds(payload.get("ts_ms"))
        if not isinstance(source, Mapping):
            raise TypeError("a schema change without a source")
        if source.get("snapshot") not in (None, "false"):
            return _of_a_snapshot(handled_at, None)
        tables = tables_of(payload, self._table_of)
        blind = tuple(Blindness(Cause.DDL, table, "the leader's log has a statement on it") for table in tables)
        return self._alone(source, blind, handled_at) if blind else Aside(handled_at)

    def _alone(
        self, source: _Json, blind: tuple[Blindness, ...], handled_at: float | None, *, lasting: bool = False
    ) -> Event:
        xid = self.source.statement(source)
        commit = None if xid is None else self.source.end(xid)[1]
        committed_at = _seconds(source.get("ts_ms")) or handled_at or 0.0
        return Statement(xid, commit, committed_at, blind, self.source.place(source), handled_at, lasting)

    def _told(
        self, name: TableName, operation: str, schema: _Json, payload: _Json, key: bytes | None
    ) -> tuple[Change | None, Blindness | None]:
        """The change of one row, or why it cannot be told; neither for a table that is not verified."""
        table = self._table_of(name)
        if operation == "t":
            return None, Blindness(Cause.TRUNCATE, name)
        if operation not in _OPERATIONS:
            return None, Blindness(Cause.UNREADABLE, name, f"unknown operation {operation[:20]!r}")
        if table is None:
            return None, None
        if key is None or not table.key:
            return None, Blindness(Cause.KEYLESS, name)
        shape = self._shape(name, table)
        try:
            found = self._key(shape, key)
            after = self._after(shape, schema, payload) if operation != "d" else None
        except (ValueError, TypeError, KeyError, ArithmeticError) as error:
            return None, Blindness(Cause.UNREADABLE, name, f"{type(error).__name__}: {error}"[:300])
        return Change(name, found, _OPERATIONS[operation], after), None

    def _shape(self, name: TableName, table: Table) -> Shape:
        shape = self._shapes.get(name)
        if shape is None or shape.table is not table:
            shape = self._shapes[name] = Shape(table, self.source.of_column)
        return shape

    def _shape_of(self, name: TableName) -> Shape | None:
        table = self._table_of(name)
        return None if table is None else self._shape(name, table)

    def _key(self, shape: Shape, key: bytes) -> Key:
        schema, payload = self._read(key)
        table = shape.table
        types = shape.types(schema.get("fields"))
        found: list[int | str] = []
        for column in table.key:
            if column not in payload:
                raise ValueError(f"the event's key has no column {column}: is message.key.columns set?")
            found.append(self._key_value(table, column, types[column], payload[column]))
        return tuple(found)

    def _key_value(self, table: Table, column: str, kind: Type, raw: object) -> int | str:
        """ValueError or TypeError if the event does not tell it."""
        told = self.source.decode(raw, kind, self._modes)
        native = table.scheme is Scheme.NATIVE
        if told is values.UNKNOWN or told is None or (native and not kind.spelled):
            raise ValueError(
                f"key column {column} ({table.column(column).declared}) cannot be told exactly in mode "
                f"decimal={self._modes.decimal}, time={self._modes.time}: set the connector's recommended modes"
            )
        if native:
            return int(told) if kind.whole else told
        return canonical_key(table.column(column), told)

    def _image(self, shape: Shape, message: bytes) -> Mapping[str, Value]:
        """The new row of a message that was understood before; nothing where its columns turn out to be odd."""
        try:
            return self._after(shape, *_unwrap(message))
        except (ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
            return {}

    def _after(self, shape: Shape, schema: _Json, payload: _Json) -> Mapping[str, Value]:
        after = payload["after"]
        if not isinstance(after, Mapping):
            raise TypeError("an insert or update without the new row")
        types = shape.types(_fields_of(schema, "after"))
        told: dict[str, Value] = {}
        for column, raw in after.items():
            kind = types.get(column)
            if kind is None:
                continue
            try:
                value = self.source.decode(raw, kind, self._modes)
            except (ValueError, TypeError, ArithmeticError):
                continue  # one odd column is unknown, the row's change is still known
            if value is not values.UNKNOWN:
                told[column] = value
        return told


def _of_a_snapshot(handled_at: float | None, through: Position | None) -> Statement:
    at, told = handled_at or 0.0, (TOOK_A_SNAPSHOT,)
    return Statement(None, None, at, told, handled_at=handled_at, snapshot=True, through=through)


def _names(after: object) -> tuple[str, ...]:
    return tuple(sorted(after)) if isinstance(after, Mapping) else ()


def _unwrap(message: bytes) -> tuple[_Json, _Json]:
    """Schema (empty if there is none) and payload. Integers of any size and decimals stay exact."""
    parsed = _JSON.decode(message.decode())
    if not isinstance(parsed, dict):
        raise TypeError(f"expected a JSON object, have {type(parsed).__name__}")
    if parsed.keys() == {"schema", "payload"}:
        schema, payload = parsed["schema"], parsed["payload"]
        if not isinstance(payload, dict):
            raise TypeError(f"expected a payload object, have {type(payload).__name__}")
        return (schema if isinstance(schema, dict) else _NO_SCHEMA), payload
    return _NO_SCHEMA, parsed


def _fields_of(schema: _Json, field: str) -> object:
    """The schema's list of fields of the struct `field` of the envelope."""
    fields = schema.get("fields")
    for entry in fields if isinstance(fields, list) else ():
        if isinstance(entry, dict) and entry.get("field") == field:
            return entry.get("fields")
    return None


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected a whole number, have {type(value).__name__}")
    return value


def _seconds(value: object) -> float | None:
    return None if value is None else _whole(value) / 1000
