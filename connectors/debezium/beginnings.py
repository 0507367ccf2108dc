"""Where the connector did not go on where it had been, so that what was committed in between is told by nobody.

A connector that begins anew (its offsets or its slot are gone) says so twice, if its mode allows: it takes a snapshot,
and the events of the first transaction that it then sends name no commit before their own (`Source.anew`). What was
lost lies before that transaction. So the stream is a gap when a snapshot is seen, and once more with the first
transaction from behind it: until then nobody knows what lies where looks may stand. A snapshot from before the present
at which the stream began is none: all was unknown then. Until the hole has ended a restart must see the snapshot again
(`seen_at`): whoever began behind it would not know of the hole.

One snapshot has as many rows as its tables; they are told apart from those of another one by where the log stood when
it was taken, and where rows do not say that, by asking the leader.
"""

from __future__ import annotations

from collections.abc import Callable

from connectors.debezium.event import TOOK_A_SNAPSHOT, RowEvent, Statement
from connectors.debezium.pending import Partition
from connectors.debezium.source import TransactionId
from verifier.change import Blindness, Cause
from verifier.position import Position

BEGAN_ANEW = Blindness(Cause.GAP, None, "the connector began anew: nobody tells what was committed before")


class Beginnings:
    """Of one connector. `ask`: where the leader's log stands; None where snapshots say it."""

    def __init__(self, ask: Callable[[], Position] | None) -> None:
        self._ask = ask
        self._anew: set[TransactionId] = set()
        self._through: Position | None = None  # what was lost lies at or before it
        self._seen: tuple[Partition, int] | None = None  # of it; no transaction from behind it was delivered yet

    @property
    def seen_at(self) -> tuple[tuple[Partition, int], ...]:
        """Where the latest message of the snapshot lies whose hole has not ended; nothing if there is none."""
        return () if self._seen is None else (self._seen,)

    @property
    def quiet(self) -> bool:
        """Whether `delivered` has nothing to tell, but of the first transaction of a present."""
        return self._seen is None and not self._anew

    def present(self, at: Position) -> None:
        """The stream begins there, and nothing is known of what lies before."""
        self._through = at

    def row(self, event: RowEvent) -> None:
        """A row of a transaction that was not delivered before."""
        if event.anew:
            self._anew.add(event.xid)

    def forget(self, xid: TransactionId) -> None:
        self._anew.discard(xid)

    def snapshot(
        self, event: Statement, partition: Partition, offset: int, delivered: Position
    ) -> tuple[Blindness, ...]:
        """What is told of a row or a statement of a snapshot, which lies there. Errors as from `ask`."""
        known, through = self._through, event.through
        if self._seen is not None:
            if through is not None and known is not None and not known.covers(through):
                self._through = through
            if through is None or through == self._through:
                self._seen = partition, offset
            return ()
        if through is not None and known is not None and known.covers(through):
            return ()
        if through is None and self._ask is not None:
            through = self._ask()
        self._through = through
        self._seen = (partition, offset) if through is None or not delivered.covers(through) else None
        return (TOOK_A_SNAPSHOT,)

    def delivered(self, xid: TransactionId | None, commit: Position, *, first: bool = False) -> tuple[Blindness, ...]:
        """What is told with a transaction that is delivered now, behind others or as the `first` of the present."""
        if first:
            self.present(commit)
        elif xid is not None and xid in self._anew:
            self._seen = None
            return (BEGAN_ANEW,)
        elif self._seen is not None and (self._through is None or not self._through.covers(commit)):
            self._seen = None
            return (TOOK_A_SNAPSHOT,)
        return ()
