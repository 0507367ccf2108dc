"""What the stream told lately of each key: a history of limited size, of a log that cannot be read again.

Oldest first is forgotten, whichever key it belongs to, so one position says from where on nothing is missing. Fed by
the thread that reads the stream and asked by others: callers lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from verifier.change import Batch, Transaction
from verifier.position import Position
from verifier.table import Key, TableName, Value
from verifier.trace import Recalled, Traced
from verifier.weight import text_bytes

CHANGES_MAX = 50_000
BYTES_MAX = 32_000_000
BULK = 5_000
"""A transaction that touches more keys is not remembered: looking through it for each of them would take too long."""
_CHANGE_BYTES = 400
_VALUE_BYTES = 60
_SAMPLED, _SAMPLED_OF_EACH = 16, 8
"""Transactions of a batch, and changes of each of them."""


_Told: TypeAlias = tuple[Transaction, float]
"""A transaction that changed a key, and when it came."""


class Remembered:
    """A `History`. At most `changes_max` changes and about `bytes_max` bytes of values are kept. Changes are not looked
    at before somebody asks (`verifier.change.Changes`); how large they are is told by some of each batch."""

    def __init__(self, *, changes_max: int = CHANGES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._changes_max, self._bytes_max = changes_max, bytes_max
        self._lives: dict[TableName, dict[Key, list[_Told]]] = {}
        self._seen: dict[TableName, dict[Key, dict[str, float]]] = {}
        self._order: deque[tuple[Transaction, Mapping[TableName, Sequence[Key]], int, int]] = deque()
        self._kept = self._bytes = self._turn = 0
        self._each = 0
        self._floor: Position | None = None
        self._floors: dict[TableName, Position | None] = {}
        self._through: Position | None = None

    @property
    def kept(self) -> int:
        """Changes that take room."""
        return self._kept

    @property
    def through(self) -> Position | None:
        """Nothing at or below is still to come."""
        return self._through

    def add(self, batch: Batch, now: float) -> None:
        """A batch of the stream, received at `now`. What was delivered before is not taken twice."""
        if batch.transactions:
            self._turn += 1
            self._each = _size(batch.transactions, self._turn) or self._each
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
        while self._order and (self._kept > self._changes_max or self._bytes > self._bytes_max):
            self._drop_oldest()

    def found_equal(self, follower: str, table: TableName, since: Mapping[Key, float]) -> None:
        """Rules of evidence found these keys equal; the looks began at these times (seconds, trueup's clock)."""
        lives = self._lives.get(table)
        if not lives:
            return
        seen = self._seen.setdefault(table, {})
        for key, at in since.items():
            if key in lives:
                seen.setdefault(key, {})[follower] = at

    def changes(self, table: TableName, key: Key, since: Position | None = None) -> Recalled:
        """Of the key, as far as they are remembered."""
        floor = self._floors.get(table, self._floor)
        if floor is None:
            return Recalled(note="the stream began too short a time ago")
        found = tuple(
            Traced(
                one.commit,
                change.operation,
                _plain(change.after),
                None,
                one.committed_at,
                at,
                str(one.xid),
                origin=one.origin,
            )
            for one, at in self._lives.get(table, {}).get(key, ())
            if since is None or not since.covers(one.commit)
            for change in one.changes
            if change.key == key and change.table == table
        )
        return Recalled(found, floor)

    def seen(self, follower: str, table: TableName, key: Key) -> float | None:
        """When the looks began that found the key equal last; None: not since its changes are remembered."""
        return self._seen.get(table, {}).get(key, {}).get(follower)

    def _take(self, transaction: Transaction, now: float) -> None:
        touched = transaction.keys()
        count = sum(map(len, touched.values()))
        if count > BULK:
            for table in touched:
                self._forget(table, transaction.commit)
            return
        entry = (transaction, now)
        for table, keys in touched.items():
            if self._floors and self._floors.get(table, transaction.commit) is None:
                continue  # where the table is told again is not known yet
            lives = self._lives.get(table)
            if lives is None:
                lives = self._lives[table] = {}
            for key in keys:
                told = lives.get(key)
                if told is None:
                    lives[key] = [entry]
                else:
                    told.append(entry)
        size = count * self._each
        self._order.append((transaction, touched, count, size))
        self._kept += count
        self._bytes += size

    def _drop_oldest(self) -> None:
        transaction, touched, count, size = self._order.popleft()
        self._kept -= count
        self._bytes -= size
        self._floor = commit = transaction.commit
        for table in [table for table, floor in self._floors.items() if floor is not None and commit.covers(floor)]:
            del self._floors[table]
        for table, keys in touched.items():
            lives, seen = self._lives.get(table, {}), self._seen.get(table, {})
            for key in keys:
                told = lives.get(key)
                if told is None or told[0][0] is not transaction:
                    continue  # forgotten before
                if len(told) > 1:
                    del told[0]
                else:
                    del lives[key]
                    seen.pop(key, None)

    def _forget(self, table: TableName | None, at: Position | None) -> None:
        """The stream no longer tells everything of the table (None: of any) since `at`."""
        if table is None:
            self._lives, self._seen = {}, {}
            self._order.clear()
            self._kept = self._bytes = 0
            self._floor, self._floors, self._through = at, {}, at
            return
        self._lives.pop(table, None)
        self._seen.pop(table, None)
        self._floors[table] = at


def _plain(values: Mapping[str, Value] | None) -> dict[str, Value] | None:
    """Streams have mappings of their own, which decode when they are read."""
    return None if values is None else dict(values)


def _size(transactions: Sequence[Transaction], turn: int) -> int:
    """About how many bytes one of their changes takes, by a sample that is another one each `turn`; 0 if they have
    none that are remembered."""
    held = count = 0
    for one in transactions[:: -(len(transactions) // _SAMPLED + 1)]:
        changes = one.changes
        if 0 < len(changes) <= BULK:
            step = len(changes) // _SAMPLED_OF_EACH + 1
            sizes = [_bytes(change.after) for change in changes[turn % step :: step]]
            held += sum(sizes) * len(changes) // len(sizes)
            count += len(changes)
    return held // count if count else 0


def _bytes(values: Mapping[str, Value] | None) -> int:
    """What a change takes. Rows that are decoded when they are read say how much they take until then."""
    characters: int | None = getattr(values, "characters", None)
    if characters is not None:
        return _CHANGE_BYTES + characters
    return _CHANGE_BYTES + (0 if values is None else _VALUE_BYTES * len(values) + text_bytes(values.values()))
