"""One look at one server: what was read, and everything needed to judge it later.

A look is one statement. On a leader `view` says which transactions it saw. On a follower `low` and `high` are
the applied positions, in the leader's coordinates, before and after the statement. Which of the two bounds is
exact differs per kind of follower (`Publishes`): a physical standby shows a transaction before it publishes
the position, a logical subscriber publishes first.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from verifier.position import Position
from verifier.table import Value
from verifier.view import View

T = TypeVar("T")


class Role(enum.Enum):
    """What a replica is to its group."""

    LEADER = "leader"
    STANDBY = "standby"  # applies the leader's physical log
    SUBSCRIBER = "subscriber"  # applies the leader's changes as local transactions


class Publishes(enum.Enum):
    """In which order a follower shows a transaction and publishes its position (live-verification 2.7)."""

    AFTER_SHOWING = "after showing"  # standby: `high` may be one transaction too low
    BEFORE_SHOWING = "before showing"  # subscriber: `low` may be one transaction too high
    TOGETHER = "together"  # a watermark row read in the same statement: both bounds exact
    ROW_BY_ROW = "row by row"  # a sink: both bounds exact, and what lies between may be shown in part

    @property
    def exact(self) -> bool:
        """Is no transaction but those between `low` and `high` in doubt?"""
        return self in (Publishes.TOGETHER, Publishes.ROW_BY_ROW)


class Proviso(Protocol):
    """What must be found out before a look may be judged, beside what the rule itself asks for."""

    def refused(self) -> str:
        """Why the look can never be judged; '' if it may be."""
        ...

    def lacking(self) -> str:
        """What is not known yet; '' if nothing is missing. Then `refused` is final."""
        ...


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """`value` as one statement saw it, between the positions `low` and `high` (equal on a leader's look). With a
    `proviso` these are true bounds only if it holds."""

    value: T
    low: Position
    high: Position
    view: View
    proviso: Proviso | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its values as text by column name, its digest, and its version on that server.

    Two looks that find the same `version` at the same key found the very same row version, unchanged in between
    (PostgreSQL: xmin and ctid). None where the engine has no row versions.
    """

    values: Mapping[str, Value]
    digest: int
    version: str | None
