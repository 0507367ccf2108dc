"""One server of whatever engine behind the `Replica` Protocol, through SQLAlchemy.

Every row is read and hashed here (scheme `client`). See `connectors.generic` for what that is good for.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import closing
from itertools import islice
from typing import TypeVar

from connectors.client.hashing import counted, hasher, packed, summed
from connectors.generic import catalog, features
from connectors.generic.session import Record, Session, Sessions
from connectors.generic.statements import Statements, without_key
from connectors.generic.values import spelled
from verifier.digest import Digest
from verifier.errors import Permanent
from verifier.features import Feature
from verifier.keyrange import ALL, KeyRange
from verifier.look import Look, Publishes, Role, Row
from verifier.policy import Limits
from verifier.ports import Answer, Explanation, Identity
from verifier.position import NOWHERE, Position
from verifier.table import Column, Family, Key, Table, TableName, Value
from verifier.view import Mark, NoView
from verifier.weight import bounded, text_bytes

T = TypeVar("T")
_ANY = Column("", Family.OTHER, "")


class GenericReplica:
    """A server without positions, as leader or as follower."""

    def __init__(self, name: str, url: str, role: Role | None = None, limits: Limits | None = None) -> None:
        self._name = name
        self._role = role or Role.SUBSCRIBER
        self.sessions = Sessions(url, limits)
        self._schema: str | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def publishes(self) -> Publishes:
        return Publishes.TOGETHER

    @property
    def dialect(self) -> str:
        return self.sessions.url.get_backend_name()

    @property
    def default_schema(self) -> str | None:
        if self._schema is None:
            with self.sessions.borrow("asking the default schema") as session:
                self._schema = session.connection.dialect.default_schema_name or "main"
        return self._schema

    def canonical(self, column: Column) -> bool:
        return False

    def identity(self) -> Identity:
        with self.sessions.borrow("asking the identity") as session:
            told = session.connection.dialect.server_version_info or ()
            return Identity(self.dialect, ".".join(map(str, told)) or "unknown", self.sessions.where, 1, self._role)

    def tables(self, patterns: Sequence[str]) -> Sequence[TableName]:
        with self.sessions.borrow("listing tables") as session:
            return catalog.list_tables(session, self.sessions, patterns)

    def expect(self, names: Sequence[TableName]) -> None:
        return  # each is asked about when its turn comes

    def table(self, name: TableName) -> Table:
        with self.sessions.borrow(f"describing {name}") as session:
            return catalog.describe(session, self.sessions, name)

    def features(self, name: TableName) -> Sequence[Feature]:
        with self.sessions.borrow(f"reading keys of {name}") as session:
            return features.features_of(session, self.sessions, name)

    def position(self) -> Position:
        raise Permanent(
            f"{self.sessions.where} does not tell how far a log is written or applied: trueup knows none of this "
            "engine; compare it at rest"
        )

    def mark(self, shown: Position | None = None) -> Mark:
        return 0

    def boundary(self, table: Table, after: Key | None, rows: int) -> Key | None:
        statements, within = self.statements(table), KeyRange(after, None)
        with self.sessions.borrow(f"finding a chunk of {table.name}") as session:
            if statements.in_order:
                walk = session.each(statements.keys(within).offset(rows).limit(1))
                return next((statements.key_of(record) for record in walk), None)
            inside = statements.inside(within)
            keys = filter(inside, map(statements.key_of, session.each(statements.keys(within))))
            first = heapq.nsmallest(rows + 1, keys, key=statements.sortable)
            return first[rows] if len(first) > rows else None

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        statements, row_hash = self.statements(table, keyless=within == ALL), hasher(table)

        def read(session: Session) -> Digest:
            return summed(row_hash(statements.values(record)) for record in _range(session, statements, within))

        return self._look(f"digesting {table.name}", read)

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        statements, row_hash = self.statements(table, keyless=True), hasher(table)

        def read(session: Session) -> Mapping[int, int]:
            return counted(table, (row_hash(statements.values(one)) for one in session.each(statements.whole(ALL))))

        return self._look(f"counting rows of {table.name}", read)

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        statements, row_hash = self.statements(table), hasher(table)

        def read(session: Session) -> Mapping[Key, int]:
            with closing(_range(session, statements, within)) as records:
                return packed(table, ((statements.key(one), row_hash(statements.values(one))) for one in records))

        return self._look(f"reading row digests of {table.name}", read)

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        row_hash = hasher(table)

        def read(session: Session) -> Mapping[Key, int]:
            return {key: row_hash(values) for key, values in self._points(session, table, keys)}

        return self._look(f"reading digests of keys of {table.name}", read)

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        row_hash, names = hasher(table), [column.name for column in table.columns]

        def read(session: Session) -> Mapping[Key, Row]:
            with closing(self._points(session, table, keys)) as points:
                held = bounded(points, lambda one: text_bytes(one[1]), f"rows of {table.name}", asked=len(keys))
                return {key: Row(dict(zip(names, values, strict=True)), row_hash(values), None) for key, values in held}

        return self._look(f"reading rows of {table.name}", read)

    def explain(self, table: Table, within: KeyRange) -> Explanation:
        statements = self.statements(table, keyless=True)
        with self.sessions.borrow(f"explaining {table.name}") as session:
            statement = statements.whole(within)
            made = statement.compile(dialect=session.connection.dialect)
            spelled_out = statement.compile(dialect=session.connection.dialect, compile_kwargs={"literal_binds": True})
            _, plan = session.titled(f"explain {spelled_out}", 1_000)
            lines = tuple(line for record in plan for line in str(record[-1]).splitlines())
            notes = ["rows are read and hashed by trueup"]
            if not statements.in_order:
                notes.append("the order of the key is not known: each range reads the whole table and is cut by trueup")
            return Explanation(str(made), tuple(str(value) for value in made.params.values()), lines, tuple(notes))

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        text = sql.strip().rstrip(";").strip()
        if not text:
            raise Permanent("the SQL is empty; need one select statement")

        def read(session: Session) -> Answer:
            session.allow(seconds_max)
            names, records = session.titled(text, rows_max + 1)
            rows = [tuple(spelled(_ANY, value) for value in record) for record in islice(records, rows_max)]
            return Answer(names, tuple(rows), len(records) > rows_max)

        return self._look("asking", read)

    def running(self) -> int:
        """Permanent unless there is no server on which anything could run."""
        if self.sessions.dialect.embedded:
            return 0
        raise Permanent(
            f"how many statements run on {self.sessions.where} cannot be asked of an engine that is not known; "
            "leave out the limit on load"
        )

    def close(self) -> None:
        self.sessions.close()

    def statements(self, table: Table, *, keyless: bool = False) -> Statements:
        """The statements that this replica uses for the table; Permanent if it has no key, unless none is needed."""
        if not (table.key or keyless):
            raise Permanent(f"{table.name} has no primary key and no unique not-null key: its rows cannot be addressed")
        return Statements(table, self.sessions.dialect)

    def _points(self, session: Session, table: Table, keys: Collection[Key]) -> Generator[tuple[Key, list[Value]]]:
        """The rows with these keys, each under the key as the caller spelled it."""
        if any(len(key) != len(table.key) for key in keys):
            raise Permanent(f"a key of {table.name} needs {len(table.key)} values ({', '.join(table.key)})")
        statements = self.statements(table)
        wanted = {named: key for key in keys if (named := statements.named(key)) is not None}
        seen: set[Key] = set()
        for statement in statements.points(list(wanted)) if wanted else ():
            for record in session.each(statement):
                asked = wanted.get(statements.key(record))
                if asked is None:
                    continue
                if asked in seen:
                    raise Permanent(
                        f"several rows of {table.name} share their key ({', '.join(table.key)}); "
                        "name a key that is unique"
                    )
                seen.add(asked)
                yield asked, statements.values(record)

    def _look(self, doing: str, read: Callable[[Session], T]) -> Look[T]:
        with self.sessions.borrow(doing) as session:
            return Look(read(session), NOWHERE, NOWHERE, NoView())


def _range(session: Session, statements: Statements, within: KeyRange) -> Generator[Record]:
    """The rows of the range."""
    beyond = statements.unaddressable() if within.lower is None else None
    if beyond is not None and session.all(beyond):
        raise without_key(statements.table)
    records = session.each(statements.whole(within))
    if statements.in_order or within == ALL:
        return records
    inside = statements.inside(within)
    return (record for record in records if inside(statements.key(record)))
