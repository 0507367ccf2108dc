"""The daemon's turns: what a tick raises decides what the world is told, and nobody else is held up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from trueup import daemon as daemon_module
from trueup import logs
from trueup.clock import SystemClock
from trueup.daemon import Daemon, Post
from verifier.errors import Forbidden, Permanent, Temporary, Unsound


@dataclass
class Scripted:
    """Raises what it is told to, one after the other, and is content ever after."""

    name: str
    troubles: list[Exception] = field(default_factory=list)
    ticks: int = 0

    def tick(self, now: float) -> float:
        self.ticks += 1
        if self.troubles:
            raise self.troubles.pop(0)
        return 0.01


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_fault_of_trueup_kills_one_service_and_says_which_and_why() -> None:
    broken, healthy = Scripted("scan", [Unsound("a law does not hold")]), Scripted("follow")
    failed: list[str] = []
    posts = [Post("shop", broken), Post("shop", healthy)]
    daemon = Daemon(posts, SystemClock(), failed=lambda post: failed.append(post.title))
    daemon.start()
    try:
        until(lambda: bool(daemon.dead()) and healthy.ticks > 3)
        assert daemon.dead() == ["shop: scan died: Unsound: a law does not hold"]
        assert failed == ["shop: scan"]
        ticks = healthy.ticks
        until(lambda: healthy.ticks > ticks)
        assert broken.ticks == 1, "a broken service is not called again"
    finally:
        daemon.stop()
    assert daemon.dead() == ["shop: scan died: Unsound: a law does not hold"]


def test_a_fault_tells_its_calls_and_not_what_it_quotes(caplog: pytest.LogCaptureFixture) -> None:
    broken = Scripted("scan", [KeyError("4111 1111 1111 1111")])
    daemon = Daemon([Post("shop", broken)], SystemClock())
    daemon.start()
    try:
        until(lambda: bool(daemon.dead()))
    finally:
        daemon.stop()
    assert daemon.dead() == ["shop: scan died: KeyError, a fault of trueup: see the log"]
    (record,) = [one for one in caplog.records if getattr(one, "action", "") == "service_died"]
    told = logs.JsonLines().format(record)
    assert "4111" not in told
    assert "raise self.troubles.pop(0)" in told


def test_what_passes_is_tried_again_and_forgotten() -> None:
    service = Scripted("lag", [Temporary("the leader is away", delay_seconds=0.3), Temporary("still away")])
    daemon = Daemon([Post("shop", service)], SystemClock())
    daemon.start()
    try:
        until(lambda: daemon.troubled() == ["shop: lag: the leader is away"])
        assert daemon.dead() == []
        until(lambda: service.ticks > 3)
        assert daemon.troubled() == []
    finally:
        daemon.stop()


def test_what_somebody_must_mend_stays_visible() -> None:
    service = Scripted("lease", [Permanent("another daemon took over")])
    daemon = Daemon([Post("shop", service)], SystemClock())
    daemon.start()
    until(lambda: bool(daemon.troubled()))
    time.sleep(0.2)
    assert (daemon.troubled(), daemon.dead(), service.ticks) == (["shop: lease: another daemon took over"], [], 1)
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 20, "nobody waits for a turn that is far away"


def test_a_login_that_was_put_right_is_soon_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon_module, "_FORBIDDEN_SECONDS", 0.2)
    service = Scripted("follow", [Forbidden("refused"), Forbidden("refused")])
    daemon = Daemon([Post("shop", service)], SystemClock())
    daemon.start()
    try:
        until(lambda: daemon.troubled() == ["shop: follow: refused"])
        until(lambda: service.ticks > 3)
        assert (daemon.troubled(), daemon.dead()) == ([], [])
    finally:
        daemon.stop()


def test_stopping_lets_the_tick_in_progress_end() -> None:
    inside, ended = threading.Event(), threading.Event()

    class Slow:
        name = "check"

        def tick(self, now: float) -> float:
            inside.set()
            time.sleep(0.4)
            ended.set()
            return 0.0

    daemon = Daemon([Post("shop", Slow())], SystemClock())
    daemon.start()
    assert inside.wait(60)
    daemon.stop()
    assert ended.is_set()


def test_a_tick_that_does_not_end_is_as_good_as_dead() -> None:
    inside, leave = threading.Event(), threading.Event()

    class Stuck:
        name = "verify:eu"

        def tick(self, now: float) -> float:
            inside.set()
            leave.wait(60)
            return 60.0

    clock = Shifted()
    daemon = Daemon([Post("shop", Stuck())], clock)
    daemon.start()
    assert inside.wait(60)
    assert daemon.dead() == []
    clock.ahead = 700.0
    assert [reason.rpartition(" for ")[0] for reason in daemon.dead()] == ["shop: verify:eu has been busy"]
    leave.set()
    daemon.stop()


def test_a_scheduler_that_ends_by_itself_is_told() -> None:
    daemon = Daemon([Post("shop", Scripted("scan"))], SystemClock())
    daemon.start()
    assert daemon.dead() == []
    assert daemon._scheduler is not None
    daemon._scheduler.shutdown(wait=False)  # as if its thread had died
    until(lambda: daemon.dead() == ["the scheduler stopped"])
    daemon._stopping.set()  # whoever is in his turn goes home


@dataclass
class Shifted:
    """The system's clock, moved ahead at will."""

    ahead: float = 0.0

    def now(self) -> float:
        return time.time() + self.ahead

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def test_a_turn_that_asks_for_its_next_while_all_stops_does_not_hold_the_end_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The scheduler stops with its locks held, and who asks it for a turn needs them."""
    asking = threading.Event()

    class Slow(daemon_module._Turns):
        def add_job(self, *words: object, **more: object) -> object:
            if threading.current_thread().name.startswith("ThreadPoolExecutor"):
                asking.set()
                until_stopped = time.monotonic() + 0.5
                while self.running and time.monotonic() < until_stopped:
                    time.sleep(0.01)
            return super().add_job(*words, **more)

    class Rare(Scripted):
        def tick(self, now: float) -> float:
            return super().tick(now) + 5.0

    monkeypatch.setattr(daemon_module, "_Turns", Slow)
    daemon = Daemon([Post("shop", Rare("scan"))], SystemClock())
    daemon.start()
    assert asking.wait(60)
    ending = threading.Thread(target=daemon.stop, daemon=True)
    ending.start()
    ending.join(20)
    assert not ending.is_alive()
