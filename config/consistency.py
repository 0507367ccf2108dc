"""What no single value can get wrong: names that refer to nothing, names used twice, parts that do not fit.

Looks at the plain document, not at the models, so that these problems are told together with all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from config.kafka import access_findings
from config.problem import Path, nearest
from config.units import seconds

Finding = tuple[Path, str]


def findings(document: object) -> Iterator[Finding]:
    """Every inconsistency with the path of the value to change. Anything malformed is skipped: others report it."""
    groups = _sequence(_mapping(document).get("groups"))
    yield from _twice(groups, ("groups",), "group")
    for index, group in enumerate(groups):
        yield from _group(_mapping(group), ("groups", index))
    yield from _shared_slots(groups)


def _shared_slots(groups: Sequence[object]) -> Iterator[Finding]:
    """A slot belongs to a whole server, not to a database: two groups on one would steal each other's changes."""
    seen: dict[tuple[str, str], Path] = {}
    for index, group in enumerate(map(_mapping, groups)):
        for at, server, stream in _streams(group, ("groups", index)):
            slot = _text(_mapping(stream.get("pgoutput")).get("slot", "trueup"))
            if not server or not slot or seen.setdefault((server, slot), at) == at:
                continue
            other = seen[server, slot]
            whose = f"group {other[1]}" if other[1] != index else "this group's stream"
            message = f"slot {slot!r} of this server is read by {whose} already: name another"
            yield (*at, "pgoutput", "slot"), message


def _streams(group: Mapping[str, object], at: Path) -> Iterator[tuple[Path, str, Mapping[str, object]]]:
    """Each stream that reads a slot: where it is configured, on which server, and its settings."""
    stream = _mapping(group.get("stream"))
    if stream.get("kind") == "pgoutput":
        yield (*at, "stream"), _server(group.get("leader")), stream
    for index, follower in enumerate(map(_mapping, _sequence(group.get("followers")))):
        if "stream" in follower and _mapping(follower.get("stream")).get("kind", "pgoutput") == "pgoutput":
            yield (*at, "followers", index, "stream"), _server(follower), _mapping(follower.get("stream"))


def _server(database: object) -> str:
    return _text(_mapping(database).get("url")).partition("://")[2].partition("/")[0].rpartition("@")[2]


def _group(group: Mapping[str, object], at: Path) -> Iterator[Finding]:
    leader, followers = _mapping(group.get("leader")), _sequence(group.get("followers"))
    leader_name = _text(leader.get("name", "leader"))
    names = [leader_name, *(_text(_mapping(each).get("name")) for each in followers)]
    for index, name in enumerate(names[1:]):
        if name and name in names[: index + 1]:
            yield (*at, "followers", index, "name"), f"{name!r} already names another database of this group"
    yield from _same_place(leader, followers, at)
    invariants = _sequence(group.get("invariants"))
    yield from _twice(invariants, (*at, "invariants"), "invariant")
    for index, invariant in enumerate(invariants):
        yield from _endpoints(_mapping(invariant), (*at, "invariants", index), [name for name in names if name])
    for index, each in enumerate(_sequence(_mapping(group.get("watermark")).get("followers"))):
        if (wanted := _text(each)) and wanted not in names[1:]:
            hint = nearest(wanted, names[1:])
            yield (*at, "watermark", "followers", index), f"no follower of this group is called {wanted!r}{hint}"
    yield from _parts(group, at)
    lag = _mapping(group.get("lag"))
    warn, highest = _seconds(lag.get("warn", "10s")), _seconds(lag.get("max", "60s"))
    if warn is not None and highest is not None and warn > highest:
        yield (*at, "lag", "warn"), "must not be above lag.max"


def _same_place(leader: Mapping[str, object], followers: Sequence[object], at: Path) -> Iterator[Finding]:
    url = _text(leader.get("url"))
    for index, follower in enumerate(followers):
        if url and url == _text(_mapping(follower).get("url")):
            yield (*at, "followers", index, "url"), "is the leader's own address: a database always equals itself"


def _endpoints(invariant: Mapping[str, object], at: Path, names: Sequence[str]) -> Iterator[Finding]:
    for path, part in ((at, invariant), *(((*at, side), _mapping(invariant.get(side))) for side in ("left", "right"))):
        endpoint = _text(part.get("endpoint"))
        if endpoint and endpoint not in names:
            yield (*path, "endpoint"), f"no database of this group is called {endpoint!r}{nearest(endpoint, names)}"


def _parts(group: Mapping[str, object], at: Path) -> Iterator[Finding]:
    stream, events = _mapping(group.get("stream")), _mapping(group.get("events"))
    for index, follower in enumerate(map(_mapping, _sequence(group.get("followers")))):
        if follower.get("fed_by") and stream.get("kind") != "kafka":
            yield (*at, "followers", index, "fed_by"), "the group's stream must read the sink's topics: kind: kafka"
    kafka = _mapping(stream.get("kafka"))
    if stream.get("kind") == "kafka" and stream.get("kafka") is None:
        yield (*at, "stream", "kafka"), "kind is kafka: give bootstrap_servers and topic_prefix under 'kafka'"
    if stream.get("kind") == "kafka" and stream.get("pgoutput") is not None:
        yield (*at, "stream", "pgoutput"), "kind is kafka: remove this, or set kind: pgoutput"
    if stream.get("kind") == "pgoutput" and stream.get("kafka") is not None:
        yield (*at, "stream", "kafka"), "kind is pgoutput: remove this, or set kind: kafka"
    kind = _text(stream.get("kind"))
    for other in ("kafka", "pgoutput", "binlog"):
        if (
            "binlog" in (kind, other)
            and kind in ("kafka", "pgoutput", "binlog")
            and other != kind
            and stream.get(other)
        ):
            yield (*at, "stream", other), f"kind is {kind}: remove this, or set kind: {other}"
    if kafka.get("connect_password") and kafka.get("connect_password_reference"):
        yield (*at, "stream", "kafka", "connect_password_reference"), "the password is given twice: remove one"
    for where, section in ((("stream", "kafka"), kafka), (("events",), events)):
        yield from (((*at, *where, name), told) for name, told in access_findings(section))
    if events.get("kind") == "jsonl" and not events.get("path"):
        yield (*at, "events", "path"), "kind is jsonl: give the path of the file"
    if events.get("kind") == "kafka" and not events.get("bootstrap_servers") and not kafka.get("bootstrap_servers"):
        yield (
            (*at, "events", "bootstrap_servers"),
            "kind is kafka and there is no Kafka stream to take the servers from",
        )


def _twice(items: Sequence[object], at: Path, what: str) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, item in enumerate(items):
        name = _text(_mapping(item).get("name"))
        if name and seen.setdefault(name, index) != index:
            yield (*at, index, "name"), f"{name!r} already names {what} {seen[name]}"


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _sequence(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: object) -> float | None:
    try:
        return seconds(value)
    except ValueError:
        return None
