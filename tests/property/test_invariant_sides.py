"""Invariants across endpoints: followers that are late, stuck, or half-way through a commit break none.

A small world: a log of bookings (the n-th is of one account), a leader that shows a commit a moment after it is logged,
a standby that shows first and publishes then, a subscriber that does it the other way round, and a replica that does
both at once. Each call lets some of them go on; who is frozen stays where it is, even half-way.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any

import pytest

from connectors.memory.clock import VirtualClock
from verifier.check import Checker
from verifier.errors import Permanent
from verifier.invariant import EqualByKey, Finding, Side, Standing
from verifier.look import Look, Publishes
from verifier.ports import Answer
from verifier.position import Tick
from verifier.sides import CheckPolicy

SEEDS = 80
ACCOUNTS = 3
PAIRS = list(permutations(("leader", "standby", "subscriber", "replica"), 2))


@dataclass
class World:
    chance: random.Random
    log: list[str] = field(default_factory=list)
    servers: dict[str, Server] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.clock.happen = lambda: self.go_on(8)
        for name, publishes in (
            ("leader", None),
            ("standby", Publishes.AFTER_SHOWING),
            ("subscriber", Publishes.BEFORE_SHOWING),
            ("replica", Publishes.TOGETHER),
        ):
            self.servers[name] = Server(self, name, publishes)

    def go_on(self, steps: int) -> None:
        for _ in range(self.chance.randrange(steps)):
            who = self.chance.choice(["writer", *self.servers, *self.servers, *self.servers])
            if who in self.frozen:
                continue
            if who == "writer":
                self.log.append(str(self.chance.randrange(ACCOUNTS)))
            else:
                self.servers[who].step()

    def rest(self) -> None:
        """Nothing is written any more, and all have shown everything."""
        self.frozen = {"writer"}
        while any(min(one.shown, one.published) < len(self.log) for one in self.servers.values()):
            self.go_on(100)

    def freeze(self) -> None:
        self.frozen = {who for who in ("writer", *self.servers) if self.chance.random() < 0.4}


@dataclass
class Server:
    """Shows the log up to `shown`. A leader: what is logged may not show yet."""

    world: World
    name: str
    publishes: Publishes | None
    shown: int = 0
    published: int = 0
    broken: dict[str, str] = field(default_factory=dict)

    def step(self) -> None:
        first = "published" if self.publishes is Publishes.BEFORE_SHOWING else "shown"
        second = "shown" if first == "published" else "published"
        reached = getattr(self, first)
        if getattr(self, second) < reached:
            setattr(self, second, reached)
        elif reached < len(self.world.log):
            setattr(self, first, reached + 1)
            if self.publishes is Publishes.TOGETHER:
                setattr(self, second, reached + 1)

    def position(self) -> Tick:
        self.world.go_on(4)
        return Tick(len(self.world.log) if self.publishes is None else self.published)

    def mark(self, shown: object = None) -> int:
        self.world.go_on(4)
        if self.publishes is None:
            return len(self.world.log)
        if self.publishes is not Publishes.BEFORE_SHOWING:
            raise Permanent("nobody should ask this follower for a mark")
        return self.published

    def ask(self, sql: str, *, rows_max: int, seconds_max: float) -> Look[Answer]:
        low = self.position()
        self.world.go_on(4)
        seen, shown = self.world.log[: self.shown], self.shown
        rows = {str(n): str(seen.count(str(n))) for n in range(ACCOUNTS)} | self.broken
        return Look(Answer(("account", "n"), tuple(rows.items()), False), low, self.position(), Ended(shown))


@dataclass(frozen=True)
class Ended:
    shown: int

    def saw(self, xid: int) -> Any:
        raise AssertionError("invariants ask whether everything has ended, never for one transaction")

    def ended_below(self, mark: object) -> bool:
        return isinstance(mark, int) and self.shown >= mark


def checker(world: World, left: str, right: str) -> Checker:
    endpoints: Mapping[str, Any] = world.servers
    policy = replace(CheckPolicy(), wait_max_seconds=2.0)
    return Checker(EqualByKey("books", Side(left, "q"), Side(right, "q")), endpoints, "leader", world.clock, policy)


def findings(world: World, left: str, right: str) -> list[Finding]:
    """Of some one-shot checks, with others frozen in each."""
    checking, found = checker(world, left, right), []
    for _ in range(4):
        world.freeze()
        found.append(checking.settled())
    return found


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_faithful_followers_never_violate_and_hold_once_all_go_on(left: str, right: str) -> None:
    held = 0
    for seed in range(SEEDS):
        world = World(random.Random(seed))
        found = findings(world, left, right)
        assert {one.standing for one in found} <= {Standing.HOLDS, Standing.UNVERIFIED}, (seed, found)
        held += sum(one.standing is Standing.HOLDS for one in found)
        world.rest()
        assert checker(world, left, right).settled().standing is Standing.HOLDS
    assert held > SEEDS / 2


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_a_broken_account_is_found_at_rest_with_both_values(left: str, right: str) -> None:
    for seed in range(20):
        world = World(random.Random(seed))
        world.go_on(100)
        world.rest()
        world.servers[right].broken = {"1": "-7"}
        found = checker(world, left, right).settled()
        assert (found.standing, found.violations) == (Standing.VIOLATED, 1)
        assert found.sample == ({"account": "1", "left": str(world.log.count("1")), "right": "-7"},)


def test_two_followers_at_different_places_are_both_right() -> None:
    world = World(random.Random(1))
    world.log.extend("0" * 20)
    standby, subscriber = world.servers["standby"], world.servers["subscriber"]
    standby.shown = standby.published = 10
    subscriber.shown = subscriber.published = 20
    world.frozen = {"writer", *world.servers}
    found = checker(world, "standby", "subscriber").settled()
    assert (found.standing, found.reason) == (Standing.UNVERIFIED, "standby did not apply 20 within 2 s")
    world.rest()
    assert checker(world, "standby", "subscriber").settled().standing is Standing.HOLDS
