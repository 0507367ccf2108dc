"""When to look again at what was touched: in rounds, so that a busy leader's changes are looked at together.

A statement costs the servers much the same for one key as for some hundred, and a key that changed ten times within a
round is looked at once. All followers' rounds begin at the same moments, multiples of the interval, so that one read
of the leader can serve them all. Where nothing was looked at lately the first change begins a round at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_LONGEST = 4.0


@dataclass(slots=True)
class Rounds:
    """`every_seconds`: least time from one round to the next (0: no rounds, whatever is due is looked at); `share`:
    the part of the time that looking may take: where servers are slow or tables are many, rounds are further apart, up
    to four times."""

    every_seconds: float = 0.0
    share: float = 1.0
    _next_at: float = -math.inf

    def due(self, now: float) -> bool:
        return now >= self._next_at

    def until(self, began: float) -> float:
        """Keys that are due by then belong to the round that begins now."""
        return began if self.every_seconds else math.inf

    def number(self, began: float) -> int:
        """The same for all rounds that begin within one interval."""
        return math.floor(began / self.every_seconds + 1e-6) if self.every_seconds else 0

    def ended(self, began: float, now: float) -> None:
        """A round that began then has looked at what was due."""
        if not self.every_seconds:
            return
        # Never the multiple at which it began: that one may be a hair's breadth ahead of a rounded clock.
        multiple = (math.floor(began / self.every_seconds + 1e-6) + 1) * self.every_seconds
        rested = now + (now - began) * (1.0 / self.share - 1.0)
        self._next_at = min(max(multiple, rested), began + _LONGEST * self.every_seconds)

    def wait(self, now: float) -> float:
        """Seconds until the next round may begin."""
        return max(0.0, self._next_at - now)
