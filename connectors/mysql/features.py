"""What a table has beside its columns: indexes, constraints, defaults, the counter of an AUTO_INCREMENT column, and on
MariaDB the sequences that fill columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import pymysql

from connectors.mysql.errors import numbered
from connectors.mysql.expressions import Quote
from connectors.mysql.sequences import filling, sequence_of
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
# By all columns that both have: on MariaDB, where two tables may use one name, the table's is among them.
_CHECKS = """
select constraint_name, check_clause
from information_schema.check_constraints natural join information_schema.table_constraints
where table_schema = %s and table_name = %s and constraint_type = 'CHECK' order by constraint_name
"""
_DEFAULTS = """
select column_name, column_default, extra, generation_expression, column_type from information_schema.columns
where table_schema = %s and table_name = %s order by ordinal_position
"""
# The table's options follow its columns. The catalogue's counter may be a day old (information_schema_stats_expiry).
_COUNTER = re.compile(r"^\)(?: /\*.*?\*/)? ENGINE=\w+ AUTO_INCREMENT=(\d+)", re.MULTILINE)
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_NOT_ALLOWED = (1142, 1143)


def features_of(session: Session, name: TableName, quote: Quote, *, sequences: bool) -> tuple[Feature, ...]:
    """Indexes, constraints, defaults, counters and (where the server has `sequences`) sequences of a table; none of a
    table that is not there."""
    place = (name.schema, name.name)
    return (
        *_indexes(session, place),
        *_foreign(session, place),
        *(Feature(constraint, "check", f"check {clause}") for constraint, clause in session.all(_CHECKS, place)),
        *_defaults(session, place, quote, sequences=sequences),
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


def _defaults(session: Session, place: tuple[str, str], quote: Quote, *, sequences: bool) -> Iterator[Feature]:
    for column, default, extra, generated, declared in session.all(_DEFAULTS, place):
        if "auto_increment" in (extra or "").lower():
            problem = _behind(session, ".".join(map(quote, place)), quote(column), declared)
            yield Feature(column, "default", "auto_increment", "sequence", problem)
        elif generated:
            yield Feature(column, "default", f"generated as {generated}")
        elif sequences and (sequence := sequence_of(default)) is not None:
            yield Feature(column, "default", "next value of a sequence", "sequence")
            told, problem = filling(session, place, column, _range(declared), sequence, quote)
            yield Feature(column, "sequence", told, problem=problem)
        elif default is not None and default != "NULL":
            yield Feature(column, "default", default, portable_default(default, extra or ""))


def _behind(session: Session, table: str, column: str, declared: str) -> str | None:
    """Whether the counter will give a value that the column has already, or that it cannot hold. The rows are read
    first: each moved the counter before it could be seen. Nothing where the login may not look."""
    try:
        ((held,),) = session.all(f"select max({column}) from {table}")
        ((_, created),) = session.all(f"show create table {table}")
    except pymysql.OperationalError as error:
        if numbered(error)[0] in _NOT_ALLOWED:
            return None
        raise
    counter = _COUNTER.search(created)
    return counter_problem(int(counter[1]) if counter else 1, declared, None if held is None else int(Decimal(held)))


def counter_problem(following: int, declared: str, held: int | None) -> str | None:
    """What is wrong with a counter that gives `following` next while the column, `declared` so, holds `held` at most;
    None if nothing is."""
    _, most = _range(declared)
    if most is not None and following > most:
        return f"it is used up: the next value would be {following}"
    if held is not None and following <= held:
        return f"its next value {following} is not beyond {held}, which the column holds already"
    return None


def _range(declared: str) -> tuple[int | None, int | None]:
    """The least and the largest integer that a column declared so can hold; None where it is no integer."""
    bits = _BITS.get(re.split(r"\W", declared, maxsplit=1)[0])
    if bits is None:
        return None, None
    return (0, 2**bits - 1) if "unsigned" in declared else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def portable_default(default: str, extra: str) -> str | None:
    """A default as any engine can say it: a constant, or `now`; None for the rest. MariaDB quotes text, MySQL marks
    what is an expression."""
    if re.fullmatch(r"(?i)current_timestamp(\(\d*\))?|now\(\d*\)", default):
        return "now"
    if re.fullmatch(r"'(?:[^']|'')*'", default):
        return default[1:-1].replace("''", "'")
    if "DEFAULT_GENERATED" in extra.upper() or "(" in default:
        return None
    return default
