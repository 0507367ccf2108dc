"""What an audit would run is told of every table that it would judge."""

from __future__ import annotations

from fixtures.memory_audit import filled
from worlds.memory import MemoryWorld

from trueup.audit.explaining import Explaining
from trueup.audit.lineup import Lineup
from trueup.audit.request import Request
from verifier.look import Role
from verifier.policy import ScanPolicy


def test_a_table_without_a_key_is_explained_as_a_whole() -> None:
    world = MemoryWorld(Role.STANDBY)
    name = filled(world, "log", 3, key=())
    lineup = Lineup(world.leader, {"f": world.follower}, Request())
    told = Explaining(lineup, ScanPolicy()).table(name)
    assert (told["key"], told["range"]) == ([], {"lower": None, "upper": None})
    (one,) = told["comparisons"]
    assert "rows cannot be addressed" in one["problem"]
    assert [side["server"] for side in one["sides"]] == [world.leader.name, world.follower.name]
    assert all(side["sql"] and side["plan"] for side in one["sides"])
