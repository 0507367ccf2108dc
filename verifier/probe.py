"""Does an engine's SQL write the canonical encoding? Constant values whose digests are known beforehand.

An engine hashes them in SQL, without a table, before its digests are trusted. What differs from the reference
(another build, another character set of the server, a version nobody has seen) is not used: the tables concerned are
compared by scheme `client`, and the reason is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from verifier.encoding import TEXTS, canonical_hash, encode
from verifier.errors import Permanent
from verifier.table import Column, Family, Value

CONSTANTS: Mapping[Family, tuple[str, ...]] = {
    Family.INTEGER: ("0", "-1", "9223372036854775807", "-9223372036854775808"),
    Family.DECIMAL: ("0.0000", "100.0000", "-12345.6780", "0.0001"),
    Family.FLOAT: ("0", "0.1", "-1e-07", "1.7976931348623157e+308", "5e-324"),
    Family.BOOLEAN: ("1", "0"),
    Family.TEXT: ("", "-", " a ", "Grüße, 日本", "\U0001f600", "'\"\\%"),
    Family.CHAR: ("", "a", "Grüße"),
    Family.BYTES: ("\\x", "\\x00ff10"),
    Family.DATE: ("0001-01-01", "2024-02-29", "9999-12-31"),
    Family.TIME: ("00:00:00", "23:59:59.999999", "10:00:00.5"),
    Family.TIMESTAMP: ("2024-02-29 12:00:00", "1999-12-31 23:59:59.999999", "2026-01-01 10:00:00.5"),
    Family.TIMESTAMPTZ: ("2024-02-29 12:00:00", "1999-12-31 23:59:59.999999", "2026-01-01 10:00:00.5"),
    Family.UUID: ("6f1c1e0a-8d2b-4f57-9a3c-0d9e8b7a6c5d", "00000000-0000-0000-0000-000000000000"),
    Family.INET: ("2001:db8::1", "::ffff:10.0.0.1", "::"),
    Family.INTERVAL: ("1 year 2 mons 3 days 04:05:06.7", "-1 days", "00:00:00"),
    Family.SET: ("b,a", ""),
    Family.ENUM: ("é",),
    Family.BIT: ("00101",),
}
"""Values of each form as text, that every engine which has such a type can hold (times without a zone are in UTC)."""


@dataclass(frozen=True, slots=True)
class Probed:
    """What an engine's SQL made of one constant: the hash of a row that holds it in both columns of `pair`, unsigned;
    None if it made none."""

    column: Column
    value: Value
    hashed: int | None


def pair(column: Column) -> tuple[Column, Column]:
    """The columns of a probed row, called `v` and `w`: of the last text of a row no length is written."""
    return replace(column, name="v"), replace(column, name="w")


def distrusted(columns: Sequence[Column], hashed: Callable[[Sequence[Column]], list[Probed]]) -> frozenset[Family]:
    """The forms that the engine's SQL does not write as the reference does; nearly always none. `hashed` asks the
    server; Permanent of it is a form's own fault, all else is raised."""
    try:
        return failing(hashed(columns))
    except Permanent:  # one constant that the server does not even take fails all: find out which
        return failing(one for column in columns for one in _alone(column, hashed))


def _alone(column: Column, hashed: Callable[[Sequence[Column]], list[Probed]]) -> list[Probed]:
    try:
        return hashed([column])
    except Permanent:
        return [Probed(column, None, None)]


def failing(probed: Iterable[Probed]) -> frozenset[Family]:
    """The forms that the engine does not write as the reference does. All texts share how their length is taken."""
    found = frozenset(one.column.meets_as for one in probed if one.hashed != _expected(one))
    return found | TEXTS if Family.TEXT in found else found


def _expected(one: Probed) -> int:
    columns = pair(one.column)
    return canonical_hash(encode(columns, {column.name: one.value for column in columns}))
