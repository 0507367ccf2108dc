"""A follower's own log that does not tell which rows were written: the tables are scanned, whatever fails meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from fixtures.memory_group import MemoryServers, described

from connectors.journal.opening import open_journal
from connectors.memory.leader import Leader
from connectors.memory.stream import MemoryStream
from trueup.bootstrap.rogue import losing
from trueup.services.rogue import RogueService
from verifier.change import Blindness, Cause, Transaction
from verifier.errors import Temporary
from verifier.table import TableName

T, U = TableName("public", "t"), TableName("public", "u")
TRUNCATED = Blindness(Cause.TRUNCATE, T)


class Bench:
    """Follower `one` with a log of its own, which is followed from its end on."""

    def __init__(self, folder: Path) -> None:
        servers = MemoryServers(described(T), described(U))
        self.world = servers.grouped()
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
def test_what_a_followers_own_log_lost_sight_of_is_unverified_until_it_is_scanned(tmp_path: Path, gap: bool) -> None:
    bench = Bench(tmp_path)
    service = bench.service(losing(bench.world, bench.journal))
    assert bench.world.vouched(T)
    bench.truncate()
    if gap:
        bench.stream.forget(1)
        service = bench.service(losing(bench.world, bench.journal))  # as after a restart
    service.tick(bench.clock.now())
    assert [bench.world.vouched(table) for table in (T, U)] == [False, not gap]
    bench.journal.stream.sighted(T, bench.clock.now() + 1.0)
    bench.world.refresh(bench.journal.stream)
    assert [bench.world.vouched(table) for table in (T, U)] == [True, not gap]
    bench.journal.close()
