"""However an audit walks a table, what it finds in masked columns it keeps masked."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fixtures.memory_audit import filled, tools
from worlds.memory import MemoryWorld

from connectors.journal.opening import open_journal
from reconciler.masking import Masking
from trueup.audit.drill import TableDrill
from trueup.audit.table import TableAudit
from trueup.audit.touched import TouchedWalk
from verifier.compare import comparison
from verifier.drift import Difference
from verifier.identity import key_text
from verifier.journal import Run
from verifier.look import Role
from verifier.recorded import Recorded


@pytest.mark.parametrize("walk", [TableAudit, TouchedWalk, TableDrill])
def test_no_walk_keeps_a_value(tmp_path: Path, walk: Any) -> None:
    world = MemoryWorld(Role.STANDBY)
    name = filled(world, "t", 5)
    world._target.put(name, (3,), {"id": "3", "v": "bent"})
    masking, table = Masking({name: frozenset({"v"})}, b"salt"), world.leader.table(name)
    with closing(open_journal(tmp_path / "j.db", "g")) as journal:
        journal.runs.begin(Run("run", "audit", 0.0, "{}"))
        kit, compared = tools(world.leader, journal.runs, masking=masking), comparison(table, table)
        if walk is TableDrill:
            moment = Recorded("s", 1, world.leader.position(), world.leader.mark(), None, quiet=True)
            TableDrill(kit, world.follower, compared, moment, None).run()
        elif walk is TouchedWalk:
            pages = [[key_text((i,)) for i in range(5)], []]
            TouchedWalk(kit, table, {"f": (world.follower, compared)}, lambda name, after: pages.pop(0)).run()
        else:
            TableAudit(kit, table, {"f": (world.follower, compared)}).run()
        (found,) = journal.drifts.open()
    assert found.drift.columns == {"v": Difference(masking.value("v3"), masking.value("bent"))}
