"""A restored copy that lost its primary key and holds a key twice is not proven, although its leader stands still."""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.memory_audit import filled, tools
from worlds.memory import MemoryWorld

from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from trueup.audit.brake import Braking
from trueup.audit.drill import TableDrill
from trueup.audit.progress import Silent
from verifier.brake import Brakes
from verifier.compare import comparison
from verifier.digest import Digest
from verifier.errors import Permanent
from verifier.journal import Run
from verifier.keyrange import KeyRange
from verifier.look import Look, Role
from verifier.packed import PackedDigests
from verifier.policy import ScanPolicy
from verifier.recorded import Recorded
from verifier.table import Key, Table, TableName


class _Packed:
    """A server in memory that packs what it read, with these rows besides; it names no row of a key that is doubled."""

    def __init__(self, inner: Any, besides: tuple[tuple[int, int], ...] = ()) -> None:
        self.inner, self.besides = inner, besides

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def row_digests(self, table: Table, within: KeyRange) -> Look[Mapping[Key, int]]:
        look: Look[Mapping[Key, int]] = self.inner.row_digests(table, within)
        rows = [*self.besides, *((int(key[0]), value) for key, value in look.value.items())]
        return replace(look, value=PackedDigests.whole(b"".join(struct.pack(">qQ", *row) for row in rows)))

    def digest(self, table: Table, within: KeyRange) -> Look[Digest]:
        look = self.row_digests(table, within)
        assert isinstance(look.value, PackedDigests)
        return Look(look.value.digest(), look.low, look.high, look.view)

    def rows(self, table: Table, keys: Collection[Key]) -> Any:
        if any((key,) in keys for key, _ in self.besides):
            raise Permanent(f"several rows of {table.name} share their key (id); name a key that is unique")
        return self.inner.rows(table, keys)


@pytest.mark.parametrize("besides", [(), ((3, 99),), ((8, 1), (0, 2))])
def test_rows_beside_those_of_the_leader_are_no_rows_that_were_deleted_since(
    tmp_path: Path, besides: tuple[tuple[int, int], ...]
) -> None:
    world = MemoryWorld(Role.STANDBY)
    name = filled(world, "t", 10)
    leader: Any = _Packed(world.leader)
    restored: Any = _Packed(world.follower, besides)
    journal, table = open_journal(tmp_path / "j.db", "g"), world.leader.table(name)
    journal.runs.begin(Run("run", "audit", 0.0, "{}"))
    moment = Recorded("s", 1, world.leader.position(), world.leader.mark(), None, quiet=True)
    drill = TableDrill(tools(leader, journal.runs), restored, comparison(table, table), moment, None)
    if besides:
        with pytest.raises(Permanent, match="share their key"):
            drill.run()
        assert (drill.tally.match, drill.counted.proven) == (0, 0)
    else:
        drill.run()
        assert (drill.tally.match, drill.counted.proven, drill.problem) == (1, 10, None)
    journal.close()


def test_brakes_hold_a_drill_within_a_table(tmp_path: Path) -> None:
    world = MemoryWorld(Role.STANDBY)
    name, clock = filled(world, "t", 10), VirtualClock()
    began = clock.now()
    journal, table = open_journal(tmp_path / "j.db", "g"), world.leader.table(name)
    journal.runs.begin(Run("run", "audit", 0.0, "{}"))

    def paused(_: TableName) -> str | None:
        return "paused by ann" if drill.tally.total == 2 and clock.now() < began + 60.0 else None

    brakes = Braking(Brakes(rows_per_second=1.0), world.leader, {}, clock, Silent(), paused=paused)
    few = ScanPolicy(rows_first=2, rows_min=2, rows_max=2)
    with_brakes = tools(world.leader, journal.runs, clock=clock, scan=few, brakes=brakes)
    moment = Recorded("s", 1, world.leader.position(), world.leader.mark(), None, quiet=True)
    drill = TableDrill(with_brakes, world.follower, comparison(table, table), moment, None)
    drill.run()
    journal.close()
    assert (drill.tally.total, drill.tally.match, drill.counted.proven) == (5, 5, 10)
    held = brakes.seconds()
    assert held["pause"] == pytest.approx(58.0, abs=1.5)
    assert held["rate"] == pytest.approx(6.0, abs=1.5), "two rows are read at a time, and none is paid for in the pause"


def test_who_ends_the_wait_of_a_drill_has_nothing_read(tmp_path: Path) -> None:
    """Not of servers that somebody wants left alone."""
    world = MemoryWorld(Role.STANDBY)
    name, clock = filled(world, "t", 10), VirtualClock()
    began = clock.now()
    journal, table = open_journal(tmp_path / "j.db", "g"), world.leader.table(name)
    journal.runs.begin(Run("run", "audit", 0.0, "{}"))

    def stop() -> bool:
        return clock.now() > began + 5.0

    brakes = Braking(Brakes(), world.leader, {}, clock, Silent(), stop=stop, paused=lambda table: "paused by ann")
    with_brakes = tools(world.leader, journal.runs, clock=clock, stop=stop, brakes=brakes)
    moment = Recorded("s", 1, world.leader.position(), world.leader.mark(), None, quiet=True)
    drill = TableDrill(with_brakes, world.follower, comparison(table, table), moment, None)
    drill.run()
    journal.close()
    assert (drill.interrupted, drill.tally.total, drill.counted.proven) == (True, 0, 0)
