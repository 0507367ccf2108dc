"""Where all lies that the connector sent before an END, in whatever partition.

Partitions do not wait for each other. A producer sends at most one batch of each partition with a request, and may have
megabytes for one while it has nothing for another: behind a bulk load an END was appended four seconds before a
truncate that was sent before it. But what lies in such a queue are rows of transactions, and their ENDs count them. So
once all rows have come of all transactions before an END, the statement before it is the first in its queue, and goes
with one of the next requests: nothing is asked for `SETTLE_SECONDS` from then on, and whatever is there then has to be
read. A broker that does not answer, to which the connector may still have something to send, does not answer this
question either: it is asked again.

Many ENDs wait at a time and not one after the other: what is asked counts for all that were read long enough before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from connectors.debezium.pending import Partition
from verifier.offsets import SETTLE_SECONDS

_SLOT_SECONDS = 0.1
_SLOTS_MAX = 1_000


class SentBefore:
    """`ends` asks the broker where all partitions end but that of the order; `seconds` is a monotonic clock."""

    def __init__(self, ends: Callable[[], Mapping[Partition, int]], seconds: Callable[[], float]) -> None:
        self._ask = ends
        self._seconds = seconds
        self.begin()

    def begin(self) -> None:
        """Nothing is known of what was read before."""
        self._read: deque[tuple[int, float]] = deque(maxlen=_SLOTS_MAX)  # `order` to there, by then
        self._ends: Mapping[Partition, int] = {}
        self._asked_at: float | None = None

    def order(self, position: int) -> None:
        """The order has been read to there, and all rows of what lies before the last END there."""
        if self._read and position <= self._read[-1][0]:
            return
        now = self._seconds()
        if len(self._read) > 1 and now - self._read[-2][1] < _SLOT_SECONDS:
            self._read.pop()
        self._read.append((position, now))

    def ends(self, end: int) -> Mapping[Partition, int] | None:
        """Below which offsets all lies that was sent before the END at this offset; None while it may still be on its
        way. ENDs are asked for in the order in which they lie. Errors as the broker's."""
        while len(self._read) > 1 and self._read[0][0] <= end:
            self._read.popleft()
        now = self._seconds()
        settled_at = (self._read[0][1] if self._read else now) + SETTLE_SECONDS
        if self._asked_at is None or self._asked_at < settled_at:
            if now < settled_at:
                return None
            self._ends, self._asked_at = self._ask(), now
        return self._ends
