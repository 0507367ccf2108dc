"""What is judged of many tables at a time goes into the journal at once, and each table's watcher hears of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest
from fixtures.journal_samples import a_drift
from fixtures.memory_group import MemoryServers, described

from connectors.journal.opening import open_journal
from connectors.memory.stream import MemoryStream
from trueup.services.follow import FollowService
from trueup.services.verify import Verified, VerifyService
from verifier.errors import Temporary
from verifier.policy import SettlePolicy
from verifier.table import Key, Table, TableName

TABLES = [TableName("public", f"t{n}") for n in range(20)]


class Wide(MemoryServers):
    """Twenty tables with a row each, which one transaction changes; that of one was lost."""

    def __init__(self, folder: Path, lost: TableName | None = TABLES[-1]) -> None:
        super().__init__(*map(described, TABLES))
        for table in TABLES:
            self.insert(table, [1])
        self.catch_up()
        self.journal = open_journal(folder / "journal.db", "shop")
        self.world = self.grouped()
        self.heard: list[Verified] = []
        self.settled: list[list[TableName]] = []
        real = self.journal.stream.settle

        def settle(follower: str, settled: Sequence[Any], drifts: Sequence[Any], *, at: float) -> None:
            self.settled.append([one.table for one in settled])
            real(follower, settled, drifts, at=at)

        stream: Any = self.journal.stream
        stream.settle = settle
        self.follow = FollowService(self.world, MemoryStream(self.server), stream, poll_seconds=0.0, gather_seconds=0.0)
        self.verify = VerifyService(self.world, "one", stream, SettlePolicy(), settled=self.heard.append)
        self.tick(5)
        writing = self.server.begin()
        for table in TABLES:
            writing.update(table, (1,), {"v": "y"})
        writing.commit()
        self.catch_up()
        if lost is not None:
            self.followers["one"].put(lost, (1,), {"id": "1", "v": "x"})
        self.follow.tick(self.clock.now())

    def tick(self, times: int) -> None:
        for _ in range(times):
            self.follow.tick(self.clock.now())
            self.verify.tick(self.clock.now())
            self.clock.at += 0.05


def test_all_that_was_judged_is_journaled_at_once(tmp_path: Path) -> None:
    wide = Wide(tmp_path)
    wide.tick(3)
    assert [len(tables) for tables in wide.settled] == [20]
    assert sorted(told.table for told in wide.heard) == sorted(TABLES)
    assert [drift.drift.table for drift in wide.journal.drifts.open()] == [TABLES[-1]]
    assert wide.journal.stream.touched_count("one") == 0
    wide.journal.close()


def test_drift_waits_for_no_other_table(tmp_path: Path) -> None:
    wide = Wide(tmp_path, lost=TABLES[0])
    wide.tick(3)
    assert [len(tables) for tables in wide.settled] == [1, 19]
    assert [drift.drift.table for drift in wide.journal.drifts.open()] == [TABLES[0]]
    wide.journal.close()


def test_what_is_found_while_other_tables_are_looked_at_stays_open(tmp_path: Path) -> None:
    """The look that found the first row equal is older."""
    wide = Wide(tmp_path)
    real = wide.verify.world.followers["one"]
    found: list[str] = []

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def point_digests(self, table: Table, keys: Collection[Key]) -> Any:
            if table.name == TABLES[5]:
                wide.clock.at += 5.0
                drift = a_drift((1,), table=TABLES[0], follower="one", at=wide.clock.now())
                wide.journal.drifts.record([drift])
                found.append(drift.id)
            return real.point_digests(table, keys)

    wide.world.followers = {"one": Slow()}
    wide.tick(3)
    assert found
    assert [drift.drift.table for drift in wide.journal.drifts.open()] == [TABLES[-1], TABLES[0]]
    wide.journal.close()


def test_who_hears_of_one_table_and_fails_keeps_no_other_from_being_told(tmp_path: Path) -> None:
    wide = Wide(tmp_path, lost=None)

    def hear(verified: Verified) -> None:
        wide.heard.append(verified)
        if len(wide.heard) == 3:
            raise Temporary("the journal of repairs is locked")

    wide.verify.settled = hear
    with pytest.raises(Temporary):
        wide.tick(3)
    assert len(wide.heard) == 3
    wide.tick(1)
    assert sorted(told.table for told in wide.heard) == sorted(TABLES)
    wide.journal.close()
