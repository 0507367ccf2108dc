"""By what the changes of each table are told, and how far a server's own binlog has been written.

As `connectors.postgres.told`: the text of a table changes whenever changes of its rows may have gone by untold, or what
it is made of is another. A definition that is logged is told by the stream itself, so only what is not (another server,
a definition with sql_log_bin = 0) must show in the text.
"""

from __future__ import annotations

from collections.abc import Mapping

from connectors.binlog.settings import require, settings, status, told
from connectors.mysql.catalog import SYSTEM
from connectors.mysql.replica import MysqlReplica
from verifier.gtid import GtidSet
from verifier.position import Position
from verifier.table import TableName

_COLUMNS = f"""
select table_schema, table_name, md5(group_concat(concat_ws('/', ordinal_position, column_name, column_type,
    coalesce(collation_name, ''), is_nullable, column_key, extra) order by ordinal_position))
from information_schema.columns where table_schema not in {SYSTEM} group by table_schema, table_name
"""


def standing(replica: MysqlReplica, *, follower: bool = False) -> Mapping[TableName, str]:
    """The tables of which the binlog tells every change of every row, asked now, each with the text of what it is.
    Misconfigured if the binlog cannot be followed (of a `follower`: tell what did not come from its leader)."""
    where, mariadb = replica.sessions.where, replica.dialect == "mariadb"
    with replica.sessions.borrow("asking of which tables the binlog tells") as session:
        found = settings(session, mariadb=mariadb)
        require(found, where, replica=follower)
        _, only, never = status(session, where)
        tables = told(session, where)
        columns = {TableName(schema, name): text for schema, name, text in session.all(_COLUMNS)}
    kept = " ".join(["only", *sorted(only), "never", *sorted(never)])
    return {table: f"{made}/{columns.get(table)}/{kept}" for table, made in tables.items()}


def written(replica: MysqlReplica) -> tuple[Position, ...]:
    """The end of this very server's binlog; on MySQL also the ids of all that it executed, which show what was never
    written there (while the binlog was off)."""
    where = replica.sessions.where
    with replica.sessions.borrow("asking where the binlog ends") as session:
        place, _, _ = status(session, where)
        if replica.dialect == "mariadb":
            return (place,)
        (executed,) = session.one("select @@global.gtid_executed")
    return place, GtidSet.parse(executed)
