"""Send what waits in the outbox: at least once, in order; what was acknowledged is marked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.ports import EventSink, Outbox
from verifier.ports import Clock

_BATCH = 500


@dataclass(slots=True)
class RelayService:
    """`every_seconds` between looks while nothing waits."""

    outbox: Outbox
    sink: EventSink
    clock: Clock
    every_seconds: float = 1.0
    sent: Callable[[int], None] = lambda count: None

    @property
    def name(self) -> str:
        return "relay"

    def tick(self, now: float) -> float:
        """Temporary while the sink is away; the events stay in the outbox."""
        waiting = self.outbox.pending(_BATCH)
        if not waiting:
            return self.every_seconds
        done = self.sink.send(waiting)
        if done:
            self.outbox.sent(done, self.clock.now())
            self.sent(len(done))
        return 0.0 if len(done) == len(waiting) else self.every_seconds

    def close(self) -> None:
        self.sink.close()
