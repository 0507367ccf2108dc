"""Times of a heartbeat table as servers and tools spell them."""

from __future__ import annotations

import pytest

from verifier.errors import Misconfigured
from verifier.heartbeat import HeartbeatPolicy, instant


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2026-11-26T08:21:13.001230", 1_795_681_273_001_230),  # pt-heartbeat
        ("2026-11-26 08:21:13", 1_795_681_273_000_000),
        ("2026-11-26 08:21:13.5+00", 1_795_681_273_500_000),  # PostgreSQL
        ("2026-11-26 10:21:13.00123+02:00", 1_795_681_273_001_230),
        ("2026-11-26T08:21:13Z", 1_795_681_273_000_000),
        ("1795681273", 1_795_681_273_000_000),
        ("1795681273.25", 1_795_681_273_250_000),
        ("1795681273250", 1_795_681_273_250_000),
        ("1795681273250001", 1_795_681_273_250_001),
    ],
)
def test_a_time_is_read_however_it_is_spelled(text: str, microseconds: int) -> None:
    assert instant(text, "heartbeat.ts").value == microseconds


@pytest.mark.parametrize("text", ["", "now", "12:00", "-5", "2026-13-01"])
def test_what_is_no_time_is_refused_by_place_and_not_by_value(text: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        instant(text, "percona.heartbeat.ts on copy")
    assert str(caught.value).startswith("percona.heartbeat.ts on copy is no time: need a timestamp")


def test_the_table_is_never_compared() -> None:
    assert (HeartbeatPolicy("percona.heartbeat").excluded, HeartbeatPolicy("beat").excluded) == (
        "!percona.heartbeat",
        "!*.beat",
    )
