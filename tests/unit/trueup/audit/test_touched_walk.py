"""Keys that were touched are looked at no faster than the brakes allow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from fixtures.memory_audit import filled, tools
from worlds.memory import MemoryWorld

from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from trueup.audit.brake import Braking
from trueup.audit.progress import Silent
from trueup.audit.touched import TouchedWalk
from verifier.brake import Brakes
from verifier.compare import comparison
from verifier.identity import key_text
from verifier.journal import Run
from verifier.look import Role


def test_pages_of_keys_are_admitted_by_the_rate(tmp_path: Path) -> None:
    world, clock = MemoryWorld(Role.STANDBY), VirtualClock()
    table = world.leader.table(filled(world, "t", 9))
    pages = [[key_text((i,)) for i in part] for part in ((0, 1, 2), (3, 4, 5), (6, 7))]
    journal = open_journal(tmp_path / "j.db", "g")
    journal.runs.begin(Run("run", "audit", 0.0, "{}"))

    def behind(name: str, after: str) -> Sequence[str]:
        return next((page for page in pages if page[0] > after), ())

    brakes = Braking(Brakes(rows_per_second=1.0), world.leader, {}, clock, Silent())
    walk = TouchedWalk(
        tools(world.leader, journal.runs, clock=clock, brakes=brakes), table,
        {"f": (world.follower, comparison(table, table))}, behind,
    )  # fmt: skip
    walk.run()
    journal.close()
    assert (walk.looked_at, walk.problems, walk.tallies["f"].match) == ({"f": 8}, {}, 3)
    assert brakes.seconds()["rate"] == pytest.approx(6.0, abs=0.3)
