"""Statements over data that must always hold, and how their answers are judged.

Three kinds. `Violations`: a SELECT that returns the violators; it holds when nothing comes back. `EqualByKey`: two
SELECTs of key columns and one value each, possibly on different endpoints; it holds when every key has equal values
(an absent key equals an absent key only). `NonNegative` is a `Violations` whose SQL the engine's folder writes.

Two reads on one endpoint are one statement, so one snapshot. Across endpoints nothing guarantees a common moment: how
they are read nevertheless is in `verifier.sides`, and when what was found counts in `verifier.ripening`.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TypeAlias

from verifier.errors import Permanent
from verifier.excerpt import Hide
from verifier.ports import Answer
from verifier.table import Value

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Standing(enum.Enum):
    HOLDS = "holds"
    VIOLATED = "violated"
    UNVERIFIED = "unverified"


@dataclass(frozen=True, slots=True)
class Violations:
    """`sql` on `endpoint` returns the violators. `key`: the columns of the answer by which one is known again at the
    next look (empty: none are, so with a grace only a look that finds nothing says that they are gone)."""

    name: str
    endpoint: str
    sql: str
    grace_seconds: float = 0.0
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Side:
    """One SELECT of an `EqualByKey`: all columns but the last are the key, the last is the value."""

    endpoint: str
    sql: str


@dataclass(frozen=True, slots=True)
class EqualByKey:
    name: str
    left: Side
    right: Side
    grace_seconds: float = 0.0


Invariant: TypeAlias = Violations | EqualByKey


@dataclass(frozen=True, slots=True)
class Finding:
    """The standing of one invariant at one time (seconds since the epoch). `violations` counts, up to the row limit
    (`more`: there are others); `sample` holds the first of them, column name to value. While `unverified` these are
    what was seen and does not count yet."""

    name: str
    standing: Standing
    at: float
    violations: int = 0
    sample: tuple[Mapping[str, Value], ...] = ()
    more: bool = False
    reason: str | None = None


GroupKey: TypeAlias = tuple[Value, ...]

SHOWN_CHARACTERS = 1_000
"""Of one value in a sample: samples go into events and reports, whose size must not depend on the data."""


def by_key(answer: Answer, what: str) -> dict[GroupKey, Value]:
    """The answer as key to value. Permanent if it has fewer than two columns, a key twice, or was cut short."""
    if len(answer.columns) < 2:
        raise Permanent(f"{what}: returns {len(answer.columns)} column(s); needs the key columns and then one value")
    if answer.truncated:
        raise Permanent(f"{what}: returns more rows than are read at once ({len(answer.rows):,}); narrow the SQL")
    found: dict[GroupKey, Value] = {}
    for row in answer.rows:
        key = row[:-1]
        if key in found:
            raise Permanent(f"{what}: returns a key twice; group by the key columns")
        found[key] = row[-1]
    return found


def unequal(left: Mapping[GroupKey, Value], right: Mapping[GroupKey, Value]) -> list[GroupKey]:
    """Keys whose values differ, or that one side lacks; numbers compare by value (1.0 = 1.00)."""
    keys = [key for key, value in left.items() if key not in right or not same(value, right[key])]
    return keys + [key for key in right if key not in left]


def same(one: Value, other: Value) -> bool:
    """Equal as text, or equal as numbers."""
    return one == other or comparable(one) == comparable(other)


def comparable(value: Value) -> Decimal | str | None:
    """What is equal, and hashes alike, for all spellings of a finite number; any other text is itself."""
    if value is None or not _NUMBER.fullmatch(value):
        return value
    try:
        return Decimal(value)
    except InvalidOperation:  # an exponent beyond all bounds
        return value


def sample_of(
    columns: Sequence[str],
    keys: Sequence[GroupKey],
    left: Mapping[GroupKey, Value],
    right: Mapping[GroupKey, Value],
    hide: Hide | None = None,
    besides: Sequence[str] = (),
) -> tuple[Mapping[str, Value], ...]:
    """Violating keys as rows with both values, for reports; `hide` as for `shown_row`. `besides`: what the other side
    calls the `columns`, where that is another name."""
    *names, value = columns
    *others, other = besides or columns
    called = [*zip(names, others, strict=True), (value, other), (value, other)]
    shown = (*names, "left", "right")
    return tuple(shown_row(shown, (*key, left.get(key), right.get(key)), hide, called) for key in keys)


def shown_row(
    columns: Sequence[str], row: Sequence[Value], hide: Hide | None = None, called: Sequence[Sequence[str]] = ()
) -> Mapping[str, Value]:
    """A row for reports and events, column name to value; long values are cut. `hide` says what of a value may be told
    (None: all), by the column's name or by each that the SQL `called` it."""
    if hide is not None:
        row = [_hidden(names, value, hide) for names, value in zip(called or zip(columns), row, strict=True)]
    return {name: _cut(value) for name, value in zip(columns, row, strict=True)}


def _hidden(names: Iterable[str], value: Value, hide: Hide) -> Value:
    """What may be told of a value that has all these names."""
    for name in names:
        value = hide(name, value)
    return value


def _cut(value: Value) -> Value:
    if value is None or len(value) <= SHOWN_CHARACTERS:
        return value
    return f"{value[:SHOWN_CHARACTERS]}… ({len(value):,} characters)"
