"""One column of a MySQL or MariaDB event as the server prints it, or `UNKNOWN` where the event does not tell it.

Text as `cast(column as char)` gives it in a session in UTC, but for what is read otherwise: bytes as backslash, `x` and
hexadecimal, instants with `+00` behind, bits as ones and zeros, geometries as the hexadecimal of what is stored,
floats as the double that they widen to (equal by value, spelled otherwise: not fit for keys).

What the connector distorts (measured on 3.5 and 3.6, or from its documentation): zero dates arrive as NULL, in columns
without NULL as 1970; times beyond a day as NULL in mode isostring; with the time adjuster years below 100 as years of
two centuries; year 0 as 1900; labels with a comma with a backslash; unsigned numbers above 2^63 as negative ones (which
says the same); numbers and moments inside a binary JSON value otherwise than the server prints them.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import struct
from collections.abc import Callable, Mapping

from connectors.debezium import text, values
from connectors.debezium.modes import Modes
from connectors.debezium.types import Type
from connectors.debezium.values import UNKNOWN, Decoded, Number

_Rule = Callable[[object, Type, Modes], Decoded]
_DAY_US = text.DAY_US
_FIRST_US, _BEYOND_US = text.day_number(0, 1, 1) * _DAY_US, text.day_number(10_000, 1, 1) * _DAY_US
_TIME_MAX_US = (838 * 3600 + 59 * 60 + 59) * 1_000_000 + 999_999
_ADJUSTED_US = text.day_number(1970, 1, 1) * _DAY_US, text.day_number(2070, 1, 1) * _DAY_US
_MOMENTS = frozenset({"date", "datetime", "timestamp"})
_OTHERWISE = re.compile(r"\d[.eE]|\d\d:\d\d|\d{4}-\d\d-\d\d|base64:", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


def decode(value: object, kind: Type, modes: Modes) -> Decoded:
    """`value` as parsed from JSON (fractions as `Number`). ValueError or TypeError if it cannot be of that type."""
    if value is None:
        return UNKNOWN if _silent_null(kind, modes) else None
    rule = _RULES.get(kind.base)
    return UNKNOWN if rule is None else rule(value, kind, modes)


def _silent_null(kind: Type, modes: Modes) -> bool:
    """Whether NULL may stand for a value: zero dates always do, and times that the spelling has no room for."""
    if kind.base in _MOMENTS:
        return True
    narrow = kind.spelling in ("iso", "ms") if kind.spelling else modes.time in ("isostring", "connect", "adaptive")
    return kind.base == "time" and narrow


def _integer(value: object, kind: Type, modes: Modes) -> Decoded:
    if isinstance(value, bool):
        return UNKNOWN  # a converter made a boolean of it: any number but 0 is true
    if isinstance(value, str) and kind.base == "bigint" and kind.unsigned:
        number = int(value) if isinstance(value, Number) else _unscaled(value)
    else:
        number = values.int_of(value)
    return str(number + 2**64 if number < 0 and kind.unsigned and kind.base == "bigint" else number)


def _unscaled(value: str) -> int:
    return int.from_bytes(base64.b64decode(value, validate=True), "big", signed=True)


def _year(value: object, kind: Type, modes: Modes) -> Decoded:
    year = values.int_of(value)
    if year in (0, 1900):  # the column holds 1901 to 2155, and 0
        return "0"
    return str(year) if 1901 <= year <= 2155 else UNKNOWN


def _bits(value: object, kind: Type, modes: Modes) -> Decoded:
    if isinstance(value, bool):
        return "1" if value else "0"
    number = int.from_bytes(base64.b64decode(values.text_of(value), validate=True), "little")
    return format(number, "b").rjust(kind.modifiers[0] if kind.modifiers else 1, "0")


def _float(single: bool) -> _Rule:
    def rule(value: object, kind: Type, modes: Modes) -> Decoded:
        if isinstance(value, bool) or not isinstance(value, (int, Number)):
            raise TypeError(f"expected a number, the event holds a {type(value).__name__}")
        number = float(value)
        if single:
            (number,) = struct.unpack("<f", struct.pack("<f", number))
        return repr(number)

    return rule


def _decimal(value: object, kind: Type, modes: Modes) -> Decoded:
    return values.decimal(value, kind, modes, kind.modifiers[1] if len(kind.modifiers) > 1 else 0)


def _character(value: object, kind: Type, modes: Modes) -> Decoded:
    return values.text_of(value).rstrip(" ")


def _text(value: object, kind: Type, modes: Modes) -> Decoded:
    return values.text_of(value)


def _binary(value: object, kind: Type, modes: Modes) -> Decoded:
    found = values.bytes_of(value, modes)
    width = kind.modifiers[0] if kind.modifiers else 1
    return "\\x" + found.ljust(width, b"\0").hex()


def _bytes(value: object, kind: Type, modes: Modes) -> Decoded:
    return "\\x" + values.bytes_of(value, modes).hex()


def _enum(value: object, kind: Type, modes: Modes) -> Decoded:
    label = values.text_of(value)
    plain = label.replace("\\,", ",")
    found = {one for one in (label, plain) if one in kind.labels}
    if len(found) == 1:
        return found.pop()
    return label if label == plain and not found else UNKNOWN


def _json(value: object, kind: Type, modes: Modes) -> Decoded:
    written = values.text_of(value)
    return UNKNOWN if _OTHERWISE.search(written) else written


def _moment(value: object, kind: Type, modes: Modes) -> int | None:
    """Microseconds since 1970; None if it cannot be told."""
    micros = text.iso_micros(values.text_of(value)) if _is_text(value) else _micros(value, kind, modes)
    if micros is None or not _FIRST_US <= micros < _BEYOND_US:
        return None
    if micros == 0 and not kind.nullable:
        return None  # or the zero date, which such a column has no NULL for
    if modes.time_adjuster and kind.base != "timestamp" and _ADJUSTED_US[0] <= micros < _ADJUSTED_US[1]:
        return None  # or a year below 100
    return micros


def _micros(value: object, kind: Type, modes: Modes) -> int | None:
    number, coarse = values.int_of(value), not kind.modifiers or kind.modifiers[0] <= 3
    adaptive = "us" if kind.base == "time" and modes.time != "adaptive" else "ms" if coarse else "us"
    unit = kind.spelling or {"microseconds": "us", "nanoseconds": "ns", "connect": "ms"}.get(modes.time, adaptive)
    if unit == "ns":
        return number // 1000 if number % 1000 == 0 else None
    if unit == "ms":
        return number * 1000 if coarse else None  # of a finer column they were rounded
    return number if unit == "us" else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _date(value: object, kind: Type, modes: Modes) -> Decoded:
    if isinstance(value, int):
        value = _iso_day(values.int_of(value))
    micros = _moment(values.text_of(value), kind, modes)
    return UNKNOWN if micros is None or micros % _DAY_US else _iso_day(micros // _DAY_US)


def _iso_day(days: int) -> str:
    year, month, day = text.civil(days)
    return f"{year:04}-{month:02}-{day:02}"


def _datetime(value: object, kind: Type, modes: Modes) -> Decoded:
    micros = _moment(value, kind, modes)
    if micros is None:
        return UNKNOWN
    days, of_day = divmod(micros, _DAY_US)
    return f"{_iso_day(days)} {_clock(of_day, kind)}"


def _timestamp(value: object, kind: Type, modes: Modes) -> Decoded:
    found = _datetime(values.text_of(value), kind, modes)
    return found if found is UNKNOWN else f"{found}+00"


def _time(value: object, kind: Type, modes: Modes) -> Decoded:
    if _is_text(value):
        micros: int | None = text.iso_micros(f"1970-01-01T{values.text_of(value).removesuffix('Z')}")
    else:
        micros = _micros(value, kind, modes)
    if micros is None or abs(micros) > _TIME_MAX_US:
        return UNKNOWN
    return ("-" if micros < 0 else "") + _clock(abs(micros), kind)


def _clock(micros: int, kind: Type) -> str:
    """With as many digits behind the second as the column declares; ValueError if there are more."""
    digits = kind.modifiers[0] if kind.modifiers else 0
    seconds, fraction = divmod(micros, 1_000_000)
    if fraction % 10 ** (6 - digits):
        raise ValueError(f"finer than the column's {digits} digits")
    written = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{written}.{fraction:06}"[: len(written) + 1 + digits] if digits else written


def _geometry(value: object, kind: Type, modes: Modes) -> Decoded:
    """As it is stored: the number of the reference system in 4 bytes, little end first, and well-known binary."""
    if not isinstance(value, Mapping):
        raise TypeError(f"expected a geometry, the event holds a {type(value).__name__}")
    if value.get("wkb") is None:
        return UNKNOWN
    binary, system = base64.b64decode(values.text_of(value["wkb"]), validate=True), value.get("srid")
    reference = 0 if system is None else values.int_of(system)
    if not 0 <= reference < 2**32:
        raise ValueError("no number of a reference system")
    return (struct.pack("<I", reference) + binary).hex().upper()


def _uuid(value: object, kind: Type, modes: Modes) -> Decoded:
    written = values.text_of(value)
    return written if _UUID.fullmatch(written) else UNKNOWN


def _address(value: object, kind: Type, modes: Modes) -> Decoded:
    return str(ipaddress.ip_address(values.text_of(value)))


_GEOMETRIES = (
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geometrycollection", "geomcollection",
)  # fmt: skip

_RULES: Mapping[str, _Rule] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint"), _integer),
    "year": _year,
    "bit": _bits,
    "float": _float(single=True),
    "double": _float(single=False),
    "decimal": _decimal,
    "char": _character,
    **dict.fromkeys(("varchar", "tinytext", "text", "mediumtext", "longtext", "set"), _text),
    "binary": _binary,
    **dict.fromkeys(("varbinary", "tinyblob", "blob", "mediumblob", "longblob"), _bytes),
    "enum": _enum,
    "json": _json,
    "date": _date,
    "datetime": _datetime,
    "timestamp": _timestamp,
    "time": _time,
    **dict.fromkeys(_GEOMETRIES, _geometry),
    "uuid": _uuid,
    "inet4": _address,
    "inet6": _address,
}
