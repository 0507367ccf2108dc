"""The brakes of a service that must not wait within its tick: it is told when to come back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from trueup.audit.brake import Braking, alike
from trueup.audit.progress import Silent
from verifier.brake import Held
from verifier.ports import Clock
from verifier.table import TableName

logger = logging.getLogger("trueup.scan")

AGAIN_SECONDS = 0.5
"""As often as servers are asked (`trueup.audit.brake`)."""


class Logged(Silent):
    """Whoever waits says so in the log."""

    def note(self, message: str) -> None:
        logger.info("scan held back", extra={"action": "throttled", "why": message})


@dataclass(slots=True)
class Throttle:
    """`told` gets seconds of waiting by kind of brake, while they pass. One thread at a time."""

    braking: Braking
    clock: Clock
    told: Callable[[str, float], None] = lambda kind, seconds: None
    _held: Held | None = None
    _counted_at: float = 0.0

    def wait(self, table: TableName, rows: int) -> float:
        """Seconds after which to ask again; at 0 the rows may be read, and `read` says how many there were. Errors as
        from the servers that are asked."""
        now = self.clock.now()
        if self._held is not None:
            self.told(self._held.kind, now - self._counted_at)
            self._counted_at = now
        held = self.braking.held(table)
        wait = AGAIN_SECONDS
        if held is None:
            wait = self.braking.spare(rows)
            held = Held("rate", "") if wait else None
        self._change(held, now)
        return wait if held is not None else 0.0

    def read(self, admitted: int, rows: int) -> None:
        """So many rows were admitted, and so many were read."""
        self.braking.read(admitted, rows)

    def _change(self, held: Held | None, now: float) -> None:
        before = self._held
        if before is not None and (held is None or not alike(before, held)):
            self.braking.leave(before)
        if held is not None and (before is None or not alike(before, held)):
            self.braking.enter(held)
            self._counted_at = now
        self._held = held
