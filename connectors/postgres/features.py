"""What a table has beside its columns: one question to the catalogue, and one to each sequence that fills a column."""

from __future__ import annotations

import re
from collections.abc import Sequence

from connectors.postgres.expressions import Quote
from connectors.postgres.session import Session
from verifier.features import Feature
from verifier.sequences import sequence_problem
from verifier.table import TableName

# Definitions without the table's own name, which may be another one on the other server. A default that takes the next
# value of a sequence says only that: the sequence is told of by itself, and its name means nothing.
_FEATURES = """
with named as (
    select c.oid, c.oid::regclass::text as text, w.place
    from unnest(%s::text[], %s::text[]) with ordinality as w(schema, name, place)
    join pg_namespace n on n.nspname = w.schema join pg_class c on c.relnamespace = n.oid and c.relname = w.name
), indexes as (
    select i.*, named.place, x.relname, pg_get_indexdef(i.indexrelid) as made,
           length('CREATE ' || case when i.indisunique then 'UNIQUE ' else '' end || 'INDEX ' || quote_ident(x.relname)
                  || ' ON ' || named.text) as head
    from named join pg_index i on i.indrelid = named.oid join pg_class x on x.oid = i.indexrelid
), filled as (
    select d.adrelid, d.adnum, s.refobjid as sequence from named join pg_attrdef d on d.adrelid = named.oid
    join pg_depend s on s.classid = 'pg_attrdef'::regclass and s.objid = d.oid and s.refclassid = 'pg_class'::regclass
    join pg_class c on c.oid = s.refobjid and c.relkind = 'S'
    union
    select s.refobjid, s.refobjsubid, s.objid from named join pg_depend s on s.refclassid = 'pg_class'::regclass
    and s.refobjid = named.oid and s.classid = 'pg_class'::regclass and s.deptype = 'i'
    join pg_class c on c.oid = s.objid and c.relkind = 'S'
)
select place, case when indisunique then 'unique' else 'index' end, relname,
       case when indisprimary then 'primary key' when indisunique then 'unique' else 'index' end
       || substr(made, head + strpos(substr(made, head + 1), ' USING ')),
       case when indexprs is null and indpred is null then
            (select string_agg(a.attname, ', ' order by k.place) from unnest(indkey::int2[]) with ordinality k(n, place)
             join pg_attribute a on a.attrelid = indrelid and a.attnum = k.n where k.place <= indnkeyatts) end,
       case when not indisvalid then 'it is invalid: its build did not come to an end' end, null::oid
from indexes
union all
select place, case contype when 'c' then 'check' when 'x' then 'unique' else 'foreign key' end,
       conname, pg_get_constraintdef(k.oid),
       case when contype = 'f' then
            (select string_agg(a.attname, ', ' order by c.place) from unnest(conkey) with ordinality c(n, place)
             join pg_attribute a on a.attrelid = conrelid and a.attnum = c.n)
            || ' -> ' || (select relname from pg_class where oid = confrelid) || '('
            || (select string_agg(a.attname, ', ' order by c.place) from unnest(confkey) with ordinality c(n, place)
                join pg_attribute a on a.attrelid = confrelid and a.attnum = c.n) || ')' end, null, null
from named join pg_constraint k on k.conrelid = named.oid where contype in ('c', 'f', 'x')
union all
select place, 'default', a.attname,
       case when a.attidentity <> '' then
                 'generated ' || case a.attidentity when 'a' then 'always' else 'by default' end || ' as identity'
            when f.sequence is not null then 'next value of a sequence'
            when a.attgenerated <> '' then 'generated as ' || pg_get_expr(d.adbin, d.adrelid)
            else pg_get_expr(d.adbin, d.adrelid) end,
       case when a.attidentity <> '' or f.sequence is not null then 'sequence'
            when a.attgenerated = '' then pg_get_expr(d.adbin, d.adrelid) end, null, null
from named join pg_attribute a on a.attrelid = named.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join filled f on f.adrelid = a.attrelid and f.adnum = a.attnum
where d.oid is not null or a.attidentity <> ''
union all
select place, 'sequence', a.attname,
       format('%%s by %%s from %%s to %%s%%s', format_type(s.seqtypid, null), s.seqincrement, s.seqmin, s.seqmax,
              case when s.seqcycle then ' and again' else '' end), null, null,
       case when has_sequence_privilege(f.sequence, 'select') then f.sequence end
from named join filled f on f.adrelid = named.oid join pg_sequence s on s.seqrelid = f.sequence
join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
order by 1, 2, 3
"""

# A text, or a number that may stand in brackets, and nothing after it but its type.
_CONSTANT = re.compile(
    r"""(?:'([^']*)'|\((-?\d+(?:\.\d+)?)\)|(-?\d+(?:\.\d+)?))"""
    r"""(?:::(?:\w+|"[^"]+")(?:\.(?:\w+|"[^"]+"))?(?: (?:precision|varying))?(?:\(\d+(?:,-?\d+)?\))?"""
    r"""(?: with(?:out)? time zone)?(?:\[\])*)*"""
)

# The largest value comes from an index or is not asked for, nor is that of a column which holds no numbers.
_SEQUENCE = """
select n.nspname, c.relname, s.seqincrement, s.seqmin, s.seqmax, s.seqcycle,
       exists (select from pg_index i join pg_class x on x.oid = i.indexrelid join pg_am m on m.oid = x.relam
               join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
               join pg_type t on t.oid = a.atttypid
               where i.indrelid = %s::regclass and a.attname = %s and i.indisvalid and i.indpred is null
               and m.amname = 'btree' and t.typcategory = 'N')
from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_sequence s on s.seqrelid = c.oid
where c.oid = %s
"""


def features_of(session: Session, name: TableName, quote: Quote) -> tuple[Feature, ...]:
    """Indexes, constraints, defaults and sequences of a table; none of a table that is not there."""
    return features_of_all(session, [name], quote)[name]


def features_of_all(session: Session, names: Sequence[TableName], quote: Quote) -> dict[TableName, tuple[Feature, ...]]:
    """The same of many tables."""
    found: dict[TableName, list[Feature]] = {name: [] for name in names}
    asked = session.all(_FEATURES, ([name.schema for name in names], [name.name for name in names]))
    for place, what, object_, text, portable, problem, sequence in asked:
        name = names[place - 1]
        if what == "default":
            portable = portable_default(portable)
        if sequence is not None:
            table = f"{quote(name.schema)}.{quote(name.name)}"
            problem = _behind(session, table, object_, sequence, quote)
        found[name].append(Feature(object_, what, text, portable, problem))
    return {name: tuple(features) for name, features in found.items()}


def _behind(session: Session, table: str, column: str, sequence: int, quote: Quote) -> str | None:
    """Whether the sequence will give values that the column has already, or none any more."""
    told = session.all(_SEQUENCE, (table.replace("%%", "%"), column, sequence))
    if not told:
        return None
    schema, relation, step, least, most, cycles, indexed = told[0]
    if cycles:
        return None
    furthest = f"(select {'max' if step > 0 else 'min'}({quote(column)})::bigint from {table})" if indexed else "null"
    # One statement, whose snapshot is older than its look at the sequence: every value that it finds in the table had
    # been taken from the sequence before.
    last, called, held = session.one(
        f"select last_value, is_called, {furthest}::bigint from {quote(schema)}.{quote(relation)}"
    )
    return sequence_problem(last + step if called else last, step, least, most, held)


def portable_default(expression: str | None) -> str | None:
    """A default as any engine can say it: a constant without its type, `now`, or `sequence`; None for the rest."""
    if expression is None or expression == "sequence":
        return expression
    text = expression.strip()
    if text in ("true", "false"):
        return "1" if text == "true" else "0"
    if text in ("now()", "CURRENT_TIMESTAMP"):
        return "now"
    constant = _CONSTANT.fullmatch(text)
    return None if constant is None else next(found for found in constant.groups() if found is not None)
