"""The state of one PostgreSQL server before a cutover, as lines of the checklist: who still uses the leader, and
whether a follower's replication is healthy."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.postgres import lag
from connectors.postgres.session import Session
from verifier.checklist import Check, Result, listed, several, summed
from verifier.look import Role

_PREPARED = "select database::text, count(*) from pg_prepared_xacts group by database order by database"
# Our own sessions are read-only by themselves; what others get is the value that a session begins with.
_WRITABLE = "select reset_val from pg_settings where name = 'default_transaction_read_only'"
_SESSIONS = """
select coalesce(nullif(application_name, ''), 'unnamed') || ' as ' || coalesce(usename::text, '?'), count(*)
from pg_stat_activity
where backend_type = 'client backend' and pid <> pg_backend_pid() and datname = current_database()
  and application_name not like 'trueup%%'
group by 1 order by 2 desc, 1
"""
_SLOTS = """
select slot_name::text, active, coalesce(wal_status, '') from pg_replication_slots
where database is null or database = current_database() order by slot_name
"""
_COPYING = """
select r.srrelid::regclass::text || ' (' || r.srsubstate::text || ')' from pg_subscription_rel r
where r.srsubstate <> 'r' order by 1
"""
_SUBSCRIPTIONS = """
select count(*) from pg_subscription
where subdbid = (select oid from pg_database where datname = current_database())
"""
_ERRORS = """
select t.subname::text, t.apply_error_count, t.sync_error_count from pg_stat_subscription_stats t
join pg_subscription s on s.subname = t.subname
where s.subdbid = (select oid from pg_database where datname = current_database())
  and t.apply_error_count + t.sync_error_count > 0 order by t.subname
"""


def checks(session: Session, on: str, role: Role) -> Iterator[Check]:
    """The lines about this server alone."""
    yield _prepared(session, on)
    if role is Role.LEADER:
        yield _writable(session, on)
        yield _sessions(session, on)
        yield _slots(session, on)
    else:
        yield _replication(session, on)


def _prepared(session: Session, on: str) -> Check:
    what = "no prepared transaction is open"
    found = [(Result.FAIL, f"{count} in {database}") for database, count in session.all(_PREPARED)]
    todo = "commit prepared or rollback prepared each of them (pg_prepared_xacts)"
    return summed("prepared", on, what, found, "none", todo)


def _writable(session: Session, on: str) -> Check:
    what = "the leader takes no more writes"
    (value,) = session.one(_WRITABLE)
    if value == "on":
        return Check("read-only", on, what, Result.PASS, "sessions begin read-only")
    todo = (
        "alter system set default_transaction_read_only = on; select pg_reload_conf(); end the sessions that are open"
    )
    return Check("read-only", on, what, Result.WARNING, "nothing but the application's manners keeps it still", todo)


def _sessions(session: Session, on: str) -> Check:
    what = "nobody is connected to the leader's database"
    found = [(Result.WARNING, f"{count} of {name}") for name, count in session.all(_SESSIONS)]
    todo = "stop the application, then select pg_terminate_backend(pid) from pg_stat_activity for what is left"
    return summed("sessions", on, what, found, "no session but trueup's", todo)


def _slots(session: Session, on: str) -> Check:
    what = "every replication slot is read"
    found = session.all(_SLOTS)
    lost = [(Result.FAIL, f"{name} is lost") for name, _, status in found if status == "lost"]
    idle = [name for name, active, status in found if not active and status != "lost"]
    told = [*lost, *((Result.WARNING, f"{name} is not read by anybody") for name in idle)]
    todo = "build the follower of a lost slot again; drop a slot that nobody needs"
    return summed("slots", on, what, told, several(len(found), "slot"), todo)


def _replication(session: Session, on: str) -> Check:
    """A subscription that failed once and went on is a warning: had it left something out, rows would differ."""
    what = "replication runs without errors"
    todo = "see the follower's log, put it right, and audit again"
    standby = session.all(lag.STANDBY)
    if standby:
        said = lag.standby_hindrance(standby[0])
        return Check(
            "replication", on, what, Result.FAIL if said else Result.PASS, said or "streaming", todo if said else ""
        )
    (subscriptions,) = session.one(_SUBSCRIPTIONS)
    if not subscriptions:
        return Check("replication", on, what, Result.PASS, "it follows nobody: no subscription, no standby")
    problems = [f"{table} is still being copied" for (table,) in session.all(_COPYING)]
    problems += [said for said in (lag.subscriber_hindrance(session),) if said]
    if problems:
        return Check("replication", on, what, Result.FAIL, listed(problems), todo)
    (version,) = session.one("select current_setting('server_version_num')::int")
    errors = session.all(_ERRORS) if version >= 150000 else []
    told = [f"{name}: {apply} errors while applying, {copy} while copying" for name, apply, copy in errors]
    if told:
        return Check("replication", on, what, Result.WARNING, f"{listed(told)} since the counters were reset", todo)
    return Check("replication", on, what, Result.PASS, f"{subscriptions} subscriptions, all tables ready")
