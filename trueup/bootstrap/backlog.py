"""How much of the stream has not been read yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from verifier.change import Batch

_BACKLOG_SECONDS = 5.0


@dataclass(slots=True)
class Backlog:
    """Messages of the stream not read yet, asked now and then by the thread that owns the stream (its client allows no
    other). None: not a matter of messages."""

    ask: Callable[[], int | None] = lambda: None
    messages: int | None = None
    _asked_at: float = 0.0

    def batch(self, batch: Batch, now: float) -> None:
        """A `StreamWatcher`."""
        if now - self._asked_at >= _BACKLOG_SECONDS:
            self._asked_at, self.messages = now, self.ask()
