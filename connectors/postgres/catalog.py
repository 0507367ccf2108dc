"""Reading the catalogue: which tables there are, of what columns, and by which key a row is addressed."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.client.patterns import matcher
from connectors.postgres.session import Session
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.table import Column, Family, Kind, Table, TableName

_FAMILIES = {
    "int2": Family.INTEGER,
    "int4": Family.INTEGER,
    "int8": Family.INTEGER,
    "oid": Family.INTEGER,
    "numeric": Family.DECIMAL,
    "float4": Family.FLOAT,
    "float8": Family.FLOAT,
    "bool": Family.BOOLEAN,
    "text": Family.TEXT,
    "varchar": Family.TEXT,
    "bpchar": Family.CHAR,
    "bytea": Family.BYTES,
    "date": Family.DATE,
    "time": Family.TIME,
    "timetz": Family.OTHER,
    "timestamp": Family.TIMESTAMP,
    "timestamptz": Family.TIMESTAMPTZ,
    "interval": Family.INTERVAL,
    "uuid": Family.UUID,
    "json": Family.JSON,
    "jsonb": Family.JSON,
    "xml": Family.XML,
    "inet": Family.INET,
    "cidr": Family.INET,
    "bit": Family.BIT,
    "varbit": Family.BIT,
}
_KINDS = {"e": Family.ENUM, "r": Family.RANGE, "m": Family.RANGE, "c": Family.COMPOSITE}  # pg_type.typtype

# From version 18 on `attnotnull` is also true of a constraint that is not valid yet, beside rows that hold NULL.
NEVER_NULL = """(a.attnotnull and not exists (select from pg_constraint nn where nn.conrelid = a.attrelid
    and nn.contype = 'n' and nn.conkey = array[a.attnum] and not nn.convalidated))"""

_TABLES = """
select n.nspname, c.relname, c.relkind in ('r', 'p'), has_schema_privilege(n.oid, 'usage')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition and c.relpersistence <> 't'
  and n.nspname <> 'information_schema' and n.nspname not like 'pg\\_%%'
"""

# A heap has no more rows than line pointers and tuple headers fit in its pages: 4 and 24 bytes each (bufpage.h,
# htup_details.h); 2 is the heap's pg_am.oid.
_RELATIONS = """
select n.nspname, c.relname, c.oid::bigint, c.reltuples::bigint, c.relkind::text,
       has_schema_privilege(n.oid, 'usage')
       and (has_table_privilege(c.oid, 'select') or has_any_column_privilege(c.oid, 'select')),
       case when c.relkind = 'p' then
            (select sum(greatest(p.reltuples, 0))::bigint from pg_partition_tree(c.oid) t
             join pg_class p on p.oid = t.relid where t.isleaf) end,
       case when c.relkind in ('v', 'm') then 'view'
            when c.relkind = 'f' or c.relkind = 'p' and exists (
                 select from pg_partition_tree(c.oid) t join pg_class p on p.oid = t.relid where p.relkind = 'f')
            then 'foreign'
            when c.relkind = 'p' then 'partitioned'
            when exists (select from pg_inherits i where i.inhparent = c.oid) then 'parent' else 'table' end,
       case when c.relkind = 'r' and c.relam = 2 then pg_relation_size(c.oid) / 28 end
from unnest(%s::text[], %s::text[]) as w(schema, name)
join pg_namespace n on n.nspname = w.schema join pg_class c on c.relnamespace = n.oid and c.relname = w.name
where c.relkind in ('r', 'p', 'v', 'm', 'f')
"""

# A domain is followed down to the type it rests on; its own modifier stays, as numeric(12,2) under a domain.
_COLUMNS = f"""
with recursive base(rel, attnum, typ, modifier) as (
    select attrelid, attnum, atttypid, atttypmod from pg_attribute
    where attrelid = any(%s::oid[]) and attnum > 0 and not attisdropped
    union all
    select b.rel, b.attnum, t.typbasetype, case when b.modifier = -1 then t.typtypmod else b.modifier end
    from base b join pg_type t on t.oid = b.typ where t.typtype = 'd'
)
select b.rel::bigint, a.attname, t.typname, t.typnamespace = 'pg_catalog'::regnamespace, t.typtype::text,
       t.typcategory::text, format_type(t.oid, b.modifier), not {NEVER_NULL}, a.attgenerated::text,
       case when l.collname <> 'default' then l.collname || case when l.collisdeterministic then '' else
            ' (nondeterministic)' end end
from base b join pg_type t on t.oid = b.typ and t.typtype <> 'd'
join pg_attribute a on a.attrelid = b.rel and a.attnum = b.attnum
left join pg_collation l on l.oid = a.attcollation
order by b.rel, a.attnum
"""

# The primary key, else the unique index over not-null columns with the fewest columns, the oldest of those.
_KEYS = f"""
select distinct on (i.indrelid) i.indrelid::bigint,
       array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
             join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
             where k.place <= i.indnkeyatts order by k.place)
from pg_index i
where i.indrelid = any(%s::oid[]) and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null
  and i.indexprs is null
  and not exists (select from unnest(i.indkey::int2[]) with ordinality as k(attnum, place)
                  join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
                  where k.place <= i.indnkeyatts and not {NEVER_NULL})
order by i.indrelid, i.indisprimary desc, i.indnkeyatts, i.indexrelid
"""


def list_tables(session: Session, patterns: Sequence[str]) -> list[TableName]:
    """Tables that match the patterns (`Replica.tables` says how), sorted. Of a schema that the login may not use there
    are none, unless a pattern names it: then each of them is asked for, and its right is missed."""
    matches = matcher(patterns)
    exactly = set(patterns)
    asked = {one.partition(".")[0] for one in patterns if "." in one and not one.startswith("!")}
    told = session.all(_TABLES, ())
    names = [(TableName(schema, name), plain) for schema, name, plain, usable in told if usable or schema in asked]
    return sorted(name for name, plain in names if matches(name) and (plain or not exactly.isdisjoint(_named(name))))


def describe(session: Session, name: TableName, where: str) -> Table:
    """The table; Permanent if there is none, Forbidden if it may not be read."""
    found = describe_all(session, [name], where)[name]
    if isinstance(found, Permanent | Temporary):
        raise found
    return found


def describe_all(
    session: Session, names: Sequence[TableName], where: str
) -> dict[TableName, Table | Permanent | Temporary]:
    """Each table, or what `describe` would raise."""
    found: dict[TableName, Table | Permanent | Temporary] = {
        name: Permanent(f"there is no table {name} on {where}; check schema and name (case counts)") for name in names
    }
    relations = session.all(_RELATIONS, ([name.schema for name in names], [name.name for name in names]))
    oids = [relation[2] for relation in relations]
    columns: dict[int, list[Column]] = {}
    for oid, *told in session.all(_COLUMNS, (oids,)) if oids else ():
        columns.setdefault(oid, []).append(_column(*told))
    keys: dict[int, list[str]] = dict(session.all(_KEYS, (oids,))) if oids else {}
    for schema, relname, oid, guessed, relkind, readable, guessed_parts, kind, most in relations:
        name = TableName(schema, relname)
        if not readable:
            found[name] = Forbidden(
                f"table {name} on {where} may not be read; grant select on it to trueup's user, and usage on its schema"
            )
            continue
        rows = guessed_parts if relkind == "p" else guessed
        estimate = rows if rows is not None and rows >= 0 and relkind != "v" else None
        found[name] = Table(
            name, tuple(columns.get(oid, ())), tuple(keys.get(oid, ())), estimate, kind=Kind(kind), rows_most=most
        )
    return found


def _column(
    name: str,
    type_name: str,
    builtin: bool,
    type_kind: str,
    category: str,
    declared: str,
    nullable: bool,
    generated: str,
    collation: str | None,
) -> Column:
    return Column(
        name=name,
        family=family(type_name, builtin, type_kind, category),
        declared=declared,
        nullable=nullable,
        collation=collation,
        generated=bool(generated),
    )


def _named(name: TableName) -> tuple[str, str]:
    """The patterns that name this table and no other of the same name in its schema."""
    return str(name), name.name


def family(type_name: str, builtin: bool, type_kind: str, category: str) -> Family:
    """The family of a type that is not a domain."""
    if type_kind in _KINDS:
        return _KINDS[type_kind]
    if category == "A":
        return Family.ARRAY
    return _FAMILIES.get(type_name, Family.OTHER) if builtin else Family.OTHER
