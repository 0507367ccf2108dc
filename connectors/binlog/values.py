"""A value of a row event as the text that the server's own SQL gives of it (`connectors.mysql.expressions`).

The library decodes into Python's types, and some values do not survive that: documents, moments that no calendar has,
text in a charset that Python reads otherwise. Such a value is `Unknown`; nothing is guessed.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from connectors.binlog.events import ColumnFacts
from verifier.table import Column, Family, Value

_YEAR_ZERO = 1900
"""How the library says the year 0000."""
_EPOCH = datetime.datetime(1970, 1, 1)

# How Python decodes what the catalog calls these charsets; others are decoded otherwise than the server does.
_ENCODINGS = {"utf8mb4": "utf8", "utf8mb3": "utf8", "utf8": "utf8", "ascii": "ascii", "latin1": "cp1252"}


class Unknown(Exception):
    """The event does not tell the value exactly. The message names no value."""


def text_of(column: Column, facts: ColumnFacts, value: Any, lost: str | None) -> Value:
    """`value` as the library decoded it; `lost`: why it is None and yet no NULL. Unknown if it cannot be told."""
    if value is None and lost is None and (column.family is not Family.JSON or facts.charset):
        return None
    read = _READ.get(column.family)
    if read is None:
        raise Unknown(f"{column.declared} is not read from the binlog")
    return read(column, facts, value)


def _integer(column: Column, facts: ColumnFacts, value: Any) -> str:
    if not isinstance(value, int):
        raise Unknown("not an integer")
    return "0" if column.declared.lower().startswith("year") and value == _YEAR_ZERO else str(value)


def _decimal(column: Column, facts: ColumnFacts, value: Any) -> str:
    if not isinstance(value, Decimal):
        raise Unknown("not a decimal")
    return f"{value:f}"


def _float(column: Column, facts: ColumnFacts, value: Any) -> str:
    if not isinstance(value, float):
        raise Unknown("not a floating-point number")
    return repr(value)


def _text(column: Column, facts: ColumnFacts, value: Any) -> str:
    charset = (column.collation or "").partition("_")[0]
    if not isinstance(value, str) or _ENCODINGS.get(charset) != facts.charset:
        raise Unknown(f"text in charset {charset or 'unknown'}")
    return value


def _json(column: Column, facts: ColumnFacts, value: Any) -> str:
    """MariaDB keeps documents as text; MySQL in a form of its own, which the library does not give back exactly."""
    if facts.charset is None:
        raise Unknown("a document in MySQL's binary form")
    return _text(column, facts, value)


def _enum(column: Column, facts: ColumnFacts, value: Any) -> str:
    if not isinstance(value, str) or "" in facts.labels[1:]:  # the first stands for what was no label
        raise Unknown("a label in another charset than UTF-8")
    return value


def _set(column: Column, facts: ColumnFacts, value: Any) -> str:
    if "" in facts.labels or not facts.labels or not isinstance(value, set | None):
        raise Unknown("a label in another charset than UTF-8")
    return ",".join(label for label in facts.labels if label in (value or ()))


def _bytes(column: Column, facts: ColumnFacts, value: Any) -> str:
    raw = b"" if value == "" else value
    if not isinstance(raw, bytes):
        raise Unknown("bytes that were decoded as text")
    fixed = re.fullmatch(r"binary\((\d+)\)", column.declared, re.I)
    if fixed:  # the binlog leaves out trailing zeros
        raw = raw.ljust(int(fixed[1]), b"\0")
    return f"\\x{raw.hex()}"


def _bit(column: Column, facts: ColumnFacts, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[01]+", value):
        raise Unknown("not bits")
    return value


def _date(column: Column, facts: ColumnFacts, value: Any) -> str:
    if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
        raise Unknown("a date that no calendar has")
    return value.isoformat()


def _datetime(column: Column, facts: ColumnFacts, value: Any) -> str:
    if not isinstance(value, datetime.datetime):
        raise Unknown("a moment that no calendar has")
    whole = value.replace(microsecond=0).isoformat(sep=" ")
    return whole + _fraction(facts, value.microsecond)


def _timestamp(column: Column, facts: ColumnFacts, value: Any) -> str:
    if not isinstance(value, datetime.datetime):
        raise Unknown("a moment that no calendar has")
    if value.replace(microsecond=0) == _EPOCH:  # no row holds it: the second is the zero of this type
        return f"0000-00-00 00:00:00{_fraction(facts, 0)}+00"
    return _datetime(column, facts, value) + "+00"


def _time(column: Column, facts: ColumnFacts, value: Any) -> str:
    if not isinstance(value, datetime.timedelta) or (facts.digits and value < datetime.timedelta(0)):
        raise Unknown("a negative time with a fraction")  # which the library reads wrongly
    sign, size = ("-", -value) if value < datetime.timedelta(0) else ("", value)
    minutes, seconds = divmod(size.days * 86_400 + size.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}{_fraction(facts, size.microseconds)}"


def _fraction(facts: ColumnFacts, microseconds: int) -> str:
    return f".{microseconds:06}"[: facts.digits + 1] if facts.digits else ""


_READ: Mapping[Family, Callable[[Column, ColumnFacts, Any], str]] = {
    Family.INTEGER: _integer,
    Family.DECIMAL: _decimal,
    Family.FLOAT: _float,
    Family.TEXT: _text,
    Family.CHAR: _text,
    Family.JSON: _json,
    Family.ENUM: _enum,
    Family.SET: _set,
    Family.BYTES: _bytes,
    Family.BIT: _bit,
    Family.DATE: _date,
    Family.TIME: _time,
    Family.TIMESTAMP: _datetime,
    Family.TIMESTAMPTZ: _timestamp,
}
