"""Tables without a key: drift is proven at rest, probable on the move, and never claimed of what only moves."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, cast

import pytest

import trueup.audit.multiset as multiset
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from trueup.audit.brake import Braking
from trueup.audit.multiset import MultisetAudit
from trueup.audit.progress import Silent
from trueup.audit.tools import Tools
from verifier.brake import Brakes
from verifier.compare import comparison
from verifier.errors import Permanent, Temporary
from verifier.look import Role
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.ports import in_turn
from verifier.position import Position
from verifier.table import Column, Family, Table, TableName

NAME = TableName("public", "events")
TABLE = Table(NAME, (Column("kind", Family.TEXT, "text"), Column("n", Family.INTEGER, "integer")), ())


class World:
    """A leader with one follower; `move` happens between any two questions."""

    def __init__(self, role: Role = Role.SUBSCRIBER, move: Callable[[World], None] = lambda world: None) -> None:
        self.clock = VirtualClock(happen=self.rest)
        self.source = Leader(self.clock.now)
        self.target = Follower(self.source, role)
        self.moving = False
        self.move = move
        self.source.create(TABLE)
        self.target.shelves.create(TABLE)
        self.leader = MemoryReplica("leader", self.source, happen=self.happen)
        self.follower = MemoryReplica("follower", self.target, happen=self.happen)

    def happen(self) -> None:
        if self.moving:
            self.move(self)

    def rest(self) -> None:
        """What happens while the audit waits."""
        for _ in range(4):
            self.happen()

    def write(self, *rows: tuple[str | None, int]) -> None:
        writing = self.source.begin()
        for kind, n in rows:
            writing.insert(NAME, {"kind": kind, "n": str(n)})
        writing.commit()

    def remove(self, number: int) -> None:
        writing = self.source.begin()
        writing.delete(NAME, (number,))
        writing.commit()

    def audited(self, give_up: float = 20.0, follower: Any = None, brakes: Braking | None = None) -> MultisetAudit:
        self.moving = True
        tools = Tools(
            "g", "run", self.leader, cast(Any, None), self.clock, in_turn, cast(Any, None), Silent(), ScanPolicy(),
            SettlePolicy(give_up_seconds=give_up), retry_seconds=5.0, brakes=brakes,
        )  # fmt: skip
        replica = follower or self.follower
        compared = comparison(self.leader.table(NAME), self.follower.table(NAME))
        audit = MultisetAudit(tools, "f", replica, compared, self.leader)
        audit.run()
        return audit

    def hurt(self) -> None:
        """One row lost, one changed, one added, on the follower alone."""
        self.target.drop(NAME, (1,))
        self.target.put(NAME, (2,), {"kind": "changed", "n": "2"})
        self.target.put(NAME, (10_000,), {"kind": "rogue", "n": "0"})


def told(audit: MultisetAudit) -> tuple[object, ...]:
    entry = audit.entry("native", "", 0.0)
    found = entry["multiset"]
    return (
        entry["verdict"], entry["drift"]["missing"], entry["drift"]["extra"], found["evidence"], found["method"],
        found["exact"],
    )  # fmt: skip


def filled(role: Role = Role.SUBSCRIBER, move: Callable[[World], None] = lambda world: None) -> World:
    world = World(role, move)
    world.write(("a", 1), ("b", 2), ("a", 1), (None, 3), ("c", 4))
    world.target.catch_up()
    return world


def test_every_look_is_held_by_brakes_and_paid_for_and_patience_is_not() -> None:
    world = filled()
    world.hurt()
    began = world.clock.now()
    braking = Braking(
        Brakes(rows_per_second=1.0), world.leader, {"follower": world.follower}, world.clock, Silent(),
        paused=lambda table: "paused by ann" if world.clock.now() < began + 30.0 else None,
    )  # fmt: skip
    assert told(world.audited(give_up=2.0, brakes=braking)) == ("drift", 2, 2, "proven", "snapshot", True)
    held = braking.seconds()
    assert held["pause"] == pytest.approx(30.0, abs=0.2)
    assert held["rate"] == pytest.approx(5.0, abs=0.2), "five rows at the first look, and they were paid for"
    assert braking.spare(0) == pytest.approx(5.0, abs=0.2), "and five at the second, which the next table waits for"


def test_a_pause_between_two_looks_costs_no_patience() -> None:
    world = filled(move=moving)
    world.hurt()
    began = world.clock.now()
    braking = Braking(
        Brakes(), world.leader, {"follower": world.follower}, world.clock, Silent(),
        paused=lambda table: "paused by ann" if 1.0 < world.clock.now() - began < 31.0 else None,
    )  # fmt: skip
    assert told(world.audited(brakes=braking)) == ("drift", 2, 2, "probable", "repeated", True)
    assert braking.seconds()["pause"] == pytest.approx(30.0, abs=1.0)


@pytest.mark.parametrize("role", [Role.STANDBY, Role.SUBSCRIBER])
def test_at_rest_what_differs_is_proven_and_counted(role: Role) -> None:
    world = filled(role)
    assert told(world.audited()) == ("match", 0, 0, None, None, True)
    world.hurt()
    audit = world.audited()
    assert told(audit) == ("drift", 2, 2, "proven", "snapshot", True)
    assert (audit.tally.leader_rows, audit.tally.follower_rows) == (5, 5)


def moving(world: World) -> None:
    """Somebody always writes, and the follower is always a little late."""
    world.write(("hot", world.source.next_id))
    for _ in range(3):
        world.target.step()


@pytest.mark.parametrize("role", [Role.STANDBY, Role.SUBSCRIBER])
def test_on_the_move_only_what_stays_is_told_and_is_probable(role: Role) -> None:
    world = filled(role, moving)
    world.hurt()
    assert told(world.audited()) == ("drift", 2, 2, "probable", "repeated", True)


@pytest.mark.parametrize("role", [Role.STANDBY, Role.SUBSCRIBER])
def test_a_faithful_follower_is_never_called_drifted(role: Role) -> None:
    for seed in range(60):
        random = Random(seed)

        def move(world: World, random: Random = random) -> None:
            if random.random() < 0.5:
                world.write((random.choice("ab"), random.randrange(3)))
            shelf = world.source.shelves.tables[NAME].rows
            if shelf and random.random() < 0.4:
                (number,) = random.choice(sorted(shelf))
                assert isinstance(number, int)
                world.remove(number)
            for _ in range(random.randrange(8)):
                world.target.step()

        world = World(role, move)
        world.write(*((random.choice("abc"), random.randrange(4)) for _ in range(12)))
        audit = world.audited(give_up=5.0)
        assert not any(audit.tally.kinds.values()), seed


def test_a_follower_that_does_not_come_is_in_flight() -> None:
    world = filled()
    world.target.held = True
    world.write(("late", 1))
    audit = world.audited(give_up=2.0)
    assert told(audit)[:3] == ("unverified", 0, 0)
    assert audit.problem == "in flight for longer than 2 s: waited for the follower to apply what the leader shows"


def test_too_many_rows_to_count_are_compared_by_their_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiset, "MULTISET_MAX", 3)
    world = filled()
    world.hurt()
    assert told(world.audited()) == ("drift", 1, 1, "proven", "snapshot", False)
    world.target.drop(NAME, (10_000,))
    assert told(world.audited()) == ("drift", 1, 0, "proven", "snapshot", False)


class Alone(MemoryReplica):
    """A restored copy: it follows nobody."""

    def position(self) -> Position:
        raise Permanent("it does not tell how far it follows")


def test_a_copy_that_follows_nobody_is_compared_at_rest_alone() -> None:
    world = filled()
    world.hurt()
    alone = Alone("follower", world.target, happen=world.happen)
    assert told(world.audited(follower=alone)) == ("drift", 2, 2, "proven", "snapshot", True)
    busy = filled(move=moving)
    busy.hurt()
    alone = Alone("follower", busy.target, happen=busy.happen)
    audit = busy.audited(give_up=2.0, follower=alone)
    assert told(audit)[:3] == ("unverified", 0, 0)
    assert "compare at rest" in str(audit.problem)


class Away(MemoryReplica):
    failures = 2

    def digest(self, *given: Any) -> Any:
        self.failures -= 1
        if self.failures >= 0:
            raise Temporary("the connection was lost", delay_seconds=1.0)
        return super().digest(*given)


def test_a_server_that_comes_back_is_asked_again_and_one_that_stays_away_is_made_up_for() -> None:
    world = filled()
    away = Away("follower", world.target)
    assert told(world.audited(follower=away))[0] == "match"
    away.failures = 1_000
    audit = world.audited(follower=away)
    assert (audit.missed, audit.problem) == (True, "the connection was lost")


def test_what_else_is_wrong_stays_the_tables_reason() -> None:
    world = filled()
    audit = world.audited()
    audit.compared = comparison(TABLE, Table(NAME, TABLE.columns[:1], ()))
    entry = audit.entry("native", "", 0.0)
    assert (entry["verdict"], "column 'n' is missing" in entry["reason"]) == ("unverified", True)
