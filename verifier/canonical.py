"""The canonical law: when are two values, spelled by different engines or settings, the same value?

`canonical` gives one text per value of a family, so that two values are equal if and only if their canonical texts are.
Digests find rows that may differ cheaply; whether and where they do is decided here, column by column. Equality is by
value: 1.0 is 1.00 (unless scale is strict), -0 is 0, instants count and not their offsets, JSON by structure, blanks
that only pad do not count, text by code points. A text that its family cannot read stands for itself: it is never
equal to a value that can be read, and never an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from verifier.drift import Difference
from verifier.table import Family, Table, Value

_TRUE = {"t", "true", "1", "y", "yes", "on"}
_FALSE = {"f", "false", "0", "n", "no", "off"}
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = {"nan": "NaN", "infinity": "Infinity", "inf": "Infinity", "-infinity": "-Infinity", "-inf": "-Infinity"}
_EXPONENT_MAX = 200_000  # beyond what any engine stores; keeps a hostile text from being written out in full
_CLOCK = re.compile(r"(\d\d:\d\d:\d\d)(\.\d*)?", re.ASCII)
_STAMP = re.compile(r"(\d{4,6}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d*)?(.*)", re.ASCII | re.DOTALL)
_OFFSET = re.compile(r"\s*(?:(Z)|([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)( BC)?", re.ASCII)


def canonical(family: Family, value: Value, *, strict_scale: bool = False) -> Value:
    """The one text of the value; None stays None. `strict_scale` keeps 1.0 and 1.00 apart."""
    if value is None:
        return None
    if family is Family.DECIMAL and strict_scale:
        return value
    form = _FORMS.get(family)
    return value if form is None else form(value)


def differing_columns(
    table: Table,
    leader: Mapping[str, Value] | None,
    follower: Mapping[str, Value] | None,
    *,
    strict_scale: bool = False,
) -> Mapping[str, Difference]:
    """The columns of `table` whose values differ, in table order; None is an absent row, which differs in every column
    that the other has. Values are given as the engines spelled them."""
    ours, theirs = leader or {}, follower or {}
    found: dict[str, Difference] = {}
    for column in table.columns:
        if column.name not in ours and column.name not in theirs:
            continue
        left, right = ours.get(column.name), theirs.get(column.name)
        if leader is not None and follower is not None and _equal(column.meets_as, left, right, strict_scale):
            continue
        found[column.name] = Difference(left, right)
    return found


def _equal(family: Family, left: Value, right: Value, strict_scale: bool) -> bool:
    if left == right:
        return True
    if left is None or right is None:
        return False
    return canonical(family, left, strict_scale=strict_scale) == canonical(family, right, strict_scale=strict_scale)


def _integer(text: str) -> str:
    try:
        return str(int(text))
    except ValueError:
        return _decimal(text)  # the other side's column may be a decimal


def _decimal(text: str) -> str:
    special = _NOT_FINITE.get(text.strip().lower())
    if special:
        return special
    if not _DECIMAL.fullmatch(text.strip()):
        return text
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return text
    return _plain(number)


def _plain(number: Decimal) -> str:
    """Digits without exponent, without trailing zeros behind the point, and without a sign on zero. Exact."""
    if not number:
        return "0"
    if abs(number.adjusted()) > _EXPONENT_MAX:
        return str(number)
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _float(text: str) -> str:
    try:
        number = float(text)
    except ValueError:
        return text
    if number != number:
        return "NaN"
    return repr(number + 0.0)  # -0.0 + 0.0 is 0.0


def _boolean(text: str) -> str:
    word = text.strip().lower()
    return "true" if word in _TRUE else "false" if word in _FALSE else text


def _char(text: str) -> str:
    return text.rstrip(" ")


def _bytes(text: str) -> str:
    return text.lower() if text[:2].lower() == "\\x" else text


def _time(text: str) -> str:
    match = _CLOCK.fullmatch(text)
    if not match:
        return text
    return match[1] + _fraction(match[2])


def _fraction(digits: str | None) -> str:
    """`.500000` is `.5`; none and `.000` are nothing."""
    return (digits or "").rstrip("0").rstrip(".")


def _timestamp(text: str) -> str:
    match = _STAMP.fullmatch(text)
    if not match or match[4] not in ("", " BC"):
        return text
    return f"{match[1]} {match[2]}{_fraction(match[3])}{match[4]}"


def _timestamptz(text: str) -> str:
    match = _STAMP.fullmatch(text)
    zone = _OFFSET.fullmatch(match[4]) if match else None
    if not match or not zone:
        return text
    day, clock, fraction, era = match[1], match[2], _fraction(match[3]), zone[6] or ""
    offset = timedelta(hours=int(zone[3] or 0), minutes=int(zone[4] or 0), seconds=int(zone[5] or 0))
    if offset:
        try:
            local = datetime.strptime(f"{day} {clock}", "%Y-%m-%d %H:%M:%S")
            shifted = local - offset if zone[2] == "+" else local + offset
        except (ValueError, OverflowError):
            return text  # outside of the years 1 to 9999
        if era:
            return text
        day, clock = f"{shifted.year:04d}-{shifted:%m-%d}", f"{shifted:%H:%M:%S}"
    return f"{day} {clock}{fraction}+00{era}"


def _uuid(text: str) -> str:
    digits = re.sub(r"^\\x|[-{}]", "", text.strip()).lower()
    if not re.fullmatch(r"[0-9a-f]{32}", digits):
        return text
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _json(text: str) -> str:
    try:
        return _structure(json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse))
    except (ValueError, InvalidOperation, RecursionError):
        return text


def _structure(node: Any) -> str:
    """Compact JSON with sorted keys and plain numbers."""
    if isinstance(node, dict):
        members = (f"{json.dumps(key)}:{_structure(node[key])}" for key in sorted(node))
        return "{" + ",".join(members) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(_structure, node)) + "]"
    if isinstance(node, Decimal):
        return _plain(node)
    return json.dumps(node)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_FORMS: Mapping[Family, Callable[[str], str]] = {
    Family.INTEGER: _integer,
    Family.DECIMAL: _decimal,
    Family.FLOAT: _float,
    Family.BOOLEAN: _boolean,
    Family.CHAR: _char,
    Family.BYTES: _bytes,
    Family.TIME: _time,
    Family.TIMESTAMP: _timestamp,
    Family.TIMESTAMPTZ: _timestamptz,
    Family.UUID: _uuid,
    Family.JSON: _json,
}
