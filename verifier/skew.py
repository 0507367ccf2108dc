"""How far another clock is ahead of ours, as far as what happened in between two of our own moments tells.

Something that was stamped with the other clock happened between two moments of ours. So the other clock is ahead by at
least the stamp less the later one, and at most the stamp less the earlier one. Many such bounds narrow each other.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

_KEPT = 64
_NOTICED_SECONDS = 0.25


@dataclass(slots=True)
class Skew:
    """Bounds of the last while. A clock that is set makes bounds contradict each other: then the latest one counts."""

    _bounds: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def note(self, stamp: float, earliest: float, latest: float) -> None:
        """The other clock said `stamp` between these two moments of ours (seconds)."""
        self._bounds.append((stamp - latest, stamp - earliest))
        low, high = self._narrowed()
        if low > high:
            newest = self._bounds[-1]
            self._bounds.clear()
            self._bounds.append(newest)

    @property
    def ahead(self) -> float:
        """Seconds that the other clock is ahead of ours for sure (behind: negative); 0.0 if both may agree."""
        if not self._bounds:
            return 0.0
        low, high = self._narrowed()
        sure = low if low > 0 else min(high, 0.0)
        return sure if abs(sure) >= _NOTICED_SECONDS else 0.0

    def _narrowed(self) -> tuple[float, float]:
        return max(low for low, _ in self._bounds), min(high for _, high in self._bounds)
