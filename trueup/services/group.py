"""What the services of one group share: its servers, its tables, and the sight that the change stream gives."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from threading import RLock
from typing import Any, Protocol

from reconciler.masking import NOTHING_MASKED, Masking
from trueup.pausing import Pauses
from trueup.services.hot import HotKeys
from trueup.services.published import Published
from verifier.change import Batch
from verifier.compare import Comparison, comparison
from verifier.doubt import Doubt, of_error
from verifier.errors import Permanent, Temporary
from verifier.fed import FedBracket, FedFollower
from verifier.journal import StreamJournal
from verifier.look import Look, Publishes
from verifier.ports import Clock, Gather, Placed, Replica
from verifier.position import Position
from verifier.scheme import chosen, spelled_as_told
from verifier.spelling import by_spelling
from verifier.table import Table, TableName
from verifier.tolerance import Tolerance
from verifier.tolerated import tolerating
from verifier.view import Mark, View
from verifier.window import InFlight, Settled, TransactionWindow


class Service(Protocol):
    """One duty. `name` labels its metrics; `tick` returns the seconds until it wants the next one."""

    @property
    def name(self) -> str: ...
    def tick(self, now: float) -> float: ...


class Sighted:
    """The transaction window behind a lock, kept as small as the looks that are still open allow.

    Implements `verifier.seeing.Sight`. Transactions may be forgotten once the oldest leader look that is open, or else
    the latest one, saw them, and every follower's oldest open or else latest look had applied them.
    """

    def __init__(
        self,
        window: TransactionWindow,
        followers: Collection[str],
        published: Published | None = None,
    ) -> None:
        """`published` None: the stream tells of every table."""
        self.window = window
        self.published = published
        self._lock = RLock()
        self.hot = HotKeys(window, self._lock)
        if published is not None:
            published.guard(window, self._lock)
        self._tickets = count(1)
        self._open: dict[int, tuple[View, Position, str]] = {}
        self._view: View | None = None
        self.views = 0
        """How many of the leader's looks have come in."""
        self.unseen = False
        """Whether transactions have come in since the latest of them."""
        self._lows: dict[str, Position | None] = dict.fromkeys(followers)

    def begin(self, valid_from: Position | None) -> None:
        with self._lock:
            self.window.begin(valid_from)
            self.hot.images.begin(valid_from)
            self._open.clear()

    def add(self, batch: Batch) -> bool:
        """Take a batch in; True if the window now needs the leader's mark (`marked`)."""
        with self._lock:
            taken = self.window.add(batch)
            self.hot.images.add(batch, taken)
            self.unseen = self.unseen or bool(taken)
            return self.window.needs_mark

    def marked(self, mark: Mark) -> None:
        with self._lock:
            self.window.set_mark(mark)

    def in_flight(
        self,
        table: TableName,
        leader: Look[Any],
        follower: Look[Any],
        publishes: Publishes,
        *,
        barrier: Position,
        settled: Settled | None = None,
    ) -> InFlight:
        with self._lock:
            return self.window.in_flight(table, leader, follower, publishes, barrier=barrier, settled=settled)

    def read_through(self) -> Position | None:
        return self.window.read_through

    def tells(self, table: TableName) -> bool:
        return self.published is None or self.published.tells(table)

    def opened(self, leader: Look[Any], follower: Look[Any], name: str) -> int:
        with self._lock:
            ticket = next(self._tickets)
            self._open[ticket] = (leader.view, follower.low, name)
            self._view, self.unseen = leader.view, False
            self.views += 1
            self._lows[name] = follower.low
            return ticket

    def closed(self, ticket: int) -> None:
        with self._lock:
            self._open.pop(ticket, None)

    def latest(self, *, view: View | None = None, applied: tuple[str, Position] | None = None) -> None:
        """The newest leader look that is not kept open, or what a follower has applied by now."""
        with self._lock:
            self._view = view or self._view
            self.views += view is not None
            self.unseen = self.unseen and view is None
            if applied is not None:
                self._lows[applied[0]] = applied[1]

    def prune(self) -> int:
        """Forget what no open or later look can need; returns how many transactions."""
        with self._lock:
            if self._view is None or any(low is None for low in self._lows.values()):
                return 0
            views = [self._view, *(view for view, _, _ in self._open.values())]
            lows = [low for low in self._lows.values() if low is not None]
            lows += [low for _, low, _ in self._open.values()]
            self.hot.images.prune(lows)
            return self.window.prune(views, lows)

    @property
    def changes(self) -> int:
        """How many changes are kept."""
        return self.window.changes


@dataclass(frozen=True, slots=True)
class Pair:
    """One follower's view of one table: the comparison, or why there is none, or none of some column."""

    compared: Comparison | None
    problem: str | None = None
    doubt: Doubt = Doubt.OTHER


@dataclass(slots=True)
class TableBook:
    """The group's tables, as the catalogs described them last. Read anew every `fresh_seconds`, and at once for a
    table that the stream reported changed. No lock is held while a server is asked: two services may ask twice."""

    leader: Replica
    followers: Mapping[str, Replica]
    patterns: Sequence[str]
    clock: Clock
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fresh_seconds: float = 300.0
    native: Collection[str] | None = None
    """Followers that have agreed with the leader on a native row hash; None: all."""
    tolerances: Mapping[str, Tolerance] = field(default_factory=dict)
    masking: Masking = NOTHING_MASKED
    """What findings do not hold, and nobody is told."""
    _names: tuple[TableName, ...] = ()
    _names_at: float | None = None
    _tables: dict[TableName, tuple[float, Table]] = field(default_factory=dict)
    _keys: dict[TableName, tuple[str, ...]] = field(default_factory=dict)
    _pairs: dict[tuple[str, TableName], tuple[float, Pair]] = field(default_factory=dict)

    def names(self) -> tuple[TableName, ...]:
        """The group's tables on the leader. Temporary, Forbidden if they cannot be listed."""
        now = self.clock.now()
        if self._names_at is None or now - self._names_at > self.fresh_seconds:
            self._names = tuple(self.leader.tables(self.patterns))
            self._names_at = now
        return self._names

    def known_names(self) -> tuple[TableName, ...]:
        """The group's tables as last listed; asks nobody."""
        return self._names

    def table(self, name: TableName) -> Table:
        """The leader's table, with the key that the configuration names where it has none."""
        known = self._tables.get(name)
        now = self.clock.now()
        if known is None or now - known[0] > self.fresh_seconds:
            table = self._keyed(self.leader.table(name))
            self._tables[name] = known = (now, table)
            self._keys[name] = table.key
        return known[1]

    def pair(self, follower: str, name: TableName) -> Pair:
        """How the follower's table compares. Temporary if a server does not answer."""
        known = self._pairs.get((follower, name))
        now = self.clock.now()
        if known is not None and now - known[0] <= self.fresh_seconds:
            return known[1]
        try:
            excluded = frozenset(self.excluded.get(str(name), ()))
            pair = self._compared(follower, name, excluded)
        except Permanent as problem:
            pair = Pair(None, str(problem), of_error(problem))
        self._pairs[follower, name] = (now, pair)
        return pair

    def _compared(self, follower: str, name: TableName, excluded: frozenset[str]) -> Pair:
        """By the cheapest scheme that is sound for all columns; of another engine only if its keys are spelled as the
        change stream spells them."""
        replica = self.followers[follower]
        abroad = replica.dialect != self.leader.dialect
        native = not abroad and (self.native is None or follower in self.native)
        self.masking.check(self.table(name))
        there = name
        if abroad and replica.default_schema is not None and name.schema == self.leader.default_schema:
            there = name._replace(schema=replica.default_schema)
        compared = comparison(self.table(name), self._keyed(replica.table(there), name), excluded, abroad=abroad)
        compared = tolerating(compared, self.tolerances)
        if compared.addressable and (not native or any(one.tolerance for one in compared.leader.columns)):
            choice = chosen(compared, self.leader, replica, native=False)
            compared, _ = by_spelling(compared, choice, self.leader, replica, None)
            if odd := [one.name for one in compared.leader.key_columns() if not spelled_as_told(one)]:
                why = f"key column {odd[0]!r} is spelled otherwise in the change stream; audit this table"
                return Pair(None, why, Doubt.INCOMPARABLE)
        doubt = Doubt.INCOMPARABLE if compared.leader.key else Doubt.NO_KEY
        return Pair(compared if compared.addressable else None, compared.problem, doubt)

    def hopeless(self, name: TableName) -> bool:
        """Whether the table is known to be comparable on no follower; asks nobody."""
        known = [pair for (_, table), (_, pair) in list(self._pairs.items()) if table == name]
        return bool(known) and all(pair.compared is None for pair in known)

    def known_table(self, name: TableName) -> Table | None:
        """The table if it can be described; for decoders, which must not fail."""
        try:
            return self.table(name)
        except (Temporary, Permanent):
            return None

    def cached_key(self, name: TableName) -> tuple[str, ...]:
        """The key's columns as the table was described last, also while it is to be described anew: who writes into
        the journal cannot wait. Empty if it never was. Asks nobody."""
        return self._keys.get(name, ())

    def forget(self, name: TableName | None) -> None:
        """Its description changed (None: all may have)."""
        self._names_at = None
        for known in [n for n in list(self._tables) if name in (None, n)]:
            self._tables.pop(known, None)
        for pair in [p for p in list(self._pairs) if name in (None, p[1])]:
            self._pairs.pop(pair, None)

    def _keyed(self, table: Table, known_as: TableName | None = None) -> Table:
        named = self.keys.get(str(known_as or table.name))
        if not named or table.key:
            return table
        return replace(table, key=tuple(named))


@dataclass(slots=True)
class GroupWorld:
    """One group as its services see it. `sight` is None without a change stream."""

    name: str
    leader: Replica
    followers: Mapping[str, Replica]
    book: TableBook
    clock: Clock
    gather: Gather[Any]
    sight: Sighted | None
    blind: set[TableName | None] = field(default_factory=set)
    """Tables (None: all) that the stream cannot vouch for, as the journal holds them; kept by the follow service."""
    lost: Mapping[TableName, frozenset[str]] = field(default_factory=dict)
    """Followers whose own log lost sight of the table, until it is scanned on them: what was written there and did not
    come from the leader may not have been told. What the leader's stream tells can be judged all the same."""
    pauses: Pauses | None = None
    """What an operator does not want looked at; None: nobody can say so."""
    placed: Callable[[Replica], tuple[Placed, Placed]] | None = None
    """Leader and this follower as rules without a stream ask them (a watermark's answers); None: the servers."""

    def paused(self, table: TableName | None) -> bool:
        """Shall the table (None: the whole group) not be looked at now? Its changes are followed all the same."""
        return self.pauses is not None and self.pauses.of(table) is not None

    def sides(self, follower: str) -> tuple[Placed, Placed]:
        """Leader and this follower as the rules ask them. Errors as from the watermark, where there is one."""
        theirs = self.followers[follower]
        if isinstance(theirs, FedFollower):
            return self.leader, FedBracket(theirs, self.clock)
        return (self.leader, theirs) if self.placed is None else self.placed(theirs)

    def fed(self, follower: str) -> bool:
        """Does a sink feed it, so that its position is told by what that has committed?"""
        return isinstance(self.followers[follower], FedFollower)

    def marked(self, follower: str) -> bool:
        """Is the follower judged by the watermark, because it tells no position in the leader's log?"""
        if self.placed is None or self.fed(follower):
            return False
        return self.sides(follower)[1] is not self.followers[follower]

    def sees(self, table: TableName) -> bool:
        """May the visibility rule judge this table now?"""
        if self.sight is None or not self.vouched(table):
            return False
        return self.sight.published is None or self.sight.published.lately(table)

    def vouched(self, table: TableName) -> bool:
        """False while the stream has lost sight of the table and no scan has made up for it."""
        return table not in self.blind and None not in self.blind

    def lost_by(self, table: TableName) -> frozenset[str]:
        """Followers on which the table must be scanned because their own log lost sight of it."""
        return self.lost.get(table, frozenset())

    def refresh(self, journal: StreamJournal) -> None:
        """Read the blindness anew; that of all tables is told table by table."""
        names = self.book.names()
        self.blind = set(journal.blind(names))  # another one: several threads read it, and none may find it empty
        lost: dict[TableName, frozenset[str]] = {}
        for follower, table in journal.lost(names):
            if follower in self.followers:
                lost[table] = lost.get(table, frozenset()) | {follower}
        self.lost = lost
