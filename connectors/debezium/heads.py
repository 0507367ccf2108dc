"""ENDs that wait, in commit order.

Some count only the last ones of their rows (`Ended.partial`). MariaDB's connector, if it goes on in the middle of a
transaction after a restart, says BEGIN again and counts anew (`Source.recounts`; seen with 3.5.0: a transaction of four
rows came as BEGIN, rows 1 and 2, and after the restart BEGIN, rows 1 and 2, END of two; another as BEGIN, rows 1 to 4,
BEGIN, END of none). What came before was on the broker by then: the connector goes on behind what the broker has
confirmed. So such a transaction is whole once all that was sent before its END has been read. No other BEGIN stands
between its own: whoever goes back further sends it whole.
"""

from __future__ import annotations

from collections import deque

from connectors.debezium.event import End, Ended
from connectors.debezium.source import Source, TransactionId
from connectors.debezium.unread import UnreadMessages
from connectors.debezium.waiting import WaitingRows, rows_lacking
from verifier.position import Position


class Heads(deque[Ended]):
    """The first is the head. `torn`: ids were left out, and nobody told whether for good. `begun_at`: the offset of the
    first BEGIN of a transaction that has not ended; None where there is none, or it does not matter."""

    def __init__(self, source: Source, held: WaitingRows, unread: UnreadMessages, *, torn: bool) -> None:
        super().__init__()
        self._source, self._held, self._unread = source, held, unread
        self.torn = torn
        self._fence: tuple[Position, Position] | None = None
        self.begun_at: int | None = None
        self._begun: TransactionId | None = None
        self._again = False
        self._whole_to = 0

    def begin(self, xid: TransactionId, offset: int) -> None:
        """A BEGIN lies there."""
        if not self._source.recounts:
            return
        if self.begun_at is not None and self._begun == xid:
            self._again = True
        else:
            self._begun, self.begun_at, self._again = xid, offset, False

    def end(self, event: End, newest: Position | None, offset: int, *, known: bool) -> None:
        """An END lies there; `newest` is everything before it, and `known` whether it ended before."""
        begun_at = self.begun_at if self._again and self._begun == event.xid else None
        self.begun_at, self._again = None, False
        if known:
            return
        source, commit = self._source, event.commit
        behind, through = source.passed_over(newest, commit), source.after(newest, commit)
        self.torn = self.torn or (behind and source.fence is not None)
        if self._fence is not None and not self._fence[1].covers(commit):
            whole = source.after(through, self._fence[0])
            behind, through, self._fence = behind or whole != through, whole, None
        partial = begun_at is not None
        self.append(Ended(event, through, offset if begun_at is None else begun_at, offset, behind, partial))

    def fenced(self, low: Position, high: Position) -> None:
        """The leader told these (`Source.fence`): what stands behind `high` stands behind all of `low`."""
        self._fence, self.torn = (low, high), False

    def lacking(self) -> int | None:
        """Where the first lies whose rows have not all come, nor messages that nobody understands in their place; None
        where none does, or numbers cannot be left out."""
        if self._source.linear:
            return None
        pending = self._held.pending
        for one in self:
            if one.at < self._whole_to:
                continue
            lacking = rows_lacking(one.end, pending.get(one.end.xid))
            if lacking > 0 and not (self._unread and self._unread.enough(one.end, lacking)):
                return one.at
            self._whole_to = one.at + 1
        return None

    @property
    def cut(self) -> int | None:
        """Where in the transaction topic a restart must begin to read; None: behind all that was read."""
        return self[0].offset if self else self.begun_at
