"""By hand, too, nothing is written to a follower that lags by more than `lag.max`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures.mending import A, B, Shop

from config.policy import Http
from config.settings import Group
from connectors.memory.clock import VirtualClock
from reconciler.applying import Step
from reconciler.repair import State
from reconciler.repairing import decide
from trueup.bootstrap.lateness import LONGEST_SECONDS, late_by_hand
from trueup.bootstrap.repairing import Repairing

LATE = "one lags by 5 s, more than lag.max; it may correct itself"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    made.insert(A, [1])
    made.damage(A, [1])
    made.find(A, [1])
    made.service.plan(made.clock.now())
    planned = made.journal.repairs.listed(State.PLANNED)
    decide(made.service.casebook(), planned, State.APPROVED, actor="ann", now=made.clock.now())
    yield made
    made.journal.close()


def behind(shop: Shop) -> None:
    """The leader has written what the follower does not get."""
    shop.follower.held = True
    shop.insert(B, [7])


def by_hand(shop: Shop) -> tuple[Repairing, list[str]]:
    made, said = shop.by_hand(), list[str]()
    sides = {"leader": {"url": "sqlite:///a.db"}, "followers": [{"name": "one", "url": "sqlite:///b.db"}]}
    policy = {"lag": {"warn": "1s", "max": "5s"}, "repair": {"mode": "approve"}}
    made.group = Group.model_validate({"name": "shop", **sides, "tables": {}, **policy})
    nobody: Any = SimpleNamespace(http=Http(listen="127.0.0.1:1"))
    made.settings, made.note = nobody, said.append
    return made, said


def test_what_is_approved_for_a_late_follower_is_held(shop: Shop) -> None:
    behind(shop)
    hand, said = by_hand(shop)
    began = shop.clock.now()
    (held,) = hand.apply("one", dry_run=False, actor="ann")
    assert (held.step, held.note) == (Step.HELD, LATE)
    assert 5.0 < shop.clock.now() - began < 5.5
    assert said == ["one is behind; waiting for it, at most 5 s (lag.max)"]
    assert (shop.states(), shop.right(A, 1)) == ({State.APPROVED: 1}, False)


def test_a_follower_that_comes_in_time_is_waited_for(shop: Shop) -> None:
    behind(shop)
    hand, _ = by_hand(shop)
    free_at = shop.clock.now() + 4.0

    def happen() -> None:
        if shop.clock.now() >= free_at:
            shop.follower.held = False
            shop.follower.catch_up()

    shop.clock.happen = happen
    (taken,) = hand.apply("one", dry_run=False, actor="ann")
    assert taken.step is Step.APPLIED
    assert shop.right(A, 1)


def test_nobody_waits_to_show_what_would_be_written(shop: Shop) -> None:
    behind(shop)
    hand, said = by_hand(shop)
    (taken,) = hand.apply("one", dry_run=True, actor="ann")
    assert (taken.step, said) == (Step.WAITING, [])


def test_nobody_is_waited_for_where_nothing_is_approved(shop: Shop) -> None:
    shop.service.apply(shop.clock.now())
    behind(shop)
    hand, said = by_hand(shop)
    assert hand.apply("one", dry_run=False, actor="ann") == []
    assert said == []


@pytest.mark.parametrize(
    ("most", "told", "late", "waits"),
    [
        (60.0, 61.0, "one lags by 61 s, more than lag.max; it may correct itself", 0.0),
        (60.0, 59.0, "one lags by 60 s, more than lag.max; it may correct itself", 60.0),
        (2.0, None, "one lags by 2 s, more than lag.max; it may correct itself", 2.0),
        (3_600.0, None, "", LONGEST_SECONDS),
    ],
)
def test_a_daemon_knows_at_once(shop: Shop, most: float, told: float | None, late: str, waits: float) -> None:
    behind(shop)
    leader, (one,) = shop.service.world.leader, shop.service.world.followers.values()
    clock = VirtualClock()
    began = clock.now()
    assert late_by_hand(leader, one, most, clock, lambda: told, lambda text: None) == late
    assert waits <= clock.now() - began < waits + 0.3


def test_who_is_not_behind_is_asked_once(shop: Shop) -> None:
    def told() -> float:
        raise AssertionError("nobody has to know")

    leader, (one,) = shop.service.world.leader, shop.service.world.followers.values()
    assert late_by_hand(leader, one, 5.0, shop.clock, told, lambda text: None) == ""
