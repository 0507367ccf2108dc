"""How far a sink of Kafka Connect has brought a follower, told by the offsets that it commits (DESIGN 3.1).

A sink writes the rows of a topic's partition one after the other, and commits an offset once everything below it is in
the follower. So the offsets that it had committed before a look are a lower bound, and they are a bound per partition:
partitions share no order. The reader of the leader's stream reads the same topics and knows which transaction each row
belongs to, so the offsets become a position of the leader: all transactions before the first one of which some row lies
at or above what was committed. (The upper bound needs no offsets: nothing that a follower shows can have been committed
on the leader after the look, so it is the leader's own position, taken then. That also holds for rows that reach a
topic by themselves, as those of a snapshot do.)

The source's connector delivers at least once: after a restart it goes back and sends a stretch again, and the sink
applies it again. Rows go back in time meanwhile, even rows that were below the committed offsets. Hence

* a look is judged only once the stream has been read through the ends that its partitions had *after* it (`Proviso`):
  whatever the sink can have applied by then is known, and no row of it belongs to a transaction that is still open;
* from the first copy on nothing is certain (`unsettled`), until a transaction ended that was never sent before. The
  ends that are asked for then must have been read without another copy, and what a look can be certain of begins where
  its offsets lie above them;
* partitions do not wait for each other, so such a transaction may overtake copies that are still to come elsewhere.
  Within a partition rows come in the order of commits: of one in which the last row is not the furthest that ever came
  there (`verifier.furthest`) nothing is certain;
* a reader that begins may begin in the middle of such a stretch, so it begins unsettled. It does not know how far each
  partition was, so it counts on copies being overtaken by less than `BEGIN_SECONDS`: only then are ends asked for.

The sink's own restarts need nothing: it goes back to what it has committed, and keys with changes above that are in
flight anyhow.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from verifier.furthest import Furthest, Place
from verifier.position import Position
from verifier.table import TableName

Offsets = Mapping[Place, int]
"""By partition the offset behind the last one that counts."""

KEPT_MAX = 100_000
SETTLE_SECONDS = 1.0
"""A producer sends what is ready for a broker with its next request there, one batch of each partition, so what was
sent first may be appended later by a few requests, if it was the first that waited for its partition. This is many
times what one takes that is answered at all."""
BEGIN_SECONDS = 10.0
"""If it was not, all that waited before it goes first: at most a producer's buffer, whose 32 MB take ten seconds at
3 MB/s. (Copies were sent four seconds late by a connector that had much to catch up with.)"""
_SPARE = 5_000
_UNSETTLED = "what was sent again may set rows back: waiting for a transaction that was never sent before"


@dataclass(slots=True)
class _Ends:
    """Of one partition: behind which offset each transaction's rows there end, and what had been delivered before it.
    `numbers` order transactions over all partitions. Those that ended at or below `dropped` were forgotten."""

    ends: list[int] = field(default_factory=list)
    before: list[Position | None] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    dropped: int = 0

    def add(self, end: int, before: Position | None, number: int) -> None:
        self.ends.append(max(end, self.ends[-1]) if self.ends else end)
        self.before.append(before)
        self.numbers.append(number)
        if len(self.ends) > KEPT_MAX:
            self._thin()

    def _thin(self) -> None:
        """Let two neighbours be one, which begins where the first does and ends where the second does."""
        self.ends = self.ends[1::2] + (self.ends[-1:] if len(self.ends) % 2 else [])
        self.before, self.numbers = self.before[::2], self.numbers[::2]

    def first_above(self, offset: int) -> int:
        """The index of the first transaction with a row at or above `offset`; forgets what lies far below."""
        at = bisect_right(self.ends, offset)
        if at > 2 * _SPARE:
            gone = at - _SPARE
            self.dropped = self.ends[gone - 1]
            del self.ends[:gone], self.before[:gone], self.numbers[:gone]
            at = _SPARE
        return at


class OffsetIndex:
    """Where the stream's transactions lie in the broker's partitions: told by the stream's reader, asked by looks at
    followers. `seconds` is a monotonic clock. `lock` is held while something is told or asked, where that is done by
    several threads."""

    def __init__(self, seconds: Callable[[], float], lock: AbstractContextManager[object] | None = None) -> None:
        self._seconds = seconds
        self._lock = lock or nullcontext()
        self.furthest = Furthest(self._lock)
        self._topics: dict[TableName, set[str]] = {}
        self._fence: dict[Place, int] | None = None
        self._ended_at: float | None = None
        self._settles = BEGIN_SECONDS
        self._epoch = 0
        self.begin()

    # told by the reader

    def begin(self) -> None:
        """The reader begins (again), wherever: nothing is known, and nothing is certain."""
        with self._lock:
            self._places: dict[Place, _Ends] = {}
            self._read: Offsets = {}
            self._delivered: Position | None = None
            self._count = 0
            self._safe: dict[Place, int] = {}
            self._settles = BEGIN_SECONDS
            self.furthest.begin()
            self._go_back()

    def carries(self, topic: str, table: TableName) -> None:
        """Rows of the table come in this topic."""
        if topic not in self._topics.get(table, ()):
            with self._lock:
                self._topics.setdefault(table, set()).add(topic)

    def delivered(self, lasts: Offsets, before: Position | None) -> None:
        """A transaction was delivered that never was before: its rows' last offsets by partition, and everything that
        had been delivered before it."""
        with self._lock:
            self._count += 1
            for place, last in lasts.items():
                self._places.setdefault(place, _Ends()).add(last + 1, before, self._count)

    def ended(self) -> None:
        """The END of a transaction came that never came before. (It may be delivered much later, behind copies.)"""
        if self._ended_at is None:
            with self._lock:
                self._ended_at = self._seconds()

    def again(self) -> None:
        """A copy came of something that was delivered before."""
        with self._lock:
            self._go_back()

    def read(self, offsets: Offsets, through: Position | None) -> None:
        """All below `offsets` has been read, and belongs to transactions that were delivered, the last of which end at
        `through`."""
        with self._lock:
            self._read, self._delivered = offsets, through
            fence = self._fence
            if fence is not None and not _lacking(offsets, fence, fence):
                self._safe.update(fence)
                self._unsettled, self._fence, self._settles = False, None, SETTLE_SECONDS

    # asked by followers' looks

    @property
    def epoch(self) -> int:
        """Another number after each copy, and an odd one once the first new transaction behind one has settled. To be
        asked for before the ends that are told to `fence`."""
        ended_at = self._ended_at
        return self._epoch * 2 + int(ended_at is not None and self._seconds() - ended_at >= self._settles)

    def fence(self, ends: Offsets, epoch: int) -> None:
        """The ends of partitions, asked after `epoch` was: of all that the reader reads, or they say nothing."""
        with self._lock:
            known = self._read.keys()
            if self._unsettled and epoch == self._epoch * 2 + 1 and self._fence is None:
                self._fence = dict(ends) if known and ends.keys() >= known else None

    def places(self, table: TableName | None = None, topic: str = "") -> Collection[Place]:
        """All partitions that are read; of a table those of the topics in which its rows were seen, else of `topic`."""
        if table is None:
            return self._read.keys()
        topics = self._topics.get(table) or {topic}
        return [place for place in self._read if place[0] in topics]

    def surely(self, committed: Offsets, places: Collection[Place]) -> Position | None:
        """What a follower shows for sure that had all below `committed` applied, of the rows in `places` and as far as
        the reader knows (`Proviso`); None if nothing is certain."""
        with self._lock:
            if self._unsettled or self.furthest.behind(places):
                return None
            if any(committed.get(place, 0) < self._safe.get(place, 0) for place in places):
                return None
            first: tuple[int, Position | None] | None = None
            for place in places:
                known, offset = self._places.get(place), committed.get(place, 0)
                if known is None:
                    continue
                if offset < known.dropped:
                    return None
                at = known.first_above(offset)
                if at < len(known.ends) and (first is None or known.numbers[at] < first[0]):
                    first = known.numbers[at], known.before[at]
            return self._delivered if first is None else first[1]

    def lacks(self, ends: Offsets) -> bool:
        """Has the reader not read through these yet, or not the ENDs of all that lies below?"""
        return bool(_lacking(self._read, ends, ends))

    @property
    def unsettled(self) -> str:
        """Why nothing is certain now, wherever it lies; '' if something may be."""
        return _UNSETTLED if self._unsettled else ""

    def _go_back(self) -> None:
        self._epoch += 1
        self._unsettled, self._ended_at = True, None
        self._fence = None


@dataclass(frozen=True, slots=True)
class AfterEnds:
    """A `verifier.look.Proviso`: what a look at such a follower may be judged by must have been read through `ends`,
    which its partitions had after it, without a copy since `epoch`. `doubt`: nothing was certain at the look."""

    index: OffsetIndex
    ends: Offsets
    epoch: int
    doubt: str = ""

    def refused(self) -> str:
        if self.doubt:
            return self.doubt
        return _UNSETTLED if self.index.epoch // 2 != self.epoch // 2 else ""

    def lacking(self) -> str:
        return "the change stream has not been read as far as the sink may have" if self.index.lacks(self.ends) else ""


def _lacking(read: Offsets, ends: Offsets, places: Collection[Place]) -> list[Place]:
    return [place for place in places if read.get(place, 0) < ends[place]]
