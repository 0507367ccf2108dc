"""What a MariaDB or MySQL server allows and what its settings mean for trueup: facts for `trueup doctor`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from connectors.mysql.replica import MysqlReplica
from connectors.mysql.session import Session
from connectors.remark import Remark, readable
from verifier.checklist import listed
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.look import Role
from verifier.table import TableName

_SETTINGS = (
    "log_bin", "binlog_format", "binlog_row_image", "binlog_row_value_options", "binlog_expire_logs_seconds",
    "expire_logs_days", "gtid_mode", "server_id",
)  # fmt: skip
_ASK = f"show global variables where variable_name in ({', '.join(['%s'] * len(_SETTINGS))})"
_DAY_SECONDS = 86_400
_OFF = ("off", "0", "")
_GRANT = "grant select on them"


def server(replica: MysqlReplica) -> Iterator[Remark]:
    """The server itself: version, role, and whether its position can be read."""
    try:
        identity = replica.identity()
        replica.position()
    except (Temporary, Permanent) as problem:
        yield Remark("error", str(problem), "check address, login and rights")
        return
    role = "leader" if identity.role is Role.LEADER else "replica"
    yield Remark("ok", f"{role}, {replica.sessions.dialect.title} {identity.version}")


def tables(replica: MysqlReplica, names: Sequence[TableName]) -> Iterator[Remark]:
    """Which of these tables can be read, and which have a key."""
    yield from readable(replica, names, _GRANT, _GRANT)


def binlog(replica: MysqlReplica) -> Iterator[Remark]:
    """Whether the leader's binlog tells every change of every row, and for how long it is kept."""
    with replica.sessions.borrow("asking the settings of the binlog") as session:
        told = {str(name).lower(): str(value).lower() for name, value in session.all(_ASK, _SETTINGS)}
    problems = list(_untold(told))
    yield from problems
    yield from _kept(told)
    if not problems:
        yield Remark("ok", "the binlog tells every change of every row")


def _untold(told: Mapping[str, str]) -> Iterator[Remark]:
    if told.get("log_bin") in _OFF:
        yield Remark(
            "error",
            "log_bin is off: the leader writes no binlog",
            "log_bin = binlog in the server's configuration, and restart it",
        )
        return
    for name, wanted in (("binlog_format", "row"), ("binlog_row_image", "full")):
        if told.get(name, wanted) != wanted:
            yield Remark(
                "error",
                f"{name} is {told[name].upper()}: changes are not told row by row, in full",
                f"set global {name} = {wanted.upper()}, and in the server's configuration; sessions that are "
                "open keep the old one: have them connect anew",
            )
    if told.get("binlog_row_value_options"):
        yield Remark(
            "error",
            "binlog_row_value_options is set: changed JSON is told in part only",
            "set global binlog_row_value_options = ''",
        )
    if told.get("server_id") == "0":
        yield Remark("error", "server_id is 0: nobody may read the binlog", "give the server a server_id")
    if told.get("gtid_mode", "on") != "on":
        yield Remark(
            "warning",
            f"gtid_mode is {told['gtid_mode'].upper()}: positions are not told to replicas, and after a "
            "failover the connector does not find its place",
            "gtid_mode = ON, enforce_gtid_consistency = ON",
        )


def _kept(told: Mapping[str, str]) -> Iterator[Remark]:
    seconds = (
        float(told.get("binlog_expire_logs_seconds") or 0) or float(told.get("expire_logs_days") or 0) * _DAY_SECONDS
    )
    if told.get("log_bin") not in _OFF and 0 < seconds < _DAY_SECONDS:
        yield Remark(
            "warning",
            f"the binlog is kept for {seconds / 3600:.1f} hours: a connector that is away for longer loses changes",
            "set global binlog_expire_logs_seconds = 604800, and in the server's configuration",
        )


def place_kept(replica: MysqlReplica, file: str) -> Iterator[Remark]:
    """Whether the leader still has the binlog from which a connector would go on."""
    try:
        with replica.sessions.borrow("listing the binlogs") as session:
            files = [str(row["log_name"]) for row in session.named("show binary logs")]
    except Forbidden:
        return
    if file not in files:
        yield Remark(
            "error",
            f"the connector would go on in {file}, which the leader has purged",
            "trueup connector delete --forget, then trueup connector register; every table is scanned again",
        )


def rights(replica: MysqlReplica, names: Collection[TableName]) -> Iterator[Remark]:
    """Whether the login of `replica` may do what a connector does; `names` are the tables that it is to capture."""
    with replica.sessions.borrow("asking the grants of the connector's login") as session:
        lacking = _lacking(session, replica.dialect)
    if lacking:
        yield Remark(
            "error", f"the connector's login lacks {', '.join(lacking)}", f"grant {', '.join(lacking)} on *.* to it"
        )
    unread = []
    for name in names:
        try:
            replica.table(name)
        except (Temporary, Permanent):
            unread.append(str(name))
    if unread:
        yield Remark("error", f"the connector's login cannot read {listed(unread, ', ')}", "grant select on them to it")
    if not lacking and not unread:
        yield Remark("ok", "the connector's login may read the binlog and the tables")


def _lacking(session: Session, dialect: str) -> list[str]:
    """Global rights only; what a role brings is not seen, so that a login with roles is taken at its word."""
    grants = [str(row[0]).upper() for row in session.all("show grants")]
    everywhere = " ".join(one for one in grants if " ON *.* " in one)
    if "ALL PRIVILEGES" in everywhere or any(one.startswith("GRANT `") and " ON " not in one for one in grants):
        return []
    wanted = ["REPLICATION SLAVE", "BINLOG MONITOR" if dialect == "mariadb" else "REPLICATION CLIENT"]
    return [one.lower() for one in wanted if one not in everywhere]
