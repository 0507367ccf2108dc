"""What the operator allows: frozen values, made by `config`, obeyed by `plan`, `guard` and `repairing`.

The defaults write nothing: plans are made, shown and announced, and somebody approves and applies them by hand.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Mode(enum.Enum):
    """How far trueup goes by itself. Each mode includes the one before it."""

    OFF = "off"  # no plans
    PROPOSE = "propose"  # plans and their events; nothing is ever written, other systems act on the events
    APPROVE = "approve"  # a person approves, trueup applies what was approved
    APPLY = "apply"  # plans are approved by this policy and applied within the budgets


@dataclass(frozen=True, slots=True)
class RepairPolicy:
    """`dry_run`: say what would be written and write nothing.

    Budgets: at most `per_run` repairs in one call, `per_hour` applied in the last 3600 seconds, and no repair in a
    table of which more than `table_share` (0 to 1) of the estimated rows differ, unless they are no more than
    `share_floor` rows: so much drift means a broken follower, which is rebuilt and not mended row by row.

    `stop_on_failure`: the first repair that the server refuses ends the call, for it is a surprise.
    `fire_triggers`: let the follower's own triggers and foreign keys run; otherwise they are switched off as
    replication itself does, where the login may do so.
    """

    mode: Mode = Mode.PROPOSE
    dry_run: bool = True
    per_run: int = 100
    per_hour: int = 1_000
    table_share: float = 0.01
    share_floor: int = 100
    stop_on_failure: bool = True
    fire_triggers: bool = False
