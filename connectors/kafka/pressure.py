"""Which partitions are not read for now, so that what waits for its other half stays within bounds.

Rows wait for the END of their transaction, ENDs for their rows, and the two lie in different partitions, which a
client reads as they come. With too many rows waiting, or too large ones, only those partitions are read further that
can end the wait: the order of the transactions where no END is at hand, else the topics of the tables that the
transaction at the head touched, and of these not where so many rows wait: what the head lacks would lie before them,
and was lost. With too many ENDs waiting the order is not read further.

Rows that the connector sent again may wait for an END that was read before the stream began: for good, so that too many
wait for good. So where that lasts the order is read once more, from further `back`: such an END lets its rows go.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.naming import topic_of
from connectors.debezium.pending import VALUES_BYTES, Partition
from connectors.debezium.recent import REMEMBERED
from connectors.kafka.port import Consumer

ENDS_MAX = 5_000
_LASTS_SECONDS = 2.0
_AGAIN_SECONDS = 120.0
_BACK = 2 * REMEMBERED
"""Messages of the order: a BEGIN and an END of as many transactions as are remembered."""


class Pressure:
    """Pauses and resumes partitions of one consumer. `rows_max` rows may wait, which have `bytes_max` bytes together,
    and `ends_max` ENDs."""

    def __init__(
        self,
        consumer: Consumer,
        prefix: str,
        order: Partition,
        *,
        rows_max: int,
        bytes_max: int = VALUES_BYTES,
        ends_max: int = ENDS_MAX,
    ) -> None:
        self._consumer = consumer
        self._prefix = prefix
        self._order = order
        self._rows_max = rows_max
        self._bytes_max = bytes_max
        self._ends_max = ends_max
        self.paused: set[Partition] = set()
        self._doubtful_at: float | None = None  # when the order is to be read once more
        self._again_to = 0  # and what of it is being read

    def assigned(self) -> None:
        """The client was told anew what to read, and reads all of it."""
        self.paused = set()

    def lasts(self, assembler: TransactionAssembler, now: float) -> bool:
        """Whether the order must be read once more. `now`: seconds."""
        if not self.crowded(assembler):
            self._doubtful_at = None
        elif self._doubtful_at is None:
            self._doubtful_at = now + _LASTS_SECONDS
        return self._doubtful_at is not None and now >= self._doubtful_at

    def back(self, at: int, now: float) -> int:
        """It is read once more now, having been read to `at`: from there, or from before."""
        self._doubtful_at, self._again_to = now + _AGAIN_SECONDS, at
        return max(at - _BACK, 0)

    def ease(self, assembler: TransactionAssembler, positions: Mapping[Partition, int]) -> None:
        """Pause what makes it worse, resume the rest."""
        wanted = self._to_pause(assembler, positions.keys())
        if positions.get(self._order, 0) < self._again_to:
            wanted.discard(self._order)  # nothing of it waits again
        if wanted - self.paused:
            self._consumer.pause(wanted - self.paused, True)
        if self.paused - wanted:
            self._consumer.pause(self.paused - wanted, False)
        self.paused = wanted

    def crowded(self, assembler: TransactionAssembler) -> bool:
        """Whether too many rows wait, or too large ones: all that cannot end the wait stands still."""
        return assembler.held.kept > self._rows_max or assembler.held.bytes > self._bytes_max

    def _to_pause(self, assembler: TransactionAssembler, places: Collection[Partition]) -> set[Partition]:
        # What was fetched ahead is thrown away by each pause: so the order is not resumed as soon as it may be.
        ends_max = self._ends_max // 2 if self._order in self.paused else self._ends_max
        found = {self._order} if len(assembler) > ends_max else set()
        if not self.crowded(assembler):
            return found
        head = assembler.stuck()
        if head is None:
            return found | (set(places) - {self._order})
        topics = {topic_of(self._prefix, name) for name, _ in head.by_table}
        data = set(places) - {self._order}
        awaited = {place for place in data if place[0] in topics} or data
        full = {place for place in awaited if assembler.held.waiting(place) > self._rows_max}
        return found | (data - awaited) | full
