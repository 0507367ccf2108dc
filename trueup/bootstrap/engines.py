"""Servers of any engine, opened by URL: the scheme of the URL tells the engine.

Drivers are imported only for the engines that are used: a command starts in the time that its own servers need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from trueup.bootstrap.servers import Address
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.look import Role
from verifier.policy import Limits
from verifier.ports import Gather, Identity, Replica, in_turn
from verifier.table import Family

if TYPE_CHECKING:
    from config.settings import Group

Opening = Callable[[Address, Role | None, Limits], Replica]
Agreeing = Callable[[Sequence[Replica], Sequence[Replica], Gather[Any]], Sequence[str]]
"""Have these replicas, all of one dialect and the leader first, agree on a native row hash; the second ones did not
answer and are to be probed when they do; whoever can be is asked at the same time. Returns why it is not the fastest
form. Permanent if they cannot agree."""


@dataclass(slots=True)
class Endpoints:
    """Open replicas of one audit. `agreed` names the followers that share a native row hash with the leader."""

    leader: Replica
    followers: Mapping[str, Replica]
    agreed: set[str] = field(default_factory=set)

    def settle(self, gather: Gather[Any] = in_turn) -> list[str]:
        """Let the servers of the leader's dialect agree, asked at the same time where `gather` can; returns why
        anything is not the fastest form. Unreachable or Forbidden if the leader cannot be asked; Misconfigured if a
        standby belongs to another leader."""
        calls = [partial(_identity, replica) for replica in (self.leader, *self.followers.values())]
        leader, *others = gather(calls)
        if not isinstance(leader, Identity):
            raise leader
        answering: list[Replica] = []
        absent: list[Replica] = []
        remarks: list[str] = []
        for (name, replica), found in zip(self.followers.items(), others, strict=True):
            if not isinstance(found, Identity):
                remarks.append(f"{name}: {found}")
                absent.append(replica)
                continue
            if found.role is Role.STANDBY and replica.dialect == self.leader.dialect and found.system != leader.system:
                raise Misconfigured(
                    f"{name} is a standby of another cluster ({found.system}) than {self.leader.name} "
                    f"({leader.system}); correct one of the URLs"
                )
            answering.append(replica)
        return [*self._agreed(answering, absent, gather), *remarks, *self._distrusted(answering)]

    def _agreed(self, answering: Sequence[Replica], absent: Sequence[Replica], gather: Gather[Any]) -> Sequence[str]:
        """Why the native row hash of the leader's dialect is not the fastest form, or is not used."""
        alike = [one for one in answering if one.dialect == self.leader.dialect]
        later = [one for one in absent if one.dialect == self.leader.dialect]
        agree = _AGREEING.get(self.leader.dialect)
        if agree is None or not (alike or later):
            return []
        try:
            reasons = agree([self.leader, *alike], later, gather)
        except Permanent as problem:
            return [f"no native row hash: {problem}"]
        self.agreed = {one.name for one in (*alike, *later)}
        return reasons

    def _distrusted(self, answering: Sequence[Replica]) -> list[str]:
        """What must be hashed by trueup because a server's SQL was seen not to write the canonical encoding."""
        abroad = [one for one in answering if one.name not in self.agreed]
        remarks: list[str] = []
        for replica in (self.leader, *abroad) if abroad else ():
            probe = _PROBING.get(replica.dialect)
            failed = probe(replica) if probe is not None else frozenset[Family]()
            if failed:
                named = ", ".join(sorted(form.value for form in failed))
                remarks.append(
                    f"{replica.name} ({replica.dialect}) does not write the canonical form of {named} in SQL: tables "
                    "with such columns are read and hashed by trueup"
                )
        return remarks

    def close(self) -> None:
        for replica in (self.leader, *self.followers.values()):
            replica.close()


def open_endpoints(leader: Address, followers: Sequence[Address], limits: Limits) -> Endpoints:
    """Nothing is connected yet. Misconfigured if a URL's engine is not one that we read, or two names are equal."""
    names = [leader.name, *(follower.name for follower in followers)]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise Misconfigured(f"two servers are called {sorted(twice)[0]!r}; every server needs a name of its own")
    return Endpoints(
        open_replica(leader, Role.LEADER, limits), {one.name: open_replica(one, None, limits) for one in followers}
    )


def open_group_endpoints(group: Group) -> Endpoints:
    """The servers of a configured group, whatever their engines; nothing is connected yet."""
    limits = Limits(group.scan.connections, 5, group.scan.statement_timeout, group.scan.lock_timeout)
    followers = [Address(one.name, one.address(), one.subscription) for one in group.followers]
    return open_endpoints(Address(group.leader.name, group.leader.address()), followers, limits)


def open_replica(address: Address, role: Role | None, limits: Limits) -> Replica:
    """One server; `role` None: a follower that finds out by itself. An engine that trueup does not know is read
    through its SQLAlchemy dialect. Misconfigured if the URL tells no engine, or none is installed for it."""
    scheme = urlsplit(address.url).scheme.partition("+")[0].lower()
    return _OPENING.get(scheme, _generic)(address, role, limits)


def _identity(replica: Replica) -> Identity | Temporary | Permanent:
    try:
        return replica.identity()
    except (Temporary, Permanent) as problem:
        return problem


def _postgres(address: Address, role: Role | None, limits: Limits) -> Replica:
    from connectors.postgres.replica import Options, PostgresReplica

    subscriptions = (address.subscription,) if address.subscription else ()
    return PostgresReplica(address.name, address.url, Options(role=role, subscriptions=subscriptions, limits=limits))


def _postgres_agree(replicas: Sequence[Replica], later: Sequence[Replica], gather: Gather[Any]) -> Sequence[str]:
    from connectors.postgres.agreement import agree
    from connectors.postgres.replica import PostgresReplica

    ours = [one for one in replicas if isinstance(one, PostgresReplica)]
    return agree(ours, later=[one for one in later if isinstance(one, PostgresReplica)], gather=gather).reasons


def _postgres_probe(replica: Replica) -> frozenset[Family]:
    from connectors.postgres.replica import PostgresReplica

    return replica.distrusted() if isinstance(replica, PostgresReplica) else frozenset()


def _mysql(address: Address, role: Role | None, limits: Limits) -> Replica:
    try:
        from connectors.mysql.replica import MysqlReplica, Options
    except ImportError as error:
        raise Misconfigured(
            f"{address.name}: the driver of MySQL and MariaDB is not here ({error}); do: pip install trueup[mysql]"
        ) from error

    return MysqlReplica(address.name, address.url, Options(role=role, limits=limits))


def _mysql_agree(replicas: Sequence[Replica], later: Sequence[Replica], gather: Gather[Any]) -> Sequence[str]:
    from connectors.mysql.agreement import agree
    from connectors.mysql.replica import MysqlReplica

    ours = [one for one in replicas if isinstance(one, MysqlReplica)]
    return agree(ours, later=[one for one in later if isinstance(one, MysqlReplica)]).reasons


def _mysql_probe(replica: Replica) -> frozenset[Family]:
    from connectors.mysql.replica import MysqlReplica

    return replica.distrusted() if isinstance(replica, MysqlReplica) else frozenset()


def _sqlite(address: Address, role: Role | None, limits: Limits) -> Replica:
    from connectors.sqlite.replica import SqliteReplica

    return SqliteReplica(address.name, address.url, role, limits)


def _generic(address: Address, role: Role | None, limits: Limits) -> Replica:
    from connectors.generic.replica import GenericReplica
    from connectors.generic.session import parsed

    try:
        parsed(address.url)
    except Misconfigured as problem:
        scheme = urlsplit(address.url).scheme
        raise Misconfigured(
            f"{address.name}: URL scheme {scheme or 'missing'!r} is not one that trueup reads; use one of "
            f"{', '.join(f'{known}://' for known in sorted(_OPENING))}, or install the SQLAlchemy dialect of the engine"
        ) from problem
    return GenericReplica(address.name, address.url, role, limits)


def _one_hash(replicas: Sequence[Replica], later: Sequence[Replica], gather: Gather[Any]) -> Sequence[str]:
    """trueup itself hashes the rows of all of them, always alike."""
    return ()


_OPENING: Mapping[str, Opening] = {
    "postgresql": _postgres, "postgres": _postgres, "mysql": _mysql, "mariadb": _mysql, "sqlite": _sqlite,
}  # fmt: skip
_AGREEING: Mapping[str, Agreeing] = {
    "postgresql": _postgres_agree, "mysql": _mysql_agree, "mariadb": _mysql_agree, "sqlite": _one_hash,
}  # fmt: skip
_PROBING: Mapping[str, Callable[[Replica], frozenset[Family]]] = {
    "postgresql": _postgres_probe, "mysql": _mysql_probe, "mariadb": _mysql_probe,
}  # fmt: skip
"""Which forms the SQL of such a server was seen not to write; the others hash every row in trueup anyway."""
