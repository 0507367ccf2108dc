"""Which tables a statement of the schema-change topic may have made others of.

The connector names tables in its own parse of the statement, which is not always right (a table that was renamed away,
a statement that it could not read), so every word of the statement that is the name of a verified table counts, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from verifier.table import Table, TableName

_IN_QUOTES = re.compile(r'"((?:[^"]|"")*)"')
_WORD = re.compile(r"`((?:[^`]|``)+)`|([\w$]+)")
_WHOLE_DATABASE = re.compile(r"\s*drop\s+(?:database|schema)\b", re.IGNORECASE)


def tables_of(payload: Mapping[str, object], table_of: Callable[[TableName], Table | None]) -> list[TableName | None]:
    """Of the tables that `table_of` knows those that the statement names, sorted; None stands for all of them.
    KeyError or TypeError for what is no schema change."""
    statement, database = payload["ddl"], payload.get("databaseName") or ""
    if not isinstance(statement, str) or not isinstance(database, str):
        raise TypeError("a schema change without its statement")
    if _WHOLE_DATABASE.match(statement):
        return [None]
    candidates = {*_parsed(payload.get("tableChanges")), *_mentioned(statement, database)}
    return [*sorted(name for name in candidates if table_of(name) is not None)]


def _parsed(changes: object) -> Iterator[TableName]:
    """From the identifiers `"db"."table"` (a schema is empty here)."""
    for change in changes if isinstance(changes, list) else ():
        for field in ("id", "previousId"):
            written = change.get(field) if isinstance(change, Mapping) else None
            words = (
                [word.replace('""', '"') for word in _IN_QUOTES.findall(written)] if isinstance(written, str) else []
            )
            if len(words) > 1:
                yield TableName(words[-2], words[-1])


def _mentioned(statement: str, database: str) -> Iterator[TableName]:
    words = [quoted.replace("``", "`") or plain for quoted, plain in _WORD.findall(statement)]
    for before, word in zip(["", *words], words, strict=False):
        yield TableName(database, word)
        yield TableName(before, word)
