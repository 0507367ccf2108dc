"""Which partitions are not read for now, so that what waits for its other half stays within bounds.

Rows wait for the END of their transaction, ENDs for their rows, and the two lie in different partitions, which a
client reads as they come. With too many rows waiting, or too large ones, only those partitions are read further that
can end the wait: the order of the transactions where no END is at hand, else the topics of the tables that the
transaction at the head touched, and of these not where so many rows wait: what the head lacks would lie before them,
and was lost. With too many ENDs waiting the order is not read further.
"""

from __future__ import annotations

from collections.abc import Collection

from connectors.debezium.assembly import TransactionAssembler
from connectors.debezium.naming import topic_of
from connectors.debezium.pending import VALUES_BYTES, Partition
from connectors.kafka.port import Consumer

ENDS_MAX = 5_000


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

    def assigned(self) -> None:
        """The client was told anew what to read, and reads all of it."""
        self.paused = set()

    def ease(self, assembler: TransactionAssembler, places: Collection[Partition]) -> None:
        """Pause what makes it worse, resume the rest."""
        wanted = self._to_pause(assembler, places)
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
