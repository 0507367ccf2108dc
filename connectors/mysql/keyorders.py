"""How the keys of all tables sort, in two questions: 5,000 tables must not cost 5,000 round trips before the first is
compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.mysql.catalog import SYSTEM, best_key, family_of
from connectors.mysql.expressions import ordered_by_its_bytes
from connectors.mysql.session import Session
from verifier.table import Column, Family, Table, TableName

Order = tuple[tuple[str, str | None], ...]
"""The collation of each key column on which the order of keys depends; empty where it depends on none."""

_COLLATED = (Family.TEXT, Family.CHAR)
_KEYS = f"""
select table_schema, table_name, index_name, column_name, nullable, sub_part, index_type
from information_schema.statistics where non_unique = 0 and table_schema not in {SYSTEM}
order by table_schema, table_name, index_name, seq_in_index
"""
_TEXTS = f"""
select table_schema, table_name, column_name, data_type, column_type, collation_name
from information_schema.columns where collation_name is not null and table_schema not in {SYSTEM}
"""


def order_of(table: Table) -> Order:
    """Of one table that is known."""
    return _order(table.key_columns() if table.key else ())


def orders(session: Session) -> Mapping[TableName, Order]:
    """Of every table with a key that this login may see."""
    texts = {(schema, table, column): rest for schema, table, column, *rest in session.all(_TEXTS)}
    indexes: dict[TableName, list[Sequence[object]]] = {}
    for schema, table, *row in session.all(_KEYS):
        indexes.setdefault(TableName(schema, table), []).append(row)
    found: dict[TableName, Order] = {}
    for name, rows in indexes.items():
        key = best_key(rows)
        columns = [
            Column(column, family_of(told[0]), told[1], collation=told[2])
            for column in key
            if (told := texts.get((name.schema, name.name, column)))
        ]
        if key:
            found[name] = _order(columns)
    return found


def _order(columns: Sequence[Column]) -> Order:
    return tuple((c.name, c.collation) for c in columns if c.family in _COLLATED and not ordered_by_its_bytes(c))
