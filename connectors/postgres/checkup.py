"""What a PostgreSQL server allows and what its settings mean for trueup: facts for `trueup doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from connectors.postgres.replica import PostgresReplica
from connectors.postgres.session import Session
from connectors.postgres.told import WHOLE
from connectors.remark import Remark, readable
from verifier.checklist import listed, several
from verifier.errors import Permanent, Temporary
from verifier.look import Role
from verifier.table import TableName

_FACTS = """
select current_setting('server_version_num')::int, current_setting('wal_level'), pg_is_in_recovery(),
       pg_has_role(current_user, 'pg_monitor', 'member'), current_user::text,
       (select rolsuper from pg_roles where rolname = current_user), current_setting('server_encoding'),
       current_setting('max_slot_wal_keep_size'), current_setting('hot_standby_feedback')
"""
_SLOT = "select plugin, active, wal_status from pg_replication_slots where slot_name = %s and slot_type = 'logical'"
_PUBLISHED = "select schemaname, tablename from pg_publication_tables where pubname = %s"
_OLDEST = """
select extract(epoch from now() - min(xact_start))::int from pg_stat_activity
where xact_start is not null and backend_type = 'client backend' and pid <> pg_backend_pid()
"""
_LONG_SECONDS = 60


def server(replica: PostgresReplica) -> Iterator[Remark]:
    """The server itself: version, role, rights, settings."""
    try:
        identity = replica.identity()
    except (Temporary, Permanent) as problem:
        yield Remark("error", str(problem), "check address, login and pg_hba.conf")
        return
    yield Remark("ok", f"{identity.role.value}, PostgreSQL {identity.version}")
    with replica.sessions.borrow("asking the settings") as session:
        version, wal_level, _, monitor, user, superuser, encoding, keep, feedback = session.one(_FACTS)
        if version < 130000:
            yield Remark("error", f"version {version // 10000} is older than 13", "upgrade")
        if superuser:
            yield Remark("note", f"{user} is a superuser", "trueup needs no more than SELECT and pg_monitor")
        elif not monitor:
            yield Remark("warning", f"{user} is no member of pg_monitor: positions and slots may be hidden",
                         f"grant pg_monitor to {user}")  # fmt: skip
        if encoding != "UTF8":
            yield Remark("note", f"server_encoding is {encoding}", "")
        if identity.role is Role.LEADER:
            yield from _leader(session, wal_level, keep)
        elif identity.role is Role.STANDBY and feedback != "on":
            yield Remark("note", "hot_standby_feedback is off: reads may be cancelled by replay and are tried again",
                         "a longer max_standby_streaming_delay makes that rarer")  # fmt: skip
        elif identity.role is Role.SUBSCRIBER:
            yield from _subscriber(replica)


def _leader(session: Session, wal_level: str, keep: str) -> Iterator[Remark]:
    if wal_level != "logical":
        yield Remark("note", f"wal_level is {wal_level}: no change stream, evidence by brackets and snapshots only",
                     "alter system set wal_level = logical, and restart")  # fmt: skip
    if keep == "-1":
        yield Remark("note", "max_slot_wal_keep_size is not set: a slot that nobody reads can fill the disk",
                     "alter system set max_slot_wal_keep_size = '50GB', and reload")  # fmt: skip
    (oldest,) = session.one(_OLDEST)
    if oldest is not None and oldest > _LONG_SECONDS:
        yield Remark("warning", f"a transaction has been open for {oldest} s: verdicts wait for it",
                     "end it; see pg_stat_activity")  # fmt: skip


def _subscriber(replica: PostgresReplica) -> Iterator[Remark]:
    try:
        replica.position()
    except Temporary as problem:
        yield Remark("warning", str(problem))
    except Permanent as problem:
        yield Remark("error", str(problem))


def tables(replica: PostgresReplica, names: Sequence[TableName]) -> Iterator[Remark]:
    """Which of these tables can be read, and which have a key."""
    yield from readable(replica, names, "grant select on them, and usage on their schemas")


_READS_LOG = """
select current_user::text, rolsuper or rolreplication
       or exists (select from pg_roles r where r.rolname = 'rds_replication' and pg_has_role(r.oid, 'usage'))
from pg_roles where rolname = current_user
"""


def reads_log(replica: PostgresReplica) -> Iterator[Remark]:
    """Whether the login may read the log by logical decoding, as a `pgoutput` stream does."""
    with replica.sessions.borrow("asking for the right to read the log") as session:
        login, may = session.one(_READS_LOG)
    if not may:
        yield Remark("error", f"{login} may not read the log", f'alter role "{login}" replication')


def stream(
    replica: PostgresReplica, slot: str, publication: str, names: Sequence[TableName], cure: str = ""
) -> Iterator[Remark]:
    """Slot and publication of a change stream on the leader; `cure`: what makes both, unless by hand."""
    with replica.sessions.borrow("asking for slot and publication") as session:
        found = session.all(_SLOT, (slot,))
        if not found:
            yield Remark("error", f"no logical slot {slot!r}",
                         cure or f"select pg_create_logical_replication_slot('{slot}', 'pgoutput')")  # fmt: skip
        else:
            plugin, active, status = found[0]
            level = "ok" if status in ("reserved", "extended") and plugin == "pgoutput" else "error"
            yield Remark(level, f"slot {slot}: {plugin}, {'active' if active else 'not read by anybody'}, {status}")
        if not session.all("select 1 from pg_publication where pubname = %s", (publication,)):
            wanted = listed([str(name) for name in names], ", ")
            yield Remark("error", f"no publication {publication!r}",
                         cure or f"create publication {publication} for table {wanted}")  # fmt: skip
            return
        published = {TableName(schema, name) for schema, name in session.all(_PUBLISHED, (publication,))}
    missing = [str(name) for name in names if name not in published]
    if missing:
        yield Remark("warning", f"publication {publication!r} lacks {listed(missing, ', ')}",
                     f"alter publication {publication} add table ...")  # fmt: skip
    else:
        yield Remark("ok", f"publication {publication} tells of all: {several(len(names), 'table')}")


_TELLS = f"""
select t.schemaname, t.tablename, c.oid::text || '.' || c.relfilenode::text || coalesce((
    select string_agg(l.oid::text || '.' || l.relfilenode::text, ',' order by l.oid)
    from pg_partition_tree(c.oid) part join pg_class l on l.oid = part.relid where c.relkind = 'p'), '')
{WHOLE}"""


def told(replica: PostgresReplica, publication: str) -> Mapping[TableName, str]:
    """The tables of which the publication tells every change of every row, asked of the leader now. Of any other a
    stream that reads it knows too little to vouch for. The text changes where rows came or went without a row's change:
    another table took the name, it was rewritten, a partition came or went."""
    with replica.sessions.borrow("asking what is published") as session:
        rows = session.all(_TELLS, (publication,))
    return {TableName(schema, name): made_of for schema, name, made_of in rows}


_ALL = "select pubname::text from pg_publication where puballtables"
_SCHEMA = """
union select p.pubname::text from pg_publication p join pg_publication_namespace n on n.pnpubid = p.oid
join pg_namespace s on s.oid = n.pnnspid where s.nspname = %s
"""


def tells_of_new(replica: PostgresReplica, schema: str) -> list[str]:
    """The publications that will tell of every table that is made in `schema`: a subscriber without a table of that
    name stops at its first change."""
    with replica.sessions.borrow("asking for publications of all tables") as session:
        (version,) = session.one("select current_setting('server_version_num')::int")
        found = session.all(_ALL + _SCHEMA, (schema,)) if version >= 150000 else session.all(_ALL, ())
    return sorted(name for (name,) in found)
