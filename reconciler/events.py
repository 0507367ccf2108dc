"""What trueup tells other systems, as CloudEvents 1.0.

Ids are deterministic and times are arguments, so that an event written twice is the same event, and redelivery is
harmless. `partitionkey` (the CloudEvents extension) is group, table and primary key: one row's events stay in order.
The *compensating repair event* is the one that carries a repair: action, key, the row that is wanted and the columns
to set, and a digest of the row that is expected, so that whoever applies it elsewhere can compare and set as well.

Masked columns are masked in rows, keys and partition keys, and named in `masked`: such an event tells of a repair and
cannot be applied from. The schemas of the three families are `reconciler/schemas/*.v1.json`.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.masking import NOTHING_MASKED, Masking, is_mask
from reconciler.ports import Event
from reconciler.repair import Repair, State
from verifier.drift import Drift
from verifier.errors import Unsound
from verifier.identity import key_text, stable_id
from verifier.invariant import Finding, Standing
from verifier.table import Key, KeyValue, TableName, Value

SAMPLE_ROWS = 20

_REPAIR_STEPS: Mapping[State, str] = {
    State.PLANNED: "proposed",
    State.APPROVED: "approved",
    State.APPLIED: "applied",
    State.VERIFIED: "verified",
    State.FAILED: "failed",
    State.REJECTED: "rejected",
    State.SUPERSEDED: "superseded",
    State.UNDONE: "undone",
}


class DriftNews(enum.Enum):
    """What happened to a drift."""

    OPENED = "opened"
    CHANGED = "changed"  # found again, with other contents
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Announcer:
    """Who speaks: the instance of trueup, the group it speaks of, and what it keeps to itself."""

    instance: str
    group: str
    masking: Masking = NOTHING_MASKED

    @property
    def source(self) -> str:
        return f"/trueup/{self.instance}/groups/{self.group}"


def drift_event(
    announcer: Announcer, drift: Drift, what: DriftNews, *, key_columns: Sequence[str], now: float
) -> Event:
    """A drift was opened, changed or cleared; `now` is seconds since the epoch. The id is this finding's."""
    hidden = announcer.masking
    key = _named(drift.key, key_columns)
    data = {
        "drift": drift.id,
        "group": drift.group,
        "follower": drift.follower,
        "table": str(drift.table),
        "key": hidden.key(drift.table, key),
        "kind": drift.kind.value,
        "columns": {
            name: {
                "leader": _masked(hidden, drift.table, name, difference.leader),
                "follower": _masked(hidden, drift.table, name, difference.follower),
            }
            for name, difference in drift.columns.items()
        },
        "evidence": {
            "certainty": drift.evidence.certainty.value,
            "method": drift.evidence.method.value,
            "positions": dict(drift.evidence.positions),
        },
        "found_at": rfc3339(drift.found_at),
        "masked": sorted(hidden.of(drift.table)),
    }
    identity = stable_id("event", "drift", what.value, drift.id, repr(drift.found_at))
    family = _Family("drift", "drift", what.value)
    return _event(announcer, family, identity, drift.table, hidden.key(drift.table, key), now, data)


def repair_event(
    announcer: Announcer,
    repair: Repair,
    state: State,
    *,
    key_columns: Sequence[str],
    set_columns: Sequence[str] = (),
    actor: str,
    now: float,
    note: str = "",
) -> Event:
    """The repair came to `state`; `set_columns` are those that an UPDATE sets (`rows.changed_columns`). Unsound for
    `applying` and `undoing`, which are trueup's own notes and no news."""
    if state not in _REPAIR_STEPS:
        raise Unsound(f"repair {repair.id}: the state {state.value} is not announced")
    hidden = announcer.masking
    key = _named(repair.key, key_columns)
    wanted = None if repair.wanted is None else hidden.row(repair.table, repair.wanted)
    expected = None if repair.expected is None else hidden.row(repair.table, repair.expected)
    data = {
        "repair": repair.id,
        "drift": repair.drift_id,
        "group": repair.group,
        "follower": repair.follower,
        "table": str(repair.table),
        "key": hidden.key(repair.table, key),
        "kind": repair.kind.value,
        "action": repair.action.value,
        "state": state.value,
        "wanted": wanted,
        "set": list(set_columns),
        "expected_digest": None if expected is None else row_digest(expected),
        "actor": actor,
        "note": note,
        "planned_at": rfc3339(repair.planned_at),
        "masked": sorted(hidden.of(repair.table)),
    }
    step = _REPAIR_STEPS[state]
    identity = stable_id("event", "repair", step, repair.id)
    family = _Family("repair", "repairs", step)
    return _event(announcer, family, identity, repair.table, hidden.key(repair.table, key), now, data)


def violation_event(
    announcer: Announcer, finding: Finding, *, since: float, now: float, masked: frozenset[str] = frozenset()
) -> Event:
    """An invariant does not hold since `since` (seconds since the epoch): one id for as long as that lasts. The
    sample is cut to `SAMPLE_ROWS`; `masked` are the columns of the sample to mask, beside those that are. Unsound if
    the finding is none."""
    if finding.standing is not Standing.VIOLATED:
        raise Unsound(f"invariant {finding.name}: {finding.standing.value} is not a violation")
    sample = [
        {name: announcer.masking.value(value) if name in masked else value for name, value in row.items()}
        for row in finding.sample[:SAMPLE_ROWS]
    ]
    data = {
        "group": announcer.group,
        "invariant": finding.name,
        "verdict": finding.standing.value,
        "violations": finding.violations,
        "more": finding.more,
        "sample": sample,
        "since": rfc3339(since),
        "masked": sorted({name for row in sample for name, value in row.items() if name in masked or is_mask(value)}),
    }
    identity = stable_id("event", "invariant", announcer.group, finding.name, repr(since))
    return Event(
        id=identity,
        topic="violations",
        key=f"{announcer.group}|{finding.name}",
        body=_envelope(
            announcer,
            identity,
            type_="io.trueup.invariant.violated.v1",
            schema="violation",
            subject=finding.name,
            partition=f"{announcer.group}|{finding.name}",
            now=now,
            data=data,
        ),
    )


def row_digest(row: Mapping[str, Value]) -> str:
    """32 hexadecimal digits over column names and values in the order of the names; NULL differs from any text."""
    parts = []
    for name in sorted(row):
        value = row[name]
        parts += [name, "null" if value is None else f"={value}"]
    return stable_id("row", *parts)


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as `2026-01-31T12:00:00.123456Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class _Family:
    """`name` is the family of the type and its schema, `topic` where it goes, `step` what happened."""

    name: str
    topic: str
    step: str


def _event(
    announcer: Announcer,
    family: _Family,
    identity: str,
    table: TableName,
    key: Mapping[str, KeyValue],
    now: float,
    data: Mapping[str, object],
) -> Event:
    partition = f"{announcer.group}|{table}|{key_text(tuple(key.values()))}"
    body = _envelope(
        announcer,
        identity,
        type_=f"io.trueup.{family.name}.{family.step}.v1",
        schema=family.name,
        subject=str(table),
        partition=partition,
        now=now,
        data=data,
    )
    return Event(id=identity, topic=family.topic, key=partition, body=body)


def _envelope(
    announcer: Announcer,
    identity: str,
    *,
    type_: str,
    schema: str,
    subject: str,
    partition: str,
    now: float,
    data: Mapping[str, object],
) -> Mapping[str, object]:
    return {
        "specversion": "1.0",
        "id": identity,
        "source": announcer.source,
        "type": type_,
        "subject": subject,
        "time": rfc3339(now),
        "datacontenttype": "application/json",
        "dataschema": f"urn:trueup:events:{schema}.v1",
        "partitionkey": partition,
        "data": data,
    }


def _named(key: Key, columns: Sequence[str]) -> dict[str, KeyValue]:
    return dict(zip(columns, key, strict=True))


def _masked(masking: Masking, table: TableName, column: str, value: Value) -> Value:
    return masking.value(value) if column in masking.of(table) else value
