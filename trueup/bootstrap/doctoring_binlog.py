"""The examination of a binlog that is read without Kafka: the leader's settings and rights, and what it tells of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.remark import Remark
from verifier.checklist import listed
from verifier.errors import Permanent, Temporary
from verifier.ports import Replica
from verifier.table import TableName


def own_binlog_of(replica: Replica) -> Iterator[Remark]:
    """Whether a replica's own binlog can tell what did not come from its leader (`followers[].stream`)."""
    if replica.dialect not in ("mysql", "mariadb"):
        yield Remark("error", f"its own stream's kind is binlog, and it is {replica.dialect}", "use another kind")
        return
    from connectors.binlog.settings import granted, settings
    from connectors.mysql.replica import MysqlReplica

    assert isinstance(replica, MysqlReplica)
    try:
        with replica.sessions.borrow("asking whether its own binlog can be followed") as session:
            found = settings(session, mariadb=replica.dialect == "mariadb")
            faults = [*found.replica_faults(), *granted(session)]
    except (Temporary, Permanent) as problem:
        yield Remark("error", str(problem))
        return
    for fault in faults:
        yield Remark("error" if fault.fatal else "warning", fault.what, fault.cure)
    if not any(fault.fatal for fault in faults):
        yield Remark("ok", "its own binlog tells what did not come from the leader, but for SET sql_log_bin = 0")


def binlog_of(leader: Replica, tables: Sequence[TableName]) -> Iterator[Remark]:
    """Every setting and right that is missing, with its cure; and tables of which the binlog does not tell all."""
    if leader.dialect not in ("mysql", "mariadb"):
        yield Remark("error", f"stream.kind is binlog, and the leader is {leader.dialect}", "use another kind")
        return
    from connectors.binlog.settings import granted, settings, told
    from connectors.mysql.replica import MysqlReplica

    assert isinstance(leader, MysqlReplica)
    try:
        with leader.sessions.borrow("asking whether the binlog can be followed") as session:
            faults = [*settings(session, mariadb=leader.dialect == "mariadb").faults(), *granted(session)]
            for fault in faults:
                yield Remark("error" if fault.fatal else "warning", fault.what, fault.cure)
            if any(fault.fatal for fault in faults):
                return
            known = told(session, leader.sessions.where)
    except (Temporary, Permanent) as problem:
        yield Remark("error", str(problem))
        return
    untold = [str(name) for name in tables if name not in known]
    if untold:
        yield Remark(
            "warning",
            f"the binlog does not tell every change of {listed(untold, ', ')}: a foreign key changes rows there by "
            "itself (ON DELETE, ON UPDATE), or the leader keeps its database out of the binlog",
            "they are judged by brackets; nothing else is needed",
        )
    if len(untold) < len(tables):
        yield Remark("ok", f"the binlog tells of {len(tables) - len(untold)} of {len(tables)} tables")
