"""A replica's own binlog: what in it did not come from the leader, and whether a read shows it.

With log_replica_updates on it holds what was applied, each transaction under the id that it was given where it was
made, beside what was written here. An id with this server's own number (MySQL: its UUID) was made here. Any other came
by replication, and from the leader if the leader's binlog holds it too; else from another source. On MariaDB the last
number of a domain does not tell that: where gtid_strict_mode is off, a write on the replica takes the number that the
leader will give next. The last number of each server in each domain does (`gtid_binlog_state`). On MySQL what the
leader had executed and what it was committing hold all that it had sent.

The leader writes to its binlog before it sends, so what it does not hold when it is asked did not come from it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from connectors.binlog.assemble import HERE, Origin
from connectors.mysql.positions import MariaDbLog, MySqlLog
from connectors.mysql.replica import MysqlReplica
from verifier.errors import Misconfigured
from verifier.gtid import DomainGtids, GtidSet
from verifier.position import Position

_ASK_SECONDS: Final = 0.1
"""The leader is asked no more often, however busy it is: what comes meanwhile waits."""

FROM_LEADER: Final = Origin(True)


@dataclass(slots=True)
class Origins:
    """Tells where transactions of `follower`'s binlog were made. Calls raise Temporary while a server is away."""

    leader: MysqlReplica
    follower: MysqlReplica
    _own: str | None = None
    _numbers: dict[tuple[int, int], int] | None = None
    _ids: GtidSet | None = None
    _asked_at: float = 0.0

    def __call__(self, gtid: DomainGtids | GtidSet) -> Origin:
        if self._own is None:
            self._own = own(self.follower)
        made = {str(server) for _, server, _ in gtid.last} if isinstance(gtid, DomainGtids) else _uuids(gtid)
        if self._own in made:
            return HERE
        if self._holds(gtid):
            return FROM_LEADER
        self._ask()
        return FROM_LEADER if self._holds(gtid) else Origin(False, ", ".join(sorted(made)))

    def _holds(self, gtid: DomainGtids | GtidSet) -> bool:
        if isinstance(gtid, GtidSet):
            return self._ids is not None and self._ids.covers(gtid)
        known = self._numbers or {}
        return all(known.get((domain, server), -1) >= number for domain, server, number in gtid.last)

    def _ask(self) -> None:
        time.sleep(max(0.0, min(_ASK_SECONDS, self._asked_at + _ASK_SECONDS - time.monotonic())))
        where = self.leader.sessions.where
        with self.leader.sessions.borrow("asking what the leader's binlog holds") as session:
            if self.leader.dialect == "mysql":
                self._ids = MySqlLog(where).logged(session)
            else:
                (told,) = session.one("select @@global.gtid_binlog_state")
                state = (tuple(map(int, one.split("-"))) for one in str(told).split(",") if one.strip())
                self._numbers = {(domain, server): number for domain, server, number in state}
        self._asked_at = time.monotonic()


def own(replica: MysqlReplica) -> str:
    """How ids of transactions that were made on this server name it. Misconfigured if it has no number."""
    variable = "server_uuid" if replica.dialect == "mysql" else "server_id"
    with replica.sessions.borrow("asking how its transactions are numbered") as session:
        (told,) = session.one(f"select @@global.{variable}")
    if str(told) in ("", "0"):
        raise Misconfigured(f"{replica.sessions.where} has no {variable}; give it one of its own")
    return str(told).lower()


def shown(replica: MysqlReplica, commits: Sequence[Position]) -> bool:
    """Whether a read of this server shows all that its own binlog has at these positions."""
    where = replica.sessions.where
    with replica.sessions.borrow("asking what its reads show") as session:
        if replica.dialect == "mysql":
            (told,) = session.one("select @@global.gtid_executed")
            low: Position = GtidSet.parse(told)
        else:
            low = MariaDbLog(where).leader_look(session, lambda _: None).low
    return all(low.covers(commit) for commit in commits)


def _uuids(gtids: GtidSet) -> set[str]:
    """Without tags."""
    return {origin.partition(":")[0] for origin, _ in gtids.intervals}
