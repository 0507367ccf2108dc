"""Every metric that trueup exports: the one list.

Exporter, panels, alerts and the reference page are checked against it, so a name or a label exists here or nowhere.
Never a label: a key, a chunk, a position, SQL, an error's text. Those are unbounded; they live in the journal.
A "when" is exported as a timestamp and its age computed in the query: an exported age freezes with its exporter.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.repair import RefusalReason, State
from verifier.change import Cause
from verifier.doubt import Doubt
from verifier.drift import DriftCause
from verifier.drift import Kind as Drift

OTHER = "__other__"
"""The `table` under which everything beyond the budget of series is counted together."""


class Kind(enum.Enum):
    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """`values` lists what a label can hold, where that is known; the exporter refuses anything else there."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    buckets: tuple[float, ...] = ()


CHUNK_RESULT = {"result": ("match", "in_flight", "unverified")}
"""A chunk is judged by nobody: what differs of it are keys, which are looked at until they are one or the other."""
KEY_RESULT = {"result": ("match", "drift", "unverified")}
LAG_STATE = {"state": ("caught_up", "lagging", "stalled", "rewound", "unknown")}
SLOT_STATUS = {"status": ("reserved", "extended", "unreserved", "lost")}
REASONS = (*(cause.name.lower() for cause in Cause), *(doubt.value for doubt in Doubt))
"""Why a table is unverified, as a label; the sentence for people is in the journal."""
DAEMON_STATES = (State.PLANNED, State.APPLIED, State.VERIFIED, State.FAILED, State.SUPERSEDED)
"""What people decide and undo, by commands, is in the audit table."""
SIDE = {"side": ("leader", "follower")}
SERVICE = {"service": ("lease", "follow", "rogue", "verify", "scan", "check", "repair", "relay", "lag", "cause")}

BUILD = Metric("trueup_build_info", Kind.GAUGE, "Always 1; which trueup this is.", ("version", "instance_name"))
GROUP = Metric(
    "trueup_group_info", Kind.GAUGE, "Always 1; a group and how it is followed.", ("group", "leader", "stream")
)
FOLLOWER = Metric("trueup_follower_info", Kind.GAUGE, "Always 1; a follower.", ("group", "follower", "role"))
PAUSED = Metric("trueup_paused", Kind.GAUGE, "1 while an operator has paused the group.", ("group",))

LAG_SECONDS = Metric(
    "trueup_replication_lag_seconds",
    Kind.GAUGE,
    "How long ago the follower held what the leader holds; absent while unknown.",
    ("group", "follower"),
)
LAG_CHANGES = Metric(
    "trueup_replication_lag_changes",
    Kind.GAUGE,
    "Changes that the stream has read and the follower has not applied; absent while unknown.",
    ("group", "follower"),
)
LAG_TRANSACTIONS = Metric(
    "trueup_replication_lag_transactions",
    Kind.GAUGE,
    "Transactions that the leader has logged and the follower has not applied, where global ids count them.",
    ("group", "follower"),
)
REPLICATION_STATE = Metric(
    "trueup_replication_state", Kind.GAUGE, "1 for the follower's state now, 0 for the others.",
    ("group", "follower", "state"), LAG_STATE,
)  # fmt: skip
CLOCK_AHEAD = Metric(
    "trueup_leader_clock_ahead_seconds",
    Kind.GAUGE,
    "How far the leader's clock is ahead of trueup's for sure (behind: negative); 0 if both may agree.",
    ("group",),
)
LAG_WARN = Metric("trueup_lag_warn_seconds", Kind.GAUGE, "Configured: above this a follower lags.", ("group",))
LAG_LIMIT = Metric(
    "trueup_lag_limit_seconds", Kind.GAUGE, "Configured: above this a follower's repairs pause.", ("group",)
)

STREAM_STATE = Metric(
    "trueup_stream_state", Kind.GAUGE, "1 for the change stream's state now, 0 for the others.",
    ("group", "state"), LAG_STATE,
)  # fmt: skip
STREAM_LAG = Metric(
    "trueup_stream_lag_seconds",
    Kind.GAUGE,
    "Delay of the newest event up to this hop, counted from its commit on the leader.",
    ("group", "hop"),
    {"hop": ("connector", "broker", "trueup")},
)
STREAM_EVENTS = Metric("trueup_stream_events_total", Kind.COUNTER, "Row changes read from the stream.", ("group",))
STREAM_TRANSACTIONS = Metric(
    "trueup_stream_transactions_total", Kind.COUNTER, "Whole transactions read from the stream.", ("group",)
)
STREAM_LAST = Metric(
    "trueup_stream_last_event_timestamp_seconds", Kind.GAUGE, "When the stream last delivered anything.", ("group",)
)
STREAM_BLIND = Metric(
    "trueup_stream_blind_tables", Kind.GAUGE, "Tables that the stream cannot vouch for until they are scanned again.",
    ("group", "cause"), {"cause": tuple(cause.name.lower() for cause in Cause)},
)  # fmt: skip
DEAD_LETTERS = Metric(
    "trueup_dead_letters_total", Kind.COUNTER, "Messages of the stream that nobody understood; kept whole.", ("group",)
)
KAFKA_BACKLOG = Metric(
    "trueup_kafka_backlog_messages", Kind.GAUGE, "Messages not read yet, all partitions.", ("group",)
)
SLOT_RETAINED = Metric(
    "trueup_slot_retained_bytes", Kind.GAUGE, "Log that the leader keeps for this replication slot.", ("group", "slot")
)

SLOT_SAFE = Metric(
    "trueup_slot_safe_bytes",
    Kind.GAUGE,
    "Log that may still be written before this slot loses what it needs; absent without a limit.",
    ("group", "slot"),
)
SLOT_STATE = Metric(
    "trueup_slot_state", Kind.GAUGE, "1 for the status of this slot's log now, 0 for the others.",
    ("group", "slot", "status"), SLOT_STATUS,
)  # fmt: skip
TABLES = Metric("trueup_tables", Kind.GAUGE, "Tables that are compared.", ("group",))
TABLES_FOLDED = Metric(
    "trueup_metrics_tables_folded", Kind.GAUGE, f"Tables counted together under {OTHER}.", ("group",)
)
CHUNKS = Metric(
    "trueup_chunks_compared_total", Kind.COUNTER, "Chunks compared, by what came out; in_flight: some keys differed.",
    ("group", "follower", "result"), CHUNK_RESULT,
)  # fmt: skip
ROWS = Metric("trueup_rows_compared_total", Kind.COUNTER, "Leader rows in compared chunks.", ("group", "follower"))
CHUNK_SECONDS = Metric(
    "trueup_chunk_seconds", Kind.HISTOGRAM, "How long reading one chunk's digest took.", ("group", "side"), SIDE,
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)  # fmt: skip
SCAN_COMPLETED = Metric(
    "trueup_scan_last_completed_timestamp_seconds", Kind.GAUGE, "When a pass over all tables last ended.", ("group",)
)
SCAN_PERIOD = Metric("trueup_scan_period_seconds", Kind.GAUGE, "Configured: every row once in this time.", ("group",))
OLDEST_VERIFIED = Metric(
    "trueup_oldest_verified_timestamp_seconds",
    Kind.GAUGE,
    "When the least recently verified chunk of the table was verified; absent if one never was.",
    ("group", "table"),
)
NEVER_VERIFIED = Metric(
    "trueup_tables_never_verified", Kind.GAUGE, "Tables with a part that was never verified.", ("group",)
)
DRIFT_ROWS = Metric(
    "trueup_drift_rows", Kind.GAUGE, "Rows known to differ now.", ("group", "follower", "table", "kind"),
    {"kind": tuple(kind.value for kind in Drift)},
)  # fmt: skip
DRIFT_CAUSES = Metric(
    "trueup_drift_causes_total", Kind.COUNTER, "Confirmed drift that was looked into, by why it came about.",
    ("group", "follower", "cause"), {"cause": tuple(cause.value for cause in DriftCause)},
)  # fmt: skip
ROGUE_WRITES = Metric(
    "trueup_rogue_writes_total",
    Kind.COUNTER,
    "Rows written on the follower that did not come from the leader, as its own log tells (followers[].stream).",
    ("group", "follower", "table"),
)
UNVERIFIED = Metric(
    "trueup_unverified_tables", Kind.GAUGE, "Tables of which something could not be verified, by reason.",
    ("group", "follower", "reason"), {"reason": REASONS},
)  # fmt: skip
TOUCHED_PENDING = Metric(
    "trueup_touched_keys_pending", Kind.GAUGE, "Changed keys that wait to be verified.", ("group", "follower")
)
TOUCHED = Metric(
    "trueup_touched_keys_verified_total", Kind.COUNTER, "Changed keys looked at, by what came out.",
    ("group", "follower", "result"), KEY_RESULT,
)  # fmt: skip
DIRTY_CHUNKS = Metric(
    "trueup_dirty_chunks",
    Kind.GAUGE,
    "Chunks of tables that change too much to look at each key, marked as changed and waiting to be read.",
    ("group", "table"),
)
DIRTY_ROWS = Metric(
    "trueup_dirty_rows_total", Kind.COUNTER, "Leader rows in such chunks that were read again.", ("group",)
)
DETECTION = Metric(
    "trueup_detection_seconds",
    Kind.HISTOGRAM,
    "From the change of a key on the leader to drift confirmed on the follower.",
    ("group", "follower"),
    buckets=(0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0),
)

VIOLATIONS = Metric(
    "trueup_invariant_violations", Kind.GAUGE, "Violations found by the last evaluation.", ("group", "invariant")
)
INVARIANT_SUCCESS = Metric(
    "trueup_invariant_last_success_timestamp_seconds", Kind.GAUGE, "When the invariant was last evaluated.",
    ("group", "invariant"),
)  # fmt: skip
INVARIANT_INTERVAL = Metric(
    "trueup_invariant_interval_seconds", Kind.GAUGE, "Configured: how often it is evaluated.", ("group", "invariant")
)

REPAIRS = Metric(
    "trueup_repairs_total", Kind.COUNTER, "Repairs that the daemon brought into a state.", ("group", "state"),
    {"state": tuple(state.value for state in DAEMON_STATES)},
)  # fmt: skip
REPAIRS_WAITING = Metric(
    "trueup_repairs_waiting", Kind.GAUGE, "Repairs in a state that somebody has to end.", ("group", "state"),
    {"state": (State.PLANNED.value, State.APPROVED.value, State.APPLIED.value)},
)  # fmt: skip
REFUSALS = Metric(
    "trueup_refusals_total", Kind.COUNTER, "Decisions not to repair.", ("group", "reason"),
    {"reason": tuple(reason.name.lower() for reason in RefusalReason)},
)  # fmt: skip
OUTBOX = Metric("trueup_outbox_pending", Kind.GAUGE, "Events written and not yet delivered.", ("group",))

TICK_SECONDS = Metric(
    "trueup_service_tick_seconds", Kind.HISTOGRAM, "How long one tick took.", ("group", "service"), SERVICE,
    (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0),
)  # fmt: skip
SERVICE_SUCCESS = Metric(
    "trueup_service_last_success_timestamp_seconds", Kind.GAUGE, "When the service's last good tick ended.",
    ("group", "service"), SERVICE,
)  # fmt: skip
SERVICE_FAILURES = Metric(
    "trueup_service_failures_total", Kind.COUNTER, "Ticks that failed.", ("group", "service"), SERVICE
)
THROTTLE = Metric(
    "trueup_throttle_seconds_total", Kind.COUNTER, "Time that trueup held itself back.", ("group", "reason"),
    {"reason": ("load", "lag", "rate")},
)  # fmt: skip
SNAPSHOT_FAILURES = Metric(
    "trueup_snapshot_failures_total", Kind.COUNTER, "Scrapes for which trueup's state could not be read."
)

CATALOGUE: tuple[Metric, ...] = tuple(value for value in list(vars().values()) if isinstance(value, Metric))
BY_NAME: Mapping[str, Metric] = {metric.name: metric for metric in CATALOGUE}
