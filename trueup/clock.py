"""The real clock, behind the core's Protocol."""

from __future__ import annotations

import time
from dataclasses import dataclass
from threading import Lock

SET_BACK_SECONDS = 0.5
"""Clocks of one machine run apart by less than that between two questions, unless somebody set one."""


class _TimeOfDay:
    """Where it is set back, it goes on from where it was: later looks stay later, and nobody waits for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._at, self._counted = time.time(), time.monotonic()

    def now(self) -> float:
        with self._lock:
            told, counted = time.time(), time.monotonic()
            steady = self._at + counted - self._counted
            self._at = max(told, self._at) if told > steady - SET_BACK_SECONDS else steady
            self._counted = counted
            return self._at


_TIME_OF_DAY = _TimeOfDay()


@dataclass(frozen=True, slots=True)
class SystemClock:
    """Seconds since the epoch, which never go back within a process, and real sleep."""

    def now(self) -> float:
        return _TIME_OF_DAY.now()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))
