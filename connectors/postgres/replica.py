"""One PostgreSQL server behind the `Replica` Protocol.

Every question is one statement of its own; on a follower its position is read before and after on the same
connection. See `connectors.postgres` for the rights, `positions` for what the positions mean, `expressions` for the row
hash. Several threads may ask at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from connectors.postgres import catalog, positions, reading
from connectors.postgres.activity import running_statements
from connectors.postgres.ahead import features_ahead, tables_ahead
from connectors.postgres.answers import ask_once
from connectors.postgres.canonical import canonical_sql
from connectors.postgres.expressions import RowForm
from connectors.postgres.identity import SERVER, identity_of
from connectors.postgres.milestones import Milestones
from connectors.postgres.positions import Bounds, LogGeometry, SubscriptionLink
from connectors.postgres.session import Record, Session, Sessions
from connectors.postgres.statements import Statements, missing_parts, statements_for
from verifier.digest import MODULUS, Digest
from verifier.errors import Permanent
from verifier.features import Feature
from verifier.keyrange import ALL, KeyRange
from verifier.look import Look, Publishes, Role, Row
from verifier.multiset import MULTISET_MAX, HashCounts
from verifier.policy import Limits
from verifier.ports import Answer, Explanation, Identity
from verifier.position import Lsn, Position
from verifier.table import Column, Family, Key, Scheme, Table, TableName
from verifier.view import NoView, Snapshot, View

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """How one replica is read. `role` None: a follower that finds out by itself. `subscriptions`: those that carry
    the group's tables (empty: all of the database). Form of the native row hash and order of text keys
    (`native_order`: tables walked in their own) must be the same on all sides; until `agreement.agree` says better they
    are those that always work."""

    role: Role | None = None
    subscriptions: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    form: RowForm = RowForm.TEXT
    native_order: frozenset[TableName] = frozenset()
    strict_scale: bool = False


class PostgresReplica:
    """A leader, a physical standby or a logical subscriber. `sessions` is for this folder only."""

    def __init__(self, name: str, url: str, options: Options | None = None) -> None:
        self._name = name
        self.options = options or Options()
        self.sessions = Sessions(url, self.options.limits)
        self.sessions.recognise = self._recognise
        self._known: tuple[str, int] | None = None
        self.on_first_contact: Callable[[Session], None] | None = None
        """Asked once, at the next new connection; what it raises is raised there, and it is asked again."""
        self._role = self.options.role
        self._geometry: LogGeometry | None = None
        self._distrusted: frozenset[Family] | None = None
        self._version: int | None = None
        self._subscription: SubscriptionLink | None = None
        self._tables, self._features = tables_ahead(self.sessions, self.role), features_ahead(self.sessions)
        self._milestones = Milestones()

    @property
    def name(self) -> str:
        return self._name

    @property
    def publishes(self) -> Publishes:
        role = self.role()
        if role is Role.STANDBY:
            return Publishes.AFTER_SHOWING
        return Publishes.BEFORE_SHOWING if role is Role.SUBSCRIBER else Publishes.TOGETHER

    def role(self, session: Session | None = None) -> Role:
        """What this server is to its group, found out once unless the options say it."""
        if self._role is None:
            if session is None:
                with self.sessions.borrow("finding the role") as own:
                    return self.role(own)
            (recovering,) = session.one("select pg_is_in_recovery()")
            self._role = Role.STANDBY if recovering else Role.SUBSCRIBER
        return self._role

    @property
    def known_role(self) -> Role | None:
        """The role as far as it was found out; asks nobody."""
        return self._role

    @property
    def dialect(self) -> str:
        return "postgresql"

    @property
    def default_schema(self) -> str | None:
        return "public"

    def canonical(self, column: Column) -> bool:
        return canonical_sql(column, "c") is not None and column.hashed_as not in self.distrusted()

    def distrusted(self) -> frozenset[Family]:
        """The forms that SQL here was seen not to write as it should; asked once."""
        if self._distrusted is None:
            from connectors.postgres.probing import distrusted

            self._distrusted = distrusted(self.sessions)
        return self._distrusted

    def identity(self) -> Identity:
        with self.sessions.borrow("asking the identity") as session:
            return identity_of(session, self.role(session))

    def tables(self, patterns: Sequence[str]) -> Sequence[TableName]:
        with self.sessions.borrow("listing tables") as session:
            return catalog.list_tables(session, patterns)

    def expect(self, names: Sequence[TableName]) -> None:
        self._tables.expect(names)
        self._features.expect(names)

    def table(self, name: TableName) -> Table:
        return self._tables.of(name)

    def features(self, name: TableName) -> Sequence[Feature]:
        return self._features.of(name)

    def position(self) -> Lsn:
        with self.sessions.borrow("reading the position") as session:
            if self.role(session) is Role.LEADER:
                return positions.leader_position(session, self._shape(session), self.sessions.where)
            bounds = self._bounds(session)
        if bounds.high is positions.END and bounds.low is positions.BEGINNING:
            raise Permanent(
                f"{self.sessions.where} does not tell how far it follows: it is no standby and its database has no "
                "subscription; compare it with the leader at rest (snapshot evidence), or subscribe it"
            )
        return bounds.low

    def mark(self, shown: Position | None = None) -> int:
        with self.sessions.borrow("reading the next transaction id") as session:
            if self.role(session) is Role.STANDBY:
                return 0
            xmax, age = session.one(positions.NEXT_XID, by_bitmap=None, prepare=True)
            return next_xid(xmax, age)

    def boundary(self, table: Table, after: Key | None, rows: int) -> Key | None:
        statements = self.statements(table)
        with self.sessions.borrow(f"finding a chunk of {table.name}") as session:
            known = self._milestones.after(session, table, after, rows) if statements.whole else None
            found = [] if known else session.all(*statements.boundary(after, rows))
        return known or (statements.read_key(found[0]) if found else None)

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        statements = self.statements(table, keyless=True)

        def read(session: Session, told: str) -> tuple[Record, Digest]:
            if table.scheme is Scheme.CLIENT:
                from connectors.postgres import client

                joined = client.joinable(table, self.canonical)
                return client.digest(session, table, statements, within, told, joined=joined)
            *said, rows, total = session.one(*statements.digest(within, told), by_bitmap=within != ALL)
            return tuple(said), Digest(rows, int(total or 0) % MODULUS)

        return self._look(f"digesting {table.name}", read)

    def multiset(self, table: Table) -> Look[Mapping[int, int]]:
        statements = self.statements(table, keyless=True)

        def read(session: Session, told: str) -> tuple[Record, Mapping[int, int]]:
            if table.scheme is Scheme.CLIENT:
                from connectors.postgres import client

                return client.multiset(session, table, statements, told)
            *said, different, packed = session.one(*statements.multiset(told), binary=True)
            if different > MULTISET_MAX:
                raise Permanent(f"{table.name} has more than {MULTISET_MAX:,} different rows, too many to count each")
            return tuple(said), HashCounts(packed or b"")

        return self._look(f"counting rows of {table.name}", read)

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        statements = self.statements(table)

        def read(session: Session, told: str) -> tuple[Record, Mapping[Key, int]]:
            if table.scheme is Scheme.CLIENT:
                from connectors.postgres import client

                return client.packed(session, table, statements, within, told)
            return reading.packed_there(session, table, statements, within, told)

        return self._look(f"reading row digests of {table.name}", read)

    def point_digests(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, int]]:
        statements = self.statements(table)
        wanted = self._wanted(table, statements, keys)

        def read(session: Session, told: str) -> tuple[Record, Mapping[Key, int]]:
            if table.scheme is Scheme.CLIENT:
                return reading.hashed_here(session, table, statements, wanted, told)
            records = session.all(*statements.points(wanted, told, whole_rows=False), prepare=True)
            present = [(wanted[i - 1], h % MODULUS) for *_, i, h in records if i is not None]
            return records[0][:-2], reading.one_each(table, present)

        return self._look(f"reading digests of keys of {table.name}", read)

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        statements = self.statements(table)
        wanted = self._wanted(table, statements, keys)
        return self._look(
            f"reading rows of {table.name}",
            lambda session, told: reading.rows_there(session, table, statements, wanted, told),
        )

    def explain(self, table: Table, within: KeyRange) -> Explanation:
        from connectors.postgres.client import joinable
        from connectors.postgres.explain import explain_digest

        statements, joined = self.statements(table, keyless=True), joinable(table, self.canonical)
        with self.sessions.borrow(f"explaining {table.name}") as session:
            return explain_digest(session, table, statements, self.options.form, self.role(session), within, joined)

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        def read(session: Session, told: str) -> tuple[Record, Answer]:
            said, answer = ask_once(self.sessions, session, sql, told, rows_max, seconds_max)
            return said, answer

        return self._look("asking", read)

    def running(self) -> int:
        with self.sessions.borrow("counting the statements that run") as session:
            return running_statements(session, self.sessions.where)

    def close(self) -> None:
        self.sessions.close()

    def adopt(self, form: RowForm, native_order: frozenset[TableName]) -> None:
        """Use what `agreement.agree` found all sides to share; before the first comparison."""
        self.options = replace(self.options, form=form, native_order=native_order)

    def statements(self, table: Table, *, keyless: bool = False) -> Statements:
        """The SQL that this replica uses for the table; Permanent if it has no key, unless the question needs none."""
        if not (table.key or keyless):
            raise Permanent(f"{table.name} has no primary key and no unique not-null key: its rows cannot be addressed")
        o = self.options
        version = self._server_version() if table.scheme is Scheme.CANONICAL else 0
        return statements_for(table, self.sessions.quote, o.form, table.name in o.native_order, o.strict_scale, version)

    def _server_version(self) -> int:
        if self._version is None:
            with self.sessions.borrow("asking the version") as session:
                (self._version,) = session.one("select current_setting('server_version_num')::int")
        return self._version

    def _look(self, doing: str, read: Callable[[Session, str], tuple[Record, T]]) -> Look[T]:
        with self.sessions.borrow(doing) as session:
            role = self.role(session)
            if role is Role.LEADER:
                shape = self._shape(session)
                said, value = read(session, positions.TOLD_BY_LEADER)
                snapshot, inserted = said
                position = shape.end_of_record(inserted)
                return Look(value, position, position, Snapshot.parse(snapshot))
            told = positions.TOLD_BY_STANDBY if role is Role.STANDBY else positions.TOLD_BY_SUBSCRIBER
            before = self._bounds(session)
            said, value = read(session, told)
            after = self._bounds(session)
            view: View = NoView() if role is Role.STANDBY else Snapshot.parse(said[0])
            return Look(value, before.low, after.high, view)

    def _bounds(self, session: Session) -> Bounds:
        if self.role(session) is Role.STANDBY:
            return positions.standby_bounds(session, self.sessions.where)
        if self._subscription is None:
            self._subscription = SubscriptionLink(session, self.options.subscriptions)
        return self._subscription.bounds(session)

    def _recognise(self, session: Session) -> None:
        """Behind the address there must always be the same server: positions and looks of another cluster, or of a
        leader's other timeline, do not compare, nor do the ids that a former leader tells as a standby. A standby may
        follow its leader to another timeline."""
        system, timeline, recovering = session.one(SERVER)
        found = (system, timeline if self.options.role is Role.LEADER and not recovering else 0)
        known = self._known
        if (confirm := self.on_first_contact) is not None:
            self.sessions.pin(session)
            confirm(session)
            self.on_first_contact = None
        if known is None:
            self._known = found
        elif known[0] != system or (known[1] and known != found):
            was, now = (
                f"cluster {one}, {f'timeline {line}' if line else 'a follower'}" for one, line in (known, found)
            )
            raise Permanent(
                f"{self.sessions.where} is another server by now ({now}; it was {was}): nothing is compared with it; "
                "check which server leads and start trueup again"
            )

    def _shape(self, session: Session) -> LogGeometry:
        if self._geometry is None:
            self._geometry = positions.geometry(session)
        return self._geometry

    def _wanted(self, table: Table, statements: Statements, keys: Collection[Key]) -> list[Key]:
        if missing_parts(table, keys):
            raise Permanent(f"a key of {table.name} needs {len(table.key)} values ({', '.join(table.key)})")
        return statements.expressible(list(keys))


def next_xid(xmax: int, age_of_three: int) -> int:
    """The next id to be given out: `age_of_three` is its distance from id 3 in 32 bits, `xmax` a 64-bit id at or below
    it and less than 2^32 away."""
    return xmax + ((age_of_three + 3 - xmax) & 0xFFFFFFFF)
