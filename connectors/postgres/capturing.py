"""Whether a PostgreSQL leader lets a connector tell every change: publication, identities of rows, rights, free slots.

`checkup.stream` asks whether slot and publication are there; this asks what they are good for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.postgres.replica import PostgresReplica
from connectors.postgres.session import Session
from connectors.remark import Remark
from verifier.table import TableName

_PUBLICATION = "select pubinsert, pubupdate, pubdelete, pubtruncate from pg_publication where pubname = %s"
_FILTERED = """
select t.schemaname::text, t.tablename::text from pg_publication_tables t
where t.pubname = %s and to_jsonb(t) ->> 'rowfilter' is not null
"""
# A table without an identity that is published refuses updates and deletes: on the leader itself.
_IDENTITY = """
select n.nspname::text, c.relname::text, c.relreplident::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where (n.nspname || '.' || c.relname) = any(%s) and (c.relreplident = 'n' or c.relreplident = 'd' and not exists (
    select from pg_index i where i.indrelid = c.oid and i.indisprimary))
"""
_LOGIN = "select rolsuper, rolreplication, rolcanlogin from pg_roles where rolname = %s"
_UNREAD = """
select n.nspname::text, c.relname::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
where (n.nspname || '.' || c.relname) = any(%s)
  and not (has_schema_privilege(%s, n.oid, 'usage') and has_table_privilege(%s, c.oid, 'select'))
"""
_FREE = """
select current_setting('max_replication_slots')::int - (select count(*)::int from pg_replication_slots),
       current_setting('max_wal_senders')::int - (select count(*)::int from pg_stat_replication)
"""
_ALIVE = "select wal_status, active_pid from pg_replication_slots where slot_name = %s"


def capturing(
    replica: PostgresReplica, login: str, slot: str, publication: str, names: Sequence[TableName]
) -> Iterator[Remark]:
    """`login` is the connector's, `names` the tables that it captures. Nothing where all is well."""
    with replica.sessions.borrow("asking what the connector may tell") as session:
        yield from _told(session, publication)
        yield from _identities(session, names)
        yield from _rights(session, login, names)
        yield from _room(session, slot)


def _told(session: Session, publication: str) -> Iterator[Remark]:
    found = session.all(_PUBLICATION, (publication,))
    if not found:
        return  # that it is missing has been said
    verbs = ("insert", "update", "delete", "truncate")
    untold = [verb for verb, told in zip(verbs, found[0], strict=True) if not told]
    if untold:
        yield Remark(
            "error",
            f"publication {publication!r} does not tell of {', '.join(untold)}",
            f"alter publication {publication} set (publish = 'insert, update, delete, truncate')",
        )
    filtered = [f"{schema}.{name}" for schema, name in session.all(_FILTERED, (publication,))]
    if filtered:
        yield Remark(
            "warning",
            f"publication {publication!r} filters rows of {', '.join(filtered[:5])}: not judged by the stream",
            "publish them without a condition",
        )


def _identities(session: Session, names: Sequence[TableName]) -> Iterator[Remark]:
    lacking = session.all(_IDENTITY, ([str(name) for name in names],))
    if lacking:
        shown = ", ".join(f"{schema}.{name}" for schema, name, _ in lacking[:5])
        yield Remark(
            "error",
            f"no REPLICA IDENTITY: {shown}; while they are published the leader refuses to update and "
            "delete their rows",
            "take them out of the publication, give them a primary key, or alter table ... replica identity using "
            "index ...",
        )


def _rights(session: Session, login: str, names: Sequence[TableName]) -> Iterator[Remark]:
    found = session.all(_LOGIN, (login,))
    if not found:
        yield Remark(
            "error",
            f"the leader knows no role {login!r}, as which the connector logs in",
            f"create role {login} login replication password ...",
        )
        return
    superuser, replication, may_log_in = found[0]
    if not may_log_in:
        yield Remark("error", f"role {login!r} may not log in", f"alter role {login} login")
    if superuser:
        return
    if not replication:
        yield Remark("error", f"role {login!r} may not replicate", f"alter role {login} replication")
    unread = [
        f"{schema}.{name}" for schema, name in session.all(_UNREAD, ([str(name) for name in names], login, login))
    ]
    if unread:
        yield Remark(
            "error",
            f"role {login!r} may not read {', '.join(unread[:5])}",
            f"grant select on them, and usage on their schemas, to {login}",
        )


def _room(session: Session, slot: str) -> Iterator[Remark]:
    slots, senders = session.one(_FREE)
    known = session.all(_ALIVE, (slot,))
    if known and known[0][0] == "lost":
        yield Remark(
            "error",
            f"slot {slot} is lost: its log was removed (max_slot_wal_keep_size)",
            f"select pg_drop_replication_slot('{slot}'); trueup connector delete --forget; trueup connector register; "
            "every table is scanned again",
        )
    if not known and slots <= 0:
        yield Remark(
            "error",
            "no replication slot is free for the connector",
            "drop one that nobody reads, or raise max_replication_slots and restart",
        )
    if (not known or known[0][1] is None) and senders <= 0:
        yield Remark("error", "no walsender is free for the connector", "raise max_wal_senders and restart")
