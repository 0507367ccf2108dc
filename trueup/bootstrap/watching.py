"""The servers of a group whose engine may be any, as the daemon watches them: what each engine alone can tell.

PostgreSQL tells hindrances and slots; MariaDB and MySQL tell whether replication runs; others tell their positions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from urllib.parse import urlsplit

from config.settings import Group
from connectors.postgres import checkup
from connectors.postgres.lag import LagReader
from connectors.postgres.replica import PostgresReplica
from trueup.bootstrap.engines import Endpoints, open_endpoints
from trueup.bootstrap.fed import fed_names
from trueup.bootstrap.servers import Address, Servers, open_servers
from trueup.services.watch import KeptLog
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary
from verifier.look import Role
from verifier.policy import Limits
from verifier.ports import Replica
from verifier.table import TableName

Watched = Servers | Endpoints


def open_watched(group: Group) -> Watched:
    """Nothing is connected yet. Misconfigured if a server that no sink feeds is of another engine than the leader:
    nobody could say how far it follows, so such rows are compared by audits alone."""
    limits = Limits(group.scan.connections, 5, group.scan.statement_timeout, group.scan.lock_timeout)
    leader = Address(group.leader.name, group.leader.address())
    followers = [Address(one.name, one.address(), one.subscription) for one in group.followers]
    if all(_postgres(one) for one in (leader, *followers)):
        return open_servers(leader, followers, limits)
    endpoints = open_endpoints(leader, followers, limits)
    for name, follower in endpoints.followers.items():
        if follower.dialect != endpoints.leader.dialect and name not in fed_names(group):
            endpoints.close()
            raise Misconfigured(
                f"group {group.name}: {name} is {follower.dialect}, and its leader {endpoints.leader.dialect}: the "
                "daemon compares servers of one engine, or of any if a sink feeds them (fed_by); use 'trueup audit' "
                "for this pair"
            )
    return endpoints


def settled(group: Group, servers: Watched) -> list[str]:
    """Let them agree on digests; returns why those are not the fastest. Misconfigured if they have none in common."""
    remarks = servers.settle()
    if isinstance(servers, Endpoints):
        apart = sorted(set(servers.followers) - servers.agreed - fed_names(group))
        if apart:
            raise Misconfigured(
                f"group {group.name}: {', '.join(apart)} and the leader do not hash rows alike, and the daemon needs "
                f"that: {'; '.join(remarks)}"
            )
    return remarks


def told(leader: Replica, publication: str) -> Mapping[TableName, str]:
    """The tables of which the leader's log tells every change of every row, with what they are made of."""
    if isinstance(leader, PostgresReplica):
        return checkup.told(leader, publication)
    if leader.dialect in ("mysql", "mariadb"):
        from connectors.binlog.settings import told as told_by_binlog
        from connectors.mysql.replica import MysqlReplica

        assert isinstance(leader, MysqlReplica)
        with leader.sessions.borrow("asking of which tables the binlog tells") as session:
            return told_by_binlog(session, leader.sessions.where)
    return {}


def hindrances(servers: Watched) -> dict[str, Callable[[], str]]:
    """What each follower itself says hinders it; '' if nothing."""
    found: dict[str, Callable[[], str]] = {}
    for name, follower in servers.followers.items():
        if isinstance(follower, PostgresReplica):
            found[name] = LagReader(follower).hindrance
        elif follower.dialect in ("mysql", "mariadb"):
            found[name] = partial(_replication, follower)
    return found


def retained(servers: Watched, fed: Collection[str] = ()) -> dict[str, KeptLog]:
    """The log that the leader keeps: by slot, and where there are none for each follower, by its name. Those that are
    `fed` need none of it."""
    if isinstance(servers.leader, PostgresReplica):
        slots = LagReader(servers.leader).slots()
        return {slot.name: KeptLog(slot.retained_bytes, slot.safe_bytes, slot.status) for slot in slots}
    if servers.leader.dialect in ("mysql", "mariadb"):
        return _binlog(servers, fed)
    return {}


def _binlog(servers: Watched, fed: Collection[str]) -> dict[str, KeptLog]:
    from connectors.mysql.lag import kept_binlog
    from connectors.mysql.replica import MysqlReplica

    assert isinstance(servers.leader, MysqlReplica)
    try:
        kept = kept_binlog(servers.leader)
    except Forbidden:
        return {}  # doctor says so
    found: dict[str, KeptLog] = {}
    for name, follower in servers.followers.items():
        if name in fed:
            continue
        with suppress(Temporary, Permanent):  # who watches lag tells it
            lost = kept.lost_for(follower.position())
            found[name] = KeptLog(kept.bytes, None, "lost" if lost else "reserved")
    return found


def role(follower: Replica) -> str:
    """What it is to its leader, as known; asks nobody."""
    if isinstance(follower, PostgresReplica):
        return "unknown" if follower.known_role is None else follower.known_role.value
    return Role.SUBSCRIBER.value


def _replication(follower: Replica) -> str:
    from connectors.mysql.hindrance import hindrance
    from connectors.mysql.replica import MysqlReplica

    assert isinstance(follower, MysqlReplica)
    return hindrance(follower)


def _postgres(address: Address) -> bool:
    return urlsplit(address.url).scheme.partition("+")[0] in ("postgresql", "postgres")
