"""Which transactions were delivered lately: their rows and ENDs come again when the connector goes back."""

from __future__ import annotations

from collections import OrderedDict

from connectors.debezium.event import End
from connectors.debezium.source import Source, TransactionId
from verifier.change import Blindness, Cause
from verifier.position import Position

REMEMBERED = 65_536


class Recent(OrderedDict[TransactionId, Position]):
    """Commits by transaction. Every transaction delivered above `floor` is here; None: nothing was delivered yet."""

    def __init__(self, source: Source, floor: Position | None) -> None:
        super().__init__()
        self._source = source
        self.floor = floor

    def add(self, xid: TransactionId, commit: Position) -> None:
        self[xid] = commit
        if len(self) > REMEMBERED:
            _, forgotten = self.popitem(last=False)
            self.floor = self._source.after(self.floor, forgotten)

    def below(self, commit: Position) -> bool:
        """Whether all that is known of it is that it came before those that are remembered."""
        return self.floor is not None and self.floor.covers(commit)

    def denied(self, end: End) -> tuple[Blindness, ...]:
        """What is told of an END at or below what was delivered: a gap, if that very transaction was not."""
        if self.floor is None or self.below(end.commit) or self.get(end.xid) == end.commit:
            return ()
        detail = f"transaction {end.xid} at {end.commit} comes after later ones: was the leader restored or replaced"
        return (Blindness(Cause.GAP, None, detail),)
