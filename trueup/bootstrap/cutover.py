"""Make an opened audit a cutover's: who can be asked what lies beside the rows, by the engine's dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from trueup.audit.cutover import Cutover
from trueup.audit.progress import Watcher
from trueup.bootstrap.auditing import OpenAudit, Plan
from trueup.bootstrap.servers import own_tables
from trueup.clock import SystemClock
from verifier.ports import Replica
from verifier.surroundings import Surrounded


def cutover_of(opened: OpenAudit, plan: Plan, watcher: Watcher) -> Cutover:
    """The audit's report will have the checklist. Call `begin` before the audit runs."""
    servers, audit = opened.servers, opened.audit
    asked: dict[str, Surrounded] = {}
    for replica in (servers.leader, *servers.followers.values()):
        if replica.dialect in _SURROUNDED:
            asked[replica.name] = _SURROUNDED[replica.dialect](replica)
    own = own_tables(plan.followed)
    cutover = Cutover(audit.lineup, asked, SystemClock(), watcher, plan.settle.give_up_seconds, own)
    audit.closing = cutover.close
    audit.tools = replace(audit.tools, stop=cutover.attend(audit.tools.stop))
    return cutover


def _postgres(replica: Replica) -> Surrounded:
    from connectors.postgres.cutover import PostgresSurroundings
    from connectors.postgres.replica import PostgresReplica

    assert isinstance(replica, PostgresReplica)
    return PostgresSurroundings(replica)


def _mysql(replica: Replica) -> Surrounded:
    from connectors.mysql.cutover import MysqlSurroundings
    from connectors.mysql.replica import MysqlReplica

    assert isinstance(replica, MysqlReplica)
    return MysqlSurroundings(replica)


def _sqlite(replica: Replica) -> Surrounded:
    from connectors.sqlite.cutover import SqliteSurroundings
    from connectors.sqlite.replica import SqliteReplica

    assert isinstance(replica, SqliteReplica)
    return SqliteSurroundings(replica)


_SURROUNDED: Mapping[str, Callable[[Replica], Surrounded]] = {
    "postgresql": _postgres,
    "mysql": _mysql,
    "mariadb": _mysql,
    "sqlite": _sqlite,
}
