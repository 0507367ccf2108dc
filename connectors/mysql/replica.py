"""One MySQL or MariaDB server behind the `Replica` Protocol.

Every question reads one snapshot, placed in the leader's log by what is asked around it (`positions`). See
`connectors.mysql` for the rights, `expressions` for the row hash. Several threads may ask at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from connectors.client import hashing
from connectors.mysql import catalog
from connectors.mysql.activity import running_statements
from connectors.mysql.answers import ask_once
from connectors.mysql.canonical import canonical_sql
from connectors.mysql.expressions import TOO_LARGE
from connectors.mysql.features import features_of
from connectors.mysql.positions import Log, MariaDbLog, MySqlLog
from connectors.mysql.probing import distrusted
from connectors.mysql.reading import hashed_here, packed_there, points_read, rows_read, texts_of, too_large
from connectors.mysql.session import Session, Sessions
from connectors.mysql.statements import Statements
from verifier.digest import MODULUS, Digest
from verifier.errors import Forbidden, Permanent
from verifier.features import Feature
from verifier.keyrange import ALL, KeyRange
from verifier.look import Look, Publishes, Role, Row
from verifier.multiset import MULTISET_MAX, HashCounts
from verifier.policy import Limits
from verifier.ports import Answer, Explanation, Identity
from verifier.position import Position
from verifier.table import Column, Family, Key, Scheme, Table, TableName
from verifier.weight import bounded, held_bytes

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How one replica is read. `role` None: a follower. `native_order`: tables whose keys of text are walked in their
    own order, which must be the same on all sides; `agreement.agree` says which."""

    role: Role | None = None
    limits: Limits = field(default_factory=Limits)
    native_order: frozenset[TableName] = frozenset()


class MysqlReplica:
    """A leader or a replica. `sessions` is for this folder only."""

    def __init__(self, name: str, url: str, options: Options | None = None) -> None:
        self._name = name
        self.options = options or Options()
        self.sessions = Sessions(url, self.options.limits)
        self.sessions.recognise = self._recognise
        self._role = self.options.role or Role.SUBSCRIBER
        where = self.sessions.where
        self._log: Log = MariaDbLog(where) if self.dialect == "mariadb" else MySqlLog(where)
        self._known: str | None = None
        self._distrusted: frozenset[Family] | None = None
        self.on_first_contact: Callable[[Session], None] | None = None
        """Asked once, at the next new connection; what it raises is raised there, and it is asked again."""

    @property
    def name(self) -> str:
        return self._name

    @property
    def publishes(self) -> Publishes:
        return Publishes.TOGETHER

    @property
    def dialect(self) -> str:
        return self.sessions.dialect.name

    @property
    def default_schema(self) -> str | None:
        return self.sessions.url.database or None

    def canonical(self, column: Column) -> bool:
        return canonical_sql(column, "c") is not None and column.hashed_as not in self.distrusted()

    def distrusted(self) -> frozenset[Family]:
        """The forms that SQL here was seen not to write as it should; asked once."""
        if self._distrusted is None:
            self._distrusted = distrusted(self.sessions)
        return self._distrusted

    def identity(self) -> Identity:
        with self.sessions.borrow("asking the identity") as session:
            (version,) = session.one("select version()")
            system = _system(session)
        return Identity(self.dialect, version, system, 0, Role.LEADER if self._promoted() else self._role)

    def tables(self, patterns: Sequence[str]) -> Sequence[TableName]:
        with self.sessions.borrow("listing tables") as session:
            return catalog.list_tables(session, patterns)

    def expect(self, names: Sequence[TableName]) -> None:
        return  # each is asked about when its turn comes

    def table(self, name: TableName) -> Table:
        with self.sessions.borrow(f"describing {name}") as session:
            return catalog.describe(session, self.sessions.dialect, name, self.sessions.where)

    def features(self, name: TableName) -> Sequence[Feature]:
        with self.sessions.borrow(f"reading indexes and constraints of {name}") as session:
            return features_of(session, name, self.sessions.quote, sequences=self.dialect == "mariadb")

    def position(self) -> Position:
        with self.sessions.borrow("reading the position") as session:
            return self._log.logged(session) if self._role is Role.LEADER else self._log.applied(session)

    def mark(self, shown: Position | None = None) -> Position:
        """Whatever a follower showed before this call had been logged here: `shown` need not be looked at."""
        with self.sessions.borrow("reading the end of the log") as session:
            return self._log.logged(session)

    def boundary(self, table: Table, after: Key | None, rows: int) -> Key | None:
        statements = self.statements(table)
        with self.sessions.borrow(f"finding a chunk of {table.name}") as session:
            found = session.all(*statements.boundary(after, rows))
        return statements.key_of(found[0]) if found else None

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        statements = self.statements(table, keyless=True)
        joined = hashing.joinable(table, self.canonical)

        def read(session: Session) -> Digest:
            if table.scheme is Scheme.CLIENT:
                with rows_read(session, statements, within, joined=joined) as read_here:
                    return hashing.summed(map(hashing.hasher(table, joined=joined), read_here))
            rows, total = session.one(*statements.digest(within))
            return Digest(int(rows), _whole(table, int(total or 0)) % MODULUS)

        return self._look(f"digesting {table.name}", read)

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        statements = self.statements(table, keyless=True)

        def read(session: Session) -> Mapping[int, int]:
            if table.scheme is Scheme.CLIENT:
                with rows_read(session, statements, ALL) as rows:
                    return hashing.counted(table, map(hashing.hasher(table), rows))
            found = session.all(*statements.multiset())
            if len(found) > MULTISET_MAX:
                raise Permanent(f"{table.name} has more than {MULTISET_MAX:,} different rows, too many to count each")
            return HashCounts(b"".join(_hash_bytes(table, h) + int(n).to_bytes(8) for h, n in found))

        return self._look(f"counting rows of {table.name}", read)

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        statements = self.statements(table)

        def read(session: Session) -> Mapping[Key, int]:
            read_by = hashed_here if table.scheme is Scheme.CLIENT else packed_there
            return read_by(session, statements, table, within)

        return self._look(f"reading row digests of {table.name}", read)

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        def read(session: Session) -> Mapping[Key, int]:
            return {key: row.digest for key, row in self._found(session, table, keys, whole_rows=False).items()}

        return self._look(f"reading digests of keys of {table.name}", read)

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        return self._look(
            f"reading rows of {table.name}", lambda session: self._found(session, table, keys, whole_rows=True)
        )

    def explain(self, table: Table, within: KeyRange) -> Explanation:
        statements = self.statements(table, keyless=True)
        if table.scheme is Scheme.CLIENT:
            sql, values = statements.texts(within, joined=hashing.joinable(table, self.canonical))
        else:
            sql, values = statements.digest(within)
        with self.sessions.borrow(f"explaining {table.name}") as session:
            plan = session.named(session.filled(f"explain {sql}", values))
        lines = tuple(", ".join(f"{name}: {value}" for name, value in row.items() if value is not None) for row in plan)
        return Explanation(sql, tuple(map(str, values)), lines)

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        return self._look("asking", lambda session: ask_once(self.sessions, session, sql, rows_max, seconds_max))

    def running(self) -> int:
        with self.sessions.borrow("counting running statements") as session:
            return running_statements(session, self.sessions.own, self.sessions.where)

    def close(self) -> None:
        self.sessions.close()

    def adopt(self, native_order: frozenset[TableName]) -> None:
        """Use what `agreement.agree` found all sides to share; before the first comparison."""
        self.options = replace(self.options, native_order=native_order)

    def statements(self, table: Table, *, keyless: bool = False) -> Statements:
        """The SQL that this replica uses for the table; Permanent if it has no key, unless the question needs none."""
        if not (table.key or keyless):
            raise Permanent(f"{table.name} has no primary key and no unique not-null key: its rows cannot be addressed")
        native = table.scheme is Scheme.NATIVE and table.name in self.options.native_order
        return Statements(table, self.sessions.quote, by_bytes=not native)

    def _look(self, doing: str, read: Callable[[Session], T]) -> Look[T]:
        with self.sessions.borrow(doing) as session:
            if self._role is Role.LEADER:
                return self._log.leader_look(session, read)
            return self._log.follower_look(session, read)

    def _recognise(self, session: Session) -> None:
        """Behind the address there must always be the same server: positions and looks of another do not compare."""
        found = _system(session)
        if self._known is not None and self._known != found:
            raise Permanent(
                f"{self.sessions.where} is another server by now ({found}; it was {self._known}): nothing is compared "
                "with it; check which server leads and start trueup again"
            )
        if self.on_first_contact is not None:
            self.on_first_contact(session)
            self.on_first_contact = None
        self._known = found

    def _promoted(self) -> bool:
        """It followed when it was asked before, and leads itself by now."""
        if self._role is Role.LEADER:
            return False
        try:
            with self.sessions.borrow("asking whether it is a replica") as session:
                return self._log.promoted(session)
        except Forbidden:
            return False  # whoever asks for its position is told which right is missing

    def _found(self, session: Session, table: Table, keys: Collection[Key], *, whole_rows: bool) -> dict[Key, Row]:
        """Those of `keys` that exist, under the spelling that was asked."""
        statements = self.statements(table)
        if any(len(key) != len(table.key) for key in keys):
            raise Permanent(f"a key of {table.name} needs {len(table.key)} values ({', '.join(table.key)})")
        wanted = {statements.plain(key): key for key in keys}
        names, width = [column.name for column in table.columns], len(table.key)
        here = hashing.hasher(table) if table.scheme is Scheme.CLIENT else None
        found: dict[Key, Row] = {}
        most = None if whole_rows else 1  # of digests no row is kept
        with closing(
            points_read(session, statements, list(keys), whole_rows=whole_rows, here=here is not None)
        ) as read:
            what = f"rows of {table.name}"
            for record in bounded(read, held_bytes, what, asked=most):
                asked = wanted.get(statements.plain(statements.key_of(record[:width])))
                if asked is None:
                    continue  # the collation took it for one of them
                if asked in found:
                    named = ", ".join(table.key)
                    raise Permanent(
                        f"several rows of {table.name} share their key ({named}); name a key that is unique"
                    )
                texts = texts_of(record[width if here else width + 1 :])
                number = here(texts) if here else int.from_bytes(_hash_bytes(table, record[width]))
                found[asked] = Row(dict(zip(names, texts, strict=False)) if whole_rows else {}, number, None)
        return found


def _system(session: Session) -> str:
    """The server's own id; before MariaDB had one, where it says that it is."""
    told = {name: value for name, value in session.all("show global variables where variable_name in "
            "('server_uuid', 'server_uid', 'server_id', 'hostname', 'port', 'datadir')")}  # fmt: skip
    return (
        told.get("server_uuid")
        or told.get("server_uid")
        or ":".join(told[name] for name in ("hostname", "port", "server_id"))
    )


def _hash_bytes(table: Table, hexadecimal: str | bytes | None) -> bytes:
    if hexadecimal is None:
        raise too_large(table)
    return bytes.fromhex(hexadecimal.decode() if isinstance(hexadecimal, bytes) else hexadecimal)


def _whole(table: Table, total: int) -> int:
    if total >= TOO_LARGE:
        raise too_large(table)
    return total
