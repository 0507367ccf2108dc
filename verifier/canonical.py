"""The canonical law: when are two values, spelled by different engines or settings, the same value?

`canonical` gives one text per value of a family, so that two values are equal if and only if their canonical texts are.
Digests find rows that may differ cheaply; whether and where they do is decided here, column by column. Equality is by
value: 1.0 is 1.00 (unless scale is strict), -0 is 0, instants count and not their offsets, JSON by structure, blanks
that only pad do not count, text by code points. A text that its family cannot read stands for itself: it is never
equal to a value that can be read, and never an error. Values that differ by no more than their column tolerates
(`verifier.tolerance`) are equal, too (`same`). `docs/canonical.md` has the law as a table.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from json.encoder import encode_basestring_ascii
from typing import Any

from verifier import moments
from verifier.drift import Difference
from verifier.table import Column, Family, Table, Value
from verifier.tolerance import float_bucket, moment_bucket, near_floats, near_moments

_TRUE = {"t", "true", "1", "y", "yes", "on"}
_FALSE = {"f", "false", "0", "n", "no", "off"}
_DECIMAL = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = {"nan": "NaN", "infinity": "Infinity", "inf": "Infinity", "-infinity": "-Infinity", "-inf": "-Infinity"}
_EXPONENT_MAX = 200_000  # beyond what any engine's numeric stores; keeps a hostile text from being written out in full
_JSON_EXPONENT_MAX = 400  # beyond a double: one JSON text may hold many numbers like 1e100000, each of eight characters
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""Rounds nothing: in a narrower one 1e1000000 overflows, and all that is smaller than 1e-1000000 is one zero."""
_INTEGER = re.compile(r"[+-]?\d{1,4000}", re.ASCII)
# Possessive: a group that might be given back is noted each time it matches, 57 bytes for every byte of a value.
_HEX = re.compile(r"\\x(?:[0-9a-f]{2})*+", re.IGNORECASE | re.ASCII)
_STORED = re.compile(r"(?:[0-9a-f]{2})++", re.IGNORECASE | re.ASCII)
_UUID = re.compile(r"\\x([0-9a-f]{32})|\{?([0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12})\}?", re.IGNORECASE | re.ASCII)
_ADDRESS = re.compile(r"[0-9a-f:.]{2,45}(/\d{1,3})?", re.IGNORECASE | re.ASCII)


def canonical(family: Family, value: Value, *, strict_scale: bool = False) -> Value:
    """The one text of the value; None stays None. `strict_scale` keeps 1.0 and 1.00 apart."""
    if value is None:
        return None
    if family is Family.DECIMAL and strict_scale:
        return _decimal(value, scale=True)
    form = _FORMS.get(family)
    return value if form is None else form(value)


def standing_for(column: Column, value: Value) -> Value:
    """The text that stands for a value of the column in digests: its canonical one, and with a tolerance the same one
    for all values of a bucket. Two values with one such text are equal (`same`); where a tolerance is of nearness, two
    equal ones may have different texts."""
    tolerance = column.tolerance
    if tolerance is None or value is None:
        return canonical(column.meets_as, value)
    text = canonical(column.meets_as, value, strict_scale=bool(tolerance.strict_scale))
    assert text is not None, "only NULL has no canonical text"
    if tolerance.float_relative is not None:
        return float_bucket(text, tolerance.float_relative)
    if tolerance.time_digits is not None:
        return moment_bucket(text, tolerance.time_digits)
    return text.rstrip(" ") if tolerance.ignore_trailing_spaces else text


def same(column: Column, left: Value, right: Value) -> bool:
    """Are two values of the column equal, as two engines spelled them: in their canonical texts, or within what the
    column tolerates?"""
    if left == right:
        return True
    if left is None or right is None:
        return False
    if standing_for(column, left) == standing_for(column, right):
        return True
    tolerance = column.tolerance
    if tolerance is None or not tolerance.near:
        return False
    one, other = canonical(column.meets_as, left), canonical(column.meets_as, right)
    assert one is not None, "only NULL has no canonical text"
    assert other is not None, "only NULL has no canonical text"
    if tolerance.float_relative is not None:
        return near_floats(one, other, tolerance.float_relative)
    return tolerance.time_digits is not None and near_moments(one, other, tolerance.time_digits)


def differing_columns(
    table: Table, leader: Mapping[str, Value] | None, follower: Mapping[str, Value] | None
) -> Mapping[str, Difference]:
    """The columns of `table` whose values differ by more than they may, in table order; None is an absent row, which
    differs in every column that the other has. Values are given as the engines spelled them."""
    ours, theirs = leader or {}, follower or {}
    found: dict[str, Difference] = {}
    for column in table.columns:
        if column.name not in ours and column.name not in theirs:
            continue
        left, right = ours.get(column.name), theirs.get(column.name)
        if leader is not None and follower is not None and same(column, left, right):
            continue
        found[column.name] = Difference(left, right)
    return found


def _integer(text: str) -> str:
    return str(int(text)) if _INTEGER.fullmatch(text) else _decimal(text)  # the other side's column may be a decimal


def _decimal(text: str, *, scale: bool = False) -> str:
    special = _NOT_FINITE.get(text.strip().lower())
    if special:
        return special
    if not _DECIMAL.fullmatch(text.strip()):
        return text
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return text
    return _plain(number, scale=scale)


def _plain(number: Decimal, exponent_max: int = _EXPONENT_MAX, *, scale: bool = False) -> str:
    """Digits without trailing zeros behind the point (unless these tell the `scale`) and without a sign on zero; with
    an exponent only beyond `exponent_max`. Exact."""
    if not number:
        if not scale:
            return "0"
        number = number.copy_abs()
    if abs(number.adjusted()) > exponent_max:
        return str(number.normalize(_EXACT))
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text and not scale else text


def _float(text: str) -> str:
    spelled = text.strip().lower()
    if spelled in _NOT_FINITE:
        return _NOT_FINITE[spelled]
    if not _DECIMAL.fullmatch(spelled):
        return text
    number = float(spelled) + 0.0  # -0.0 + 0.0 is 0.0
    return {"inf": "Infinity", "-inf": "-Infinity"}.get(repr(number), repr(number))


def _boolean(text: str) -> str:
    word = text.strip().lower()
    return "true" if word in _TRUE else "false" if word in _FALSE else text


def _char(text: str) -> str:
    return text.rstrip(" ")


def _bytes(text: str) -> str:
    return text.lower() if _HEX.fullmatch(text) else text


def _geometry(text: str) -> str:
    """What MySQL and MariaDB store, number of the reference system and well-known binary, in hexadecimal."""
    return text.lower() if _STORED.fullmatch(text) else text


def _uuid(text: str) -> str:
    match = _UUID.fullmatch(text.strip(" "))
    if not match:
        return text
    digits = (match[1] or match[2].replace("-", "")).lower()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _inet(text: str) -> str:
    """The address as RFC 5952 writes it, and the length of its network unless that is the whole address. An IPv4
    address mapped into IPv6 is that IPv4 address: columns that hold only IPv6 have no other way to hold it."""
    if not _ADDRESS.fullmatch(text):
        return text
    try:
        found = ipaddress.ip_interface(text)
    except ValueError:
        return text
    length = found.network.prefixlen
    if length != found.max_prefixlen:
        return f"{found.ip.compressed}/{length}"
    mapped = found.ip.ipv4_mapped if isinstance(found.ip, ipaddress.IPv6Address) else None
    return (mapped or found.ip).compressed


def _set(text: str) -> str:
    """Members in the order of their code points: the order of a set's declaration is no part of its value."""
    return ",".join(sorted(set(text.split(","))))


def _json(text: str) -> str:
    try:
        return _structure(_DECODER.decode(text))
    except (ValueError, InvalidOperation, RecursionError):
        return text


class _Digits(str):
    """A whole number of a JSON text: it is its own canonical text."""

    __slots__ = ()


def _whole(text: str) -> str:
    if len(text) > _JSON_EXPONENT_MAX:
        return _Digits(_plain(Decimal(text), _JSON_EXPONENT_MAX))
    return _Digits("0" if text == "-0" else text)


def _structure(node: Any) -> str:
    """Compact JSON with sorted keys and plain numbers; of a key given twice the last one counts."""
    kind = type(node)
    if kind is str:
        return encode_basestring_ascii(node)
    if kind is _Digits:
        return str(node)
    if kind is dict:
        return "{" + ",".join([f"{encode_basestring_ascii(key)}:{_structure(node[key])}" for key in sorted(node)]) + "}"
    if kind is list:
        return "[" + ",".join(map(_structure, node)) + "]"
    if kind is Decimal:
        return _plain(node, _JSON_EXPONENT_MAX)
    return _CONSTANTS[node]


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=_whole, parse_constant=_refuse)
_CONSTANTS = {None: "null", True: "true", False: "false"}

_FORMS: Mapping[Family, Callable[[str], str]] = {
    Family.INTEGER: _integer,
    Family.DECIMAL: _decimal,
    Family.FLOAT: _float,
    Family.BOOLEAN: _boolean,
    Family.CHAR: _char,
    Family.BYTES: _bytes,
    Family.GEOMETRY: _geometry,
    Family.TIME: moments.time,
    Family.TIMESTAMP: moments.timestamp,
    Family.TIMESTAMPTZ: moments.timestamptz,
    Family.INTERVAL: moments.interval,
    Family.UUID: _uuid,
    Family.JSON: _json,
    Family.INET: _inet,
    Family.SET: _set,
}
