"""Values that carry their unit: durations (`500ms`, `5s`, `2h`, `1h30m`) and sizes (`64MiB`).

A bare number is refused for a duration, because nobody remembers whether it meant seconds or milliseconds.
Inside the program a duration is a float of seconds and a size an int of bytes.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
DURATION = r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"
_SIZE = re.compile(r"^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|kB|MB|GB)$")


def seconds(value: object) -> float:
    """The seconds that a duration's text names; ValueError says what is accepted.

    >>> seconds("1h30m"), seconds("500ms")
    (5400.0, 0.5)
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a duration is text with a unit, such as '500ms', '5s', '2h'")
    if not isinstance(value, str):
        raise ValueError(f"{value} has no unit: write '{value}s', '{value}ms' or '{value}m'")
    if not re.fullmatch(DURATION, value):
        raise ValueError(f"{value!r} is no duration: write a number and ms, s, m, h or d, such as '500ms' or '1h30m'")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(value))


def duration(value: float) -> str:
    """The shortest text that `seconds` reads back as `value` (to the millisecond).

    >>> duration(0.5), duration(5400.0), duration(0.0)
    ('500ms', '1h30m', '0s')
    """
    rest = round(value * 1000)
    if rest == 0:
        return "0s"
    text = ""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text


def size_bytes(value: object) -> int:
    """The bytes that a size's text names.

    >>> size_bytes("64MiB")
    67108864
    """
    found = _SIZE.match(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("a size is text with a unit, such as '64MiB' or '1GB'")
    return int(float(found[1]) * _BYTES[found[2]])


def size(value: int) -> str:
    """The text of a size in the largest binary unit that divides it."""
    for unit in ("GiB", "MiB", "KiB"):
        if value and value % _BYTES[unit] == 0:
            return f"{value // _BYTES[unit]}{unit}"
    return f"{value}B"


def _positive(value: object) -> float:
    length = seconds(value)
    if length <= 0:
        raise ValueError("must be longer than nothing")
    return length


_duration_schema = WithJsonSchema({"type": "string", "pattern": DURATION, "examples": ["500ms", "5s", "2h"]})
Duration = Annotated[float, BeforeValidator(_positive), PlainSerializer(duration), _duration_schema]
"""Seconds, greater than nothing."""
DurationOrZero = Annotated[float, BeforeValidator(seconds), PlainSerializer(duration), _duration_schema]
"""Seconds; `0s` is accepted."""
Size = Annotated[
    int,
    BeforeValidator(size_bytes),
    PlainSerializer(size),
    WithJsonSchema({"type": "string", "pattern": _SIZE.pattern, "examples": ["64MiB"]}),
]
"""Bytes."""
