"""What PostgreSQL knows about who is late and why: senders and slots on the leader, receivers on followers.

Positions decide how late a follower is (`verifier.lag`); this tells the reason in words, and what a slot costs. The
server's own `*_lag` columns are left alone: they go null when nothing happens, and the replay time of an idle
standby is old although it is not late.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.postgres.replica import PostgresReplica
from connectors.postgres.session import Record, Session
from verifier.position import Lsn


@dataclass(frozen=True, slots=True)
class Sender:
    """One walsender of the leader. Positions are None where the server does not tell (no right, or not started)."""

    application: str
    state: str | None
    sent: Lsn | None
    flushed: Lsn | None
    replayed: Lsn | None


@dataclass(frozen=True, slots=True)
class Slot:
    """One replication slot of the leader. `retained_bytes` is the log kept for it (None: none is, or it is lost),
    `safe_bytes` how much more may be written before it is lost (None: no limit is set). `status` is PostgreSQL's
    `wal_status`: reserved, extended, unreserved, lost. `limit_bytes`: `max_slot_wal_keep_size` (None: no limit)."""

    name: str
    kind: str
    active: bool
    status: str | None
    retained_bytes: int | None
    safe_bytes: int | None
    confirmed: Lsn | None
    limit_bytes: int | None = None

    @property
    def lost(self) -> bool:
        return self.status == "lost"


_SENDERS = """
select application_name, state, sent_lsn::text, flush_lsn::text, replay_lsn::text
from pg_stat_replication order by application_name, pid
"""
_SLOTS = """
select slot_name::text, slot_type, active, wal_status,
       case when wal_status <> 'lost' then pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint end,
       safe_wal_size, confirmed_flush_lsn::text,
       (select nullif(setting::bigint, -1) * 1048576 from pg_settings where name = 'max_slot_wal_keep_size')
from pg_replication_slots order by slot_name
"""
# Without pg_monitor the receiver's status is null although it runs: then nothing is known to be wrong.
STANDBY = """
select pg_is_wal_replay_paused(), (select coalesce(status, 'streaming') from pg_stat_wal_receiver),
       pg_last_wal_receive_lsn()::text, pg_last_wal_replay_lsn()::text
where pg_is_in_recovery()
"""
_SUBSCRIPTIONS = """
select s.subname::text, s.subenabled, w.pid is not null
from pg_subscription s left join pg_stat_subscription w on w.subname = s.subname and w.relid is null {only_leader}
where s.subdbid = (select oid from pg_database where datname = current_database()) order by s.subname
"""


class LagReader:
    """Asks the server of one replica, through its sessions; nothing is kept between calls. Temporary, Unreachable or
    Forbidden as any read."""

    def __init__(self, replica: PostgresReplica) -> None:
        self._sessions = replica.sessions

    def senders(self) -> tuple[Sender, ...]:
        """On a leader (or a standby that feeds others)."""
        with self._sessions.borrow("reading who replicates") as session:
            return tuple(_sender(row) for row in session.all(_SENDERS))

    def slots(self) -> tuple[Slot, ...]:
        """On the leader."""
        with self._sessions.borrow("reading the replication slots") as session:
            return tuple(_slot(row) for row in session.all(_SLOTS))

    def hindrance(self) -> str:
        """On a follower: why it does not get on, in words; empty if nothing is wrong that the server knows of."""
        with self._sessions.borrow("reading the state of replication") as session:
            standby = session.all(STANDBY)
            return standby_hindrance(standby[0]) if standby else subscriber_hindrance(session)


def _sender(row: Record) -> Sender:
    application, state, *positions = row
    return Sender(application or "", state, *(_lsn(text) for text in positions))


def _slot(row: Record) -> Slot:
    name, kind, active, status, retained, safe, confirmed, limit = row
    return Slot(name, kind, active, status, retained, safe, _lsn(confirmed), limit)


def standby_hindrance(row: Record) -> str:
    """What hinders a standby, from the row of `STANDBY`; empty if nothing is known to."""
    paused, receiver, received, replayed = row
    if paused:
        return f"replay is paused at {replayed}: select pg_wal_replay_resume()"
    if receiver is None:
        return f"no connection to the leader (no wal receiver); received {received or 'nothing'}, replayed {replayed}"
    return "" if receiver == "streaming" else f"the wal receiver is {receiver}"


def subscriber_hindrance(session: Session) -> str:
    """What hinders the subscriptions of this database; empty if nothing is known to."""
    (version,) = session.one("select current_setting('server_version_num')::int")
    # Parallel workers (16 and later) are listed beside the one that leads them.
    only_leader = "and w.leader_pid is null" if version >= 160000 else ""
    said = []
    for name, enabled, running in session.all(_SUBSCRIPTIONS.format(only_leader=only_leader)):
        if not enabled:
            said.append(f"subscription {name} is disabled: alter subscription {name} enable")
        elif not running:
            said.append(f"subscription {name} has no apply worker: see the server's log")
    return "; ".join(said)


def _lsn(text: str | None) -> Lsn | None:
    return None if text is None else Lsn.parse(text)
