"""From what a driver gives to the text that is compared, and back for keys."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from verifier.canonical import canonical
from verifier.table import Column, Family, KeyValue, Value

_MONTHS = re.compile(r"\bmonths?\b")


def spelled(column: Column, value: Any) -> Value:
    """The value's text. A 32-bit float comes widened, and stays so: 0.1 in four bytes is not 0.1 in eight."""
    if value is None:
        return None
    if isinstance(value, str):
        return _own_words(column, value)
    if column.family is Family.FLOAT and isinstance(value, int | float | Decimal):
        return repr(float(value))
    if column.family is Family.BYTES and isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    if column.family is Family.UUID and isinstance(value, bytes):
        return "\\x" + value.hex()
    for kind, text in _BY_TYPE:
        if isinstance(value, kind):
            return text(value)
    return str(value)


def _own_words(column: Column, text: str) -> str:
    """The engine's own text, where another engine would write the same value a little differently."""
    if column.family is Family.INTERVAL:
        return _MONTHS.sub("mons", text)
    return (
        text.replace(" (BC)", " BC") if column.family in (Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ) else text
    )


def _instant(value: datetime) -> str:
    return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat(" ")


def _duration(value: timedelta) -> str:
    """As ISO 8601 writes it, days and seconds of one sign."""
    micros = value // timedelta(microseconds=1)
    sign = "-" if micros < 0 else ""
    days, rest = divmod(abs(micros), 86_400_000_000)
    seconds, fraction = divmod(rest, 1_000_000)
    return f"P{sign}{days}DT{sign}{seconds}.{fraction:06d}S"


# A datetime is a date and a bool is an int: the narrower first.
_BY_TYPE: tuple[tuple[type[Any], Callable[[Any], str]], ...] = (
    (bool, lambda value: "true" if value else "false"),
    (int, str),
    (float, repr),
    (Decimal, str),
    (datetime, _instant),
    (date, date.isoformat),
    (time, time.isoformat),
    (timedelta, _duration),
    (uuid.UUID, str),
    (bytes, lambda value: "\\x" + value.hex()),
    (dict, json.dumps),
    (list, json.dumps),
)


def key_value(column: Column, value: Any) -> KeyValue | None:
    """The value as a part of a key: `int`, or its canonical text; None for NULL."""
    text = canonical(column.meets_as, spelled(column, value))
    return int(text) if text is not None and column.meets_as is Family.INTEGER else text


def parameter(column: Column, part: KeyValue) -> Any:
    """What a driver takes for a part of a key. ValueError if it cannot be one of this column."""
    if isinstance(part, int):
        return part
    try:
        return _SENT.get(column.family, str)(part)
    except InvalidOperation as error:
        raise ValueError("not a decimal") from error


_SENT: Mapping[Family, Callable[[str], Any]] = {
    Family.INTEGER: int,
    Family.DECIMAL: Decimal,
    Family.UUID: uuid.UUID,
    Family.BYTES: lambda text: bytes.fromhex(text.removeprefix("\\x")),
    Family.DATE: date.fromisoformat,
    Family.TIMESTAMP: datetime.fromisoformat,
    Family.TIMESTAMPTZ: datetime.fromisoformat,
}
