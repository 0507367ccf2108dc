"""`ChangeStream` over the leader's log in memory: at least once, with a memory that ends somewhere.

The offset counts records of the log, and names the leader's timeline: on another one it counts other records, so the
stream then begins at the present and says that it is blind, as the real ones do. `again` says how many records to
deliver once more at a poll, `pause` how many to hold back, so that a simulation can have duplicates and late barriers;
both are 0 where nothing is wrong. Over an address it goes on with whichever leader answers there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import RLock

from connectors.memory.address import Address
from connectors.memory.leader import Leader, Record
from connectors.memory.replica import nothing
from verifier.change import Batch, Blindness, Cause, Transaction
from verifier.errors import Unreachable
from verifier.position import Position, Tick

_OFFSET, _TIMELINE = "records", "timeline"


def none() -> int:
    return 0


class MemoryStream:
    """`acknowledged` is how far the source may forget; `forget` makes it do so."""

    def __init__(
        self,
        leader: Leader | Address,
        *,
        happen: Callable[[], None] = nothing,
        again: Callable[[], int] = none,
        pause: Callable[[], int] = none,
        lock: RLock | None = None,
    ) -> None:
        self._address = leader if isinstance(leader, Address) else Address(leader)
        self._attached: Leader | None = None
        self._happen = happen
        self._again = again
        self._pause = pause
        self._lock = lock or RLock()
        self._next = 0
        self._lost = False
        self.acknowledged = 0
        self.forgotten = 0

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        with self._lock:
            leader = self._reach()
            self._next = offsets.get(_OFFSET, len(leader.log))
            self._lost = self._next < self.forgotten
            if offsets.get(_TIMELINE, leader.timeline) != leader.timeline:
                self._lost, self._next, read_through = True, len(leader.log), None
            self._next = max(self._next, self.forgotten)
            self._next = max(self.forgotten, self._next - self._again())
            if read_through is not None and offsets:
                return read_through
            return leader.tick() if self._next == len(leader.log) else Tick(_begin(leader, self._next))

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        with self._lock:
            leader = self._reach()
            log = leader.log
            begin = max(self.forgotten, min(self._next, max(self._next - self._again(), 0)))
            end, changes = begin, 0
            while end < max(len(log) - self._pause(), self._next) and changes < changes_max:
                changes += max(1, len(log[end].changes))
                end += 1
            self._next = max(self._next, end)
            behind = self._next < len(log)
            through = Tick(_begin(leader, self._next)) if behind else leader.tick()
            blind = (Blindness(Cause.GAP, detail="the source had forgotten what comes next"),) if self._lost else ()
            self._lost = False
            delivered = log[begin:end]
            return Batch(
                transactions=tuple(map(_transaction, delivered)),
                read_through=through,
                offsets={_OFFSET: self._next, _TIMELINE: leader.timeline},
                blind=blind,
                events=sum(len(record.changes) for record in delivered),
                connector_at=delivered[-1].committed_at if delivered else None,
                broker_at=delivered[-1].committed_at if delivered else None,
            )

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        with self._lock:
            self._happen()
            self.acknowledged = max(self.acknowledged, offsets.get(_OFFSET, 0))

    def forget(self, records: int) -> None:
        """The source loses everything before this record, acknowledged or not."""
        with self._lock:
            self.forgotten = max(self.forgotten, records)

    def close(self) -> None:
        """Nothing is held open."""

    def _reach(self) -> Leader:
        """The leader that answers. Behind another one than before, all that was to come is lost."""
        self._happen()
        leader = self._address.server
        if not isinstance(leader, Leader):
            raise Unreachable("the change stream: no leader answers")
        if self._attached is not None and leader is not self._attached:
            self._lost, self._next, self.forgotten = True, len(leader.log), 0
        self._attached = leader
        return leader


def _begin(leader: Leader, record: int) -> int:
    """A position behind the last commit before this record, and before this record's."""
    return leader.log[record - 1].end if record else 0


def _transaction(record: Record) -> Transaction:
    return Transaction(record.xid, Tick(record.end), record.committed_at, record.changes, record.blind)
