"""Time that passes only when somebody says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from connectors.memory.replica import nothing


@dataclass(slots=True)
class VirtualClock:
    """Seconds since the epoch; `sleep` moves it and lets the world happen meanwhile."""

    at: float = 1_700_000_000.0
    happen: Callable[[], None] = nothing

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += max(0.0, seconds)
        self.happen()
