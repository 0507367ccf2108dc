"""What a table has beside its columns, as far as its dialect is known to tell it: keys always, defaults where there is
an `information_schema`, and the sequences that fill columns where `Dialect.sequences` says how to ask for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import bindparam, column, func, select, text
from sqlalchemy import table as named_table

from connectors.generic import catalog
from connectors.generic.session import Session, Sessions
from verifier.features import UNTOLD, Feature
from verifier.sequences import sequence_problem
from verifier.table import Family, Table, TableName

_NEXT = re.compile(r"""nextval\('(?:(\w+|"[^"]+")\.)?(\w+|"[^"]+")'\)""", re.IGNORECASE)
_CONSTANT = re.compile(r"'((?:[^']|'')*)'|([+-]?\d+(?:\.\d+)?)", re.ASCII)
_WORDS = {"current_timestamp": "now", "now()": "now", "true": "1", "false": "0"}
_NUMBERS = (Family.INTEGER, Family.DECIMAL)


def features_of(session: Session, sessions: Sessions, name: TableName) -> tuple[Feature, ...]:
    """Keys, defaults and sequences of a table, and which kinds are not told. Permanent if there is no such table."""
    table, dialect = catalog.describe(session, sessions, name), sessions.dialect
    found: list[Feature] = []
    for primary, key in catalog.keys_of(session, sessions, name):
        listed, kind = ", ".join(key), "primary key" if primary else "unique"
        found.append(Feature(f"{kind} {listed}", "unique", f"{kind} ({listed})", listed))
    if dialect.standard_catalog:
        found += _defaults(session, sessions, table)
    untold = ["index", "check", "foreign key", *(() if dialect.standard_catalog else ("default",))]
    untold += [] if dialect.standard_catalog and dialect.sequences else ["sequence"]
    return (*found, *(Feature("", UNTOLD, kind) for kind in untold))


def _defaults(session: Session, sessions: Sessions, table: Table) -> Iterator[Feature]:
    told = catalog.information(
        "columns", "table_schema", "table_name", "ordinal_position", "column_name", "column_default"
    ).where(column("table_schema") == table.name.schema, column("table_name") == table.name.name)
    for *_, name, default in session.all(told.order_by(column("ordinal_position"))):
        filled = None if default is None else _NEXT.fullmatch(default)
        if filled is not None:
            yield Feature(name, "default", "next value of a sequence", "sequence")
            schema, sequence = (part.strip('"') if part else "" for part in filled.groups())
            home = session.connection.dialect.default_schema_name or "main"
            yield from _sequence(session, sessions, table, name, TableName(schema or home, sequence))
        elif default is not None:
            yield Feature(name, "default", default, portable_default(default))


def _sequence(session: Session, sessions: Sessions, table: Table, name: str, sequence: TableName) -> Iterator[Feature]:
    """Where it stands, and whether its next value is one that the column has. The rows are read first."""
    if sessions.dialect.sequences is None or table.column(name).family not in _NUMBERS:
        return
    source = named_table(table.name.name, column(name), schema=table.name.schema)
    ((low, high),) = session.all(select(func.min(source.c[name]), func.max(source.c[name])))
    asked = text(sessions.dialect.sequences).bindparams(
        bindparam("schema", sequence.schema), bindparam("name", sequence.name)
    )
    for following, step, least, most, cycles in session.all(asked):
        held = high if step > 0 else low
        problem = sequence_problem(following, step, least, most, None if held is None else int(held))
        words = f"by {step} from {least} to {most}{' and again' if cycles else ''}"
        yield Feature(name, "sequence", words, problem=None if cycles else problem)


def portable_default(expression: str) -> str | None:
    """A default as any engine can say it: a constant without quotes, or `now`; None for the rest."""
    constant = _CONSTANT.fullmatch(expression)
    if constant is None:
        return _WORDS.get(expression.lower())
    return constant[1].replace("''", "'") if constant[1] is not None else constant[2]
