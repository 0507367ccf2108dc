"""Row events in the connector's usual spelling, many at a time: what nearly every message of a busy topic is.

Each message is read once, by a parser that is told what to look for: the operation, the transaction, the table. All of
it must be JSON, but nothing is made of the row's columns before somebody asks for them (`columns.RowImage`). Whatever
is not as usual (another table, a schema in the message, a field that lacks or has another type) is no reason to guess:
the whole run is then taken message by message by `connectors.debezium.decoder`, which gives the same answers, slowly.

The names of a row's columns, which tell that a table changed its shape, are compared between the first and the last row
of a run. A shape that came and went between the two would go unnoticed, and has left nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any, Literal, cast

import msgspec

from connectors.debezium.boundaries import NOT_PLAIN
from connectors.debezium.columns import Columns
from connectors.debezium.modes import Modes
from connectors.debezium.run import Run
from connectors.debezium.shape import Shape
from connectors.debezium.source import Source, TransactionId
from connectors.debezium.types import Type
from verifier.gtid import Binlog
from verifier.table import Key, Table, TableName, Value

_PROBES: Mapping[type, tuple[int | str, ...]] = {
    int: (0, 1, -1, 2**31, 2**63 - 1, -(2**63), 2**64 - 1),
    str: ("", "a ", "0", "é\\\"'", "2024-02-29", "NAN", "true"),
}
_ANEW = b'"[null,'
"""How `source.sequence` begins where the connector knows of no commit before: `decoder` asks its source. Few messages
have this anywhere."""
_KEYS_KEPT, _KEYS_KEPT_BYTES = 10_000, 4 << 20
_TOPICS_KEPT = 500


class _Transaction(msgspec.Struct, gc=False):
    id: str
    total_order: int


class _Source(msgspec.Struct, gc=False, kw_only=True):
    """Its fields and the envelope's stand as in messages: the parser looks for the next one first."""

    db: str = ""
    schema: str = ""
    table: str
    file: str | None = None
    pos: int | None = None
    row: int | None = None


class _Row(msgspec.Struct, gc=False):
    """That there is a row; its columns are not looked at."""


class _Envelope(msgspec.Struct, gc=False):
    after: _Row | None
    source: _Source
    transaction: _Transaction
    op: Literal["c", "u", "d"]


class _Named(msgspec.Struct, gc=False):
    after: dict[str, msgspec.Raw] | None


class _Sent(msgspec.Struct, gc=False):
    ts_ms: int


class _Sequence(msgspec.Struct, gc=False):
    sequence: msgspec.Raw = msgspec.Raw(b"")


class _Sequenced(msgspec.Struct, gc=False):
    source: _Sequence


def _parser_of(source: _Source, *, placed: bool) -> Callable[[bytes], _Envelope]:
    """Reads envelopes of this very table, and is spared its names; `placed`: and where the row stands in a binlog."""
    fields: list[Any] = [
        (one, Literal[name]) if (name := getattr(source, one)) else (one, Literal[""], "")
        for one in ("db", "schema", "table")
    ]
    if placed:
        fields += [("file", str | None, None), ("pos", int | None, None), ("row", int | None, None)]
    exact = msgspec.defstruct("Exact", fields, gc=False, kw_only=True)
    whole = [(one.name, exact if one.name == "source" else one.type) for one in msgspec.structs.fields(_Envelope)]
    return cast(
        Callable[[bytes], _Envelope], msgspec.json.Decoder(msgspec.defstruct("Envelope", whole, gc=False)).decode
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys the long way: `whole` from a message's key, `column` one value of it; ValueError or TypeError if it is not
    told."""

    whole: Callable[[Shape, bytes], Key]
    column: Callable[[Table, str, Type, object], int | str]


class PlainRows:
    """`slowly` decodes keys, and `tell` new rows, the long way."""

    def __init__(
        self,
        source: Source,
        modes: Modes,
        shape_of: Callable[[TableName], Shape | None],
        slowly: Keys,
        tell: Callable[[Shape, bytes], Mapping[str, Value]],
    ) -> None:
        self._source = source
        self._placed = source.place({"file": "1", "pos": 1}) is not None
        self._modes = modes
        self._shape_of = shape_of
        self._slowly, self._tell = slowly, tell
        self._parser = msgspec.json.Decoder(_Envelope).decode
        self._named = msgspec.json.Decoder(_Named).decode
        self._sent = msgspec.json.Decoder(_Sent).decode
        self._sequenced = msgspec.json.Decoder(_Sequenced).decode
        self._parsers: dict[str, Callable[[bytes], _Envelope]] = {}
        self._names: dict[str, TableName] = {}
        self._known: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._keys: dict[TableName, tuple[Shape, _Keys]] = {}

    def decode(self, topic: str, keys: Sequence[bytes | None], messages: Sequence[bytes]) -> Run | None:
        """The events of these messages of one partition of `topic`; None if one of them is not plain."""
        try:
            if not all(map(bytes.isascii, messages)):
                for message in messages:
                    message.decode()  # the parser skips what is no UTF-8 where it does not look
            envelopes = self._envelopes(topic, messages)
            name = self._names[topic]
            operations = [one.op for one in envelopes]
            deleted = [one.op for one in envelopes if one.after is None]
            if deleted.count("d") != len(deleted) or len(deleted) != operations.count("d"):
                return None
            rows = messages if not deleted else list(compress(messages, map("d".__ne__, operations)))
            fields = self._one_shape(rows)
            columns = self._columns(name, operations, keys, messages)
            if fields is None or (columns is None and self._shape_of(name) is not None):
                return None
            transactions = [one.transaction for one in envelopes]
            counts = self._source.runs([one.id for one in transactions])
            orders = [one.total_order for one in transactions]
            if self._source.recounts:
                orders = [self._number(one) for one in envelopes]
            places = self._heads(counts, envelopes, messages)
            handled_at = self._sent(messages[-1]).ts_ms / 1000
        except NOT_PLAIN:
            return None
        return Run(name, counts, orders, columns, fields, handled_at, places)

    def _heads(
        self, counts: Sequence[tuple[TransactionId, int]], envelopes: Sequence[_Envelope], messages: Sequence[bytes]
    ) -> dict[int, Binlog]:
        """Where each transaction's first row stands, if that is needed. ValueError if the connector began anew with one
        of them: all its rows say the same."""
        places: dict[int, Binlog] = {}
        start = 0
        for _, count in counts:
            if _ANEW in messages[start] and self._anew(messages[start]):
                raise ValueError("the connector knows of no commit before")
            if self._placed and (place := self._place(envelopes[start].source)) is not None:
                places[start] = place
            start += count
        return places

    def _number(self, one: _Envelope) -> int:
        return self._source.number_of(
            one.transaction.total_order, {"pos": one.source.pos, "row": one.source.row}, one.op
        )

    def _anew(self, message: bytes) -> bool:
        return bytes(self._sequenced(message).source.sequence).startswith(_ANEW)

    def _place(self, source: _Source) -> Binlog | None:
        return None if source.file is None else self._source.place({"file": source.file, "pos": source.pos})

    def _envelopes(self, topic: str, messages: Sequence[bytes]) -> Sequence[_Envelope]:
        """The parser knows what table the topic carried last, and refuses any other: then all are read once more."""
        known = self._parsers.get(topic)
        if known is not None:
            with suppress(msgspec.ValidationError):
                return list(map(known, messages))
        envelopes = list(map(self._parser, messages))
        first = envelopes[0].source
        if any((one.source.db, one.source.schema, one.source.table) != (first.db, first.schema, first.table)
               for one in envelopes):  # fmt: skip
            raise ValueError("rows of several tables")
        name = self._source.table({"db": first.db, "schema": first.schema, "table": first.table})
        if len(self._parsers) >= _TOPICS_KEPT:
            self._parsers.clear()
            self._names.clear()
        self._names[topic], self._parsers[topic] = name, _parser_of(first, placed=self._placed)
        return envelopes

    def _one_shape(self, rows: Sequence[bytes]) -> tuple[str, ...] | None:
        """The names of the columns, the same in the first and the last of these messages, which have new rows."""
        if not rows:
            return ()
        first = self._fields(rows[0])
        if self._fields(rows[-1]) != first:
            return None
        if len(self._known) >= _TOPICS_KEPT:
            self._known.clear()
        return self._known.setdefault(first, first)  # the same object each time: it is compared with every transaction

    def _fields(self, message: bytes) -> tuple[str, ...]:
        return tuple(sorted(self._named(message).after or ()))

    def _columns(
        self, name: TableName, operations: Sequence[str], keys: Sequence[bytes | None], messages: Sequence[bytes]
    ) -> Columns | None:
        """None for a table that is not verified, or has no key."""
        shape = self._shape_of(name)
        if shape is None or not shape.table.key:
            return None
        told = self._keys_of(name, shape).told(keys)
        return Columns(name, told, operations, messages, partial(self._tell, shape))

    def _keys_of(self, name: TableName, shape: Shape) -> _Keys:
        known = self._keys.get(name)
        if known is None or known[0] is not shape:
            known = self._keys[name] = shape, _Keys(shape, self._slowly, self._modes.placeholder)
        return known[1]


class _Keys:
    """Keys of one table from messages. Where all columns are spelled in events as they are in keys, which is found out
    by trying, they are read as they stand; else the long way, and remembered."""

    def __init__(self, shape: Shape, slowly: Keys, placeholder: str) -> None:
        self._slowly = partial(slowly.whole, shape)
        self._kept: dict[bytes, Key] = {}
        self._kept_bytes = 0
        self._plainly: Callable[[bytes], msgspec.Struct] | None = None
        types = shape.types(None)
        plain = [_plain(partial(slowly.column, shape.table, column, types[column])) for column in shape.table.key]
        self._placeholder = placeholder if str in plain else None
        if None not in plain:
            fields = [
                (f"k{index}", kind, msgspec.field(name=column))
                for index, (column, kind) in enumerate(zip(shape.table.key, plain, strict=True))
            ]
            made = msgspec.defstruct("Key", cast("list[tuple[str, type]]", fields), gc=False)
            self._plainly = msgspec.json.Decoder(made).decode

    def told(self, keys: Sequence[bytes | None]) -> list[Key]:
        """ValueError if one cannot be told."""
        if not all(keys):
            raise ValueError("a message without a key")
        known = cast(Sequence[bytes], keys)
        if self._plainly is None:
            return [self._remembered(key) for key in known]
        found = list(map(msgspec.structs.astuple, map(self._plainly, known)))
        if self._placeholder is not None and any(self._placeholder in key for key in found):
            raise ValueError("a key that the event does not tell")
        return found

    def _remembered(self, key: bytes) -> Key:
        known = self._kept.get(key)
        if known is None:
            if len(self._kept) >= _KEYS_KEPT or self._kept_bytes > _KEYS_KEPT_BYTES:
                self._kept.clear()
                self._kept_bytes = 0
            self._kept_bytes += len(key)
            known = self._kept[key] = self._slowly(key)
        return known


def _plain(value: Callable[[object], int | str]) -> type | None:
    """`int` or `str` if the values of a key's column are what events say, unchanged."""
    for wanted, probes in _PROBES.items():
        with suppress(ValueError, TypeError, ArithmeticError):
            if all(type(told := value(probe)) is wanted and told == probe for probe in probes):
                return wanted
    return None
