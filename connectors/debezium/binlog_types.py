"""What type a column of MySQL or MariaDB has: from the catalog, with the spelling of the message schema."""

from __future__ import annotations

import re
from collections.abc import Mapping

from connectors.debezium.types import Type, of_schema
from verifier.table import Column, Family

_DECLARED = re.compile(r"([a-z0-9]+)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?", re.ASCII)
_LABEL = re.compile(r"'((?:[^']|'')*)'")


def of_column(column: Column, schema: Mapping[str, object] | None = None) -> Type:
    """`base` is the bare type: `bigint` of `bigint(20) unsigned`. The catalog calls MariaDB's JSON `json` like MySQL's,
    but with a collation, because it is a text."""
    declared = column.declared.strip()
    found = _DECLARED.match(declared.lower())
    if found is None:
        return Type("")
    base = "text" if found[1] == "json" and column.collation is not None else found[1]
    seen = of_schema(schema)
    sizes = tuple(int(number) for number in found.groups()[1:] if number is not None)
    return Type(
        base,
        sizes,
        spelling=seen.spelling if seen else "",
        scale=seen.scale if seen else None,
        whole=column.family is Family.INTEGER,
        unsigned="unsigned" in declared.lower(),
        nullable=column.nullable,
        labels=tuple(label.replace("''", "'") for label in _LABEL.findall(declared)) if base == "enum" else (),
        spelled=base not in ("float", "double"),
    )
