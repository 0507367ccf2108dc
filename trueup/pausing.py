"""What an operator has paused, as known lately: the journal is asked at most twice a second, whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from verifier.errors import Temporary
from verifier.journal import Pause, PauseJournal
from verifier.ports import Clock
from verifier.table import TableName

FRESH_SECONDS = 0.5


@dataclass(slots=True)
class Pauses:
    """For several threads. While the journal does not answer, what was known last stands."""

    journal: PauseJournal
    clock: Clock
    _known: Sequence[Pause] = ()
    _asked_at: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, table: TableName | None) -> Pause | None:
        """The pause that holds for the table (None: for the whole group)."""
        return next((one for one in self._lately() if one.table is None or one.table == table), None)

    def known(self) -> Sequence[Pause]:
        """Every pause as known last; asks nobody."""
        return self._known

    def why(self, table: TableName) -> str | None:
        """In words, for who waits; None: go on."""
        pause = self.of(table)
        return None if pause is None else said(pause)

    def _lately(self) -> Sequence[Pause]:
        now = self.clock.now()
        with self._lock:
            if self._asked_at is not None and 0 <= now - self._asked_at < FRESH_SECONDS:
                return self._known
            self._asked_at = now
        try:
            self._known = tuple(self.journal.paused())
        except Temporary:
            return self._known
        return self._known


def said(pause: Pause) -> str:
    """`orders was paused by ann at 10:00:00Z; go on with: trueup resume`."""
    what = "the group" if pause.table is None else str(pause.table)
    at = datetime.fromtimestamp(pause.since, tz=UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{what} was paused by {pause.actor} at {at}; it goes on with: trueup resume"
