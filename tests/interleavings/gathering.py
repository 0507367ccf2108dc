"""What rules have in common that ask several questions by name, in threads of which each keeps its order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Gathered:
    """Answers by question."""

    answers: tuple[tuple[str, Any], ...] = ()

    def get(self, name: str) -> Any:
        return dict(self.answers).get(name)

    def __getitem__(self, name: str) -> Any:
        return dict(self.answers)[name]


class Gathering(ABC):
    """A rule whose state is what it has gathered. `asks` says what each question sees of the world."""

    __slots__ = ()

    def start(self) -> Gathered:
        return Gathered()

    def sees(self, state: Hashable) -> tuple[Any, ...]:
        assert isinstance(state, Gathered)
        return tuple(self.asks(name) for name in self.following(state))

    def named(self, state: Gathered, what: object) -> str:
        """The question that is answered by what was seen."""
        return next(name for name in self.following(state) if self.asks(name) == what)

    @abstractmethod
    def asks(self, name: str) -> object: ...

    @abstractmethod
    def following(self, state: Gathered) -> list[str]:
        """The next question of each thread that is not through."""


def unanswered(state: Gathered, *threads: tuple[str, ...]) -> list[str]:
    """The first question of each thread that has no answer yet."""
    return [name for thread in threads if (name := next((n for n in thread if state.get(n) is None), None))]
