"""What a MySQL or MariaDB server has beside its rows, asked once before a cutover.

Counters are the columns' own (`auto_increment`), and MariaDB's sequences. A replica's counter follows the rows that are
applied, so it stays behind where the leader gave out numbers that no row has any more; its sequences follow the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import pymysql

from connectors.mysql.errors import translate
from connectors.mysql.features import features_of
from connectors.mysql.replica import MysqlReplica
from connectors.mysql.sequences import states
from connectors.mysql.session import Record, Session
from verifier.checklist import Check, Result, several, summed
from verifier.errors import Permanent
from verifier.look import Role
from verifier.sequences import SequenceState
from verifier.surroundings import Fact, Surroundings, Written
from verifier.table import Table, TableName
from verifier.view import Mark

_TOPIC_OF = {"index": "indexes", "unique": "indexes", "check": "constraints", "foreign key": "constraints"}
_TRIGGERS = """
select trigger_name, concat(action_timing, ' ', event_manipulation, ' ', md5(action_statement))
from information_schema.triggers where event_object_schema = %s and event_object_table = %s
"""
_BY_SCHEMA = {
    "views": "select table_name, md5(view_definition) from information_schema.views where table_schema = %s",
    "routines": """
        select concat(routine_type, ' ', routine_name), md5(routine_definition) from information_schema.routines
        where routine_schema = %s""",
    "grants": """
        select 'grants of the schema', concat(
            (select count(*) from information_schema.schema_privileges where table_schema = s.schema_name) +
            (select count(*) from information_schema.table_privileges where table_schema = s.schema_name), ' grants')
        from information_schema.schemata s where schema_name = %s""",
    "database": """
        select 'character set and collation', concat(default_character_set_name, ', ', default_collation_name)
        from information_schema.schemata where schema_name = %s""",
}
_PLUGINS = """
select plugin_name, plugin_version from information_schema.plugins
where plugin_status = 'ACTIVE' and plugin_library is not null
"""
_COUNTERS = """
select t.table_schema, t.table_name, c.column_name, t.auto_increment from information_schema.tables t
join information_schema.columns c on c.table_schema = t.table_schema and c.table_name = t.table_name
where t.table_schema = %s and c.extra like '%%auto_increment%%'
"""
_SESSIONS = """
select user, count(*) from information_schema.processlist
where command not in ('Binlog Dump', 'Binlog Dump GTID', 'Daemon') and user not in ('system user', 'event_scheduler')
  and id <> connection_id() group by user order by user
"""


class MysqlSurroundings:
    """Asks the server of one replica, through its sessions; nothing is kept between calls."""

    def __init__(self, replica: MysqlReplica) -> None:
        self._replica = replica

    def surroundings(self, tables: Sequence[TableName]) -> Surroundings:
        replica = self._replica
        with replica.sessions.borrow("asking what there is beside the rows") as session:
            if replica.dialect == "mysql":
                session.run("set information_schema_stats_expiry = 0")  # else counters may be a day old
            schemas = sorted({table.schema for table in tables})
            found = set(replica.tables([f"{schema}.*" for schema in schemas])) & set(tables)
            return Surroundings(
                facts=tuple(self._facts(session, sorted(found), schemas)),
                sequences=tuple(self._counters(session, found, schemas)),
                checks=tuple(self._checks(session)),
                topics=frozenset({*_TOPIC_OF.values(), *_BY_SCHEMA, "triggers", "policies", "extensions"}),
                tables=frozenset(found),
                large_objects=0,
            )

    def written(self, table: Table, since: Mark) -> Written:
        """Permanent: rows here do not tell who wrote them."""
        raise Permanent(f"rows of {table.name} do not tell when they were written, on {self._replica.sessions.where}")

    def _facts(self, session: Session, tables: Sequence[TableName], schemas: Sequence[str]) -> Iterator[Fact]:
        for name in tables:
            for feature in features_of(session, name, self._replica.sessions.quote, sequences=False):
                topic = _TOPIC_OF.get(feature.what)
                if topic is not None:
                    yield Fact(topic, name, feature.text, "", feature.problem or "")
            for trigger, text in session.all(_TRIGGERS, (name.schema, name.name)):
                yield Fact("triggers", name, trigger, text)
        default = self._replica.default_schema
        for topic, sql in _BY_SCHEMA.items():
            for schema in schemas:
                for one, text in session.all(sql, (schema,)):
                    # A follower's database may have another name than the leader's.
                    yield Fact(topic, None, one if schema == default else f"{schema}.{one}", text or "")
        for plugin, version in session.all(_PLUGINS):
            yield Fact("extensions", None, plugin, version)

    def _counters(self, session: Session, tables: set[TableName], schemas: Sequence[str]) -> Iterator[SequenceState]:
        for schema in schemas:
            for row in session.all(_COUNTERS, (schema,)):
                if TableName(row[0], row[1]) in tables:
                    yield self._counter(session, row)
        if self._replica.dialect == "mariadb":
            yield from states(session, tables, schemas, self._replica.sessions.quote, self._replica.sessions.where)

    def _counter(self, session: Session, row: Record) -> SequenceState:
        schema, table, column, counter = row
        name, quote = TableName(schema, table), self._replica.sessions.quote
        source = f"{quote(schema)}.{quote(table)}"
        try:
            (reach,) = session.one(f"select max({quote(column)}) from {source}")
        except pymysql.MySQLError as error:
            if not session.usable:
                raise
            why = translate(error, f"reading the largest {column} of {name}", self._replica.sessions.where)
            return SequenceState(name, (name, column), problem=str(why))
        return SequenceState(
            name,
            (name, column),
            int(counter or 1),
            1,
            None if reach is None else int(Decimal(reach)),
            f"alter table {source.replace('%%', '%')} auto_increment = {{next}}",
        )

    def _checks(self, session: Session) -> Iterator[Check]:
        on = self._replica.name
        if self._replica.options.role is Role.LEADER:
            yield _writable(session, on)
            yield _sessions(session, on, self._replica.sessions.own)
        else:
            yield _replication(session, on, self._replica.dialect)


def _writable(session: Session, on: str) -> Check:
    what = "the leader takes no more writes"
    (value,) = session.one("select @@global.read_only")
    if str(value) in ("1", "ON"):
        return Check("read-only", on, what, Result.PASS, "it is read-only")
    todo = "set global read_only = on, and end the sessions of users who may write all the same"
    return Check("read-only", on, what, Result.WARNING, "nothing but the application's manners keeps it still", todo)


def _sessions(session: Session, on: str, own: set[int]) -> Check:
    """Our own connections are of this login, so as many of it as we hold do not count."""
    what = "nobody is connected to the leader"
    (ours,) = session.one("select substring_index(user(), '@', 1)")
    counts = {user: int(count) for user, count in session.all(_SESSIONS)}
    counts[ours] = counts.get(ours, 0) - (len(own) - 1)
    found = [(Result.WARNING, f"{count} of {user}") for user, count in counts.items() if count > 0]
    fine, todo = "no session but trueup's, as far as this login may see", "stop the application, then kill what is left"
    return summed("sessions", on, what, found, fine, todo)


def _replication(session: Session, on: str, dialect: str) -> Check:
    what, todo = "replication runs without errors", "see the follower's log, put it right, and audit again"
    told = session.named("show all slaves status" if dialect == "mariadb" else "show replica status")
    if not told:
        return Check("replication", on, what, Result.PASS, "it follows nobody: it is no replica")
    problems: list[str] = []
    for link in told:
        named = {name.lower().replace("slave_", "replica_"): value for name, value in link.items()}
        problems += [f"the {part} thread does not run" for part in ("io", "sql") if not _runs(named, part)]
        problems += [str(named[f"last_{part}_error"]) for part in ("io", "sql") if named.get(f"last_{part}_error")]
    return summed("replication", on, what, [(Result.FAIL, said) for said in problems], several(len(told), "link"), todo)


def _runs(link: Mapping[str, object], part: str) -> bool:
    return str(link.get(f"replica_{part}_running")).lower() == "yes"
