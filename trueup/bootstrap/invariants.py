"""The configured invariants of a group as the core's, each with what checks it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from config.invariant import EqualByKey as EqualByKeySettings
from config.invariant import Invariant as InvariantSettings
from config.invariant import NonNegative as NonNegativeSettings
from config.settings import Group
from trueup.bootstrap.engines import Endpoints
from trueup.bootstrap.servers import Servers
from trueup.clock import SystemClock
from verifier.check import Checker
from verifier.invariant import EqualByKey, Invariant, Side, Violations
from verifier.ports import Replica
from verifier.sides import CheckPolicy
from verifier.table import TableName

Writing = Callable[[Replica, TableName, Sequence[str], Sequence[str]], str]
"""The SELECT of the rows of a table in which one of the columns (the first names) is negative, and their key (the
second ones)."""


def checkers(group: Group, servers: Servers | Endpoints) -> dict[str, Checker]:
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
            table = TableName.parse(settings.table)
            sql = _WRITING.get(replica.dialect, _generic)(replica, table, settings.columns, settings.key)
        return Violations(settings.name, settings.endpoint, sql, settings.grace, settings.key)
    return Violations(settings.name, settings.endpoint, settings.sql, settings.grace, settings.key)


def _postgres(_replica: Replica, table: TableName, columns: Sequence[str], key: Sequence[str]) -> str:
    from connectors.postgres.invariants import non_negative

    return non_negative(table, columns, key)


def _mysql(_replica: Replica, table: TableName, columns: Sequence[str], key: Sequence[str]) -> str:
    from connectors.mysql.invariants import non_negative

    return non_negative(table, columns, key)


def _sqlite(_replica: Replica, table: TableName, columns: Sequence[str], key: Sequence[str]) -> str:
    from connectors.sqlite.invariants import non_negative

    return non_negative(table, columns, key)


def _generic(replica: Replica, table: TableName, columns: Sequence[str], key: Sequence[str]) -> str:
    from connectors.generic.invariants import non_negative
    from connectors.generic.replica import GenericReplica

    assert isinstance(replica, GenericReplica)
    return non_negative(table, columns, key, replica.sessions.engine.dialect)


_WRITING: Mapping[str, Writing] = {
    "postgresql": _postgres, "mysql": _mysql, "mariadb": _mysql, "sqlite": _sqlite,
}  # fmt: skip
