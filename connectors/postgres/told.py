"""By what the changes of each table are told, and how far a server's own log has been written.

The text of a table changes whenever changes of its rows may have gone by untold, even if all is as before: a table that
leaves a publication and comes back is another member of it, one that was rewritten has another file. What it is made of
is in it too, so two audits with the same text compared the same columns.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.postgres.replica import PostgresReplica
from verifier.errors import Forbidden, Permanent
from verifier.position import Lsn
from verifier.table import TableName

WHOLE = """from pg_publication p join pg_publication_tables t on t.pubname = p.pubname
join pg_namespace n on n.nspname = t.schemaname
join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
where p.pubname = %s and p.pubinsert and p.pubupdate and p.pubdelete and p.pubtruncate
  and to_jsonb(t) ->> 'rowfilter' is null
  -- a select from a table that others inherit from shows their rows, whose changes are told under their own names
  and (c.relkind = 'p' or not exists (select from pg_inherits i where i.inhparent = c.oid))
"""
"Tables `t`, of class `c`, of which the publication `p` with this name tells every change of every row."
_STANDING = f"""
select t.schemaname, t.tablename, concat_ws('/',
    c.oid::text || '.' || c.relfilenode::text,
    (select string_agg(l.oid::text || '.' || l.relfilenode::text, ',' order by l.oid)
     from pg_partition_tree(c.oid) part join pg_class l on l.oid = part.relid where c.relkind = 'p'),
    p.oid::text || '.' || p.xmin::text,
    (select string_agg(r.oid::text, ',' order by r.oid) from pg_publication_rel r
     where r.prpubid = p.oid and (r.prrelid = c.oid
        or r.prrelid in (select relid from pg_partition_ancestors(c.oid))
        or r.prrelid in (select relid from pg_partition_tree(c.oid)))),
    {{schemas}},
    (select md5(string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attisdropped, a.attnotnull,
        a.attcollation, a.attgenerated), ',' order by a.attnum)) from pg_attribute a
     where a.attrelid = c.oid and a.attnum > 0))
{WHOLE}"""
_READER = """
select s.active_pid::text, extract(epoch from a.backend_start)::text
from pg_replication_slots s left join pg_stat_activity a on a.pid = s.active_pid where s.slot_name = %s
"""
_SCHEMAS = """(select string_agg(s.oid::text, ',' order by s.oid) from pg_publication_namespace s
     where s.pnpubid = p.oid and s.pnnspid = n.oid)"""


def standing(replica: PostgresReplica, publication: str) -> Mapping[TableName, str]:
    """The tables of which the publication tells every change of every row, asked now, each with the text of its
    membership, its storage and its columns."""
    with replica.sessions.borrow("asking what is published") as session:
        (version,) = session.one("select current_setting('server_version_num')::int")
        schemas = _SCHEMAS if version >= 150000 else "null"
        rows = session.all(_STANDING.replace("{schemas}", schemas), (publication,))
    return {TableName(schema, name): text for schema, name, text in rows}


def reader(replica: PostgresReplica, slot: str) -> str:
    """Who reads the slot now, and since when without a break: another connection gives another text. Permanent if
    nobody does, Forbidden if the login may not know."""
    with replica.sessions.borrow(f"asking who reads slot {slot}") as session:
        rows = session.all(_READER, (slot,))
    if not rows or rows[0][0] is None:
        raise Permanent(
            f"nobody reads replication slot {slot!r} of {replica.sessions.where} now: does the connector run?"
        )
    pid, since = rows[0]
    if since is None:
        raise Forbidden(
            f"since when slot {slot!r} of {replica.sessions.where} is read without a break may not be seen: grant "
            "pg_monitor to trueup's user"
        )
    return f"{pid}.{since}"


def written(replica: PostgresReplica) -> Lsn:
    """The end of this very server's log, in its own coordinates."""
    with replica.sessions.borrow("asking for the end of its log") as session:
        (end,) = session.one("select pg_current_wal_insert_lsn()::text")
    return Lsn.parse(end)
