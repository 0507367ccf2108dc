"""What a running daemon says of lag: read from its own metrics page.

Only the daemon reads the stream, so only it knows how late each hop is and counts the changes that a follower has not
applied; and it has watched for longer than a command does. No daemon, or one that does not answer at once, is no
error: the caller then tells what the servers themselves say, and that the rest is not known.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from config.settings import Settings
from verifier.lag import HopLag, LagState

_SECONDS = 2.0
_HOPS = ("connector", "broker", "trueup")
_DETAIL = "as the running daemon measures it"


@dataclass(frozen=True, slots=True)
class Told:
    """The daemon's account of one group: the hops of its stream in order, and its followers by name."""

    hops: tuple[HopLag, ...]
    followers: dict[str, HopLag]


def daemon_tells(settings: Settings, group: str) -> Told | None:
    """Asked now; None if none answers at `http.listen`, or somebody else does, or one of a version that says more."""
    host, port = settings.http.place()
    address = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=_SECONDS) as answer:
            text = answer.read().decode()
        families = list(text_string_to_metric_families(text))
        samples = [one for family in families for one in family.samples if one.labels.get("group") == group]
        return Told(_hops(samples), _followers(samples))
    except (urllib.error.URLError, HTTPException, OSError, ValueError):
        return None


def completed(own: HopLag, told: Told | None, absent: str) -> HopLag:
    """What was seen of a follower just now, with what the daemon knows better: how many changes it lacks, since when,
    and whether it moves. Where the changes stay unknown the detail says why; `absent` is the reason without a daemon.
    """
    if own.state is LagState.UNKNOWN:
        return own
    daemon = told.followers.get(own.hop) if told is not None else None
    if daemon is None or daemon.state is LagState.UNKNOWN:
        return _unknown(own, absent if told is None else "the daemon does not know how many changes it lacks")
    if own.state.late and not daemon.state.late:
        return _unknown(own, "the daemon has seen it catch up since")
    known = replace(own, changes=daemon.changes if own.changes is None else own.changes)
    if own.state.late:
        ages = [seconds for seconds in (own.seconds, daemon.seconds) if seconds is not None]
        state = daemon.state if own.state is LagState.LAGGING else own.state
        known = replace(known, seconds=max(ages, default=None), state=state)
    return _unknown(known, "it is late by more than the daemon has read of the stream")


def _unknown(hop: HopLag, why: str) -> HopLag:
    """The reason in the detail if the changes are not known."""
    if hop.changes is not None:
        return hop
    return replace(hop, detail="; ".join(part for part in (hop.detail, f"changes unknown: {why}") if part))


def _hops(samples: Iterable[Sample]) -> tuple[HopLag, ...]:
    seconds: dict[str, float] = {}
    state = LagState.UNKNOWN
    for sample in samples:
        if sample.name == "trueup_stream_lag_seconds":
            seconds[sample.labels["hop"]] = sample.value
        elif sample.name == "trueup_stream_state" and sample.value == 1.0:
            state = LagState(sample.labels["state"])
    known = tuple(HopLag(hop, seconds[hop], None, state, _DETAIL) for hop in _HOPS if hop in seconds)
    if known or state is LagState.UNKNOWN:
        return known
    return (HopLag("trueup", None, None, state, _DETAIL),)


def _followers(samples: Iterable[Sample]) -> dict[str, HopLag]:
    found: dict[str, HopLag] = {}
    for sample in samples:
        name = sample.labels.get("follower")
        if name is None:
            continue
        hop = found.get(name, HopLag(name, None, None, LagState.UNKNOWN, _DETAIL))
        if sample.name == "trueup_replication_lag_seconds":
            hop = replace(hop, seconds=sample.value)
        elif sample.name == "trueup_replication_lag_changes":
            hop = replace(hop, changes=int(sample.value))
        elif sample.name == "trueup_replication_state" and sample.value == 1.0:
            hop = replace(hop, state=LagState(sample.labels["state"]))
        found[name] = hop
    return found
