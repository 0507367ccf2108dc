"""A leader whose transactions take the steps that real ones take.

A transaction has its id with its first write, holds row locks, writes its commit record into the log, and only then
becomes visible and lets go: between the last two steps a follower may show what the leader itself does not show yet.
Positions count bytes of the log; records that are no commits make it grow too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from connectors.memory.rows import Shelves, Values, key_of
from verifier.change import Blindness, Change, Operation
from verifier.position import Tick
from verifier.table import Key, Table, TableName
from verifier.view import Snapshot

_COMMIT_BYTES = 8
FIRST_ID = 750


@dataclass(frozen=True, slots=True)
class Record:
    """A commit in the log; `end` is the position just behind it."""

    xid: int
    end: int
    committed_at: float
    changes: tuple[Change, ...]
    blind: tuple[Blindness, ...] = ()


class Locked(Exception):
    """Another transaction holds the row."""


@dataclass(slots=True)
class Writing:
    """An open transaction. `log` and then `show` commit it; `abort` ends it without a trace."""

    leader: Leader
    xid: int
    pending: dict[tuple[TableName, Key], Values | None] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    blind: list[Blindness] = field(default_factory=list)
    logged: bool = False

    def insert(self, table: TableName, row: Values) -> None:
        described = self.leader.shelves.tables[table].table
        key = key_of(described, row) if described.key else (next(self.leader.numbers),)
        self._write(table, key, dict(row), Operation.INSERT)

    def update(self, table: TableName, key: Key, values: Values) -> bool:
        """False if there is no such row."""
        now = self.leader.current(self, table, key)
        if now is None:
            return False
        self._write(table, key, {**now, **values}, Operation.UPDATE)
        return True

    def delete(self, table: TableName, key: Key) -> bool:
        """False if there is no such row."""
        if self.leader.current(self, table, key) is None:
            return False
        self._write(table, key, None, Operation.DELETE)
        return True

    def lose_sight(self, blindness: Blindness) -> None:
        """The transaction does something that the stream does not tell row by row."""
        self.blind.append(blindness)

    def log(self) -> None:
        """Write the commit record: durable, and on its way to the followers."""
        self.leader.write_commit(self)

    def show(self) -> None:
        """Become visible on the leader and let go of the locks."""
        self.leader.end(self, committed=True)

    def abort(self) -> None:
        self.leader.end(self, committed=False)

    def commit(self) -> None:
        self.log()
        self.show()

    def _write(self, table: TableName, key: Key, row: Values | None, operation: Operation) -> None:
        self.leader.lock(self, table, key)
        self.pending[table, key] = row
        self.changes.append(Change(table, key, operation, row))


@dataclass(slots=True)
class Leader:
    """Rows, open transactions and the log. `now` gives the commit time, seconds since the epoch."""

    now: Callable[[], float]
    shelves: Shelves = field(default_factory=Shelves)
    log: list[Record] = field(default_factory=list)
    position: int = 1_000
    timeline: int = 1
    next_id: int = FIRST_ID
    writes: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    """Where rows without a key are kept."""
    open: dict[int, Writing] = field(default_factory=dict)
    _locks: dict[tuple[TableName, Key], int] = field(default_factory=dict)
    _latest_ended: int = FIRST_ID - 1

    def create(self, table: Table) -> None:
        self.shelves.create(table)

    def begin(self) -> Writing:
        """A transaction with an id of its own."""
        writing = Writing(self, self.next_id)
        self.open[self.next_id] = writing
        self.next_id += 1
        return writing

    def view(self) -> Snapshot:
        """As PostgreSQL makes them: `xmax` follows the highest id that has ended; higher ids may be running."""
        xmax = self._latest_ended + 1
        running = frozenset(xid for xid in self.open if xid < xmax)
        return Snapshot(min(running, default=xmax), xmax, running)

    def noise(self, size: int) -> None:
        """The log grows by something that is no commit."""
        self.position += size

    def lock(self, writing: Writing, table: TableName, key: Key) -> None:
        holder = self._locks.setdefault((table, key), writing.xid)
        if holder != writing.xid:
            raise Locked

    def current(self, writing: Writing, table: TableName, key: Key) -> Values | None:
        """The row as the transaction sees it, once it holds its lock."""
        self.lock(writing, table, key)
        return writing.pending[table, key] if (table, key) in writing.pending else self.shelves.get(table, key)

    def write_commit(self, writing: Writing) -> None:
        self.position += _COMMIT_BYTES + len(writing.changes)
        changes = tuple(writing.changes)
        self.log.append(Record(writing.xid, self.position, self.now(), changes, tuple(writing.blind)))
        writing.logged = True

    def end(self, writing: Writing, *, committed: bool) -> None:
        if committed is not writing.logged:
            raise ValueError("a transaction is visible if and only if its commit record is in the log")
        for (table, key), row in writing.pending.items() if committed else ():
            self.writes += 1
            if row is None:
                self.shelves.drop(table, key)
            else:
                self.shelves.put(table, key, row)
        self._locks = {where: xid for where, xid in self._locks.items() if xid != writing.xid}
        del self.open[writing.xid]
        self._latest_ended = max(self._latest_ended, writing.xid)

    @property
    def running(self) -> int:
        """How many transactions are open."""
        return len(self.open)

    def mark(self) -> int:
        return self.next_id

    def tick(self) -> Tick:
        return Tick(self.position)


def backup(leader: Leader) -> Shelves:
    """A copy of all tables as the log has them: with what is logged and not visible yet."""
    copy = leader.shelves.copy()
    for writing in leader.open.values():
        for (table, key), row in writing.pending.items() if writing.logged else ():
            if row is None:
                copy.drop(table, key)
            else:
                copy.put(table, key, row)
    return copy


def successor(leader: Leader, shelves: Shelves, shown: int) -> Leader:
    """What a standby that shows so many records becomes when it is promoted: a leader on the next timeline. What it had
    not received never happened there, and the ids of those transactions are given out again."""
    log = leader.log[:shown]
    ended = max((record.xid for record in log), default=FIRST_ID - 1)
    position = (log[-1].end if log else 1_000) + 1
    return Leader(leader.now, shelves, log, position, leader.timeline + 1, ended + 1, _latest_ended=ended)
