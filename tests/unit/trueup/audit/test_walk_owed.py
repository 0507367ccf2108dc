"""A chunk that a follower owes is read part by part: few suspects wait, however many of its rows differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fixtures.memory_audit import filled, tools
from worlds.memory import MemoryWorld

from connectors.journal.opening import open_journal
from trueup.audit.progress import Silent
from trueup.audit.table import TableAudit
from verifier.compare import comparison
from verifier.digest import Digest
from verifier.errors import Temporary
from verifier.journal import Run
from verifier.keyrange import KeyRange
from verifier.look import Look, Role
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.table import Table, TableName

ROWS = 60
PACKED = 8


class _Away:
    """A follower that does not answer at its first `refusals` digests."""

    def __init__(self, inner: Any, refusals: int) -> None:
        self.inner, self.refusals = inner, refusals

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        if self.refusals:
            self.refusals -= 1
            raise Temporary("away for a moment")
        look: Look[Digest] = self.inner.digest(table, within)
        return look

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _Watching(Silent):
    """How many suspects waited at most."""

    most = 0

    def rows_read(self, table: TableName, rows: int, *, suspects: int, drifted: int) -> None:
        self.most = max(self.most, suspects)


def test_an_owed_chunk_that_differs_everywhere(tmp_path: Path) -> None:
    world = MemoryWorld(Role.STANDBY)
    name = filled(world, "t", ROWS)
    rows = world._target.shelves.tables[name].rows
    for key in range(ROWS):
        rows[key,] = ({**rows[key,][0], "v": "wrong"}, *rows[key,][1:])
    follower: Any = _Away(world.follower, 1)
    table, journal, watcher = world.leader.table(name), open_journal(tmp_path / "j.db", "g"), _Watching()
    journal.runs.begin(Run("run", "audit", 0.0, "{}"))
    made = tools(
        world.leader,
        journal.runs,
        watcher=watcher,
        scan=ScanPolicy(rows_first=40, rows_min=2, rows_max=40, packed_max=PACKED, suspects_max=PACKED),
        settle=SettlePolicy(wait_first_seconds=0.0),
    )
    audit = TableAudit(made, table, {"f": (follower, comparison(table, table))})
    audit.run()
    results = journal.runs.results("run", name)
    assert journal.runs.drift_counts("run", name) == {("f", "mismatched"): ROWS}
    assert results[0].drifted == 40  # the chunk that was owed, in its parts
    assert sum(result.drifted for result in results) == ROWS
    assert all(result.reason is None for result in results)
    assert results[0].leader == world.leader.digest(table, results[0].chunk.range).value
    assert results[0].follower_digest == world.follower.digest(table, results[0].chunk.range).value
    tally = audit.tallies["f"]
    assert (tally.total, tally.drift, tally.match) == (len(results), len(results), 0)
    assert watcher.most <= 2 * PACKED
    journal.close()
