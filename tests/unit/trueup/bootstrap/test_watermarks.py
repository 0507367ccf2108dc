"""Which followers are judged by the watermark: those that tell no position in their leader's log, or those named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from worlds.memory import MemoryWorld

from trueup.bootstrap.servers import Address
from trueup.bootstrap.watermark import Watermarks, name_on, open_watermarks
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.look import Role
from verifier.policy import Limits
from verifier.position import Lsn, Position, Tick
from verifier.table import Family, TableName
from verifier.watermark import WatermarkedFollower, WatermarkedLeader, WatermarkPolicy


@dataclass
class Telling:
    """A replica that tells another position, or none."""

    inner: Any
    told: Position | Exception
    default_schema: str | None = "public"

    def position(self) -> Position:
        if isinstance(self.told, Exception):
            raise self.told
        return self.told

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture
def world() -> MemoryWorld:
    made = MemoryWorld(Role.SUBSCRIBER)
    made.create("mark", (("id", Family.INTEGER), ("tick", Family.INTEGER)), ["id"])
    made.insert(TableName("public", "mark"), [{"id": "1", "tick": "7"}])
    made.applied()
    return made


def watermarks(world: MemoryWorld, follower: Any, policy: WatermarkPolicy | None = None) -> Watermarks:
    policy = policy or WatermarkPolicy("public.mark")
    return open_watermarks(policy, Address("leader", "x://"), world.leader, {follower.name: follower}, Limits())


@pytest.mark.parametrize(
    ("told", "judged"),
    [
        (Permanent("tells no position"), True),
        (Lsn(5), True),  # of another log than the leader's, which counts
        (Lsn(0), True),
        (Tick(3), False),
    ],
)
def test_who_tells_no_position_in_the_leaders_log_is_judged_by_it(
    world: MemoryWorld, told: Position | Exception, judged: bool
) -> None:
    follower = Telling(world.follower, told)
    marks = watermarks(world, follower)
    leader, placed = marks.placed(follower)  # type: ignore[arg-type]
    assert isinstance(leader, WatermarkedLeader) is isinstance(placed, WatermarkedFollower) is judged
    if judged:
        assert placed.position() == Tick(7)
        assert leader.position() == Tick(9), "the next but one: others write it"
        assert marks.try_out() == [f"{follower.name} is judged by the watermark, so nothing is proven there"]
    else:
        assert (leader, placed) == (world.leader, follower)
        assert marks.try_out() == []


def test_followers_that_are_named_are_judged_by_it_and_no_others(world: MemoryWorld) -> None:
    name = world.follower.name
    marks = watermarks(world, world.follower, WatermarkPolicy("public.mark", ordered=True, followers=(name,)))
    assert marks.try_out() == [f"{name} is judged by the watermark"]
    with pytest.raises(Misconfigured, match="the watermark is for a follower 'nobody'; there are"):
        watermarks(world, world.follower, WatermarkPolicy("public.mark", followers=("nobody",)))


def test_a_follower_that_is_away_is_asked_again_later(world: MemoryWorld) -> None:
    follower = Telling(world.follower, Temporary("away"))
    marks = watermarks(world, follower)
    assert marks.try_out() == [f"{follower.name}: away"]
    follower.told = Permanent("tells no position")
    assert isinstance(marks.placed(follower)[1], WatermarkedFollower)  # type: ignore[arg-type]


def test_default_schemas_stand_for_each_other(world: MemoryWorld) -> None:
    other: Any = Telling(world.follower, Tick(1), default_schema="main")
    nowhere: Any = Telling(world.follower, Tick(1), default_schema=None)
    assert name_on(world.leader, "mark") == TableName("public", "mark")
    assert name_on(other, "public.mark", world.leader) == TableName("main", "mark")
    assert name_on(other, "own.mark", world.leader) == TableName("own", "mark")
    assert name_on(nowhere, "public.mark", world.leader) == TableName("public", "mark")
    with pytest.raises(Misconfigured, match="needs its schema"):
        name_on(nowhere, "mark")
