"""Which server answers: its cluster, its timeline, its version, and whether it is in recovery."""

from __future__ import annotations

from connectors.postgres.session import Session
from verifier.look import Role
from verifier.ports import Identity

SERVER = """
select system_identifier::text, case when pg_is_in_recovery() then 0
       else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end, pg_is_in_recovery()
from pg_control_system()
"""
_IDENTITY = """
select current_setting('server_version'), (select system_identifier::text from pg_control_system()),
       case when pg_is_in_recovery()
            then greatest((select timeline_id from pg_control_checkpoint()),
                          (select min_recovery_end_timeline from pg_control_recovery()))
            else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end,
       pg_is_in_recovery()
"""


def identity_of(session: Session, role: Role) -> Identity:
    """`role` is what the replica is to its group; a follower may have been promoted since."""
    version, system, timeline, recovering = session.one(_IDENTITY)
    if role is not Role.LEADER:
        role = Role.STANDBY if recovering else Role.SUBSCRIBER
    return Identity("postgresql", version, system, timeline, role)
