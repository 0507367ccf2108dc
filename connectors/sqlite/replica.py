"""One SQLite file behind the `Replica` Protocol.

Rows are read and hashed here: as a function inside SQLite the same hash was a quarter faster on plain rows, and failed
on text that is no UTF-8.
See `connectors.sqlite` for what SQLite does otherwise, `values` for what is hashed, `standing` for positions.
"""

from __future__ import annotations

import marshal
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from connectors.client.hashing import counted, hasher, packed, summed
from connectors.sqlite import catalog
from connectors.sqlite.errors import translate
from connectors.sqlite.features import features_of
from connectors.sqlite.session import Record, Session, Sessions
from connectors.sqlite.standing import Standing
from connectors.sqlite.statements import Order, Statements, install
from connectors.sqlite.values import key_value, spelled
from verifier.digest import Digest
from verifier.encoding import client_hash
from verifier.errors import Permanent
from verifier.features import Feature
from verifier.keyrange import ALL, KeyRange
from verifier.look import Look, Publishes, Role, Row
from verifier.policy import Limits
from verifier.ports import Answer, Explanation, Identity
from verifier.position import NOWHERE, Position
from verifier.table import Column, Family, Key, Scheme, Table, TableName
from verifier.view import Mark, NoView, Shown
from verifier.weight import bounded, held_bytes

T = TypeVar("T")
_PLAIN_MARSHAL = 0  # of all versions the one whose bytes depend on the values alone, not on how they are held


class SqliteReplica:
    """A file, as leader or as a follower that follows nobody."""

    def __init__(self, name: str, url: str, role: Role | None = None, limits: Limits | None = None) -> None:
        self._name = name
        self._role = role or Role.SUBSCRIBER
        self.sessions = Sessions(url, limits)
        self.sessions.prepare = install
        self._standing = Standing(self.sessions)
        self._utf8: bool | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def publishes(self) -> Publishes:
        return Publishes.TOGETHER

    @property
    def dialect(self) -> str:
        return "sqlite"

    @property
    def default_schema(self) -> str | None:
        return "main"

    def canonical(self, column: Column) -> bool:
        return column.meets_as not in (Family.OTHER, Family.GEOMETRY)

    def identity(self) -> Identity:
        with self.sessions.borrow("asking the identity") as session:
            ((version,),) = session.all("select sqlite_version()")
            system = ",".join(f"{device:x}-{number:x}" for device, number in self.sessions.files.marks())
            return Identity("sqlite", version, system, 1, self._role)

    def tables(self, patterns: Sequence[str]) -> Sequence[TableName]:
        with self.sessions.borrow("listing tables") as session:
            return catalog.list_tables(session, patterns)

    def expect(self, names: Sequence[TableName]) -> None:
        return  # each is asked about when its turn comes

    def table(self, name: TableName) -> Table:
        with self.sessions.borrow(f"describing {name}") as session:
            return catalog.describe(session, self.sessions, name)

    def features(self, name: TableName) -> Sequence[Feature]:
        with self.sessions.borrow(f"reading indexes and constraints of {name}") as session:
            return features_of(session, self.sessions, catalog.entry(session, name, self.sessions.where).name)

    def position(self) -> Position:
        if self._role is not Role.LEADER:
            raise Permanent(
                f"{self.sessions.where} does not tell how far it follows: SQLite follows nobody; "
                "compare it with the leader at rest (snapshot evidence)"
            )
        with self.sessions.borrow("reading the position") as session:
            return self._standing.count(session)

    def mark(self, shown: Position | None = None) -> Mark:
        return self.position() if self._role is Role.LEADER else 0

    def boundary(self, table: Table, after: Key | None, rows: int) -> Key | None:
        with self.sessions.borrow(f"finding a chunk of {table.name}") as session:
            found = session.all(*self.statements(session, table).boundary(after, rows))
            return self._key(table, found[0]) if found else None

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        def read(session: Session) -> Digest:
            return summed(map(self._hash_of(table), self._range(session, table, within)))

        return self._look(f"digesting {table.name}", read)

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        def read(session: Session) -> Mapping[int, int]:
            return counted(table, map(self._hash_of(table), self._range(session, table, ALL)))

        return self._look(f"counting rows of {table.name}", read)

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        def read(session: Session) -> Mapping[Key, int]:
            row_hash, key_of = self._hash_of(table), self._key_of(table)
            return packed(table, ((key_of(one), row_hash(one)) for one in self._range(session, table, within)))

        return self._look(f"reading row digests of {table.name}", read)

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        def read(session: Session) -> Mapping[Key, int]:
            row_hash = self._hash_of(table)
            return {key: row_hash(record) for key, record in self._points(session, table, keys)}

        return self._look(f"reading digests of keys of {table.name}", read)

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        def read(session: Session) -> Mapping[Key, Row]:
            row_hash, points = self._hash_of(table), self._points(session, table, keys)
            return {
                key: Row(
                    {column.name: spelled(column, held) for column, held in zip(table.columns, record, strict=True)},
                    row_hash(record),
                    None,
                )
                for key, record in bounded(
                    points, lambda one: held_bytes(one[1]), f"rows of {table.name}", asked=len(keys)
                )
            }

        return self._look(f"reading rows of {table.name}", read)

    def explain(self, table: Table, within: KeyRange) -> Explanation:
        with self.sessions.borrow(f"explaining {table.name}") as session:
            statements = self.statements(session, table)
            sql, values = statements.whole(within)
            plan = tuple(str(line[-1]) for line in session.all(f"explain query plan {sql}", values))
            slow = [c.name for c in table.key_columns() if statements.order(c) is Order.FUNCTION]
            notes = ["rows are read and hashed by trueup"]
            if slow:
                notes.append(f"key {', '.join(slow)} is walked by its canonical text, without its index")
            return Explanation(sql, tuple(map(repr, values)), plan, tuple(notes))

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        text = sql.strip().rstrip(";").strip()
        if not text:
            raise Permanent("the SQL is empty; need one select statement")

        def read(session: Session) -> Answer:
            session.allow(seconds_max)
            names, records = session.titled(f"select * from (\n{text}\n) limit {int(rows_max) + 1}")
            rows = [tuple(None if v is None else _shown(v) for v in record) for record in records[:rows_max]]
            return Answer(names, tuple(rows), len(records) > rows_max)

        return self._look("asking", read)

    def running(self) -> int:
        """There is no server on which anything runs."""
        return 0

    def close(self) -> None:
        self._standing.close()
        self.sessions.close()

    def statements(self, session: Session, table: Table) -> Statements:
        """The SQL that this replica uses for the table."""
        if self._utf8 is None:
            ((encoding,),) = session.all("pragma encoding")
            self._utf8 = encoding == "UTF-8"
        return Statements(table, self.sessions.quote, utf8=self._utf8)

    def _look(self, doing: str, read: Callable[[Session], T]) -> Look[T]:
        with self.sessions.borrow(doing) as session:
            if self._role is not Role.LEADER:
                return Look(self._read(session, doing, read), NOWHERE, NOWHERE, NoView())
            position = self._standing.count(session)
            return Look(self._read(session, doing, read), position, position, Shown(position))

    def _read(self, session: Session, doing: str, read: Callable[[Session], T]) -> T:
        """Once more, leniently, where the driver met text that is no UTF-8."""
        try:
            return read(session)
        except sqlite3.OperationalError as error:
            if session.lenient or "decode to UTF-8" not in str(error):
                raise translate(error, doing, self.sessions.where) from None  # the driver's own text quotes the value
        session.be_lenient()
        return read(session)

    def _range(self, session: Session, table: Table, within: KeyRange) -> Iterator[Record]:
        """The rows of the range. The first of all ranges makes sure that no row escapes them all."""
        if not table.key and within != ALL:
            raise Permanent(f"{table.name} has no primary key and no unique not-null key: its rows cannot be addressed")
        statements = self.statements(session, table)
        beyond = statements.unaddressable() if within.lower is None else None
        if beyond is not None and session.all(beyond):
            raise _not_a_key(table, "NULL")
        return session.each(*statements.whole(within))

    def _points(self, session: Session, table: Table, keys: Collection[Key]) -> Iterator[tuple[Key, Record]]:
        """The rows with these keys, each under the key as the caller spelled it."""
        if any(len(key) != len(table.key) for key in keys):
            raise Permanent(f"a key of {table.name} needs {len(table.key)} values ({', '.join(table.key)})")
        columns = table.key_columns()
        wanted = {
            tuple(int(v) if c.meets_as is Family.INTEGER else str(v) for c, v in zip(columns, key, strict=True)): key
            for key in filter(self.statements(session, table).holds, keys)
        }
        seen: set[Key] = set()
        statements = self.statements(session, table).points(list(keys))
        if len(statements) > 1:
            session.together()
        for statement in statements:
            for record in session.each(*statement):
                key = self._key_or_none(table, record)
                if key is None or key not in wanted:
                    continue
                if key in seen:
                    raise Permanent(
                        f"several rows of {table.name} share their key ({', '.join(table.key)}); "
                        "name a key that is unique"
                    )
                seen.add(key)
                yield wanted[key], record

    def _hash_of(self, table: Table) -> Callable[[Record], int]:
        if table.scheme is Scheme.NATIVE:
            return lambda record: client_hash(marshal.dumps(record, _PLAIN_MARSHAL))
        row_hash, columns = hasher(table), table.columns
        return lambda record: row_hash([spelled(c, held) for c, held in zip(columns, record, strict=True)])

    def _key_of(self, table: Table) -> Callable[[Record], Key]:
        places = [table.columns.index(column) for column in table.key_columns()]
        return lambda record: self._key(table, tuple(record[place] for place in places))

    def _key_or_none(self, table: Table, record: Record) -> Key | None:
        parts = [(c, record[table.columns.index(c)]) for c in table.key_columns()]
        key = tuple(key_value(column, held) for column, held in parts)
        return None if None in key else key  # type: ignore[return-value]

    def _key(self, table: Table, held: Record) -> Key:
        """The key whose parts the file holds so; Permanent if one of them cannot be a part of a key."""
        parts = [key_value(column, one) for column, one in zip(table.key_columns(), held, strict=True)]
        key: list[int | str] = []
        for part, one in zip(parts, held, strict=True):
            if part is None:
                raise _not_a_key(table, "NULL" if one is None else f"a value of class {type(one).__name__}")
            key.append(part)
        return tuple(key)


def _not_a_key(table: Table, what: str) -> Permanent:
    return Permanent(
        f"a row of {table.name} has {what} in its key ({', '.join(table.key)}), which SQLite allows and no other key "
        "names: such rows cannot be addressed; correct them, or leave them out by a condition"
    )


def _shown(value: int | float | str | bytes) -> str:
    """A value of a user's answer, as text."""
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    return value if isinstance(value, str) else repr(value)
