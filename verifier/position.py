"""How far a log has been written, read or applied.

Positions are compared by `covers` and never by `<`: two GTID sets may each contain transactions
that the other lacks. Every kind has one text form, which `parse` reads back, so that the journal,
reports and events can carry positions without knowing the engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Position(Protocol):
    """A point in a leader's log; partially ordered by `covers`."""

    def covers(self, other: Position, /) -> bool:
        """True if everything at or below `other` is at or below this position too."""
        ...

    def text(self) -> str:
        """The text that `parse` reads back, prefixed with the kind, for example `lsn:0/16B3748`."""
        ...


@dataclass(frozen=True, slots=True, order=False)
class Lsn:
    """A PostgreSQL log sequence number (bytes since the cluster was made), written by the server as `16/B374D848`."""

    value: int

    @classmethod
    def parse(cls, text: str) -> Lsn:
        """Read the server's form; ValueError if it is not two hexadecimal numbers around a slash."""
        high, slash, low = text.partition("/")
        if not slash:
            raise ValueError(f"not a log sequence number: {text!r}")
        return cls(int(high, 16) << 32 | int(low, 16))

    def covers(self, other: Position, /) -> bool:
        return isinstance(other, Lsn) and self.value >= other.value

    def text(self) -> str:
        return f"lsn:{self}"

    def __str__(self) -> str:
        return f"{self.value >> 32:X}/{self.value & 0xFFFFFFFF:X}"


@dataclass(frozen=True, slots=True)
class Tick:
    """A position in a log that counts: the in-memory world, a watermark row, any single sequence."""

    value: int

    def covers(self, other: Position, /) -> bool:
        return isinstance(other, Tick) and self.value >= other.value

    def text(self) -> str:
        return f"tick:{self.value}"

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True)
class Nowhere:
    """No position: the server has no log that would tell one. Covers nothing, and nothing covers it."""

    def covers(self, other: Position, /) -> bool:
        return False

    def text(self) -> str:
        return "none:"

    def __str__(self) -> str:
        return "none"


NOWHERE = Nowhere()


def of_one_log(one: Position, other: Position) -> bool:
    """Could the two be positions in the same log? Those of PostgreSQL and counted ones never are with another kind."""
    kinds = (Lsn, Tick)
    return [isinstance(one, kind) for kind in kinds] == [isinstance(other, kind) for kind in kinds]


def parse(text: str) -> Position:
    """The position that `text()` wrote; ValueError for an unknown kind."""
    kind, _, rest = text.partition(":")
    if kind == "lsn":
        return Lsn.parse(rest)
    if kind == "tick":
        return Tick(int(rest))
    if kind == "none":
        return NOWHERE
    from verifier import gtid  # which needs what is above

    found = gtid.parse(kind, rest)
    if found is None:
        raise ValueError(f"unknown kind of position: {text!r}")
    return found
