"""What the stream told lately of each key: a history of limited size, of a log that cannot be read again.

Oldest first is forgotten, whichever key it belongs to, so one position says from where on nothing is missing. Fed by
the thread that reads the stream and asked by others: callers lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from verifier.change import Batch, Transaction
from verifier.position import Position
from verifier.table import Key, TableName, Value
from verifier.trace import Recalled, Traced

CHANGES_MAX = 50_000
BYTES_MAX = 32_000_000
BULK = 5_000
"""A transaction that touches more keys is not remembered: looking through it for each of them would take too long."""
_CHANGE_BYTES = 400
_VALUE_BYTES = 60


@dataclass(slots=True)
class _Life:
    """Of one key: the transactions that changed it, when they came, and when its row was last found equal."""

    told: list[tuple[Transaction, float]] = field(default_factory=list)
    seen: dict[str, float] = field(default_factory=dict)


class Remembered:
    """A `History`. At most `changes_max` changes and about `bytes_max` bytes of values are kept. Changes are not looked
    at before somebody asks (`verifier.change.Changes`); how large they are is told by one of each batch."""

    def __init__(self, *, changes_max: int = CHANGES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._changes_max, self._bytes_max = changes_max, bytes_max
        self._lives: dict[tuple[TableName, Key], _Life] = {}
        self._order: deque[tuple[tuple[TableName, Key], Position, int]] = deque()
        self._bytes = self._each = 0
        self._floor: Position | None = None
        self._floors: dict[TableName, Position | None] = {}
        self._through: Position | None = None

    @property
    def kept(self) -> int:
        """Changes that are remembered."""
        return len(self._order)

    @property
    def through(self) -> Position | None:
        """Nothing at or below is still to come."""
        return self._through

    def add(self, batch: Batch, now: float) -> None:
        """A batch of the stream, received at `now`. What was delivered before is not taken twice."""
        if batch.transactions:
            self._each = _size(batch.transactions[-1]) or self._each
        for transaction in batch.transactions:
            if self._floor is None or (self._through is not None and self._through.covers(transaction.commit)):
                continue
            for blindness in transaction.blind:
                self._forget(blindness.table, transaction.commit)
            self._take(transaction, now)
        for blindness in batch.blind:
            self._forget(blindness.table, batch.read_through)
        if batch.read_through is not None:
            self._through = batch.read_through
            for table in [table for table, floor in self._floors.items() if floor is None]:
                self._floors[table] = batch.read_through
        if self._floor is None:
            self._floor = batch.read_through
        while self._order and (len(self._order) > self._changes_max or self._bytes > self._bytes_max):
            self._drop_oldest()

    def found_equal(self, follower: str, table: TableName, since: Mapping[Key, float]) -> None:
        """Rules of evidence found these keys equal; the looks began at these times (seconds, trueup's clock)."""
        for key, at in since.items():
            life = self._lives.get((table, key))
            if life is not None:
                life.seen[follower] = at

    def changes(self, table: TableName, key: Key, since: Position | None = None) -> Recalled:
        """Of the key, as far as they are remembered."""
        floor = self._floors.get(table, self._floor)
        if floor is None:
            return Recalled(note="the stream began too short a time ago")
        life = self._lives.get((table, key))
        told = life.told if life is not None else []
        found = tuple(
            Traced(one.commit, change.operation, _plain(change.after), None, one.committed_at, at, str(one.xid))
            for one, at in told
            if since is None or not since.covers(one.commit)
            for change in one.changes
            if change.key == key and change.table == table
        )
        return Recalled(found, floor)

    def seen(self, follower: str, table: TableName, key: Key) -> float | None:
        """When the looks began that found the key equal last; None: not since its changes are remembered."""
        life = self._lives.get((table, key))
        return None if life is None else life.seen.get(follower)

    def _take(self, transaction: Transaction, now: float) -> None:
        touched = transaction.keys()
        if sum(map(len, touched.values())) > BULK:
            for table in touched:
                self._forget(table, transaction.commit)
            return
        for table, keys in touched.items():
            if self._floors and self._floors.get(table, transaction.commit) is None:
                continue  # where the table is told again is not known yet
            for key in keys:
                place = (table, key)
                life = self._lives.get(place)
                if life is None:
                    life = self._lives[place] = _Life()
                life.told.append((transaction, now))
                self._order.append((place, transaction.commit, self._each))
                self._bytes += self._each

    def _drop_oldest(self) -> None:
        place, commit, size = self._order.popleft()
        self._bytes -= size
        self._floor = commit
        for table in [table for table, floor in self._floors.items() if floor is not None and commit.covers(floor)]:
            del self._floors[table]
        life = self._lives[place]
        del life.told[0]
        if not life.told:
            del self._lives[place]

    def _forget(self, table: TableName | None, at: Position | None) -> None:
        """The stream no longer tells everything of the table (None: of any) since `at`."""
        gone = {place for place in self._lives if table in (None, place[0])}
        for place in gone:
            del self._lives[place]
        if gone:
            self._order = deque(entry for entry in self._order if entry[0] not in gone)
            self._bytes = sum(size for _, _, size in self._order)
        if table is None:
            self._floor, self._floors, self._through = at, {}, at
        else:
            self._floors[table] = at


def _plain(values: Mapping[str, Value] | None) -> dict[str, Value] | None:
    """Streams have mappings of their own, which decode when they are read."""
    return None if values is None else dict(values)


def _size(transaction: Transaction) -> int:
    """About how many bytes one of its changes takes; 0 if it has none."""
    for change in transaction.changes:
        values = change.after or {}
        return _CHANGE_BYTES + _VALUE_BYTES * len(values) + sum(map(len, filter(None, values.values())))
    return 0
