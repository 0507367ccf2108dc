"""Which tables a connector tells everything of, read from its configuration.

A publication or a binlog says what the leader sends; the connector may still keep some of it to itself: tables that its
lists leave out, truncates (skipped unless it is told otherwise), events that it cannot convert, whatever a
transformation drops or sends elsewhere. Or it tells of values that the leader never had: masked, cut, read anew later.
A change that nobody tells of, and a state that was none, look like drift, so such tables are not judged by the stream.
`legibility.remarks` says the same in words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import lru_cache

from connectors.debezium.legibility import harmless
from connectors.debezium.modes import engine
from verifier.table import TableName

_SKIPPED_BY_DEFAULT = "t"
# The connector's name of what stands before a table's: a schema or, where binlogs are read, a database.
_SPACES = {"postgresql": "schema", "mysql": "database", "mariadb": "database"}
_FAILURES = (
    "event.processing.failure.handling.mode",
    "event.deserialization.failure.handling.mode",
    "inconsistent.schema.handling.mode",
)
_DISTORTING = ("post.processors", "converters", "gtid.source.includes", "gtid.source.excludes")
_MASKS = ("column.mask.", "column.truncate.to.")


def captured(config: Mapping[str, str], tables: Collection[TableName]) -> frozenset[TableName]:
    """Those of `tables` of which a connector with this configuration (`GET /connectors/NAME/config`) tells every
    insert, update, delete and truncate."""
    skipped = config.get("skipped.operations", _SKIPPED_BY_DEFAULT).replace(" ", "").lower()
    if skipped not in ("", "none") or not harmless(config) or _lossy(config) or _distorted(config):
        return frozenset()
    space = _SPACES.get(engine(config) or "postgresql", "schema")
    return frozenset(
        table
        for table in tables
        if _passes(config, space, table.schema)
        and _passes(config, "table", f"{table.schema}.{table.name}")
        and not _rekeyed(config, f"{table.schema}.{table.name}")
    )


def _lossy(config: Mapping[str, str]) -> bool:
    """Whether events that the connector cannot read or convert are left out, instead of stopping it."""
    return config.get("errors.tolerance", "none").lower() == "all" or any(
        config.get(name, "fail").lower() != "fail" for name in _FAILURES
    )


def _distorted(config: Mapping[str, str]) -> bool:
    """Whether values are not those that the change wrote, or only some sources' changes are told."""
    return any(config.get(name) for name in _DISTORTING) or any(name.startswith(_MASKS) for name in config)


def _rekeyed(config: Mapping[str, str], name: str) -> bool:
    """Whether events of this table have another key than its own (`table:columns`, separated by semicolons)."""
    groups = [group for group in config.get("message.key.columns", "").split(";") if group.strip()]
    try:
        return any(_matches(group.rpartition(":")[0], name) for group in groups)
    except re.error:
        return True


def _passes(config: Mapping[str, str], what: str, name: str) -> bool:
    """The lists hold regular expressions, separated by commas, that match whole names whatever their case."""
    included, excluded = config.get(f"{what}.include.list"), config.get(f"{what}.exclude.list")
    try:
        return (not included or _matches(included, name)) and not (excluded and _matches(excluded, name))
    except re.error:  # a dialect that we do not read: take it that the table is left out
        return False


def _matches(patterns: str, name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in _compiled(patterns))


@lru_cache(maxsize=64)
def _compiled(patterns: str) -> tuple[re.Pattern[str], ...]:
    """As one, since lists name thousands of tables; where that cannot be (flags in the middle) one by one."""
    each = [pattern.strip() for pattern in patterns.split(",")]
    try:
        return (re.compile("|".join(f"(?:{pattern})" for pattern in each), re.IGNORECASE),)
    except re.error:
        return tuple(re.compile(pattern, re.IGNORECASE) for pattern in each)
