"""How much of its binlog a leader still has, and whether that is enough for somebody who stands at a position.

Binlogs are deleted by age or by hand, whoever still needs them. What is gone is told by the ids at the beginning of the
oldest file: who lacks one of them can never catch up.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.mysql.replica import MysqlReplica
from verifier.gtid import DomainGtids, GtidSet
from verifier.position import Position


@dataclass(frozen=True, slots=True)
class KeptBinlog:
    """`bytes` in `files` of it, deleted after `expires_seconds` (None: never); `gone`: everything that was in files
    which are deleted."""

    bytes: int
    files: int
    expires_seconds: float | None
    gone: Position

    def lost_for(self, applied: Position) -> bool:
        """Does somebody who has applied this much need what is gone?"""
        return not applied.covers(self.gone)


def kept_binlog(leader: MysqlReplica) -> KeptBinlog:
    """Forbidden if the login may not see it (REPLICATION CLIENT, BINLOG MONITOR); Permanent if there is no binlog."""
    with leader.sessions.borrow("asking how much of the binlog is kept") as session:
        files = session.named("show binary logs")
        sizes = [int(one["file_size"]) for one in files]
        gone: Position
        if leader.dialect == "mariadb":
            (text,) = session.one("select binlog_gtid_pos(%s, 4)", (files[0]["log_name"],)) if files else ("",)
            gone = DomainGtids.parse(text or "")
            (expires,) = session.one("select @@global.expire_logs_days * 86400")
        else:
            (text,) = session.one("select @@global.gtid_purged")
            gone = GtidSet.parse(text or "")
            (expires,) = session.one("select @@global.binlog_expire_logs_seconds")
    seconds = float(expires or 0)
    return KeptBinlog(sum(sizes), len(files), seconds or None, gone)
