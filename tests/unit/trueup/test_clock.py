"""A time of day that somebody sets back: nothing of ours goes back with it, and nobody waits until it is there."""

from __future__ import annotations

import time
from datetime import datetime, tzinfo
from types import SimpleNamespace

import pytest

from trueup import clock as clock_module
from trueup import daemon as daemon_module
from trueup.clock import SystemClock
from trueup.daemon import Daemon, Post


class Rare:
    """Wants its turns by the scheduler."""

    name = "scan"
    ticks = 0

    def tick(self, now: float) -> float:
        self.ticks += 1
        return 0.6


def test_it_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    told, counted = [1_000.0], [5.0]
    here = SimpleNamespace(time=lambda: told[0], monotonic=lambda: counted[0])
    monkeypatch.setattr(clock_module, "time", here)
    clock = clock_module._TimeOfDay()
    seen = [clock.now()]
    for told[0], counted[0] in ((1_001.0, 6.0), (1_000.8, 6.1), (400.0, 7.0), (401.0, 8.0), (2_000.0, 9.0)):
        seen.append(clock.now())
    assert seen == [1_000.0, 1_001.0, 1_001.0, pytest.approx(1_001.9), pytest.approx(1_002.9), 2_000.0]


def test_every_service_goes_on_having_its_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    back, told = [0.0], time.time

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(told() - back[0], tz)

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Clock)
    monkeypatch.setattr(daemon_module, "datetime", Clock)
    monkeypatch.setattr(time, "time", lambda: told() - back[0])
    service = Rare()
    daemon = Daemon([Post("shop", service)], SystemClock())
    daemon.start()
    try:
        daemon.wait(lambda: service.ticks > 0, 60.0)
        before, back[0] = service.ticks, 3_600.0
        daemon.wait(lambda: service.ticks > before + 1, 60.0)
        assert service.ticks > before + 1
    finally:
        daemon.stop()
