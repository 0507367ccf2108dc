"""What one attempt to judge a key came to, and the shape of such an attempt.

A `Judging` is one attempt at one batch of keys, by one rule of evidence. It is re-entrant: `advance` does what can be
done now and says when to call it again, or gives every key's outcome. It never waits inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from verifier.drift import Difference, Evidence, Kind
from verifier.table import Key


@dataclass(frozen=True, slots=True)
class Equal:
    """Both sides were seen to hold the same value of the key (or neither holds it)."""


@dataclass(frozen=True, slots=True)
class Differs:
    """Drift, with what convinced us."""

    kind: Kind
    columns: Mapping[str, Difference]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Moving:
    """Not decidable by these looks: look again. `why` in words for people."""

    why: str


Outcome: TypeAlias = Equal | Differs | Moving


@dataclass(frozen=True, slots=True)
class Again:
    """Call `advance` again at `at` (seconds since the epoch) or later."""

    at: float


class Judging(Protocol):
    """One attempt at a batch of keys of one table on one follower. Temporary errors of the world leave it usable."""

    def advance(self, now: float) -> Again | Mapping[Key, Outcome]: ...


@runtime_checkable
class Holding(Protocol):
    """A `Judging` that makes others keep something for its open looks."""

    def abandon(self) -> None:
        """Let go of it: nobody will call `advance` again."""
        ...
