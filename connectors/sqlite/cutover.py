"""What a SQLite file has beside its rows. There are no users, routines, row security or large objects in it; counters
exist only where a table says AUTOINCREMENT, and are rows of `sqlite_sequence`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.sqlite.features import features_of
from connectors.sqlite.replica import SqliteReplica
from connectors.sqlite.session import Session
from verifier.errors import Permanent
from verifier.sequences import SequenceState
from verifier.surroundings import Fact, Surroundings, Written
from verifier.table import Table, TableName
from verifier.view import Mark

_TOPIC_OF = {"index": "indexes", "unique": "indexes", "check": "constraints", "foreign key": "constraints"}
_NEVER = ("policies", "routines", "extensions", "grants")


class SqliteSurroundings:
    """Asks the files of one replica, through its sessions; nothing is kept between calls."""

    def __init__(self, replica: SqliteReplica) -> None:
        self._replica = replica

    def surroundings(self, tables: Sequence[TableName]) -> Surroundings:
        found = set(self._replica.tables([f"{schema}.*" for schema in {table.schema for table in tables}]))
        there = sorted(found & set(tables))
        with self._replica.sessions.borrow("asking what there is beside the rows") as session:
            return Surroundings(
                facts=tuple(self._facts(session, there)),
                sequences=tuple(self._counters(session, there)),
                topics=frozenset({*_TOPIC_OF.values(), "triggers", "views", "database", *_NEVER}),
                tables=frozenset(there),
                large_objects=0,
            )

    def written(self, table: Table, since: Mark) -> Written:
        """Permanent: rows here do not tell when they were written."""
        raise Permanent(f"rows of {table.name} do not tell when they were written, in {self._replica.sessions.where}")

    def _facts(self, session: Session, tables: Sequence[TableName]) -> Iterator[Fact]:
        sessions = self._replica.sessions
        for name in tables:
            for feature in features_of(session, sessions, name):
                topic = _TOPIC_OF.get(feature.what)
                if topic is not None:
                    yield Fact(topic, name, feature.text, "", feature.problem or "")
        for schema in sorted({table.schema for table in tables}):
            quoted = sessions.quote(schema)
            for kind, topic in (("trigger", "triggers"), ("view", "views")):
                for name, of, sql in session.all(
                    f"select name, tbl_name, sql from {quoted}.sqlite_schema where type = ?", (kind,)
                ):
                    table = TableName(schema, of)
                    if kind == "view" or table in tables:
                        yield Fact(topic, table if kind == "trigger" else None, name, " ".join(str(sql).split()))
            ((encoding,),) = session.all(f"pragma {quoted}.encoding")
            yield Fact("database", None, "encoding", encoding)

    def _counters(self, session: Session, tables: Sequence[TableName]) -> Iterator[SequenceState]:
        """What SQLite gives next is above the counter and above every rowid, so a column cannot be ahead of it."""
        sessions = self._replica.sessions
        for schema in sorted({table.schema for table in tables}):
            quoted = sessions.quote(schema)
            if not session.all(f"select 1 from {quoted}.sqlite_schema where name = 'sqlite_sequence'"):
                continue
            for of, last in session.all(f"select name, seq from {quoted}.sqlite_sequence"):
                name = TableName(schema, of)
                if name in tables:
                    told = of.replace("'", "''")
                    setting = f"update {quoted}.sqlite_sequence set seq = {{last}} where name = '{told}'"
                    yield SequenceState(name, (name, "rowid"), int(last) + 1, 1, None, setting)
