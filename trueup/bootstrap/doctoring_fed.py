"""What `trueup doctor` says of followers that a sink of Kafka Connect feeds."""

from __future__ import annotations

from collections.abc import Iterator

from config.settings import Group
from connectors.remark import Remark
from trueup.bootstrap.fed import fed_lag, hindered
from verifier.errors import Permanent, Temporary
from verifier.lag import LagState

_OFTEN = (
    "a sink commits every offset.flush.interval.ms of its worker: with 1000 to 5000 of them touched rows are judged "
    "within seconds"
)
_WANTED = {
    "insert.mode": ("upsert", "rows that come again are refused, or stand there twice"),
    "delete.enabled": ("true", "rows that the leader deletes stay on the follower, as drift"),
}
"""Settings of Debezium's JDBC sink without which a follower cannot equal its leader."""


def fed(group: Group) -> Iterator[tuple[str, Remark]]:
    """Nothing where no sink feeds anybody."""
    sinks = {one.name: one.fed_by for one in group.followers if one.fed_by is not None}
    hindrances = hindered(group, {})
    for name, lag in fed_lag(group).items():
        sink = sinks[name]
        if lag.state is LagState.UNKNOWN:
            yield "sink", Remark("error", f"{name}: {lag.detail}", f"is {sink.group} the group of the sink?")
        else:
            what = f"{name} is fed by {sink.kafka_connect_sink}: {lag.changes} messages are not committed yet"
            yield "sink", Remark("ok", what, _OFTEN)
        if name in hindrances and (why := hindrances[name]()):
            yield "sink", Remark("error", f"{name}: {why}", "see trueup connector status, or the worker's log")
        yield from (("sink", remark) for remark in _settings(group, sink.kafka_connect_sink))


def _settings(group: Group, sink: str) -> Iterator[Remark]:
    kafka = group.stream.kafka if group.stream is not None else None
    if kafka is None or kafka.connect_url is None:
        return
    from connectors.debezium.connect import Connect

    try:
        config = Connect(kafka.connect_url).config(sink)
    except (Temporary, Permanent):
        return  # said above
    if not config.get("connector.class", "").endswith("JdbcSinkConnector"):
        yield Remark(
            "note", f"sink {sink} is a {config.get('connector.class')}: it must commit only what it has written"
        )
        return
    for setting, (wanted, otherwise) in _WANTED.items():
        if config.get(setting, "").lower() != wanted:
            found = config.get(setting, "not set")
            yield Remark("error", f"sink {sink}: {setting} is {found}: {otherwise}", f"set {setting}={wanted}")
