"""The overview: is everything equal, how late is everybody, what was found, does trueup itself work."""

from __future__ import annotations

from dashboards.overview_lag import FOLLOWER as _F
from dashboards.overview_lag import GROUP as _G
from dashboards.overview_lag import LAG
from dashboards.panels import GREEN_RED, JOB, Json, Panel, Query, Row, Threshold, dashboard, datasource, variable

UID = "trueup-overview"


def overview() -> Json:
    """Grafana's JSON."""
    return dashboard(
        UID,
        "trueup",
        "Do the replicas hold what their leader holds, how late are they, and what was found.",
        [
            Row("Now", _NOW),
            Row("Lag", LAG),
            Row("Drift", _DRIFT),
            Row("Verification", _VERIFICATION),
            Row("Repairs", _REPAIRS),
            Row("trueup itself", _SELF),
        ],
        [
            datasource(),
            variable("job", "Job", "label_values(trueup_build_info, job)"),
            variable("instance", "Instance", 'label_values(trueup_build_info{job=~"$job"}, instance)'),
            variable("group", "Group", f"label_values(trueup_group_info{{{JOB}}}, group)"),
            variable("follower", "Follower", f"label_values(trueup_follower_info{{{_G}}}, follower)"),
        ],
    )


def _stat(
    title: str, description: str, expr: str, unit: str = "short", thresholds: tuple[Threshold, ...] = ()
) -> Panel:
    return Panel(title, description, "stat", unit, (Query(expr),), 4, 4, thresholds, no_value="-")


_NOW = (
    _stat(
        "Drifted rows", "Rows known to differ now.", f"sum(trueup_drift_rows{{{_F}}}) or vector(0)", "short", GREEN_RED
    ),
    _stat(
        "Unverified tables",
        "Tables of which something could not be verified. Unknown is not equal.",
        f"sum(trueup_unverified_tables{{{_F}}})",
        "short",
        (Threshold(1, "orange"),),
    ),
    _stat(
        "Broken invariants",
        "Invariants with violations at their last evaluation.",
        f"count(trueup_invariant_violations{{{_G}}} > 0) or vector(0)",
        "short",
        GREEN_RED,
    ),
    _stat(
        "Worst lag",
        "The latest follower of all chosen; unknown lag is not shown here but in the row below.",
        f"max(trueup_replication_lag_seconds{{{_F}}})",
        "s",
        (Threshold(10, "orange"), Threshold(60, "red")),
    ),
    _stat(
        "Oldest verification",
        "How long ago the least recently verified part of any table was verified.",
        f"time() - min(trueup_oldest_verified_timestamp_seconds{{{_G}}})",
        "s",
    ),
    _stat(
        "Never verified",
        "Tables with a part that was never verified.",
        f"sum(trueup_tables_never_verified{{{_G}}})",
        "short",
        (Threshold(1, "orange"),),
    ),
)

_DRIFT = (
    Panel(
        "Drifted rows",
        "Rows known to differ, by follower and kind.",
        "timeseries",
        "short",
        (Query(f"sum by (group, follower, kind) (trueup_drift_rows{{{_F}}})", "{{group}} / {{follower}} {{kind}}"),),
        stacked=True,
    ),
    Panel(
        "Drifted tables",
        "Where the differing rows are now; trueup drift lists them.",
        "table",
        "short",
        (Query(f"sum by (group, follower, table, kind) (trueup_drift_rows{{{_F}}}) > 0"),),
        columns=("group", "follower", "table", "kind"),
        thresholds=GREEN_RED,
    ),
    Panel(
        "Why rows drifted",
        "Confirmed drift per hour, by cause; unknown where its history does not tell.",
        "timeseries",
        "short",
        (
            Query(
                f"sum by (group, cause) (increase(trueup_drift_causes_total{{{_F}}}[1h])) > 0", "{{group}} / {{cause}}"
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Written on followers alone",
        "Rows per hour that somebody else wrote on a follower, as its own log tells, by table.",
        "timeseries",
        "short",
        (
            Query(
                f"sum by (group, follower, table) (increase(trueup_rogue_writes_total{{{_F}}}[1h])) > 0",
                "{{group}} / {{follower}} {{table}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Seconds to detect",
        "From the change of a key to confirmed drift: median and 95th percentile.",
        "timeseries",
        "s",
        tuple(
            Query(
                f"histogram_quantile({share}, sum by (le, group) "
                f"(rate(trueup_detection_seconds_bucket{{{_F}}}[$__rate_interval])))",
                f"{{{{group}}}} {name}",
            )
            for share, name in (("0.5", "median"), ("0.95", "95 %"))
        ),
        8,
    ),
    Panel(
        "Unverified tables",
        "By reason. A table leaves when it has been scanned completely again.",
        "timeseries",
        "short",
        (Query(f"sum by (group, reason) (trueup_unverified_tables{{{_F}}}) > 0", "{{group}} / {{reason}}"),),
        8,
        stacked=True,
    ),
    Panel(
        "Invariant violations",
        "Violations at the last evaluation.",
        "timeseries",
        "short",
        (Query(f"trueup_invariant_violations{{{_G}}}", "{{group}} / {{invariant}}"),),
        8,
    ),
)

_VERIFICATION = (
    Panel(
        "Chunks compared",
        "Chunks per second, by what came out.",
        "timeseries",
        "ops",
        (
            Query(
                f"sum by (group, result) (rate(trueup_chunks_compared_total{{{_F}}}[$__rate_interval]))",
                "{{group}} / {{result}}",
            ),
        ),
        8,
        stacked=True,
    ),
    Panel(
        "Rows compared",
        "Leader rows per second in compared chunks.",
        "timeseries",
        "ops",
        (Query(f"sum by (group) (rate(trueup_rows_compared_total{{{_F}}}[$__rate_interval]))", "{{group}}"),),
        8,
    ),
    Panel(
        "Reading a chunk",
        "How long one digest took; should stay around scan.chunk_time.",
        "timeseries",
        "s",
        (
            Query(
                "histogram_quantile(0.95, sum by (le, group, side) "
                f"(rate(trueup_chunk_seconds_bucket{{{_G}}}[$__rate_interval])))",
                "{{group}} {{side}} 95 %",
            ),
        ),
        8,
    ),
    Panel(
        "Changed keys verified",
        "Keys per second that the stream reported and that were looked at, by what came out.",
        "timeseries",
        "ops",
        (
            Query(
                f"sum by (group, result) (rate(trueup_touched_keys_verified_total{{{_F}}}[$__rate_interval]))",
                "{{group}} / {{result}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Changed keys waiting",
        "Keys that wait until their follower has applied them.",
        "timeseries",
        "short",
        (Query(f"trueup_touched_keys_pending{{{_F}}}", "{{group}} / {{follower}}"),),
    ),
    Panel(
        "Changed chunks waiting",
        "Chunks of tables that change too much to look at each key, waiting to be read, by table.",
        "timeseries",
        "short",
        (Query(f"sum by (group, table) (trueup_dirty_chunks{{{_G}}}) > 0", "{{group}} / {{table}}"),),
        stacked=True,
    ),
    Panel(
        "Rows of changed chunks",
        "Leader rows per second that were read again in such chunks.",
        "timeseries",
        "ops",
        (Query(f"sum by (group) (rate(trueup_dirty_rows_total{{{_G}}}[$__rate_interval]))", "{{group}}"),),
    ),
)

_REPAIRS = (
    Panel(
        "Repairs",
        "Repairs that the daemon brought into a state, per hour.",
        "timeseries",
        "short",
        (Query(f"sum by (group, state) (increase(trueup_repairs_total{{{_G}}}[1h]))", "{{group}} / {{state}}"),),
        8,
    ),
    Panel(
        "Refusals",
        "Decisions not to repair, per hour, by reason.",
        "timeseries",
        "short",
        (Query(f"sum by (group, reason) (increase(trueup_refusals_total{{{_G}}}[1h])) > 0", "{{group}} / {{reason}}"),),
        8,
    ),
    Panel(
        "Waiting",
        "Repairs that wait for somebody, and events that wait for delivery.",
        "timeseries",
        "short",
        (
            Query(f"trueup_repairs_waiting{{{_G}}}", "{{group}} / {{state}}"),
            Query(f"trueup_outbox_pending{{{_G}}}", "{{group}} / events"),
        ),
        8,
    ),
)

_SELF = (
    Panel(
        "Since the last good tick",
        "Age of each service's last success. A line that climbs is a service that stands.",
        "timeseries",
        "s",
        (Query(f"time() - trueup_service_last_success_timestamp_seconds{{{_G}}}", "{{group}} / {{service}}"),),
        8,
    ),
    Panel(
        "Failed ticks",
        "Per second, by service.",
        "timeseries",
        "ops",
        (
            Query(
                f"sum by (group, service) (rate(trueup_service_failures_total{{{_G}}}[$__rate_interval]))",
                "{{group}} / {{service}}",
            ),
        ),
        8,
    ),
    Panel(
        "Held back",
        "Share of time that trueup held itself back, by reason.",
        "timeseries",
        "percentunit",
        (
            Query(
                f"sum by (group, reason) (rate(trueup_throttle_seconds_total{{{_G}}}[$__rate_interval]))",
                "{{group}} / {{reason}}",
            ),
        ),
        8,
    ),
    Panel(
        "Stream",
        "Row changes read per second, and messages that nobody understood.",
        "timeseries",
        "ops",
        (
            Query(f"sum by (group) (rate(trueup_stream_events_total{{{_G}}}[$__rate_interval]))", "{{group}}"),
            Query(
                f"sum by (group) (rate(trueup_dead_letters_total{{{_G}}}[$__rate_interval]))",
                "{{group}} / dead letters",
            ),
        ),
    ),
    Panel(
        "Backlog",
        "Messages that trueup has not read yet.",
        "timeseries",
        "short",
        (Query(f"trueup_kafka_backlog_messages{{{_G}}}", "{{group}}"),),
    ),
)
