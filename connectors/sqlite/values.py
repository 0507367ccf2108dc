"""From what a file holds to the text that is compared, and back for keys.

A column's declared type only says what its values usually are; any storage class may stand in it. Each family has
classes that are natural to it, whose text is the value's own. Everything else is spelled with a mark in front, the
noncharacter U+FDD0 (https://www.unicode.org/faq/private_use.html#nonchar4), and the name of its class: it equals
nothing but the same oddity on the other side. Text that begins with the mark itself, or is no UTF-8, is an oddity, too.

    real 1.5 in INTEGER      1.5                      text 'abc' in INTEGER    U+FDD0 text:abc
    int 1 in a bare column   1                        text '1' in a bare one   '1'

A column without a declared type merges nothing (family `OTHER`): its values are spelled as SQL literals.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from verifier.canonical import canonical
from verifier.table import Column, Family, KeyValue, Value

Held = int | float | str | bytes | None
"""What a file holds, by storage class."""

MARK = "\ufdd0"
_TEXTUAL = frozenset({
    Family.TEXT, Family.CHAR, Family.ENUM, Family.SET, Family.XML, Family.INET, Family.INTERVAL, Family.DATE,
    Family.TIME, Family.TIMESTAMP, Family.TIMESTAMPTZ,
})  # fmt: skip
_STAND_IN = frozenset({Family.TIME, Family.TIMESTAMP, Family.TIMESTAMPTZ, Family.DECIMAL})
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|nan|[+-]?inf(inity)?", re.ASCII | re.IGNORECASE)
_NOT_FINITE = {"nan", "infinity", "-infinity"}
_WORDS = {"true", "false", "t", "f"}
_MINUTES = re.compile(r"(\d{4}-\d\d-\d\d[ T])?\d\d:\d\d", re.ASCII)


def spelled(column: Column, value: Held) -> Value:
    """The value's text. Equal texts are equal values of one storage class, or of classes that the family merges."""
    if value is None:
        return None
    return _SPELLING.get(_read_as(column), _literal)(value)


def _read_as(column: Column) -> Family:
    """Text that stands for a time or a decimal is read as one; every other form is reached from the text itself."""
    return column.meets_as if column.family is Family.TEXT and column.meets_as in _STAND_IN else column.family


def _textual(value: Held) -> str:
    return _text(value) if isinstance(value, str) else _odd(value)


def _moment(value: Held) -> str:
    """SQLite's own date functions read a time without seconds; so do we."""
    if not isinstance(value, str):
        return _odd(value)
    return f"{value}:00" if _MINUTES.fullmatch(value) else _text(value)


def _integer(value: Held) -> str:
    return _number(value) if isinstance(value, int | float) else _odd(value)


def _decimal(value: Held) -> str:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return value
    return _integer(value)


def _float(value: Held) -> str:
    """SQLite stores no NaN, so programs that must write the word."""
    if isinstance(value, str) and value.lower() in _NOT_FINITE:
        return value
    return _integer(value)


def _boolean(value: Held) -> str:
    if isinstance(value, int):
        return str(value)
    return value if isinstance(value, str) and value.lower() in _WORDS else _odd(value)


def _bytes(value: Held) -> str:
    return "\\x" + value.hex() if isinstance(value, bytes) else _odd(value)


def _uuid(value: Held) -> str:
    if isinstance(value, bytes) and len(value) == 16:
        return "\\x" + value.hex()
    return _textual(value)


def _json(value: Held) -> str:
    """A column declared JSON has numeric affinity: a JSON number in it is stored as a number."""
    return _number(value) if isinstance(value, int | float) else _textual(value)


def _literal(value: Held) -> str:
    if isinstance(value, str):
        text = _text(value)
        return text if text.startswith(MARK) else "'" + value.replace("'", "''") + "'"
    return f"x'{value.hex()}'" if isinstance(value, bytes) else _number(value)


def _number(value: Held) -> str:
    return str(value) if isinstance(value, int) else repr(value)


def _text(value: str) -> str:
    if value.isascii():
        return value
    return _odd(value) if value.startswith(MARK) or not _is_unicode(value) else value


def _odd(value: Held) -> str:
    if isinstance(value, bytes):
        return f"{MARK}blob:{value.hex()}"
    if isinstance(value, str):
        if _is_unicode(value):
            return f"{MARK}text:{value}"
        return f"{MARK}bytes:{value.encode(errors='surrogateescape').hex()}"
    return f"{MARK}{'integer' if isinstance(value, int) else 'real'}:{_number(value)}"


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


_SPELLING: dict[Family, Callable[[Held], str]] = {
    **dict.fromkeys(_TEXTUAL, _textual),
    Family.TIME: _moment,
    Family.TIMESTAMP: _moment,
    Family.TIMESTAMPTZ: _moment,
    Family.INTEGER: _integer,
    Family.DECIMAL: _decimal,
    Family.FLOAT: _float,
    Family.BOOLEAN: _boolean,
    Family.BYTES: _bytes,
    Family.UUID: _uuid,
    Family.JSON: _json,
}


def key_value(column: Column, value: Held) -> KeyValue | None:
    """The value as a part of a key: `int`, or its canonical text. None if it cannot be one: NULL, or an oddity."""
    if column.meets_as is Family.INTEGER:
        return value if isinstance(value, int) else None
    text = spelled(column, value)
    return None if text is None or text.startswith(MARK) else canonical(column.meets_as, text)
