"""From a drift and both rows, freshly read, to a repair or a refusal. Pure, and always `leader_wins`.

The drift says how the rows differed when a rule of evidence judged them. What is repaired is what is there now, so
both rows are read again by the caller and are arguments here. If they are no longer what the evidence spoke of, the
proof does not cover them (the follower may only be late now), and the answer is to look again, not to write.

The repair's id follows from the drift and both rows: planning twice gives the same repair, other rows another one. Of
columns that are not to be told neither holds more than the mask, because a value can be guessed from its hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from reconciler.policy import Mode, RepairPolicy
from reconciler.repair import Action, Refusal, RefusalReason, Repair
from reconciler.rows import only, writable
from verifier.canonical import differing_columns
from verifier.drift import Certainty, Drift, Kind
from verifier.excerpt import Hide, characters_kept, kept
from verifier.identity import key_text, stable_id
from verifier.look import Role, Row
from verifier.table import Table, Value

_ACTIONS = {Kind.MISSING: Action.INSERT, Kind.EXTRA: Action.DELETE, Kind.MISMATCHED: Action.UPDATE}


def propose(
    drift: Drift,
    leader_row: Row | None,
    follower_row: Row | None,
    *,
    table: Table,
    follower_role: Role,
    policy: RepairPolicy,
    now: float,
    hide: Hide | None = None,
) -> Repair | Refusal:
    """What brings the follower's row to the leader's, or why nothing shall.

    `hide` is how findings of this table hide values (None: not at all), so that fresh rows can be compared with them.
    `table` is the follower's description with the columns that are compared: others are neither read nor written.
    A row is None where there is none. Raises KeyError if a row lacks a column of `table`.
    """
    refused = refused_unread(drift, table, follower_role, policy)
    refused = refused or _refused(drift, table, leader_row, follower_row, hide)
    if refused is not None:
        return refused
    wanted = None if leader_row is None else writable(table, leader_row.values)
    expected = None if follower_row is None else writable(table, follower_row.values)
    return Repair(
        id=repair_id(drift.id, wanted, expected, hide=hide),
        drift_id=drift.id,
        group=drift.group,
        follower=drift.follower,
        table=drift.table,
        key=drift.key,
        kind=drift.kind,
        action=_ACTIONS[drift.kind],
        wanted=wanted,
        expected=expected,
        planned_at=now,
    )


def repair_id(
    drift_id: str,
    wanted: Mapping[str, Value] | None,
    expected: Mapping[str, Value] | None,
    attempt: int = 0,
    hide: Hide | None = None,
) -> str:
    """The repair's deterministic name. `attempt` counts earlier repairs of the very same rows that have ended, for the
    same damage can happen twice."""
    return stable_id("repair", drift_id, _spelled(wanted, hide), _spelled(expected, hide), str(attempt))


def standby_advice(drift: Drift) -> str:
    """What a person can do about a row that differs on a physical standby, which can only be rebuilt."""
    return (
        f"{where(drift)} is {drift.kind.value}: a physical standby replays its leader's log byte by byte, so a row "
        "that differs means a lost or damaged write or a wrong history there, and other rows may be damaged too; do "
        "not promote it; check its storage, its log and pg_amcheck, then rebuild it with pg_basebackup (pg_rewind is "
        "enough if it once was a leader itself)"
    )


def where(drift: Drift) -> str:
    """The drifted row by name, for messages."""
    return f"{drift.table} key {key_text(drift.key)} on {drift.follower}"


def refusal(drift: Drift, reason: RefusalReason, advice: str) -> Refusal:
    """The decision not to repair this drift."""
    return Refusal(drift.id, drift.table, drift.key, reason, advice)


def refused_unread(drift: Drift, table: Table, role: Role, policy: RepairPolicy) -> Refusal | None:
    """The refusals that no row can change, so that none has to be read for them."""
    if role is Role.LEADER:
        return refusal(drift, RefusalReason.POLICY, f"{where(drift)} is a leader, which is never written to")
    if role is Role.STANDBY:
        return refusal(drift, RefusalReason.STANDBY, standby_advice(drift))
    if policy.mode is Mode.OFF:
        advice = f"{where(drift)}: repairs are off; set the mode to propose, approve or apply"
        return refusal(drift, RefusalReason.POLICY, advice)
    if not table.key:
        return refusal(drift, RefusalReason.NO_KEY, f"{drift.table}: give the table a primary key")
    if drift.evidence.certainty is not Certainty.PROVEN:
        advice = f"{where(drift)}: method {drift.evidence.method.value} proves nothing; look again with a change stream"
        return refusal(drift, RefusalReason.NOT_PROVEN, advice)
    return None


def _refused(drift: Drift, table: Table, leader: Row | None, follower: Row | None, hide: Hide | None) -> Refusal | None:
    """The refusals that the fresh rows bring."""
    if leader is None and follower is None:
        return refusal(drift, RefusalReason.NO_LONGER_DIFFERENT, f"{where(drift)}: neither side has the row now")
    different = frozenset[str]()
    if leader is not None and follower is not None:
        different = frozenset(differing_columns(table, leader.values, follower.values))
        if not different:
            return refusal(drift, RefusalReason.NO_LONGER_DIFFERENT, f"{where(drift)}: nothing to do")
    again = f"{where(drift)}: check this drift again, then plan again"
    moved = _differs_from(drift, table, leader, hide, leader_side=True)
    if moved or (drift.columns and different - drift.columns.keys()):
        return refusal(drift, RefusalReason.LEADER_MOVED, again)
    if _differs_from(drift, table, follower, hide, leader_side=False):
        return refusal(drift, RefusalReason.FOLLOWER_MOVED, again)
    if different and all(table.column(name).generated for name in different):
        names = ", ".join(sorted(different))
        advice = f"{where(drift)}: {names} computed by the server; compare the definitions on both sides"
        return refusal(drift, RefusalReason.GENERATED, advice)
    return None


def _differs_from(drift: Drift, table: Table, row: Row | None, hide: Hide | None, *, leader_side: bool) -> bool:
    """Whether one side's row is no longer what the evidence spoke of."""
    absent = Kind.EXTRA if leader_side else Kind.MISSING
    if row is None or drift.kind is absent:
        return (row is None) != (drift.kind is absent)
    shared = only(table, drift.columns.keys())
    most = characters_kept(len(drift.columns))
    found = {name: both.leader if leader_side else both.follower for name, both in drift.columns.items()}
    judged = {c.name: kept(c.name, found[c.name], most, hide) for c in shared.columns}
    fresh = {c.name: kept(c.name, row.values[c.name], most, hide) for c in shared.columns}
    return bool(differing_columns(shared, judged, fresh))


def _spelled(row: Mapping[str, Value] | None, hide: Hide | None) -> str:
    if row is not None and hide is not None:
        row = {name: hide(name, value) for name, value in row.items()}
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
