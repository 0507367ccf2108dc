"""A follower that applies the leader's log late, in order, one small step at a time, and faithfully unless told to lie.

A standby shows a transaction and then publishes its position; a subscriber begins a local transaction, publishes, and
then shows. Damage is what real followers suffer: a change that is skipped, altered on the way or applied where it
should not be, and rows that somebody writes, changes or removes behind the replication's back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.memory.leader import Leader, Record, backup, successor
from connectors.memory.rows import Shelves, Values
from verifier.change import Cause, Change, Operation
from verifier.look import Role
from verifier.position import Tick
from verifier.table import Key, TableName
from verifier.view import NoView, Snapshot, View

FIRST_LOCAL_ID = 3_000_000_000  # more than 31 bits apart from the leader's: ids of two servers never compare

Damage = Callable[[Change], Change | None]
"""What the follower makes of a change: another one, or None to skip it."""


@dataclass(slots=True)
class Follower:
    """`shown` counts records of the leader's log, `published` is the position told. While `held` it does nothing."""

    leader: Leader
    role: Role
    shelves: Shelves = field(default_factory=Shelves)
    shown: int = 0
    published: int = 0
    held: bool = False
    damages: list[Damage] = field(default_factory=list)
    promoted: Leader | None = None
    """What it has become, once it leads itself."""
    lost: set[tuple[TableName, Key]] = field(default_factory=set)
    """Keys that a failover has set apart from the leader's, whatever follows."""
    _unsent_below: int = 0
    _applying: int | None = None  # the local transaction's id, between its beginning and its end
    _next_local: int = FIRST_LOCAL_ID

    def behind(self) -> bool:
        """Is there a step to take?"""
        return self.shown < len(self.leader.log) or self.published < self.leader.position

    def step(self) -> None:
        """The next small step of applying, unless held or up to date."""
        if self.held or self.promoted is not None or not self.behind():
            return
        if self.role is Role.STANDBY:
            self._step_standby()
        else:
            self._step_subscriber()

    def catch_up(self) -> None:
        """All steps that there are now; those of a held follower stay to be taken."""
        while self.behind() and not self.held and self.promoted is None:
            self.step()

    @property
    def running(self) -> int:
        """Nobody asks a follower anything but trueup."""
        return 0

    def mark(self) -> int:
        return 0 if self.role is Role.STANDBY else self._next_local

    def view(self) -> View:
        if self.role is Role.STANDBY:
            return NoView()
        ended = self._next_local if self._applying is None else self._applying
        return Snapshot(ended, ended)

    def tick(self) -> Tick:
        return Tick(self.published)

    # failover

    def rebuild(self, leader: Leader) -> None:
        """Begin anew with a copy of this leader."""
        self.leader, self.promoted, self.held, self._applying = leader, None, False, None
        self.shelves = backup(leader)
        self.damages.clear()
        self._unsent_below = 0
        self.shown, self.published = len(leader.log), leader.position

    def repoint(self, leader: Leader) -> None:
        """A subscriber goes on with its rows behind another leader, from the commit that it applied last: it keeps what
        the new leader never had, and is never sent what committed there below that position."""
        while self._applying is not None:
            self._step_subscriber()
        shared = sum(ours is theirs for ours, theirs in zip(self.leader.log, leader.log, strict=False))
        for record in self.leader.log[shared : self.shown]:
            self._set_apart(record)
        self._unsent_below = self.published = self.leader.log[self.shown - 1].end if self.shown else 0
        self.leader, self.shown = leader, min(self.shown, shared)

    # damage behind the replication's back

    def put(self, table: TableName, key: Key, values: Values) -> None:
        """A row written or overwritten on the follower alone."""
        self._next_local += 1 if self._applying is None else 0
        self.shelves.put(table, key, values)

    def drop(self, table: TableName, key: Key) -> None:
        """A row removed on the follower alone."""
        self._next_local += 1 if self._applying is None else 0
        self.shelves.drop(table, key)

    # applying

    def _step_standby(self) -> None:
        done = self.leader.log[self.shown - 1].end if self.shown else 0
        if self.published < done:
            self.published = done
        elif self.shown < len(self.leader.log):
            self._show(self.leader.log[self.shown])
        else:
            self.published = self.leader.position

    def _step_subscriber(self) -> None:
        if self.shown == len(self.leader.log):
            self.published = max(self.published, self.leader.position)
            return
        record = self.leader.log[self.shown]
        if record.end <= self._unsent_below:
            self._set_apart(record)
            self.shown += 1
        elif self._applying is None:
            self._applying = self._next_local
            self._next_local += 1
        elif self.published < record.end:
            self.published = record.end
        else:
            self._show(record)
            self._applying = None

    def _set_apart(self, record: Record) -> None:
        self.lost.update((change.table, change.key) for change in record.changes)

    def _show(self, record: Record) -> None:
        for change in record.changes:
            kept: Change | None = change
            for damage in self.damages:
                kept = damage(kept) if kept is not None else None
            if kept is not None:
                self._apply(kept)
        for blindness in record.blind:
            if blindness.cause is Cause.TRUNCATE and blindness.table is not None:
                self.shelves.clear(blindness.table)
        self.shown += 1

    def _apply(self, change: Change) -> None:
        if change.operation is Operation.DELETE:
            self.shelves.drop(change.table, change.key)
        elif change.after is not None and (
            change.operation is Operation.INSERT or self.shelves.get(change.table, change.key) is not None
        ):  # an update of a row that is not there is skipped, as subscribers do
            self.shelves.put(change.table, change.key, change.after)


def promote(standby: Follower) -> Leader:
    """It becomes the leader, with what it shows, on a new timeline."""
    standby.promoted = successor(standby.leader, standby.shelves, standby.shown)
    return standby.promoted
