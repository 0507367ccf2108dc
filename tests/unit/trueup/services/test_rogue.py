"""A follower's own log that does not tell which rows were written: the tables are scanned, whatever fails meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fixtures.memory_group import MemoryServers, described

from connectors.journal.opening import open_journal
from connectors.memory.leader import Leader
from connectors.memory.stream import MemoryStream
from trueup.bootstrap.daemon import _lost
from trueup.bootstrap.rogue import losing
from trueup.metrics import Scrape
from trueup.services.rogue import RogueService
from trueup.services.scan import Pace, ScanService
from verifier.change import Blindness, Cause, Transaction
from verifier.errors import Temporary
from verifier.policy import ScanPolicy
from verifier.table import TableName

T, U = TableName("public", "t"), TableName("public", "u")
TRUNCATED = Blindness(Cause.TRUNCATE, T)


class Bench:
    """Two followers, and `one` has a log of its own, which is followed from its end on."""

    def __init__(self, folder: Path) -> None:
        servers = MemoryServers(described(T), described(U), followers=("one", "two"))
        self.followers = servers.followers
        self.world = servers.grouped(fresh_seconds=0.0)
        self.world.book.names()
        self.journal = open_journal(folder / "journal.db", "shop")
        self.own = Leader(servers.clock.now)
        self.stream = MemoryStream(self.own)
        self.awaited: list[Transaction] = []
        self.clock = servers.clock

    def service(self, lost: Callable[[str, Blindness], None]) -> RogueService:
        service = RogueService(
            self.world, "one", self.stream, self.journal.marks, self._shown, lost=lost, poll_seconds=0.0
        )
        service.tick(self.clock.now())
        return service

    def _shown(self, transactions: Sequence[Transaction]) -> bool:
        self.awaited.extend(transactions)
        return True

    def scan(self) -> None:
        """Whatever is due, by a new process."""
        pace = Pace(1e9, rest=0.0)
        scan = ScanService(self.world, self.journal.scans, self.journal.stream, ScanPolicy(), pace)
        for _ in range(8):
            scan.tick(self.clock.now())
            self.clock.at += 1.0

    def truncate(self) -> None:
        writing = self.own.begin()
        writing.lose_sight(TRUNCATED)
        writing.commit()
        self.clock.at += 2.0


def test_who_is_killed_before_a_truncate_is_noted_learns_of_it_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    told: list[Blindness] = []

    def lost(follower: str, blindness: Blindness) -> None:
        told.append(blindness)
        if len(told) == 1:
            raise Temporary("the journal is busy")

    service = bench.service(lost)
    bench.truncate()
    with pytest.raises(Temporary):
        service.tick(bench.clock.now())
    assert bench.journal.marks.whole("one", 0) == frozenset()
    service.tick(bench.clock.now())
    assert told == [TRUNCATED, TRUNCATED]
    assert bench.journal.marks.whole("one", 0) == {T}
    assert [one.blind for one in bench.awaited] == [(TRUNCATED,)] * 2, "a scan before it shows would find nothing"
    bench.journal.close()


@pytest.mark.parametrize("gap", [False, True])
def test_what_a_followers_own_log_lost_sight_of_is_unverified_there_until_it_is_scanned(
    tmp_path: Path, gap: bool
) -> None:
    bench = Bench(tmp_path)
    service = bench.service(losing(bench.world, bench.journal))
    bench.truncate()
    if gap:
        bench.stream.forget(1)
        service = bench.service(losing(bench.world, bench.journal))  # as after a restart
    service.tick(bench.clock.now())
    one, nobody = frozenset({"one"}), frozenset[str]()
    assert [bench.world.lost_by(table) for table in (T, U)] == [one, one if gap else nobody]
    assert (bench.world.blind, bench.world.sees(T)) == (set(), True), "the leader's stream tells all that it told"
    bench.scan()
    assert bench.world.lost == {}
    bench.world.refresh(bench.journal.stream)
    assert bench.world.lost == {}
    assert {one.follower for one in bench.journal.scans.chunks(T)} == {"one", "two"}
    bench.journal.close()


def test_what_was_lost_is_told_of_that_follower_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    runtime: Any = SimpleNamespace(
        settings=SimpleNamespace(name="shop"), world=bench.world, journal=bench.journal,
        scan=SimpleNamespace(unverified={}),
        verify={name: SimpleNamespace(moving=lambda now: 0) for name in ("one", "two")},
    )  # fmt: skip
    losing(bench.world, bench.journal)("one", TRUNCATED)
    assert _lost(runtime) == ["shop: one's own log lost sight of public.t, until it is scanned again"]
    scrape = Scrape("a", {}, list)
    assert [dict(scrape._unverified(runtime, name)) for name in ("one", "two")] == [{"truncate": 1}, {}]
    bench.scan()
    assert (_lost(runtime), scrape._unverified(runtime, "one")) == ([], {})
    bench.journal.close()


def test_a_follower_that_is_away_does_not_keep_another_one_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    lost = losing(bench.world, bench.journal)
    bench.scan()
    for follower in ("one", "two"):
        lost(follower, Blindness(Cause.GAP, None, "its slot is gone"))
    bench.clock.at += 10.0
    gone = bench.followers["two"].shelves.tables.pop(T)
    bench.scan()
    assert dict(bench.world.lost) == {T: frozenset({"two"})}
    told = bench.journal.stream.lost([T, U])
    assert told == {("two", T): Blindness(Cause.GAP, T, "its slot is gone")}
    bench.followers["two"].shelves.tables[T] = gone
    bench.clock.at += 1_000.0
    bench.scan()
    assert bench.world.lost == {}
    bench.journal.close()
