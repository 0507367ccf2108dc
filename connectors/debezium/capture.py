"""Which tables a connector tells everything of, read from its configuration.

A publication says what the leader sends; the connector may still keep some of it to itself: tables that its lists leave
out, truncates (skipped unless it is told otherwise), whatever a transformation drops or sends elsewhere. A change that
nobody tells of looks like drift, so such tables are not judged by the stream.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from verifier.table import TableName

_SKIPPED_BY_DEFAULT = "t"


def captured(config: Mapping[str, str], tables: Collection[TableName]) -> frozenset[TableName]:
    """Those of `tables` of which a connector with this configuration (`GET /connectors/NAME/config`) tells every
    insert, update, delete and truncate."""
    skipped = config.get("skipped.operations", _SKIPPED_BY_DEFAULT).replace(" ", "").lower()
    if skipped not in ("", "none") or config.get("transforms", "").strip():
        return frozenset()
    return frozenset(
        table
        for table in tables
        if _passes(config, "schema", table.schema) and _passes(config, "table", f"{table.schema}.{table.name}")
    )


def _passes(config: Mapping[str, str], what: str, name: str) -> bool:
    """The lists hold regular expressions, separated by commas, that match whole names whatever their case."""
    included, excluded = config.get(f"{what}.include.list"), config.get(f"{what}.exclude.list")
    try:
        return (not included or _matches(included, name)) and not (excluded and _matches(excluded, name))
    except re.error:  # a dialect that we do not read: take it that the table is left out
        return False


def _matches(patterns: str, name: str) -> bool:
    return any(re.fullmatch(pattern.strip(), name, re.IGNORECASE) for pattern in patterns.split(","))
