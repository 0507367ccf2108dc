"""Servers of a group, opened by URL: the engine is told by the URL's scheme, and one agreement made over all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from verifier.brake import Brakes
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.look import Role
from verifier.policy import Limits

if TYPE_CHECKING:  # an audit of another engine starts without this one's driver
    from config.settings import Group
    from connectors.postgres.agreement import Agreement
    from connectors.postgres.replica import PostgresReplica
    from verifier.heartbeat import HeartbeatPolicy
    from verifier.watermark import WatermarkPolicy

HEARTBEAT_TABLE = "trueup_heartbeat"
"""What the connector template writes on the leader so that an idle stream can be told from a dead one."""


@dataclass(frozen=True, slots=True)
class Address:
    """One server as the user named it. `subscription`: the one that carries the group's tables (None: the only one)."""

    name: str
    url: str
    subscription: str | None = None


@dataclass(slots=True)
class Servers:
    """Open replicas of one group. `agreement` is None until `settle` could ask every server."""

    leader: PostgresReplica
    followers: Mapping[str, PostgresReplica]
    agreement: Agreement | None = None

    def settle(self) -> list[str]:
        """Let the servers that answer agree on scheme and text order; returns why it is not the fastest form.
        Unreachable or Forbidden if the leader cannot be asked; a follower that cannot be asked must fit what the
        others agreed on when it comes back. Misconfigured if a standby belongs to another leader."""
        from connectors.postgres.agreement import agree

        leader = self.leader.identity()
        answering: list[PostgresReplica] = []
        absent: list[PostgresReplica] = []
        silent: list[str] = []
        for name, replica in self.followers.items():
            try:
                found = replica.identity()
            except (Temporary, Permanent) as problem:
                silent.append(f"{name}: {problem}")
                absent.append(replica)
                continue
            if found.role is Role.STANDBY and found.system != leader.system:
                raise Misconfigured(
                    f"{name} is a standby of another cluster ({found.system}) than {self.leader.name} "
                    f"({leader.system}); correct one of the URLs"
                )
            answering.append(replica)
        self.agreement = agree([self.leader, *answering], later=absent)
        return [*self.agreement.reasons, *silent]

    def schemes(self) -> dict[str, str]:
        """How each follower is read, in the report's words."""
        return dict.fromkeys(self.followers, "native")

    def close(self) -> None:
        for replica in (self.leader, *self.followers.values()):
            replica.close()


def open_servers(leader: Address, followers: list[Address], limits: Limits) -> Servers:
    """Nothing is connected yet. Misconfigured if a URL's engine is not one that we read, or two names are equal."""
    from connectors.postgres.replica import Options, PostgresReplica

    names = [leader.name, *(follower.name for follower in followers)]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Misconfigured(f"two servers are called {sorted(twice)[0]!r}; every server needs a name of its own")
    opened = {
        one.name: PostgresReplica(
            one.name,
            _postgres(one),
            Options(subscriptions=(one.subscription,) if one.subscription else (), limits=limits),
        )
        for one in followers
    }
    return Servers(PostgresReplica(leader.name, _postgres(leader), Options(role=Role.LEADER, limits=limits)), opened)


def patterns_of(group: Group) -> tuple[str, ...]:
    """The group's table patterns, less the heartbeat tables and the watermark."""
    return (*group.tables.patterns(), *own_tables(group))


def own_tables(group: Group | None) -> tuple[str, ...]:
    """Patterns that exclude the heartbeat tables and the watermark: these are not the application's."""
    told = (watermark_of(group), heartbeat_of(group)) if group is not None else ()
    return (f"!*.{HEARTBEAT_TABLE}", *(one.excluded for one in told if one is not None))


def watermark_of(group: Group) -> WatermarkPolicy | None:
    """What the configuration says of the group's watermark."""
    from verifier.watermark import WatermarkPolicy

    told = group.watermark
    return None if told is None else WatermarkPolicy(told.table, told.write, told.ordered, told.followers)


def heartbeat_of(group: Group) -> HeartbeatPolicy | None:
    """What the configuration says of the group's heartbeat table."""
    from verifier.heartbeat import HeartbeatPolicy

    told = group.heartbeat
    return None if told is None else HeartbeatPolicy(told.table, told.column, told.where, told.followers)


def brakes_of(group: Group) -> Brakes:
    """What the configuration says of holding back."""
    told = group.brakes
    return Brakes(told.running_max, tuple((one.sql, one.max) for one in told.load), told.lag, told.rows_per_second)


def open_group_servers(group: Group, *, agree: bool = True) -> Servers:
    """The servers of a configured group; with `agree` they have settled how to be read."""
    limits = Limits(group.scan.connections, 5, group.scan.statement_timeout, group.scan.lock_timeout)
    servers = open_servers(
        Address(group.leader.name, group.leader.address()),
        [Address(one.name, one.address(), one.subscription) for one in group.followers],
        limits,
    )
    if agree:
        try:
            servers.settle()
        except BaseException:
            servers.close()
            raise
    return servers


def _postgres(address: Address) -> str:
    scheme = urlsplit(address.url).scheme.partition("+")[0]
    if scheme in ("postgresql", "postgres"):
        return address.url
    raise Misconfigured(
        f"{address.name}: URL scheme {scheme or 'missing'!r} is not one that trueup reads; "
        "use postgresql://user@host:port/database"
    )
