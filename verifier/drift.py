"""Suspects, drift, verdicts.

A scan never finds drift. It finds *suspects*: keys that looked different once. A suspect becomes drift only by
one of the rules of evidence (`verifier.visibility`, `verifier.bracket`, `verifier.stillness`), and the finding
carries what convinced us.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from verifier.digest import Digest
from verifier.errors import Unsound
from verifier.packed import PackedDigests
from verifier.table import Key, TableName, Value


class Kind(enum.Enum):
    MISSING = "missing"  # on the leader, absent from the follower
    EXTRA = "extra"  # on the follower, absent from the leader
    MISMATCHED = "mismatched"  # on both, with different contents


class Certainty(enum.Enum):
    PROVEN = "proven"
    PROBABLE = "probable"


class Method(enum.Enum):
    VISIBILITY = "visibility"  # DESIGN 3.1
    BRACKETED = "bracketed"  # DESIGN 3.2
    SNAPSHOT = "snapshot"  # DESIGN 3.3
    REPEATED = "repeated"  # DESIGN 3.2, last sentence


class Verdict(enum.Enum):
    MATCH = "match"
    DRIFT = "drift"
    UNVERIFIED = "unverified"


class DriftCause(enum.Enum):
    """Why a follower's row differs, as far as its history on the leader tells (`verifier.cause`)."""

    LOST = "lost"  # a change of the leader never took effect
    DOUBLED = "doubled"  # a change took effect twice
    REORDERED = "reordered"  # an older change took effect after a newer one
    ALTERED = "altered"  # a change arrived with values that the leader never had
    ROGUE = "rogue"  # somebody else wrote it on the follower
    UNKNOWN = "unknown"  # the history is too short, or several causes explain it


@dataclass(frozen=True, slots=True)
class Evidence:
    """How a verdict was reached: `positions` names each position that the rule used, as text."""

    certainty: Certainty
    method: Method
    positions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """One column's value on both sides, as text; None is NULL."""

    leader: Value
    follower: Value


@dataclass(frozen=True, slots=True)
class Suspect:
    """A key that differed once. Not evidence: the follower may only be late."""

    table: TableName
    key: Key
    kind: Kind


@dataclass(frozen=True, slots=True)
class Drift:
    """A key shown to differ. `columns` holds the differing columns of a mismatched row, the whole row otherwise.

    `id` is deterministic: the same follower, table and key give the same id (`verifier.identity.drift_id`).
    `found_at` is seconds since the epoch. `cause` is None until somebody has looked into it; `since` is the position of
    the leader's change at fault, as text, where it is known.
    """

    id: str
    group: str
    follower: str
    table: TableName
    key: Key
    kind: Kind
    columns: Mapping[str, Difference]
    evidence: Evidence
    found_at: float
    cause: DriftCause | None = None
    since: str | None = None


def differing(leader: Mapping[Key, int], follower: Mapping[Key, int]) -> Iterator[tuple[Key, Kind]]:
    """Each key on which the two sides disagree. Matched by key, never by order: engines collate differently.
    Packed digests are compared as they are, row by row where rows share a key (`extra` then: the follower has more rows
    of it); Permanent if only one side is packed and has such rows, since a mapping hides them."""
    if isinstance(leader, PackedDigests) and isinstance(follower, PackedDigests):
        compared = leader.compare(follower)
        if compared is not None:
            for keys, kind in zip(compared, (Kind.MISMATCHED, Kind.MISSING, Kind.EXTRA), strict=True):
                yield from ((key, kind) for key in keys)
            return
    for key, row in leader.items():
        if key not in follower:
            yield key, Kind.MISSING
        elif follower[key] != row:
            yield key, Kind.MISMATCHED
    for key in follower.keys() - leader.keys():
        yield key, Kind.EXTRA


def told_apart(leader: Mapping[Key, int], follower: Mapping[Key, int]) -> dict[Key, Kind]:
    """The keys on which the two sides disagree. None is a proof that they hold the same rows, so Unsound if the digests
    of these very rows are not equal: something was lost between the rows and their keys."""
    found = dict(differing(leader, follower))
    if not found and digest_of(leader) != digest_of(follower):
        raise Unsound(
            f"rows of the two sides add up to {digest_of(leader)} and {digest_of(follower)}, and no key differs; "
            "nothing is concluded from them (please report this)"
        )
    return found


def digest_of(rows: Mapping[Key, int]) -> Digest:
    """Count and sum of row hashes."""
    return rows.digest() if isinstance(rows, PackedDigests) else Digest.of(rows.values())
