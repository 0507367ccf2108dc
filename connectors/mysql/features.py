"""What a table has beside its columns: indexes, constraints, defaults and counters."""

from __future__ import annotations

import re
from collections.abc import Iterator

from connectors.mysql.expressions import Quote
from connectors.mysql.session import Session
from verifier.features import Feature
from verifier.table import TableName

_INDEXES = """
select index_name, non_unique, column_name, sub_part, index_type, collation from information_schema.statistics
where table_schema = %s and table_name = %s order by index_name, seq_in_index
"""
_FOREIGN = """
select k.constraint_name, k.column_name, k.referenced_table_name, k.referenced_column_name, r.update_rule, r.delete_rule
from information_schema.key_column_usage k join information_schema.referential_constraints r
  on r.constraint_schema = k.constraint_schema and r.constraint_name = k.constraint_name and r.table_name = k.table_name
where k.table_schema = %s and k.table_name = %s and k.referenced_table_name is not null
order by k.constraint_name, k.ordinal_position
"""
_CHECKS = """
select c.constraint_name, c.check_clause from information_schema.check_constraints c
join information_schema.table_constraints t
  on t.constraint_schema = c.constraint_schema and t.constraint_name = c.constraint_name
where t.table_schema = %s and t.table_name = %s and t.constraint_type = 'CHECK' order by c.constraint_name
"""
_DEFAULTS = """
select column_name, column_default, extra, generation_expression from information_schema.columns
where table_schema = %s and table_name = %s order by ordinal_position
"""


def features_of(session: Session, name: TableName, quote: Quote) -> tuple[Feature, ...]:
    """Indexes, constraints, defaults and sequences of a table; none of a table that is not there."""
    place = (name.schema, name.name)
    return (
        *_indexes(session, place),
        *_foreign(session, place),
        *(Feature(constraint, "check", f"check {clause}") for constraint, clause in session.all(_CHECKS, place)),
        *_defaults(session, place),
    )


def _indexes(session: Session, place: tuple[str, str]) -> Iterator[Feature]:
    found: dict[str, list[tuple[str | None, str]]] = {}
    sorts: dict[str, str] = {}
    for index, non_unique, column, part, sort, direction in session.all(_INDEXES, place):
        length = f"({part})" if part is not None else ""
        suffix = " desc" if direction == "D" else ""
        found.setdefault(index, []).append(
            (column if not length else None, f"{column or '(expression)'}{length}{suffix}")
        )
        head = "primary key" if index == "PRIMARY" else "index" if non_unique == "1" else "unique"
        sorts[index] = f"{head} using {sort.lower()}"
    for index, columns in found.items():
        names = [column for column, _ in columns]
        text = f"{sorts[index]} ({', '.join(written for _, written in columns)})"
        portable = None if None in names else ", ".join(str(column) for column in names)
        yield Feature(index, "index" if sorts[index].startswith("index") else "unique", text, portable)


def _foreign(session: Session, place: tuple[str, str]) -> Iterator[Feature]:
    found: dict[str, list[tuple[str, ...]]] = {}
    for constraint, *rest in session.all(_FOREIGN, place):
        found.setdefault(constraint, []).append(tuple(rest))
    for constraint, rows in found.items():
        ours, theirs = (", ".join(row[n] for row in rows) for n in (0, 2))
        _, table, _, updating, deleting = rows[0]
        portable = f"{ours} -> {table}({theirs})"
        yield Feature(
            constraint, "foreign key", f"{portable} on update {updating.lower()} on delete {deleting.lower()}", portable
        )


def _defaults(session: Session, place: tuple[str, str]) -> Iterator[Feature]:
    for column, default, extra, generated in session.all(_DEFAULTS, place):
        if "auto_increment" in (extra or "").lower():
            yield Feature(column, "default", "auto_increment", "sequence")
        elif generated:
            yield Feature(column, "default", f"generated as {generated}")
        elif default is not None and default != "NULL":
            yield Feature(column, "default", default, portable_default(default, extra or ""))


def portable_default(default: str, extra: str) -> str | None:
    """A default as any engine can say it: a constant, or `now`; None for the rest. MariaDB quotes text, MySQL marks
    what is an expression."""
    if re.fullmatch(r"(?i)(current_timestamp|now)(\(\d*\))?", default):
        return "now"
    if re.fullmatch(r"'(?:[^']|'')*'", default):
        return default[1:-1].replace("''", "'")
    if "DEFAULT_GENERATED" in extra.upper() or "(" in default:
        return None
    return default
