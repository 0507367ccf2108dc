"""While a follower is later than its operator allows nothing is written to it, for it may correct itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.mending import A, Shop

from config.settings import Group
from reconciler.repair import State
from trueup.bootstrap.group import _repair
from trueup.services.watch import SharedLag
from verifier.lag import LagTracker
from verifier.position import Tick


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.journal.close()


def test_repairs_are_planned_and_wait_and_that_is_told_once(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.insert(A, [1])
    shop.damage(A, [1])
    shop.find(A, [1])
    why = ["one lags by 90 s"]
    shop.service.late = lambda: why[0]
    with caplog.at_level(logging.WARNING):
        shop.turns(3)
    assert shop.states() == {State.PLANNED: 1}
    assert not shop.right(A, 1)
    told = [vars(record) for record in caplog.records]
    assert [(one["action"], one["follower"], one["why"]) for one in told] == [("repair_waits", "one", why[0])]
    why[0] = ""
    shop.turns(1)
    assert shop.states() == {State.APPLIED: 1}
    assert shop.right(A, 1)


def test_it_is_lag_max_that_they_wait_for(shop: Shop) -> None:
    sides = {"leader": {"url": "sqlite:///a.db"}, "followers": [{"name": "one", "url": "sqlite:///b.db"}]}
    group = Group.model_validate({"name": "shop", **sides, "tables": {}, "lag": {"warn": "1s", "max": "5s"}})
    lag, nothing = SharedLag(LagTracker()), _nothing()
    service = _repair(group, "one", shop.service.world, shop.journal, shop.service.announcer, nothing, lambda: "", lag)
    assert service.late() == "", "nothing is known yet"
    began = shop.clock.now()

    def seconds(passed: int, written: int, applied: int) -> None:
        shop.clock.at = began + passed
        lag.observe(lambda tracker: tracker.leader_at(Tick(written), shop.clock.now()))
        lag.observe(lambda tracker: tracker.follower_at("one", Tick(applied), shop.clock.now()))

    for passed in range(6):
        seconds(passed, written=2, applied=1)
    assert service.late() == "", "five seconds are allowed"
    for passed in range(6, 9):
        seconds(passed, written=2, applied=1)
    assert service.late() == "one lags by 8 s, more than lag.max; it may correct itself"
    seconds(9, written=2, applied=2)
    assert service.late() == ""


def _nothing() -> Any:
    return None
