"""Where a group's events go."""

from __future__ import annotations

from config.settings import Group
from reconciler.ports import EventSink
from trueup.bootstrap.brokers import events_to
from verifier.errors import Misconfigured


def event_sink(group: Group) -> EventSink | None:
    """The configured sink; None: nobody is told. Misconfigured if it lacks its file, servers or a secret."""
    prefix = group.events.topic_prefix or f"trueup.{group.name}"
    if group.events.kind == "jsonl":
        from connectors.files.events import JsonLinesSink

        if group.events.path is None:
            raise Misconfigured(f"group {group.name!r}: events.kind is jsonl, but events.path names no file")
        return JsonLinesSink(group.events.path, prefix=prefix, one_file=True)
    if group.events.kind == "kafka":
        from connectors.kafka.clients import sink_of

        reached = events_to(group)
        if reached is None:
            raise Misconfigured(f"group {group.name!r}: events.kind is kafka, but no bootstrap_servers are named")
        servers, settings = reached
        return sink_of(servers, prefix, settings)
    return None
