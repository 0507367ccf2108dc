"""The row hash of PostgreSQL: which SQL gives a row 64 bits that stand for all of its content.

A row hash must see everything and must not be linear in its columns, or a value exchanged between two rows would
leave the sum unchanged. The server's own hash functions are made for hash joins and fall short of that: numeric drops
the sign and mixes its weight in by XOR (exchanging 1 and 10000 between rows often cancels), bigint, time and
timestamps are folded to 32 bits, jsonb and arrays ignore where a container ends, enums hash their OID, and float zero
hashes to the seed. So each type has a rule that hands the server something it does hash in full, the seed is a hash of
the key, and the key is in the row as well (a row of NULLs would hash to 0 whatever the seed).

Two forms of the native row hash, and both sides of a comparison must use the same one
(`connectors.postgres.agreement` sees to that): `record` is the fast one, `text` hashes the record's text and exists on
every version (13 has no record hash).
Equality is by value, as `verifier.canonical` says: 1.0 = 1.00 unless scale is strict, -0 = 0, blanks that pad do not
count, text by bytes and never by collation.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable

from verifier.table import Column, Family, Table

Quote = Callable[[str], str]


class RowForm(enum.Enum):
    RECORD = "record"
    TEXT = "text"


_MODIFIER = re.compile(r"\([0-9, -]+\)")
_HASHED_IN_FULL = {"date", "boolean", "uuid", "bytea", "oid", "real", "double precision"}
_SENT = {
    "timestamp without time zone": "timestamp_send",
    "timestamp with time zone": "timestamptz_send",
    "time without time zone": "time_send",
    "time with time zone": "timetz_send",
    "interval": "interval_send",
}
_STRINGS = {"text", "character varying", "character"}


def bare_type(declared: str) -> str:
    """The type without its modifier: `numeric(12,2)` is `numeric`. A quoted name is left alone."""
    return declared if '"' in declared else _MODIFIER.sub("", declared)


def cast_type(column: Column) -> str:
    """The type that a key value is cast to. Never one with a modifier, which would round or cut the value."""
    if column.family is Family.INTEGER:
        return "bigint"
    bare = bare_type(column.declared)
    if bare == "bit":
        return column.declared
    return "bpchar" if bare == "character" else bare


def row_hash(table: Table, quote: Quote, form: RowForm, *, of: str = "", strict_scale: bool = False) -> str:
    """SQL of type bigint: the hash of one row of `table`, whose columns are qualified by `of` (an alias).

    Columns are taken key first and then by name, so that two servers need not agree on the order of columns. Without a
    key nothing seeds the record's hash, which is linear in its columns then: such rows are always hashed as text.
    """

    def named(column: Column) -> str:
        return f"{of}.{quote(column.stored)}" if of else quote(column.stored)

    keys = table.key_columns()
    others = sorted((c for c in table.columns if c.name not in table.key), key=lambda c: c.name)
    if form is RowForm.TEXT or not keys:
        texts = ", ".join(_spelled(c, named(c), strict_scale) for c in (*keys, *others))
        return f'hashtextextended(row({texts})::text collate "C", 0)'
    key_parts = ", ".join(hardened(c, named(c)) for c in keys)
    parts = ", ".join(hardened(c, named(c), strict_scale=strict_scale) for c in (*keys, *others))
    if len(keys) == 1 and keys[0].family is Family.INTEGER:
        key = named(keys[0])
        seed = f"hashint8extended({key}::bigint, {key}::bigint)"
    else:
        seed = f"hash_record_extended(row({key_parts}), 0)"
    return f"hash_record_extended(row({parts}), {seed})"


def hardened(column: Column, name: str, *, strict_scale: bool = False) -> str:
    """What goes into the record for one column: one or two expressions that are hashed in full."""
    bare = bare_type(column.declared)
    if bare in _HASHED_IN_FULL:
        return name
    if bare in ("integer", "smallint"):
        return f"{name}, null::bigint"
    if bare == "bigint":
        # Its hash keeps 32 bits. The rest is added only where it says something, so that the same number hashes alike
        # in an integer column: widening a key is what many followers are made for.
        return f"{name}, case when {name} between -2147483648 and 2147483647 then null else {name} >> 32 end"
    if bare == "numeric":
        return f"numeric_send({name})" if strict_scale else f"numeric_send(trim_scale({name}))"
    if bare in _SENT:
        return f"{_SENT[bare]}({name})"
    if bare in _STRINGS:
        return f'{name} collate "C"'
    return f'{name}::text collate "C"'


def _spelled(column: Column, name: str, strict_scale: bool) -> str:
    bare = bare_type(column.declared)
    if bare == "numeric" and not strict_scale:
        return f"trim_scale({name})"
    if column.family is Family.FLOAT:
        return f"({name} + 0)"
    if bare == "character":
        return f"{name}::text"
    return name
