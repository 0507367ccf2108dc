"""Repairs, refusals, and the life of a repair.

A repair is an intention to correct one key on one follower; it is applied as compare-and-set: the follower's row
must still be what the plan saw (`expected`), and the leader's row must still be what the plan wants (`wanted`).

    planned ── approve ──> approved ── begin ──> applying ──> applied ── later look ──> verified
       │                      │                     │  └──────────┴──────────────────> failed
       ├── reject ──> rejected<┤                    │
       └── stale ───> superseded<───────────────────┘

    verified ── undo ──> undoing ──> undone
        ^───────────────────┘ the row is no longer what the repair wrote

`applying` and `undoing` are intentions, written before the follower is: whoever is killed between the two finds it
again and asks the follower what became of it (`reconciler.applying`, `reconciler.undoing`). `reconciler.progress` is
the table of these moves.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace

from verifier.drift import Kind
from verifier.identity import stable_id
from verifier.table import Key, TableName, Value


class Action(enum.Enum):
    """What brings the follower's row to the leader's."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class State(enum.Enum):
    PLANNED = "planned"
    APPROVED = "approved"
    APPLYING = "applying"
    APPLIED = "applied"
    VERIFIED = "verified"
    FAILED = "failed"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    UNDOING = "undoing"
    UNDONE = "undone"


class RefusalReason(enum.Enum):
    STANDBY = "a physical standby cannot be written"
    NOT_PROVEN = "the drift is probable, not proven"
    LEADER_MOVED = "the leader's row changed since"
    FOLLOWER_MOVED = "the follower's row changed since"
    NO_LONGER_DIFFERENT = "both sides are equal now"
    OVER_BUDGET = "the repair budget is spent"
    POLICY = "the policy does not repair this table"
    NO_KEY = "the table has no key"
    ALREADY_TRIED = "the same repair failed or was rejected before"
    GENERATED = "only generated columns differ"
    NOT_COMPARED = "the table cannot be compared now"


@dataclass(frozen=True, slots=True)
class Outline:
    """A repair without its rows, which may be large: what is held of many. `id` follows from the drift and both rows,
    so planning twice gives the same repair."""

    id: str
    drift_id: str
    group: str
    follower: str
    table: TableName
    key: Key
    kind: Kind
    action: Action


@dataclass(frozen=True, slots=True)
class Repair(Outline):
    """`wanted`: the leader's row when planned (None: delete); `expected`: the follower's row (None: insert)."""

    wanted: Mapping[str, Value] | None
    expected: Mapping[str, Value] | None
    planned_at: float


def outline(repair: Outline) -> Outline:
    """Without the rows."""
    return Outline(
        repair.id,
        repair.drift_id,
        repair.group,
        repair.follower,
        repair.table,
        repair.key,
        repair.kind,
        repair.action,
    )


_INVERSE = {Action.INSERT: Action.DELETE, Action.UPDATE: Action.UPDATE, Action.DELETE: Action.INSERT}


def inverse(repair: Repair) -> Repair:
    """What brings the follower's row back to what it was before the repair, while it is what the repair wrote."""
    return replace(
        repair,
        id=stable_id("undo", repair.id),
        action=_INVERSE[repair.action],
        wanted=repair.expected,
        expected=repair.wanted,
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """The decision not to repair the drift of this key; `advice` says what a human can do."""

    drift_id: str
    table: TableName
    key: Key
    reason: RefusalReason
    advice: str
