"""The configured invariants of a group as the core's, each with what checks it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from config.invariant import EqualByKey as EqualByKeySettings
from config.invariant import Invariant as InvariantSettings
from config.invariant import NonNegative as NonNegativeSettings
from config.settings import Group
from connectors.sql.invariants import non_negative
from connectors.sql.quoting import Quote, backticked, quoted
from reconciler.masking import Masking
from trueup.bootstrap.engines import Endpoints
from trueup.bootstrap.servers import Servers
from trueup.clock import SystemClock
from verifier.check import Checker
from verifier.invariant import EqualByKey, Invariant, Side, Violations
from verifier.ports import Replica
from verifier.sides import CheckPolicy
from verifier.table import TableName

_QUOTING: Mapping[str, Quote] = {"postgresql": quoted, "mysql": backticked, "mariadb": backticked, "sqlite": quoted}


def checkers(group: Group, servers: Servers | Endpoints, masking: Masking) -> dict[str, Checker]:
    """A checker for each invariant of the group, by name. One on a database that is not open here is `unverified`."""
    endpoints: dict[str, Replica] = {servers.leader.name: servers.leader, **servers.followers}
    clock = SystemClock()
    return {
        one.name: Checker(
            invariant(one, endpoints),
            endpoints,
            servers.leader.name,
            clock,
            CheckPolicy(sample_max=one.sample, seconds_max=group.scan.statement_timeout),
            masking.anywhere(),
        )
        for one in group.invariants
    }


def invariant(settings: InvariantSettings, endpoints: Mapping[str, Replica]) -> Invariant:
    """The core's invariant of a configured one; SQL that trueup writes itself is in the endpoint's own dialect."""
    if isinstance(settings, EqualByKeySettings):
        return EqualByKey(
            settings.name,
            Side(settings.left.endpoint, settings.left.sql),
            Side(settings.right.endpoint, settings.right.sql),
            settings.grace,
        )
    if isinstance(settings, NonNegativeSettings):
        replica, sql = endpoints.get(settings.endpoint), ""  # the checker says who is missing
        if replica is not None:
            sql = _non_negative(replica, TableName.parse(settings.table), settings.columns, settings.key)
        return Violations(settings.name, settings.endpoint, sql, settings.grace, settings.key)
    return Violations(settings.name, settings.endpoint, settings.sql, settings.grace, settings.key)


def _non_negative(replica: Replica, table: TableName, columns: Sequence[str], key: Sequence[str]) -> str:
    if (quote := _QUOTING.get(replica.dialect)) is not None:
        return non_negative(table, columns, key, quote)
    from connectors.generic import invariants
    from connectors.generic.replica import GenericReplica

    assert isinstance(replica, GenericReplica)
    return invariants.non_negative(table, columns, key, replica.sessions.engine.dialect)
