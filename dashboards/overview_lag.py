"""The overview's row on lag: followers, the stream's hops, the log that is kept, and clocks."""

from __future__ import annotations

from dashboards.panels import JOB, Panel, Query

GROUP = f'{JOB}, group=~"$group"'
FOLLOWER = f'{GROUP}, follower=~"$follower"'
"""What the dashboard's variables choose, as labels of a query."""

LAG = (
    Panel(
        "Follower lag",
        "How long ago the follower held what the leader holds now.",
        "timeseries",
        "s",
        (Query(f"trueup_replication_lag_seconds{{{FOLLOWER}}}", "{{group}} / {{follower}}"),),
    ),
    Panel(
        "Follower lag in changes",
        "Changes read from the stream that the follower has not applied.",
        "timeseries",
        "short",
        (Query(f"trueup_replication_lag_changes{{{FOLLOWER}}}", "{{group}} / {{follower}}"),),
    ),
    Panel(
        "Follower lag in transactions",
        "Transactions logged and not applied, where global ids count them (MySQL, MariaDB).",
        "timeseries",
        "short",
        (Query(f"trueup_replication_lag_transactions{{{FOLLOWER}}}", "{{group}} / {{follower}}"),),
        8,
    ),
    Panel(
        "Stalled or rewound",
        "1 where somebody is behind and does not move, or whose position went back.",
        "timeseries",
        "short",
        (
            Query(
                f'trueup_replication_state{{{FOLLOWER}, state=~"stalled|rewound"}}',
                "{{group}} / {{follower}} {{state}}",
            ),
            Query(f'trueup_stream_state{{{GROUP}, state=~"stalled|rewound"}}', "{{group}} / stream {{state}}"),
        ),
        8,
    ),
    Panel(
        "Leader's clock",
        "How far it is surely ahead of trueup's; lag allows for it.",
        "timeseries",
        "s",
        (Query(f"trueup_leader_clock_ahead_seconds{{{GROUP}}}", "{{group}}"),),
        8,
    ),
    Panel(
        "Stream lag by hop",
        "Delay of the newest event, from its commit on the leader up to each hop.",
        "timeseries",
        "s",
        (Query(f"trueup_stream_lag_seconds{{{GROUP}}}", "{{group}} / {{hop}}"),),
        8,
    ),
    Panel(
        "Unknown state",
        "1 where lag is not known: a server that is away, a connector that does not beat. Unknown is not caught up.",
        "timeseries",
        "short",
        (
            Query(f'trueup_replication_state{{{FOLLOWER}, state="unknown"}}', "{{group}} / {{follower}}"),
            Query(f'trueup_stream_state{{{GROUP}, state="unknown"}}', "{{group}} / stream"),
        ),
        8,
    ),
    Panel(
        "Log kept for slots",
        "Bytes that the leader keeps because a replication slot has not read them.",
        "timeseries",
        "bytes",
        (
            Query(f"trueup_slot_retained_bytes{{{GROUP}}}", "{{group}} / {{slot}} kept"),
            Query(f"trueup_slot_safe_bytes{{{GROUP}}}", "{{group}} / {{slot}} until it is lost"),
            Query(f'trueup_slot_state{{{GROUP}, status=~"unreserved|lost"}} == 1', "{{group}} / {{slot}} {{status}}"),
        ),
        8,
    ),
)
