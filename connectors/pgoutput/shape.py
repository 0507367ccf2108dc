"""What a relation message means for reading keys and values: worked out once per relation, used for every change.

Values must be the text that `column::text` gives on the same server, because that is what a replica returns. The
plugin sends what the type's output function writes, which is the same text but for three types: booleans (`t`
against `true`), blank-padded characters (the cast cuts the blanks) and `inet` (the cast always writes the mask).
A column of a domain is announced under the domain's oid, with the name of its base type in a message before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from connectors.pgoutput.messages import Relation
from verifier.table import KeyValue, TableName

KeyOf: TypeAlias = Callable[[TableName], tuple[str, ...] | None]
"""The key columns of a table in key order; None where the caller does not know the table."""

Fix: TypeAlias = Callable[[str], str]
Read: TypeAlias = Callable[[str], KeyValue]

_INTEGERS = frozenset({20, 21, 23})  # int8, int2, int4
_BASES = {"bool": 16, "int8": 20, "int2": 21, "int4": 23, "inet": 869, "bpchar": 1042}


def _boolean(text: str) -> str:
    return "true" if text == "t" else "false"


def _unpadded(text: str) -> str:
    return text.rstrip(" ")


def _masked(text: str) -> str:
    if "/" in text:
        return text
    return f"{text}/128" if ":" in text else f"{text}/32"


def _verbatim(text: str) -> str:
    return text


_FIXES: Mapping[int, Fix] = {16: _boolean, 1042: _unpadded, 869: _masked}


@dataclass(frozen=True, slots=True)
class Shape:
    """How to read the rows of one relation.

    `key_at` are the places of the key's columns in key order, empty when changes cannot be told apart by key (then
    `keyless` says why); `reads` turn their text into key values; `fixes` are the places of values whose text differs
    from the cast. `signature` changes when the table does.
    """

    table: TableName
    names: tuple[str, ...]
    key_at: tuple[int, ...]
    reads: tuple[Read, ...]
    fixes: tuple[tuple[int, str, Fix], ...]
    signature: tuple[object, ...]
    keyless: str = ""


def shape(relation: Relation, types: Mapping[int, int], key_of: KeyOf) -> Shape:
    """Read a relation message; `types` maps oids of domains to the oid of their base type."""
    table = TableName(relation.schema, relation.name)
    names = tuple(column.name for column in relation.columns)
    bases = [types.get(column.type_oid, column.type_oid) for column in relation.columns]
    key, keyless = _key(relation, names, key_of(table))
    places = tuple(names.index(name) for name in key)
    return Shape(
        table,
        names,
        places,
        tuple(int if bases[at] in _INTEGERS else _FIXES.get(bases[at], _verbatim) for at in places),
        tuple((at, names[at], _FIXES[base]) for at, base in enumerate(bases) if base in _FIXES),
        (relation.oid, *((c.name, c.type_oid, c.type_modifier) for c in relation.columns)),
        keyless,
    )


def base_oid(schema: str, name: str) -> int | None:
    """The oid of a built-in type whose text or key needs care, by its name."""
    return _BASES.get(name) if schema == "pg_catalog" else None


def _key(relation: Relation, names: tuple[str, ...], wanted: tuple[str, ...] | None) -> tuple[tuple[str, ...], str]:
    """The key columns, or none and the reason. Old rows hold the identity's columns only, so the key must be among
    them: otherwise a delete or a change of the key could not be told."""
    if relation.identity == "f":
        if not wanted:
            return (), "replica identity full and no known key"
        identity = frozenset(names)
    else:
        flagged = tuple(column.name for column in relation.columns if column.in_identity)
        if not flagged:
            return (), f"no replica identity: alter table {relation.schema}.{relation.name} replica identity ..."
        wanted = wanted or flagged
        identity = frozenset(flagged)
    lacking = [name for name in wanted if name not in identity]
    if lacking:
        return (), f"the replica identity lacks the key column {lacking[0]}"
    return wanted, ""
