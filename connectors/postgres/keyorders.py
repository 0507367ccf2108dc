"""How the keys of many tables sort, in a few queries for all of them: 5,000 tables must not cost 5,000 round trips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.postgres.catalog import NEVER_NULL, family
from connectors.postgres.keys import ORDERED_BY_COLLATION
from connectors.postgres.session import Session
from verifier.table import Column, Family, Table, TableName

Order = tuple[object, ...]
"""Everything that decides how a key sorts; equal on two servers means that they sort alike."""

_BY_BYTES = ("C", "POSIX")
_ABSENT: Order = ("no such column",)

# As `catalog` chooses a table's key, for all tables that may be read; domains are followed down to their type.
_KEYS = f"""
with recursive rests_on(typ, base) as (
    select oid, oid from pg_type where typtype <> 'd'
    union all select t.oid, r.base from pg_type t join rests_on r on r.typ = t.typbasetype where t.typtype = 'd'
), best as (
    select distinct on (i.indrelid) i.indrelid, i.indkey, i.indnkeyatts
    from pg_index i
    where i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
      and not exists (select from unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
                      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
                      where k.place <= i.indnkeyatts and not {NEVER_NULL})
    order by i.indrelid, i.indisprimary desc, i.indnkeyatts, i.indexrelid
)
select n.nspname, c.relname, a.attname, t.typname, t.typnamespace = 'pg_catalog'::regnamespace, t.typtype::text,
       t.typcategory::text, format_type(t.oid, a.atttypmod)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join best b on b.indrelid = c.oid
cross join unnest(b.indkey::int2[]) with ordinality as k(attnum, place)
join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
join rests_on r on r.typ = a.atttypid join pg_type t on t.oid = r.base
where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't' and k.place <= b.indnkeyatts
  and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%%' and has_schema_privilege(n.oid, 'usage')
  and (has_table_privilege(c.oid, 'select') or has_any_column_privilege(c.oid, 'select'))
order by n.nspname, c.relname, k.place
"""
_COLLATIONS = """
select w.place, l.collname, l.collprovider::text, l.collcollate,
       coalesce(to_jsonb(l) ->> 'colllocale', to_jsonb(l) ->> 'colliculocale'), l.collisdeterministic,
       case when l.collname <> 'default' then pg_collation_actual_version(l.oid) end
from unnest(%s::text[], %s::text[], %s::text[]) with ordinality as w(schema, name, col, place)
join pg_namespace n on n.nspname = w.schema
join pg_class c on c.relnamespace = n.oid and c.relname = w.name
join pg_attribute a on a.attrelid = c.oid and a.attname = w.col and not a.attisdropped
left join pg_collation l on l.oid = a.attcollation
"""
_LABELS = """
select typed.name, (select array_agg(enumlabel::text order by enumsortorder) from pg_enum
                     where enumtypid = to_regtype(typed.name))
from unnest(%s::text[]) as typed(name)
"""
_DATABASE = """
select d.datcollate, d.datctype, d.encoding, to_jsonb(d) ->> 'datlocprovider',
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'), {version}
from pg_database d where d.datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A table of the leader, and of its key those columns whose order may differ between servers."""

    name: TableName
    columns: tuple[Column, ...]


def keyed(table: Table) -> Keyed:
    return Keyed(table.name, tuple(c for c in table.key_columns() if c.family in ORDERED_BY_COLLATION))


def absent(order: Order | None) -> bool:
    """The server has no such table, or none of that name with the key's columns."""
    return order is not None and _ABSENT in order


def all_keyed(session: Session) -> list[Keyed]:
    """Every table with a key that this login may read."""
    found: dict[TableName, list[Column]] = {}
    for schema, name, column, type_name, builtin, type_kind, category, declared in session.all(_KEYS):
        columns = found.setdefault(TableName(schema, name), [])
        of = family(type_name, builtin, type_kind, category)
        if of in ORDERED_BY_COLLATION:
            columns.append(Column(column, of, declared))
    return [Keyed(name, tuple(columns)) for name, columns in found.items()]


def orders(session: Session, tables: Sequence[Keyed], number: int) -> Mapping[TableName, Order | None]:
    """How the key of each table sorts on this server, whose version has that number: the empty tuple where that cannot
    differ between servers, None where the server does not tell the version of a collation."""
    places = [(table.name, column) for table in tables for column in table.columns]
    default = _database_order(session, number) if places else None
    labels = _labels(session, {column.declared for _, column in places if column.family is Family.ENUM})
    collated = [(name, column) for name, column in places if column.family is not Family.ENUM]
    told = _collations(session, collated)
    found: dict[TableName, Order | None] = {}
    for table in tables:
        parts: list[object] = []
        for column in table.columns:
            if column.family is Family.ENUM:
                parts.append(labels[column.declared])
                continue
            one = told.get((table.name, column.name), (_ABSENT, True))
            of_column, deterministic = (default, True) if one is None else one
            if of_column is None:
                found[table.name] = None
                break
            parts += [column.declared, of_column, deterministic]
        else:
            found[table.name] = tuple(parts)
    return found


def _labels(session: Session, types: set[str]) -> dict[str, Order]:
    """The labels of each enum type, in order."""
    if not types:
        return {}
    return {name: tuple(labels or ()) for name, labels in session.all(_LABELS, (sorted(types),))}


def _collations(
    session: Session, columns: Sequence[tuple[TableName, Column]]
) -> dict[tuple[TableName, str], tuple[Order | None, bool] | None]:
    """How each column that exists sorts, and whether deterministically; None: as the database does by default."""
    if not columns:
        return {}
    words = (
        [name.schema for name, _ in columns], [name.name for name, _ in columns], [one.name for _, one in columns],
    )  # fmt: skip
    found: dict[tuple[TableName, str], tuple[Order | None, bool] | None] = {}
    for place, name, provider, collate, locale, deterministic, actual in session.all(_COLLATIONS, words):
        table, column = columns[place - 1]
        if name is None or name == "default":
            found[table, column.name] = None
        else:
            found[table, column.name] = (_sorted_by(collate, name, 0, provider, locale, actual), deterministic)
    return found


def _database_order(session: Session, number: int) -> Order | None:
    """How text sorts by default; None where the version of the collation is not told."""
    version = "pg_database_collation_actual_version(d.oid)" if number >= 150000 else "null::text"
    return _sorted_by(*session.one(_DATABASE.format(version=version)))


def _sorted_by(
    collate: str | None, ctype: str | None, encoding: int, provider: str | None, locale: str | None, actual: str | None
) -> Order | None:
    if provider in (None, "c") and collate is not None and (collate in _BY_BYTES or collate.startswith("C.")):
        return (collate, encoding)
    return None if actual is None else (collate, ctype, encoding, provider, locale, actual)
