"""What a running daemon says of a group's change stream: read from its own metrics page.

Only the daemon reads the stream, so only it knows how late each hop is. No daemon, or one that does not answer at
once, is no error: the caller then tells what the servers themselves say.
"""

from __future__ import annotations

import urllib.error
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from config.settings import Settings
from verifier.lag import HopLag, LagState

_SECONDS = 2.0
_HOPS = ("connector", "broker", "trueup")


def stream_hops(settings: Settings, group: str) -> list[HopLag]:
    """The hops of the stream as the daemon measures them; empty if none runs at `http.listen`."""
    host, port = settings.http.place()
    address = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=_SECONDS) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, OSError, ValueError):
        return []
    seconds: dict[str, float] = {}
    state = LagState.UNKNOWN
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.labels.get("group") != group:
                continue
            if sample.name == "trueup_stream_lag_seconds":
                seconds[sample.labels["hop"]] = sample.value
            elif sample.name == "trueup_stream_state" and sample.value == 1.0:
                state = LagState(sample.labels["state"])
    detail = "as the running daemon measures it"
    known = [HopLag(hop, seconds[hop], None, state, detail) for hop in _HOPS if hop in seconds]
    return known or ([HopLag("trueup", None, None, state, detail)] if state is not LagState.UNKNOWN else [])
