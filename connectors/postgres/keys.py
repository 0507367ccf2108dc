"""How keys are answered, ordered, bounded and looked up: in PostgreSQL's own words, or as every engine can say them.

Between PostgreSQL servers a key is `column::text` and goes back as a parameter that is cast to the column's type; text
is walked in the order of its index where the servers sort alike, and otherwise by bytes. In a comparison by `canonical`
or `client` a key is its canonical text, and the order is the one that `verifier.encoding.ordered_by_bytes` gives, which
has an index here for everything but text in another collation and what stands for a value of another type.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Protocol

from connectors.postgres.canonical import canonical_sql
from connectors.postgres.expressions import bare_type, cast_type
from verifier.canonical import canonical
from verifier.encoding import canonical_key, field, ordered_by_bytes
from verifier.errors import Permanent
from verifier.table import Column, Family, KeyValue

ORDERED_BY_COLLATION = (
    Family.TEXT, Family.CHAR, Family.ENUM, Family.OTHER, Family.ARRAY, Family.RANGE, Family.COMPOSITE,
)  # fmt: skip
_STRINGS = ("text", "character varying")


class TextOrder(enum.Enum):
    """How keys of text are ordered: as the column's index does, or by bytes, which any two servers agree on."""

    NATIVE = "native"
    BYTES = "C"


@dataclass(frozen=True, slots=True)
class Bound:
    """One column of a range's end: SQL of the row's side, of the end's side, and the parameter of that."""

    left: str
    right: str
    parameter: KeyValue


class KeyForms(Protocol):
    """`name` is the column in SQL, qualified."""

    def answer(self, column: Column, name: str) -> str:
        """SQL of the key in answers."""
        ...

    def read(self, column: Column, answer: KeyValue) -> KeyValue:
        """The key from its answer."""
        ...

    def order(self, column: Column, name: str) -> str:
        """SQL to order by."""
        ...

    def bound(self, column: Column, name: str, value: KeyValue) -> Bound:
        """Permanent if this server cannot say where the value belongs."""
        ...

    def match(self, column: Column, name: str, wanted: str) -> str:
        """SQL that is true for the row whose key is `wanted`, a parameter of type text."""
        ...

    def parameter(self, column: Column, value: KeyValue) -> str | None:
        """The parameter of `match`; None if no row of this server can have such a key."""
        ...


@dataclass(frozen=True, slots=True)
class NativeKeys:
    """Between PostgreSQL servers."""

    text: TextOrder

    def answer(self, column: Column, name: str) -> str:
        return f"{name}::bigint" if column.family is Family.INTEGER else f"{name}::text"

    def read(self, column: Column, answer: KeyValue) -> KeyValue:
        return answer

    def order(self, column: Column, name: str) -> str:
        if self.text is TextOrder.BYTES and column.family in ORDERED_BY_COLLATION:
            return f'{name} collate "C"' if _collatable(column) else f'{name}::text collate "C"'
        return name

    def bound(self, column: Column, name: str, value: KeyValue) -> Bound:
        right = f"%s::{cast_type(column)}"
        if self.text is TextOrder.BYTES and column.family in ORDERED_BY_COLLATION:
            right = f'{right} collate "C"' if _collatable(column) else '%s::text collate "C"'
        return Bound(self.order(column, name), right, value)

    def match(self, column: Column, name: str, wanted: str) -> str:
        return f"{name} = {wanted}::{cast_type(column)}"

    def parameter(self, column: Column, value: KeyValue) -> str | None:
        return str(value)


class CanonicalKeys:
    """With another engine, or where the servers share no native form."""

    def answer(self, column: Column, name: str) -> str:
        if column.family is Family.INTEGER and column.meets_as is Family.INTEGER:
            return f"{name}::bigint"
        return f"{name}::float8::text" if column.family is Family.FLOAT else f"{name}::text"

    def read(self, column: Column, answer: KeyValue) -> KeyValue:
        return answer if isinstance(answer, int) else canonical_key(column, answer)

    def order(self, column: Column, name: str) -> str:
        if not ordered_by_bytes(column) or bare_type(column.declared) == "uuid":  # uuids are ordered by their bytes
            return name
        return f'{_digest_form(column, name)} collate "C"'

    def bound(self, column: Column, name: str, value: KeyValue) -> Bound:
        said = self.parameter(column, value)
        if not ordered_by_bytes(column):
            if said is None:
                raise Permanent(
                    f"a key that ends a chunk has a value in {column.name} that {column.declared} cannot hold; "
                    "name another key, or exclude such rows with a condition"
                )
            return Bound(name, f"%s::{cast_type(column)}", said)
        if bare_type(column.declared) == "uuid" and said is not None:
            return Bound(name, "%s::uuid", said)
        said = field(column.meets_as, str(value)) or ""
        return Bound(f'{_digest_form(column, name)} collate "C"', '%s::text collate "C"', said)

    def match(self, column: Column, name: str, wanted: str) -> str:
        bare = bare_type(column.declared)
        padded = bare == "character" and column.meets_as is Family.CHAR and not _nondeterministic(column)
        if not ordered_by_bytes(column) or bare == "uuid" or padded:
            return f"{name} = {wanted}::{cast_type(column)}"
        same = f"{_digest_form(column, name)} = {wanted}"
        # A nondeterministic collation calls more than the same text equal; its index is right as a first cut.
        return f'{same} and {name} collate "C" = {wanted}' if _nondeterministic(column) else same

    def parameter(self, column: Column, value: KeyValue) -> str | None:
        bare, text = bare_type(column.declared), str(value)
        if "\0" in text:
            return None
        if ordered_by_bytes(column):
            said = field(column.meets_as, text)
            return said if bare != "uuid" or re.fullmatch(r"[0-9a-f]{32}", said or "") else None
        said = field(column.meets_as, text) if column.meets_as is Family.BOOLEAN else canonical(column.meets_as, text)
        pattern = _HELD.get("integer" if column.family is Family.INTEGER else bare)
        if said is None or (pattern is not None and not pattern.fullmatch(said)):
            return None
        return said if column.family is not Family.INTEGER or -(2**63) <= int(said) < 2**63 else None


def _digest_form(column: Column, name: str) -> str:
    """A text column that is compared as text by its bare name, which its index may serve."""
    if bare_type(column.declared) in _STRINGS and column.meets_as in (Family.TEXT, Family.ENUM, Family.XML):
        return name
    return f"({canonical_sql(column, name) or f'{name}::text'})"


def _collatable(column: Column) -> bool:
    return column.family in (Family.TEXT, Family.CHAR)


def _nondeterministic(column: Column) -> bool:
    return column.collation is not None and column.collation.endswith("(nondeterministic)")


_DAY = r"\d{4,7}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?"
_STAMP = re.compile(rf"{_DAY} {_CLOCK}(?:\+00)?(?: BC)?|-?infinity", re.ASCII)
_HELD = {
    "integer": re.compile(r"-?\d{1,19}", re.ASCII),
    "numeric": re.compile(r"-?\d+(?:\.\d+)?|NaN|-?Infinity", re.ASCII),
    "real": re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|-?Infinity", re.ASCII),
    "double precision": re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|-?Infinity", re.ASCII),
    "boolean": re.compile("[01]"),
    "bit": re.compile("[01]"),
    "bytea": re.compile(r"\\x(?:[0-9a-f]{2})*+", re.ASCII),
    "date": re.compile(rf"{_DAY}(?: BC)?|-?infinity", re.ASCII),
    "time without time zone": re.compile(rf"{_CLOCK}|24:00:00", re.ASCII),
    "timestamp without time zone": _STAMP,
    "timestamp with time zone": _STAMP,
}
"""What a type can hold, of canonical texts: other engines have zero dates, negative times and larger integers."""
