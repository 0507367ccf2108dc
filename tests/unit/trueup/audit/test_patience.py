"""Questions before a table is read: a server that comes back is waited for, and one that stays away only once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from connectors.memory.clock import VirtualClock
from trueup.audit.patience import patiently
from trueup.audit.progress import Silent
from verifier.errors import Permanent, Temporary, TrueupError, Unreachable


class World:
    """`answers`: what is raised one after the other, then "told"."""

    def __init__(self, *answers: TrueupError, stop: bool = False) -> None:
        self.answers, self.asked = list(answers), 0
        self.clock = VirtualClock()
        self.tools: Any = SimpleNamespace(
            clock=self.clock, away=set(), retry_seconds=60.0, watcher=Silent(), stop=lambda: stop
        )
        self.began = self.clock.now()

    def ask(self) -> str:
        self.asked += 1
        if self.answers:
            raise self.answers.pop(0)
        return "told"

    def __call__(self) -> str:
        return patiently(self.tools, "f", self.ask)

    @property
    def took(self) -> float:
        return self.clock.now() - self.began


def test_who_comes_back_is_asked_again() -> None:
    world = World(Temporary("lost"), *[Unreachable("nobody answers")] * 20)
    assert (world(), world.asked, world.tools.away) == ("told", 22, set())
    assert 1 < world.took < 20


def test_who_stays_away_is_waited_for_once() -> None:
    world = World(*[Unreachable("nobody answers")] * 500)
    with pytest.raises(Unreachable):
        world()
    assert (60 <= world.took < 61, world.tools.away) == (True, {"f"})
    asked = world.asked
    with pytest.raises(Unreachable):
        world()
    assert (world.asked, world.took < 61) == (asked + 1, True)
    world.answers.clear()
    assert (world(), world.tools.away) == ("told", set())


def test_what_may_pass_is_tried_three_times_and_what_never_does_once() -> None:
    world = World(*[Temporary("still copied")] * 9)
    with pytest.raises(Temporary, match="still copied"):
        world()
    assert (world.asked, world.tools.away, world.took <= 2) == (3, set(), True)
    world = World(Permanent("no such table"))
    with pytest.raises(Permanent):
        world()
    assert (world.asked, world.took) == (1, 0.0)


def test_who_wants_to_stop_does_not_wait() -> None:
    world = World(*[Unreachable("nobody answers")] * 9, stop=True)
    with pytest.raises(Unreachable):
        world()
    assert world.took == 0.0
