"""An audit waits while a brake holds, says so once, and ends its wait at once when it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from trueup.audit.brake import Braking, Ticks
from trueup.audit.progress import Silent
from verifier.brake import Brakes
from verifier.errors import Forbidden, Permanent, Unreachable
from verifier.look import Role
from verifier.position import Position, Tick
from verifier.table import TableName

ORDERS, ITEMS = TableName("public", "orders"), TableName("public", "items")


class Telling(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, message: str) -> None:
        self.told.append(message)


@dataclass
class Happening(VirtualClock):
    """A clock at whose times something happens."""

    plan: dict[float, Callable[[], None]] = field(default_factory=dict)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        for at in [at for at in self.plan if at <= self.now() - START]:
            self.plan.pop(at)()


START = Happening().now()


class Loaded(MemoryReplica):
    """A server whose load the test sets."""

    load: int = 0
    error: Exception | None = None
    asked: int = 0

    def running(self) -> int:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.load


@dataclass
class Shop:
    clock: Happening = field(default_factory=Happening)
    watcher: Telling = field(default_factory=Telling)

    def __post_init__(self) -> None:
        self.source = Leader(self.clock.now)
        self.target = Follower(self.source, Role.STANDBY)
        self.leader, self.follower = Loaded("leader", self.source), Loaded("eu", self.target)

    def braking(self, brakes: Brakes | None = None, **more: Any) -> Braking:
        return Braking(brakes or Brakes(), self.leader, {"eu": self.follower}, self.clock, self.watcher, **more)


def test_nothing_holds_without_limits() -> None:
    shop = Shop()
    braking = shop.braking()
    assert braking.hold(ORDERS) == 0.0
    assert (shop.leader.asked, shop.watcher.told, braking.seconds()) == (0, [], {"all": 0.0})


@pytest.mark.parametrize("side", ["leader", "follower"])
def test_load_on_any_server_holds_until_it_falls(side: str) -> None:
    shop = Shop()
    busy: Loaded = getattr(shop, side)
    busy.load = 11
    shop.clock.plan[7.0] = lambda: setattr(busy, "load", 10)
    braking = shop.braking(Brakes(running_max=10))
    assert 7.0 <= braking.hold(ORDERS) <= 7.7
    name = "leader" if side == "leader" else "eu"
    assert shop.watcher.told[0] == f"waiting: 11 statements run on {name}, more than 10"
    assert shop.watcher.told[1].startswith("going on after 7.")
    assert len(shop.watcher.told) == 2
    assert braking.seconds()["load"] == braking.seconds()["all"] == pytest.approx(7.35, abs=0.36)
    assert braking.hold(ORDERS) == 0.0
    assert busy.asked <= 17, "the servers are asked at most twice a second"


def test_a_stop_ends_the_wait_at_once() -> None:
    shop = Shop()
    shop.leader.load = 99
    stopped: list[bool] = []
    shop.clock.plan[1.0] = lambda: stopped.append(True)
    assert shop.braking(Brakes(running_max=1), stop=lambda: bool(stopped)).hold(ORDERS) <= 1.2


def test_a_server_that_is_away_holds_nothing_and_is_left_alone() -> None:
    shop = Shop()
    shop.follower.error = Unreachable("gone")
    braking = shop.braking(Brakes(running_max=10))
    for _ in range(8):
        assert braking.hold(ORDERS) == 0.0
        shop.clock.sleep(1.0)
    assert (shop.follower.asked, shop.leader.asked) == (1, 8)


def test_a_limit_that_cannot_be_read_is_known_before_the_first_row() -> None:
    shop = Shop()
    shop.follower.error = Forbidden("grant pg_monitor")
    with pytest.raises(Forbidden, match="grant pg_monitor"):
        shop.braking(Brakes(running_max=10)).try_out()


def test_lag_holds_until_the_follower_has_caught_up() -> None:
    shop = Shop()
    braking = shop.braking(Brakes(lag_seconds=2.0))
    braking.try_out()
    shop.source.noise(1)  # the follower does not apply it
    shop.clock.plan[9.0] = shop.target.catch_up
    waits = 0.0
    for _ in range(5):
        waits += braking.hold(ORDERS)
        shop.clock.sleep(0.6)
    assert shop.watcher.told[0] == "waiting: eu lags by more than 2 s"
    assert 5.0 <= waits <= 7.5
    assert braking.hold(ORDERS) == 0.0


class Nowhere(MemoryReplica):
    """It follows, and does not say how far."""

    def position(self) -> Position:
        raise Permanent("tells no position")


def test_a_follower_that_tells_no_position_brakes_by_its_ticks() -> None:
    shop, shown = Shop(), {"leader": 1, "follower": 1}
    shop.follower.__class__ = Nowhere
    ticks = Ticks(lambda: Tick(shown["leader"]), lambda: Tick(shown["follower"]))
    braking = shop.braking(Brakes(lag_seconds=2.0), ticks=lambda follower: ticks)
    braking.try_out()
    shown["leader"] = 5
    shop.clock.plan[9.0] = lambda: shown.update(follower=5)
    waits = 0.0
    for _ in range(8):
        waits += braking.hold(ORDERS)
        shop.clock.sleep(0.6)
    assert shop.watcher.told[0] == "waiting: eu lags by more than 2 s"
    assert 5.0 <= waits <= 7.5
    assert braking.hold(ORDERS) == 0.0


def test_whose_lag_nothing_tells_is_said_before_the_first_row() -> None:
    shop = Shop()
    shop.follower.__class__ = Nowhere
    braking = shop.braking(Brakes(lag_seconds=2.0))
    braking.try_out()
    (said,) = shop.watcher.told
    assert said.startswith("note: the limit of lag does not hold for eu: it tells no position in the leader's log")
    assert braking.hold(ORDERS) == 0.0
    quiet = Shop()
    quiet.braking(Brakes(lag_seconds=2.0)).try_out()
    assert quiet.watcher.told == []


def test_a_file_holds_while_it_exists(tmp_path: Path) -> None:
    shop, file = Shop(), tmp_path / "pause"
    braking = shop.braking(pause_file=file)
    assert braking.hold(ORDERS) == 0.0
    file.touch()
    shop.clock.plan[3.0] = file.unlink
    assert 3.0 <= braking.hold(ORDERS) <= 3.2
    assert shop.watcher.told[0] == f"waiting: the file {file} exists"
    assert shop.watcher.told[1] in ("going on after 3.0s (pause)", "going on after 3.1s (pause)")
    assert len(shop.watcher.told) == 2


def test_a_paused_table_waits_and_another_goes_on() -> None:
    shop = Shop()
    paused = {ORDERS: "paused by ann"}
    shop.clock.plan[2.0] = paused.clear
    braking = shop.braking(paused=paused.get)
    assert braking.hold(ITEMS) == 0.0
    assert 2.0 <= braking.hold(ORDERS) <= 2.2
    assert braking.seconds()["pause"] == pytest.approx(2.0, abs=0.2)


def test_the_rate_is_kept_over_chunks() -> None:
    shop = Shop()
    braking = shop.braking(Brakes(rows_per_second=1_000.0))
    began = shop.clock.now()
    for rows in (500, 1_000, 200, 300):
        braking.admit(1_000)
        braking.read(1_000, rows)
    assert shop.clock.now() - began == pytest.approx(1.7, abs=0.11)
    assert braking.seconds()["rate"] == pytest.approx(1.7, abs=0.11)
    assert shop.watcher.told == [], "that is as it was asked for"


def test_what_holds_for_a_moment_again_and_again_is_told_once() -> None:
    shop = Shop()
    braking = shop.braking(Brakes(running_max=10))
    for _ in range(5):
        shop.leader.load = 11
        shop.clock.sleep(0.6)
        shop.clock.plan[shop.clock.now() - START + 0.3] = lambda: setattr(shop.leader, "load", 0)
        assert braking.hold(ORDERS) > 0
    assert [told for told in shop.watcher.told if told.startswith("waiting")] == [
        "waiting: 11 statements run on leader, more than 10"
    ]
