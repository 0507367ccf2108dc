"""Why a table cannot be verified: a sentence for people, and its kind, by which tables are counted."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, TrueupError, Unreachable


class Doubt(enum.Enum):
    """Kinds of reasons beside those of the change stream (`verifier.change.Cause`)."""

    NO_KEY = "no_key"
    INCOMPARABLE = "incomparable"
    SCHEMA = "schema"  # the table is not there, or cannot be described
    FORBIDDEN = "forbidden"
    UNREACHABLE = "unreachable"
    CANCELLED = "cancelled"
    MOVING = "moving"  # keys stay in flight, however often they are looked at
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Unverified:
    """Something of a table could be called neither equal nor different."""

    why: str
    doubt: Doubt

    @classmethod
    def by(cls, problem: TrueupError) -> Unverified:
        """Because asking for it ended so."""
        return cls(str(problem), of_error(problem))


def of_error(problem: TrueupError) -> Doubt:
    """What may pass and is no silence is a statement that was ended: by a time limit, or for a lock."""
    for kind, doubt in (
        (Forbidden, Doubt.FORBIDDEN),
        (Unreachable, Doubt.UNREACHABLE),
        (Temporary, Doubt.CANCELLED),
        (Misconfigured, Doubt.OTHER),
        (Permanent, Doubt.SCHEMA),
    ):
        if isinstance(problem, kind):
            return doubt
    return Doubt.OTHER
