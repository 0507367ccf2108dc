"""A scan of a table with a tolerance hands over what is beyond it, and not every row that lies in another bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.memory_group import MemoryServers, T

from connectors.journal.opening import Journal, open_journal
from connectors.memory.replica import MemoryReplica
from trueup.services.dirty import DirtyScan
from trueup.services.scan import Pace, ScanService
from verifier.drift import Verdict
from verifier.errors import Oversized, Temporary
from verifier.journal import StreamState
from verifier.policy import ScanPolicy
from verifier.table import Column, Family, Key, Table
from verifier.tolerance import Tolerance

MOMENT = Column("v", Family.TIMESTAMP, "timestamp")
TABLE = Table(T, (Column("id", Family.INTEGER, "bigint", False), MOMENT), ("id",))
ROWS = 60
SECOND = Tolerance(time_digits=0)


class Away(MemoryReplica):
    """It tells digests, and no rows; or only so many at a time."""

    most: int = 0
    asked: int = 0

    def rows(self, table: Table, keys: Any) -> Any:
        self.asked += 1
        if len(keys) > self.most:
            raise Oversized("wide", rows=self.most) if self.most else Temporary("away")
        return super().rows(table, keys)


class Site(MemoryServers):
    """Moments at .75 of a second; the follower's were rounded to whole ones, which are near and in another bucket. One
    is a second late, one is missing, one is the follower's alone."""

    def __init__(self, folder: Path) -> None:
        super().__init__(TABLE)
        self.journal: Journal = open_journal(folder / "journal.db", "shop")
        writing = self.server.begin()
        for key in range(ROWS):
            writing.insert(T, {"id": str(key), "v": f"2026-01-01 00:00:{key:02}.75"})
        writing.commit()
        self.catch_up()
        self.follower = self.followers["one"]
        for key in range(ROWS - 1):
            self.follower.put(T, (key,), {"id": str(key), "v": f"2026-01-01 00:00:{key + 1:02}"})
        self.follower.put(T, (7,), {"id": "7", "v": "2026-01-01 00:00:09"})
        self.follower.drop(T, (8,))
        self.follower.put(T, (ROWS,), {"id": str(ROWS), "v": "2026-01-01 00:00:00"})
        self.away = Away("one", self.follower)

    def scanned(self, tolerance: Tolerance | None, replica: MemoryReplica | None = None) -> set[Key]:
        """What one pass hands over."""
        tolerances = {} if tolerance is None else {"*": tolerance}
        world = self.grouped(replicas=replica and {"one": replica}, tolerances=tolerances)
        policy = ScanPolicy(rows_first=20, rows_min=20, rows_max=20)
        scan = ScanService(world, self.journal.scans, self.journal.stream, policy, Pace(1_000.0, rest=0.0))
        ended: list[float] = []
        scan.finished = lambda table, at: ended.append(at)
        while not ended:
            scan.tick(self.clock.now())
            self.clock.at += 1.0
        return {one.key for one in self.journal.stream.touched("one", limit=999)}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.journal.close()


def test_near_is_no_suspect(site: Site) -> None:
    assert site.scanned(SECOND) == {(7,), (8,), (ROWS,)}
    verdicts = [one.verdict for one in site.journal.scans.chunks(T)]
    assert verdicts.count(Verdict.UNVERIFIED) == 2
    assert verdicts.count(Verdict.MATCH) == len(verdicts) - 2 > 0


def test_without_a_tolerance_all_are(site: Site) -> None:
    assert len(site.scanned(None, site.away)) == ROWS
    assert site.away.asked == 0, "nobody has to ask for rows"


def test_so_they_are_where_the_rows_cannot_be_read(site: Site) -> None:
    assert len(site.scanned(SECOND, site.away)) == ROWS
    assert site.away.asked > 0


def test_wide_rows_are_asked_for_in_parts(site: Site) -> None:
    site.away.most = 3
    assert site.scanned(SECOND, site.away) == {(7,), (8,), (ROWS,)}
    assert site.away.asked > ROWS // 3


def test_nor_is_it_in_a_crowded_table(site: Site) -> None:
    site.journal.stream.crowds.limit = -1
    world = site.grouped(tolerances={"*": SECOND})
    dirty = DirtyScan(world, site.journal.dirty, site.journal.stream, ScanPolicy())
    touched = {(T, (key,)): site.server.tick() for key in range(ROWS)}
    state = StreamState({"records": len(site.server.log)}, site.server.tick())
    site.journal.stream.advance(state, touched, [], followers=["one"], at=site.clock.now())
    site.clock.at += 1_000.0
    while dirty.tick(site.clock.now()) is not None:
        pass
    found = {one.key for one in site.journal.stream.touched("one", limit=999)}
    assert {(7,), (8,)} <= found <= {(7,), (8,), (ROWS,)}
