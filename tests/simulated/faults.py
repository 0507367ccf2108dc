"""Faults as wrappers of the Protocols: every call may fail before it did anything, or after it did everything.

The second kind finds the bugs: it worked, and the caller was told that it failed. `Crash` is the process killed at that
instruction; nobody but the driver of the simulation catches it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Generic, TypeVar

from connectors.memory.clock import VirtualClock
from verifier.errors import Temporary

T = TypeVar("T")


class Crash(BaseException):
    """The process is killed here."""


@dataclass(slots=True)
class Faults:
    """How often a call fails (`temporary`), hangs for its time limit and fails (`hang`), or kills (`crash`)."""

    random: Random
    clock: VirtualClock
    temporary: float = 0.0
    hang: float = 0.0
    crash: float = 0.0

    def strike(self, where: str, *, only_crash: bool = False) -> None:
        chance = self.random.random()
        if chance < self.crash:
            raise Crash(where)
        chance -= self.crash
        if only_crash:
            return
        if chance < self.temporary:
            raise Temporary(f"{where}: the connection was lost")
        if chance - self.temporary < self.hang:
            self.clock.sleep(2.0)
            raise Temporary(f"{where}: nothing came within the time limit")

    def off(self) -> None:
        self.temporary = self.hang = self.crash = 0.0


class Faulty(Generic[T]):
    """Anything, with faults around each call. Attributes that are not called come through as they are."""

    def __init__(self, wrapped: T, faults: Faults) -> None:
        self._wrapped = wrapped
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        return self._struck(name, found) if callable(found) else found

    def _struck(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        where = f"{type(self._wrapped).__name__}.{name}"

        def struck(*given: Any, **named: Any) -> Any:
            self._faults.strike(f"before {where}")
            answer = call(*given, **named)
            # A poll that fails has taken nothing from the source: streams answer for that themselves.
            self._faults.strike(f"after {where}", only_crash=name == "poll")
            return answer

        return struck
