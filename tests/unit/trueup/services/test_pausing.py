"""What an operator has paused is not looked at, is known within a second, and goes on where it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.memory_group import MemoryServers, described

from connectors.journal.opening import Journal, open_journal
from trueup.pausing import Pauses, said
from trueup.services.scan import Pace, ScanService
from trueup.services.verify import Verified, VerifyService
from verifier.errors import Temporary
from verifier.journal import Pause
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.table import TableName

A, B = TableName("public", "a"), TableName("public", "b")


class Shop(MemoryServers):
    """Two tables of ten rows on a leader and a standby; a journal through which they can be paused."""

    def __init__(self, folder: Path) -> None:
        super().__init__(described(A), described(B))
        for name in (A, B):
            self.insert(name, range(10))
        self.catch_up()
        self.journal: Journal = open_journal(folder / "journal.db", "shop")
        self.world = self.grouped(sighted=False)
        self.world.pauses = Pauses(self.journal.pauses, self.clock)
        policy = ScanPolicy(rows_first=4, rows_min=2, rows_max=4)
        self.scan = ScanService(self.world, self.journal.scans, self.journal.stream, policy, Pace(1_000.0, rest=0.0))
        self.verified: list[Verified] = []
        self.verify = VerifyService(
            self.world, "one", self.journal.stream, SettlePolicy(), settled=self.verified.append
        )

    def pause(self, table: TableName | None) -> None:
        assert self.journal.pauses.pause(table, at=self.clock.now(), actor="ann")
        self.clock.at += 0.51

    def resume(self, table: TableName | None = None) -> None:
        assert self.journal.pauses.resume(table)
        self.clock.at += 0.51

    def scanned(self, ticks: int) -> list[TableName]:
        """The tables of the chunks read in so many ticks."""
        seen: list[TableName] = []
        self.scan.read = lambda read: seen.append(read.chunk.table)
        for _ in range(ticks):
            self.scan.tick(self.clock.now())
            self.clock.at += 0.6
        return seen

    def touch(self, table: TableName, *keys: int) -> None:
        position = self.world.leader.position()
        touched = {(table, (key,)): position for key in keys}
        self.journal.stream.touch(touched, followers=["one"], at=self.clock.now())
        self.catch_up()

    def turns(self, number: int = 20) -> None:
        for _ in range(number):
            self.verify.tick(self.clock.now())
            self.clock.at += 0.3


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.journal.close()


def test_a_paused_group_is_not_scanned_and_goes_on_where_it_was(shop: Shop) -> None:
    assert shop.scanned(1) == [A]
    shop.pause(None)
    assert shop.scanned(5) == []
    shop.resume()
    assert shop.scanned(5) == [A, A, B, B, B]


def test_a_paused_table_lets_others_go_first_and_is_finished_later(shop: Shop) -> None:
    """Its first chunk was seen lately, so that nothing but the walk under way would bring it up again."""
    assert shop.scanned(1) == [A]
    shop.pause(A)
    assert shop.scanned(6) == [B, B, B]
    shop.resume(A)
    assert shop.scanned(3) == [A, A]
    assert {chunk.chunk.index for chunk in shop.journal.scans.chunks(A)} == {0, 1, 2}


def test_touched_keys_of_a_paused_group_wait_in_the_journal(shop: Shop) -> None:
    shop.touch(A, 1, 2)
    shop.pause(None)
    shop.turns()
    assert (shop.verified, shop.journal.stream.touched_count("one")) == ([], 2)
    shop.resume()
    shop.turns()
    assert [one.equal for one in shop.verified] == [((1,), (2,))]
    assert shop.journal.stream.touched_count("one") == 0
    assert shop.world.blind == set()


def test_touched_keys_of_a_paused_table_are_made_up_for_by_a_scan(shop: Shop) -> None:
    shop.touch(A, 1)
    shop.touch(B, 2)
    shop.pause(A)
    shop.turns()
    assert [(one.table, one.equal) for one in shop.verified] == [(B, ((2,),))]
    assert (shop.journal.stream.touched_count("one"), shop.world.blind) == (0, {A})
    shop.resume(A)
    shop.scanned(8)
    assert shop.world.blind == set()


def test_the_journal_is_asked_twice_a_second_and_may_be_away(shop: Shop) -> None:
    asked: list[float] = []

    class Counting:
        def paused(self) -> list[Pause]:
            asked.append(shop.clock.now())
            if len(asked) > 2:
                raise Temporary("locked")
            return [Pause(A, 5.0, "ann")]

    pauses = Pauses(Counting(), shop.clock)  # type: ignore[arg-type]
    for _ in range(20):
        assert pauses.of(A) == Pause(A, 5.0, "ann"), "what was known last stands"
        assert pauses.of(B) is None
        shop.clock.at += 0.1
    assert len(asked) <= 5


def test_who_waits_is_told_by_whom_and_how_to_go_on() -> None:
    assert said(Pause(None, 0.0, "ann")) == (
        "the group was paused by ann at 1970-01-01 00:00:00Z; it goes on with: trueup resume"
    )
    assert said(Pause(A, 0.0, "ann")).startswith("public.a was paused by ann")
