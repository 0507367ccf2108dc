"""One column of an event as PostgreSQL's own text, or `UNKNOWN` where the event does not tell it exactly.

Doubt is never a value: a column that the connector rounds, spells ambiguously or leaves out is unknown in this
event, and whoever needs it reads the row. A key with an unknown column makes the event unreadable.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import ipaddress
import json
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import MAX_PREC, Context, Decimal
from typing import Final

from connectors.debezium import text
from connectors.debezium.modes import Modes
from connectors.debezium.types import PRINTED, VERBATIM, Type
from verifier.table import Value


class Unknown(enum.Enum):
    """The event does not say what the column holds."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN
Decoded = Value | Unknown
_Rule = Callable[[object, Type, Modes], Decoded]
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
_COORDINATE = re.compile(r"-?\d+\.\d+(E-?\d+)?", re.ASCII)  # as Java prints them
_SHAPES = frozenset({"box", "lseg", "path", "polygon", "circle", "line"})
_DIGITS_MAX = 150_000  # more than any column holds


class Number(str):
    """A JSON number with a point or an exponent, kept as it was written: no digit is lost in parsing."""

    __slots__ = ()


def decode(value: object, kind: Type, modes: Modes) -> Decoded:
    """`value` as parsed from JSON (fractions as `Number`). ValueError or TypeError if it cannot be of that type."""
    if value is None:
        return UNKNOWN if _silent_null(kind, modes) else None
    if kind.array:
        return _array(value, kind, modes)
    if isinstance(value, str) and value == modes.placeholder:
        return UNKNOWN
    rule = _verbatim if kind.base in VERBATIM else _RULES.get(kind.base)
    return UNKNOWN if rule is None else rule(value, kind, modes)


def text_of(value: object) -> str:
    """TypeError for anything but text."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, the event holds a {type(value).__name__}")
    return value


def int_of(value: object) -> int:
    """TypeError for anything but a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected a whole number, the event holds a {type(value).__name__}")
    return value


def _silent_null(kind: Type, modes: Modes) -> bool:
    """Whether NULL may stand for a value that the connector could not convert: NaN in precise decimals, moments that
    nanoseconds have no room for, names."""
    if kind.base.startswith("timestamp without") and (kind.spelling or modes.time) in ("ns", "nanoseconds"):
        return modes.failures != "fail"
    if kind.base == "numeric":
        return modes.decimal == "precise" and modes.failures != "fail"
    return kind.base == "name" and not modes.unknown_types


def _array(value: object, kind: Type, modes: Modes) -> Decoded:
    if not isinstance(value, list):
        raise TypeError(f"an array column holds a {type(value).__name__}")
    raw = modes.placeholder_bytes()
    if value == list(raw) or value == [_placeholder_uuid(raw)]:
        return UNKNOWN
    element_type = kind.element()
    elements: list[str | None] = []
    for item in value:
        element = decode(item, element_type, modes)
        if element is UNKNOWN:
            return UNKNOWN
        if kind.base == "boolean" and element is not None:
            element = str(element)[0]  # inside an array: t and f
        elements.append(None if element is None else str(element))
    return text.array(elements)


def _placeholder_uuid(raw: bytes) -> str:
    digest = bytearray(hashlib.md5(raw, usedforsecurity=False).digest())
    digest[6], digest[8] = digest[6] & 0x0F | 0x30, digest[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(digest)))


def _verbatim(value: object, kind: Type, modes: Modes) -> Decoded:
    return text_of(value)


def _integer(value: object, kind: Type, modes: Modes) -> Decoded:
    return str(int_of(value))


def _boolean(value: object, kind: Type, modes: Modes) -> Decoded:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, the event holds a {type(value).__name__}")
    return "true" if value else "false"


def _character(value: object, kind: Type, modes: Modes) -> Decoded:
    return text_of(value).rstrip(" ")


def _bits(value: object, kind: Type, modes: Modes) -> Decoded:
    if isinstance(value, bool):
        return "1" if value else "0"
    if kind.base != "bit":  # the length of a bit varying is lost on the way
        return UNKNOWN
    number = int.from_bytes(base64.b64decode(text_of(value), validate=True), "little")
    return format(number, "b").rjust(kind.modifiers[0] if kind.modifiers else 1, "0")


def _float(single: bool) -> _Rule:
    def rule(value: object, kind: Type, modes: Modes) -> Decoded:
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise TypeError(f"expected a number, the event holds a {type(value).__name__}")
        number = float(value)
        if single and kind.widened:
            return text.widened(number)
        return text.float4(number) if single else text.float8(number)

    return rule


def _numeric(value: object, kind: Type, modes: Modes) -> Decoded:
    if isinstance(value, Mapping):  # scale and digits, but trailing zeros are gone: not the server's text
        return UNKNOWN
    named = {"NAN": "NaN", "POSITIVE_INFINITY": "Infinity", "NEGATIVE_INFINITY": "-Infinity"}
    if isinstance(value, str) and value in named and modes.decimal == "string" and not kind.spelling:
        return named[value]
    return decimal(value, kind, modes, _declared_scale(kind))


def decimal(value: object, kind: Type, modes: Modes, declared: int | None) -> Decoded:
    """A number with `declared` digits behind the point (None: the column does not say)."""
    precise = modes.decimal == "precise" or kind.spelling == "unscaled"
    scale = kind.scale if kind.scale is not None else declared
    if isinstance(value, Number) or (isinstance(value, int) and not isinstance(value, bool)):
        return _exact(value, scale) if precise and modes.number_format == "numeric" else UNKNOWN  # else a double
    written = text_of(value)
    if modes.decimal == "string" and not kind.spelling:
        return written if _NUMBER.fullmatch(written) else UNKNOWN
    if not precise or scale is None:
        return UNKNOWN
    return text.scaled(int.from_bytes(base64.b64decode(written, validate=True), "big", signed=True), scale)


def _exact(value: int | Number, scale: int | None) -> Decoded:
    number = Decimal(value)
    if scale is None or not number.is_finite() or abs(number.adjusted()) > _DIGITS_MAX:
        return UNKNOWN
    unscaled = number.scaleb(scale, Context(prec=MAX_PREC))
    return text.scaled(int(unscaled), scale) if unscaled == unscaled.to_integral_value() else UNKNOWN


def _declared_scale(kind: Type) -> int | None:
    if not kind.modifiers:
        return None
    return kind.modifiers[1] if len(kind.modifiers) > 1 else 0


def _bytea(value: object, kind: Type, modes: Modes) -> Decoded:
    raw = bytes_of(value, modes)
    return UNKNOWN if raw == modes.placeholder_bytes() else "\\x" + raw.hex()


def bytes_of(value: object, modes: Modes) -> bytes:
    """Bytes in the spelling of the mode; ValueError if they are not."""
    written = text_of(value)
    if modes.binary == "hex":
        return bytes.fromhex(written)
    if modes.binary == "base64-url-safe":
        return base64.b64decode(written, b"-_", validate=True)
    return base64.b64decode(written, validate=True)


def _date(value: object, kind: Type, modes: Modes) -> Decoded:
    days = int_of(value) if isinstance(value, int) else text.iso_micros(text_of(value)) // text.DAY_US
    written = text.date(days)
    return UNKNOWN if written is None else written


def _point(value: object, kind: Type, modes: Modes) -> Decoded:
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a point, the event holds a {type(value).__name__}")
    ordinates = [_float(single=False)(value.get(axis), kind, modes) for axis in ("x", "y")]
    return f"({ordinates[0]},{ordinates[1]})"


def _hstore(value: object, kind: Type, modes: Modes) -> Decoded:
    pairs = json.loads(value) if isinstance(value, str) else value
    if not isinstance(pairs, Mapping):
        raise TypeError(f"expected an hstore, the event holds a {type(pairs).__name__}")
    if pairs == {modes.placeholder: modes.placeholder}:
        return UNKNOWN
    return text.hstore({text_of(key): None if item is None else text_of(item) for key, item in pairs.items()})


def _printed(value: object, kind: Type, modes: Modes) -> Decoded:
    """A type that the connector does not know: the bytes of its text, if it may pass them on at all."""
    if not modes.unknown_types:
        return UNKNOWN
    printed = bytes_of(value, modes).decode()
    return _COORDINATE.sub(lambda found: text.float8(float(found[0])), printed) if kind.base in _SHAPES else printed


def _unit(kind: Type, modes: Modes) -> str:
    """The unit of a time or timestamp number: what the schema says, else what mode and precision mean."""
    if kind.spelling:
        return kind.spelling
    fine = not kind.modifiers or kind.modifiers[0] > 3
    if modes.time == "adaptive":
        return "us" if fine else "ms"
    if modes.time == "adaptive_time_microseconds":
        return "us" if fine or kind.base.startswith("time without") else "ms"
    return {"microseconds": "us", "nanoseconds": "ns", "connect": "ms"}.get(modes.time, "")


def _micros(value: object, kind: Type, modes: Modes) -> int | None:
    number, unit = int_of(value), _unit(kind, modes)
    if unit == "us":
        return number
    if unit == "ns":
        return number // 1000 if number % 1000 == 0 else None
    exact = bool(kind.modifiers) and kind.modifiers[0] <= 3  # milliseconds of a finer column were rounded
    return number * 1000 if unit == "ms" and exact else None


def _time(value: object, kind: Type, modes: Modes) -> Decoded:
    if isinstance(value, str):
        written = value.removesuffix("Z")  # midnight may be 00:00 or 24:00: this spelling does not say
        micros = None if written == "00:00:00" else text.iso_micros(f"1970-01-01T{written}")
    else:
        micros = _micros(value, kind, modes)
    return UNKNOWN if micros is None else text.time(micros)


def _timestamp(value: object, kind: Type, modes: Modes) -> Decoded:
    micros = text.iso_micros(value) if isinstance(value, str) else _micros(value, kind, modes)
    written = None if micros is None else text.timestamp(micros)
    return UNKNOWN if written is None else written


def _timestamptz(value: object, kind: Type, modes: Modes) -> Decoded:
    written = text_of(value)
    if written in ("infinity", "-infinity"):
        return written
    found = text.timestamp(text.iso_micros(written), "+00")
    return UNKNOWN if found is None else found


def _interval(value: object, kind: Type, modes: Modes) -> Decoded:
    return text.interval(value) if isinstance(value, str) else UNKNOWN  # the number form equates months and days


def _inet(value: object, kind: Type, modes: Modes) -> Decoded:
    written = text_of(value)
    if "/" in written:
        return written
    return f"{written}/{ipaddress.ip_address(written).max_prefixlen}"


_RULES: Mapping[str, _Rule] = {
    "smallint": _integer,
    "integer": _integer,
    "bigint": _integer,
    "oid": _integer,
    "boolean": _boolean,
    "bit": _bits,
    "bit varying": _bits,
    "real": _float(single=True),
    "double precision": _float(single=False),
    "numeric": _numeric,
    "character": _character,
    "bytea": _bytea,
    "date": _date,
    "time without time zone": _time,
    "timestamp without time zone": _timestamp,
    "timestamp with time zone": _timestamptz,
    "interval": _interval,
    "inet": _inet,
    "point": _point,
    "hstore": _hstore,
    **dict.fromkeys(PRINTED, _printed),
}
