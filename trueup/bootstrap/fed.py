"""Followers that a sink of Kafka Connect feeds, wired: what tells how far they are, and what hinders the sink."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from trueup.bootstrap.brokers import offsets_of
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.fed import FedFollower
from verifier.lag import HopLag, LagState
from verifier.offsets import OffsetIndex
from verifier.ports import Replica

if TYPE_CHECKING:
    from config.settings import Group


def fed_names(group: Group) -> frozenset[str]:
    """The followers that a sink feeds."""
    return frozenset(one.name for one in group.followers if one.fed_by is not None)


def with_fed(
    group: Group, leader: Replica, followers: Mapping[str, Replica], index: OffsetIndex | None
) -> dict[str, Replica]:
    """The followers, those that a sink feeds with the leader's positions. Nothing is connected yet. Misconfigured if
    there are such and nobody reads the topics (`index` None)."""
    found = dict(followers)
    for one in group.followers:
        if one.fed_by is None or one.name not in found:
            continue
        kafka = group.stream.kafka if group.stream is not None else None
        if index is None or kafka is None:
            raise Misconfigured(
                f"group {group.name}: {one.name} is fed by {one.fed_by.kafka_connect_sink}, and how far it is can only "
                "be told beside a stream of the same topics: set stream.kind: kafka"
            )
        from connectors.debezium.naming import topic_of

        sink = offsets_of(group.name, kafka, one.fed_by.group)
        found[one.name] = FedFollower(found[one.name], leader, sink, index, kafka.topic_prefix, topic_of)
    return found


def close_fed(followers: Mapping[str, Replica]) -> None:
    """The questions to the broker; the replicas themselves are closed by whoever opened them."""
    for follower in followers.values():
        if isinstance(follower, FedFollower):
            follower.sink.close()


def fed_lag(group: Group) -> dict[str, HopLag]:
    """How many messages of the leader's topics each sink has not committed yet; asked once, without the stream, so the
    age is not known, and what the source's connector has not sent yet does not count."""
    kafka = group.stream.kafka if group.stream is not None else None
    found: dict[str, HopLag] = {}
    for one in group.followers:
        if one.fed_by is None or kafka is None:
            continue
        sink = offsets_of(group.name, kafka, one.fed_by.group)
        try:
            committed = sink.committed()
            behind = sum(max(0, end - committed[place]) for place, end in sink.ends(committed.keys()).items())
            detail = f"messages that consumer group {sink.group} has not committed; the daemon knows their age"
            state = LagState.LAGGING if behind else LagState.CAUGHT_UP
            found[one.name] = HopLag(one.name, None if behind else 0.0, behind, state, detail if behind else "")
            if not committed:
                why = f"consumer group {sink.group} has committed no offset in a topic of {kafka.topic_prefix!r}"
                found[one.name] = HopLag(one.name, None, None, LagState.UNKNOWN, why)
        except (Temporary, Permanent) as problem:
            found[one.name] = HopLag(one.name, None, None, LagState.UNKNOWN, str(problem))
        finally:
            sink.close()
    return found


def hindered(group: Group, known: Mapping[str, Callable[[], str]]) -> dict[str, Callable[[], str]]:
    """What hinders each follower: where a sink feeds it, that, and not what its server says of its own replication."""
    fed = fed_names(group)
    return {**{name: ask for name, ask in known.items() if name not in fed}, **_sinks(group)}


def _sinks(group: Group) -> dict[str, Callable[[], str]]:
    kafka = group.stream.kafka if group.stream is not None else None
    if kafka is None or kafka.connect_url is None:
        return {}
    url = kafka.connect_url
    return {
        one.name: partial(_sink, url, one.fed_by.kafka_connect_sink)
        for one in group.followers
        if one.fed_by is not None
    }


def _sink(url: str, name: str) -> str:
    from connectors.debezium.connect import Connect
    from connectors.debezium.failures import kind

    try:
        status = Connect(url).status(name)
    except (Temporary, Permanent) as problem:
        return str(problem)
    if status.running:
        return ""
    return f"sink {name}: {kind(status.traces[0]) if status.traces else status.state.lower()}"
