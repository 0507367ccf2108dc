"""What a PostgreSQL server has beside its rows, asked once before a cutover. `SELECT` on the catalogue is enough for
most of it; what the login may not see is said to be unknown.

Definitions are asked of the server's own deparsing and stripped of names that a follower may choose otherwise (an
index's own name, the table's), so that two servers of different versions mostly spell them alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import psycopg

from connectors.postgres import serving
from connectors.postgres.ages import fresh
from connectors.postgres.errors import translate
from connectors.postgres.largeobjects import contents
from connectors.postgres.replica import PostgresReplica
from connectors.postgres.session import Record, Session
from verifier.errors import Permanent
from verifier.sequences import SequenceState
from verifier.surroundings import Fact, Surroundings, Written
from verifier.table import Table, TableName
from verifier.view import Mark

_PLAIN = re.compile("[a-z_][a-z0-9_]*")
_ENABLED = {"O": "enabled", "D": "disabled", "R": "enabled as replica only", "A": "enabled always"}

_TABLES = """
select c.oid::bigint, n.nspname, c.relname from unnest(%s::text[], %s::text[]) as w(s, t)
join pg_namespace n on n.nspname = w.s join pg_class c on c.relnamespace = n.oid and c.relname = w.t
"""
_INDEXES = """
select i.indrelid::bigint, case when i.indisunique then 'unique ' else '' end
       || substring(pg_get_indexdef(i.indexrelid) from ' USING (.*)$'), '',
       case when not (i.indisvalid and i.indisready) then 'is invalid' else '' end
from pg_index i where i.indrelid::bigint = any(%s)
"""
_CONSTRAINTS = """
select conrelid::bigint, replace(pg_get_constraintdef(oid), ' NOT VALID', ''), '',
       case when convalidated then '' else 'is not validated' end
from pg_constraint where conrelid::bigint = any(%s) and contype in ('p', 'u', 'f', 'c', 'x')
"""
_TRIGGERS = """
select tgrelid::bigint, tgname::text, tgenabled::text || ' ' || tgtype || ' ' || tgfoid::regproc, ''
from pg_trigger where tgrelid::bigint = any(%s) and not tgisinternal
union all
select tgrelid::bigint, 'foreign keys', count(*) filter (where tgenabled <> 'O') || '',
       case when bool_or(tgenabled = 'D') then 'are not enforced: their triggers are disabled' else '' end
from pg_trigger where tgrelid::bigint = any(%s) and tgisinternal
group by tgrelid having count(*) filter (where tgenabled <> 'O') > 0
"""
_POLICIES = """
select oid::bigint, 'row security', case when relrowsecurity then 'on' else 'off' end
       || case when relforcerowsecurity then ', for its owner, too' else '' end, ''
from pg_class where oid::bigint = any(%s)
union all
select polrelid::bigint, 'policy ' || polname, polcmd::text || ' ' || coalesce(pg_get_expr(polqual, polrelid), '')
       || ' ' || coalesce(pg_get_expr(polwithcheck, polrelid), ''), ''
from pg_policy where polrelid::bigint = any(%s)
"""
_GRANTS = """
select oid::bigint, 'owner and grants', pg_get_userbyid(relowner) || ', '
       || coalesce((select count(*) from aclexplode(relacl)), 0) || ' grants', ''
from pg_class where oid::bigint = any(%s)
"""
_BY_TABLE = {
    "indexes": _INDEXES,
    "constraints": _CONSTRAINTS,
    "triggers": _TRIGGERS,
    "policies": _POLICIES,
    "grants": _GRANTS,
}

# What an extension owns comes with it. A view's text is the server's own; it differs between major versions at times.
_NOT_OF_EXTENSION = "not exists (select from pg_depend d where d.objid = {oid} and d.deptype = 'e')"
_VIEWS = f"""
select n.nspname || '.' || c.relname, md5(pg_get_viewdef(c.oid)),
       case when c.relkind = 'm' and not c.relispopulated then 'is not populated' else '' end
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('v', 'm') and n.nspname = any(%s) and {_NOT_OF_EXTENSION.format(oid="c.oid")}
"""
_ROUTINES = f"""
select p.oid::regprocedure::text, md5(p.prosrc), ''
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = any(%s) and {_NOT_OF_EXTENSION.format(oid="p.oid")}
"""
_EXTENSIONS = "select extname::text, extversion, '' from pg_extension where cardinality(%s::text[]) >= 0"
_DATABASE = """
select 'encoding', pg_encoding_to_char(encoding)::text, '' from pg_database
where datname = current_database() and cardinality(%s::text[]) >= 0
union all select 'collation', datcollate::text, '' from pg_database where datname = current_database()
"""
_BY_SCHEMA = {"views": _VIEWS, "routines": _ROUTINES, "extensions": _EXTENSIONS, "database": _DATABASE}

# A sequence is of a column that owns it (serial, identity) or whose default asks it.
_SEQUENCES = """
select n.nspname, s.relname, q.seqincrement, a.attrelid::bigint, a.attname::text,
       has_sequence_privilege(s.oid, 'select'), has_column_privilege(a.attrelid, a.attnum, 'select')
from pg_class s join pg_namespace n on n.oid = s.relnamespace join pg_sequence q on q.seqrelid = s.oid
left join (
    select d.objid as seq, d.refobjid as rel, d.refobjsubid as att from pg_depend d
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')
      and d.refobjsubid > 0
    union
    select d.refobjid, f.adrelid, f.adnum from pg_depend d join pg_attrdef f on f.oid = d.objid
    where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass
) used on used.seq = s.oid
left join pg_attribute a on a.attrelid = used.rel and a.attnum = used.att
where s.relkind = 'S' and (a.attrelid::bigint = any(%s) or (a.attrelid is null and n.nspname = any(%s)))
"""


class PostgresSurroundings:
    """Asks the server of one replica, through its sessions; nothing is kept between calls."""

    def __init__(self, replica: PostgresReplica) -> None:
        self._replica = replica

    def surroundings(self, tables: Sequence[TableName]) -> Surroundings:
        """Temporary, Unreachable or Forbidden as any read."""
        replica = self._replica
        with replica.sessions.borrow("asking what there is beside the rows") as session:
            schemas = sorted({table.schema for table in tables})
            known = {
                oid: TableName(schema, name)
                for oid, schema, name in session.all(_TABLES, ([t.schema for t in tables], [t.name for t in tables]))
            }
            (recovering,) = session.one("select pg_is_in_recovery()")
            (objects,) = session.one("select count(*) from pg_largeobject_metadata")
            return Surroundings(
                facts=tuple(_facts(session, known, schemas)),
                sequences=tuple(self._sequences(session, known, schemas)),
                checks=tuple(serving.checks(session, replica.name, replica.role(session))),
                topics=frozenset({*_BY_TABLE, *_BY_SCHEMA}),
                tables=frozenset(known.values()),
                large_objects=objects,
                contents=contents(session, replica.sessions.where) if objects and not recovering else None,
                physical=recovering,
            )

    def written(self, table: Table, since: Mark) -> Written:
        """Rows of the table, and those whose version was made by `since` or later. One pass over the table; Temporary
        if it takes longer than a statement may."""
        if not isinstance(since, int):
            raise Permanent(f"not a transaction id: {since!r}")
        sessions = self._replica.sessions
        name = f"{sessions.quote(table.stored.schema)}.{sessions.quote(table.stored.name)}"
        with sessions.borrow(f"asking what was written to {table.name}") as session:
            rows, younger = session.one(f"select count(*), count(*) filter (where {fresh(since)}) from {name}")
        return Written(rows, younger)

    def _sequences(
        self, session: Session, known: Mapping[int, TableName], schemas: Sequence[str]
    ) -> Iterator[SequenceState]:
        for row in session.all(_SEQUENCES, (list(known), list(schemas))):
            try:
                yield self._sequence(session, known, row)
            except psycopg.Error as error:
                if not session.usable:
                    raise
                name, used_by = TableName(row[0], row[1]), None if row[3] is None else (known[row[3]], row[4])
                why = translate(error, f"reading the sequence {name}", self._replica.sessions.where)
                yield SequenceState(name, used_by, problem=str(why))

    def _sequence(self, session: Session, known: Mapping[int, TableName], row: Record) -> SequenceState:
        schema, own, step, oid, column, readable, column_readable = row
        name, quote = TableName(schema, own), self._replica.sessions.quote
        used_by = None if oid is None else (known[oid], column)
        if not readable:
            return SequenceState(name, used_by, step=step, problem="this login may not select from it")
        last, called = session.one(f"select last_value, is_called from {quote(schema)}.{quote(own)}")
        reach = None
        if used_by is not None:
            if not column_readable:
                return SequenceState(name, used_by, step=step, problem=f"this login may not read {column}")
            table, furthest = used_by[0], "max" if step > 0 else "min"
            source = f"{quote(table.schema)}.{quote(table.name)}"
            (found,) = session.one(f"select {furthest}({quote(column)})::text from {source}")
            if found is not None and found.lstrip("-").isdigit():
                reach = int(found)
            elif found is not None:
                return SequenceState(name, used_by, step=step, problem=f"{column} holds no integers")
        spelled = ".".join(one if _PLAIN.fullmatch(one) else quote(one).replace("%%", "%") for one in (schema, own))
        spelled = spelled.replace("'", "''")
        return SequenceState(
            name, used_by, last + step if called else last, step, reach, f"select setval('{spelled}', {{last}})"
        )


def _facts(session: Session, known: Mapping[int, TableName], schemas: Sequence[str]) -> Iterator[Fact]:
    for topic, sql in _BY_TABLE.items():
        for oid, name, text, problem in session.all(sql, [list(known)] * sql.count("%s")):
            yield Fact(topic, known[oid], name, _spelled(text) if topic == "triggers" else text, problem)
    for topic, sql in _BY_SCHEMA.items():
        for name, text, problem in session.all(sql, [list(schemas)] * sql.count("%s")):
            yield Fact(topic, None, name, text, problem)


def _spelled(text: str) -> str:
    state, _, rest = text.partition(" ")
    return f"{_ENABLED[state]} {rest}" if state in _ENABLED else text
