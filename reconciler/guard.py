"""May this repair be written now? Budgets and brakes, in one pure decision.

A repair that is held stays as it is and is asked about again later; nothing is lost by holding. The order of the
questions is the order in which a person would want the answers: brakes first, then what is spent.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TypeAlias

from reconciler.policy import Mode, RepairPolicy
from verifier.table import Table

HOUR_SECONDS = 3600.0


class Brake(enum.Enum):
    """What holds a repair back."""

    MODE = "the mode does not apply repairs"
    DRY_RUN = "dry run"
    RUN_BUDGET = "the budget of this run is spent"
    HOUR_BUDGET = "the budget of this hour is spent"
    TABLE_SHARE = "too much of the table differs"


@dataclass(frozen=True, slots=True)
class Spent:
    """What counts against the budgets: repairs applied by this call, applied in the last hour (this call's
    included), and the open drifts of the same table on the same follower."""

    in_run: int
    in_hour: int
    drifted_in_table: int


@dataclass(frozen=True, slots=True)
class Admitted:
    """The repair may be written now."""


@dataclass(frozen=True, slots=True)
class Held:
    """The repair may not be written now; `note` has the numbers and what to do."""

    brake: Brake
    note: str


Admission: TypeAlias = Admitted | Held


def admit(table: Table, spent: Spent, policy: RepairPolicy) -> Admission:
    """Whether one more repair of `table` may be written.

    The share is taken of the planner's estimate; a table without one is held to `share_floor` alone.
    """
    if policy.mode in (Mode.OFF, Mode.PROPOSE):
        return Held(Brake.MODE, f"mode is {policy.mode.value}; set it to approve or apply")
    if policy.dry_run:
        return Held(Brake.DRY_RUN, "a dry run")
    if spent.in_run >= policy.per_run:
        return Held(Brake.RUN_BUDGET, f"{spent.in_run} of {policy.per_run} repairs of one run are applied")
    if spent.in_hour >= policy.per_hour:
        return Held(Brake.HOUR_BUDGET, f"{spent.in_hour} of {policy.per_hour} repairs an hour are applied")
    return within_share(table, spent.drifted_in_table, policy) or Admitted()


def within_share(table: Table, drifted: int, policy: RepairPolicy) -> Held | None:
    """Held if more of the table differs than is repaired row by row."""
    allowed = max(policy.share_floor, int((table.estimated_rows or 0) * policy.table_share))
    if drifted <= allowed:
        return None
    rows = "unknown" if table.estimated_rows is None else f"about {table.estimated_rows}"
    return Held(
        Brake.TABLE_SHARE,
        f"{table.name}: {drifted} rows differ, at most {allowed} are repaired row by row "
        f"(rows in the table: {rows}); find the cause, and rebuild the table or the follower instead",
    )
