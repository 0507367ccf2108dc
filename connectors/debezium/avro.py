"""Avro in the wire format of Confluent's registry: a zero byte, the schema's id in four bytes, the body.

Bodies are read as they were written, without Avro's own logical types, and put as the JSON converter would have put
them: bytes in base64, numbers with a point as `Number`; and the schema as Connect describes it. From there on both
spellings of an event go the same way.

An id that the registry does not know may be that of a schema which was written a moment ago, so it is asked for again.
But whatever begins with a zero byte looks like such a message. So if the registry goes on saying so for a while, and it
surely is the one of these topics (it has told other schemas, or has some of theirs), nobody will ever read the message.
Nor will anybody read one whose id is that of another format's schema, once others of these topics were read as Avro.
A registry that lost its schemas gives their ids out again, to others: so where a message is not of the schema that is
known, the registry is asked once more.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

import fastavro
from fastavro.schema import SchemaParseException

from connectors.debezium.values import Number
from verifier.errors import Forbidden, Misconfigured, Temporary

_MAGIC = 0
_HEADER = 5
_PRIMITIVE = {
    "int": "int32",
    "long": "int64",
    "float": "float",
    "double": "double",
    "boolean": "boolean",
    "string": "string",
    "bytes": "bytes",
}
_Json = Mapping[str, object]
PATIENCE_SECONDS = 30.0
"""For an unknown id; Confluent's and Apicurio's registries show what one of their nodes took within a second or so."""
_NEXT_SECONDS = 2.0
"""For another one, once one was waited for in vain: who sends one such message sends many."""
_ASK_SECONDS = 5.0
_VAIN_MAX = 1_000
_QUESTION = ": is it a message of the connector?"
_STRANGE = f", and has others of these topics{_QUESTION}"
_WHICH = ": is it the registry of the connector?"


class Unregistered(Temporary):
    """The registry itself says that it has no schema of that id, at least not yet."""


class Registry(Protocol):
    """Where schemas are kept by id."""

    def schema(self, number: int) -> str:
        """The schema's text. Unregistered if it has none, any other Temporary while it cannot tell, as while it is
        away. Misconfigured if the schema is not one of Avro."""
        ...

    def has(self, prefix: str) -> bool:
        """Whether it has schemas of topics that begin so. Temporary while it cannot tell."""
        ...


@dataclass(frozen=True, slots=True)
class _Schema:
    written: str
    parsed: Any
    connect: _Json


class AvroReader:
    """Messages of one registry, of topics that begin with `prefix`. Schemas never change under their id while their
    registry keeps them, so each is asked for once. `seconds` is a monotonic clock."""

    def __init__(self, registry: Registry, prefix: str = "", seconds: Callable[[], float] = monotonic) -> None:
        self._registry = registry
        self._prefix = prefix
        self._seconds = seconds
        self._known: dict[int, _Schema] = {}
        self._missing: dict[int, float] = {}  # since when the registry says so, without a break
        self._vain: dict[int, float] = {}  # when those were asked for last that were waited for in vain
        self._doubted: dict[int, float] = {}  # when known ones were asked for once more

    def read(self, message: bytes) -> tuple[_Json, _Json]:
        """Schema and payload. ValueError if it cannot be read, Temporary while its schema cannot be had; Misconfigured
        if the first one is no Avro."""
        if len(message) < _HEADER or message[0] != _MAGIC:
            raise ValueError("not in the registry's wire format")
        number = int.from_bytes(message[1:_HEADER], "big")
        schema = self._known.get(number)
        if schema is None:
            schema = self._known[number] = _parsed(self._asked(number))
        try:
            payload = _payload(schema, number, message)
        except (ValueError, TypeError):
            other = self._given_again(number, schema)
            if other is None:
                raise
            payload, schema = _payload(other, number, message), other
            self._known[number] = other
        return schema.connect, _plain(payload)

    def _given_again(self, number: int, known: _Schema) -> _Schema | None:
        """The schema that has this id by now, if it is another one; asked now and then."""
        now = self._seconds()
        if now - self._doubted.get(number, -math.inf) < _ASK_SECONDS:
            return None
        self._doubted[number] = now
        try:
            written = self._registry.schema(number)
        except (Temporary, Forbidden, Misconfigured):
            return None  # nobody says that it is another one
        return None if written == known.written else _parsed(written)

    def _asked(self, number: int) -> str:
        now = self._seconds()
        if now - self._vain.get(number, -math.inf) < _ASK_SECONDS:
            raise ValueError(f"the registry has no schema {number}{_STRANGE}")
        try:
            found = self._registry.schema(number)
        except Unregistered:
            if not self._in_vain(number, now):
                raise
            raise ValueError(f"the registry has no schema {number}{_STRANGE}") from None
        except Misconfigured:
            if not self._known:
                raise
            raise ValueError(f"schema {number} is none of Avro, as others of these topics are{_QUESTION}") from None
        except Temporary:
            self._missing.clear()  # what it says next may be what it has not loaded yet
            raise
        self._missing.pop(number, None)
        self._vain.pop(number, None)
        return found

    def _in_vain(self, number: int, now: float) -> bool:
        """Whether the registry, which is the right one, has said long enough that it has no such schema."""
        since = self._missing.setdefault(number, now)
        if now - since < (_NEXT_SECONDS if self._vain else PATIENCE_SECONDS):
            return False
        try:
            if not self._known and not self._registry.has(self._prefix):
                return False
        except (Temporary, Forbidden):  # nobody says which registry it is
            return False
        if len(self._vain) >= _VAIN_MAX:
            self._vain.clear()
            self._missing.clear()
        self._vain[number] = now
        return True


def _payload(schema: _Schema, number: int, message: bytes) -> dict[str, Any]:
    """ValueError or TypeError if the message is not of this schema."""
    body = io.BytesIO(message)
    body.seek(_HEADER)
    try:
        payload = fastavro.schemaless_reader(body, schema.parsed, None)
    except (EOFError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise ValueError(f"not of schema {number} of the registry, {type(error).__name__}{_WHICH}") from error
    if body.tell() != len(message):
        left = len(message) - body.tell()
        raise ValueError(f"not of schema {number} of the registry, {left} bytes are left over{_WHICH}")
    if not isinstance(payload, dict):
        raise TypeError(f"expected a record, have {type(payload).__name__}")
    return payload


def _parsed(written: str) -> _Schema:
    """ValueError, and what else a decoder takes for an unreadable message, if the schema is odd."""
    schema = json.loads(written)
    try:
        return _Schema(written, fastavro.parse_schema(_without_logical_types(schema)), connect_schema(schema))
    except SchemaParseException as error:  # whose text quotes the schema
        raise ValueError("a schema that Avro does not allow") from error


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {name: _without_logical_types(part) for name, part in schema.items() if name != "logicalType"}
    return [_without_logical_types(part) for part in schema] if isinstance(schema, list) else schema


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is bytes:
        return base64.b64encode(value).decode()
    if kind is float:
        return Number(repr(value))
    if kind is dict:
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if kind is list else value


def connect_schema(schema: object) -> _Json:
    """The schema as Kafka Connect's JSON describes it, from what its Avro converters keep of it (`connect.*`)."""
    return _connect(schema, {}, "")


def _connect(schema: object, named: dict[str, _Json], space: str) -> _Json:
    if isinstance(schema, list):
        others = [part for part in schema if part != "null"]
        return {**_connect(others[0], named, space), "optional": True} if len(others) == 1 else {}
    if isinstance(schema, str):
        if schema in _PRIMITIVE:
            return {"type": _PRIMITIVE[schema]}
        return named.get(schema) or named.get(f"{space}.{schema}") or {}
    if not isinstance(schema, dict):
        return {}
    kind = schema.get("type")
    if isinstance(kind, (dict, list)):
        return _connect(kind, named, space)
    found = _OF_KIND[kind](schema, named, space) if kind in _OF_KIND else dict(_connect(kind, named, space))
    for name, key in (("connect.type", "type"), ("connect.name", "name"), ("connect.parameters", "parameters")):
        if name in schema:
            found[key] = schema[name]
    if schema.get("logicalType") == "decimal" and "parameters" not in found:
        found["parameters"] = {"scale": str(schema.get("scale", 0))}
    return found


def _record(schema: Mapping[str, Any], named: dict[str, _Json], space: str) -> dict[str, object]:
    name, within = str(schema.get("name", "")), str(schema.get("namespace", space))
    full = name if "." in name else f"{within}.{name}"
    fields: list[_Json] = []
    found: dict[str, object] = {"type": "struct", "name": full, "fields": fields}
    named[full] = named[name] = found
    for field in schema.get("fields", ()):
        fields.append({**_connect(field["type"], named, full.rpartition(".")[0]), "field": field["name"]})
    return found


def _array(schema: Mapping[str, Any], named: dict[str, _Json], space: str) -> dict[str, object]:
    return {"type": "array", "items": _connect(schema.get("items"), named, space)}


def _map(schema: Mapping[str, Any], named: dict[str, _Json], space: str) -> dict[str, object]:
    return {"type": "map", "values": _connect(schema.get("values"), named, space)}


def _enum(schema: Mapping[str, Any], named: dict[str, _Json], space: str) -> dict[str, object]:
    return {"type": "string"}


def _fixed(schema: Mapping[str, Any], named: dict[str, _Json], space: str) -> dict[str, object]:
    return {"type": "bytes"}


_OF_KIND: Mapping[object, Callable[[Mapping[str, Any], dict[str, _Json], str], dict[str, object]]] = {
    "record": _record,
    "array": _array,
    "map": _map,
    "enum": _enum,
    "fixed": _fixed,
}
