"""What services do when a follower cannot be compared, a server is away for a moment, or a journal write is refused."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from fixtures.memory_group import MemoryServers, T, described

from connectors.journal.opening import Journal, open_journal
from connectors.memory.address import Address
from connectors.memory.replica import MemoryReplica
from connectors.memory.stream import MemoryStream
from trueup.services.follow import FollowService
from trueup.services.group import TableBook
from trueup.services.scan import Pace, ScanService
from trueup.services.verify import VerifyService
from verifier.change import Blindness, Cause
from verifier.errors import Permanent, Temporary
from verifier.journal import StreamState
from verifier.look import Role
from verifier.outcome import Again, Equal, Judging
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.position import Tick
from verifier.settle import Room
from verifier.table import Key, TableName


class Shop(MemoryServers):
    """A leader with ten rows in one table, two followers that lag behind nothing, a journal."""

    def __init__(self, folder: Path) -> None:
        super().__init__(described(T), followers=("one", "two"))
        self.write(*range(10))
        self.journal: Journal = open_journal(folder / "journal.db", "shop")
        self.world = self.grouped(fresh_seconds=0.0)
        self.leader, self.book = self.world.leader, self.world.book

    def write(self, *keys: int) -> None:
        self.insert(T, keys)
        self.catch_up()

    def scan(self) -> ScanService:
        policy = ScanPolicy(rows_first=4, rows_min=2, rows_max=4)
        return ScanService(self.world, self.journal.scans, self.journal.stream, policy, Pace(1_000.0, rest=0.0))

    def ticks(self, scan: ScanService, number: int = 8) -> None:
        for _ in range(number):
            scan.tick(self.clock.now())
            self.clock.at += 1.0

    def blind(self) -> set[TableName | None]:
        return set(self.journal.stream.blind([T]))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.journal.close()


def test_a_pass_without_one_follower_ends_no_blindness_and_is_made_up_for(shop: Shop) -> None:
    lost = Blindness(Cause.GAP, T, "lost")
    shop.journal.stream.advance(StreamState(), {}, [lost], followers=["one", "two"], at=shop.clock.now())
    shop.clock.at += 1.0
    shop.world.refresh(shop.journal.stream)
    gone = shop.followers["two"].shelves.tables.pop(T)
    scan = shop.scan()
    shop.ticks(scan)
    assert {one.follower for one in shop.journal.scans.chunks(T)} == {"one"}
    assert shop.blind() == {T}, "nobody has read the table on the other follower"
    assert ("two", T) in scan.unverified
    shop.followers["two"].shelves.tables[T] = gone
    shop.clock.at += 700.0  # less than the period, more than any pause
    shop.ticks(scan)
    assert {one.follower for one in shop.journal.scans.chunks(T)} == {"one", "two"}
    assert shop.blind() == set()
    assert scan.unverified == {}


def test_who_reads_what_is_blind_while_it_is_read_anew_finds_one_or_the_other(shop: Shop) -> None:
    """Another thread might take an empty set for sight, or stumble over one that changes under it."""
    lost = Blindness(Cause.GAP, T, "lost")
    shop.journal.stream.advance(StreamState(), {}, [lost], followers=["one", "two"], at=shop.clock.now())
    shop.world.refresh(shop.journal.stream)
    found = shop.world.blind
    shop.journal.stream.sighted(T, shop.clock.now() + 1.0)
    shop.world.refresh(shop.journal.stream)
    assert (found, shop.world.blind) == ({T}, set())


def test_what_one_follower_was_not_read_for_is_owed_over_a_restart_too(shop: Shop) -> None:
    gone = shop.followers["two"].shelves.tables.pop(T)
    shop.ticks(shop.scan())
    shop.followers["two"].shelves.tables[T] = gone
    shop.clock.at += 700.0
    shop.ticks(shop.scan())
    assert {one.follower for one in shop.journal.scans.chunks(T)} == {"one", "two"}


def test_the_table_whose_chunk_was_seen_longest_ago_is_read_first(shop: Shop) -> None:
    """By when it was seen, whatever it is called; what was never seen before all."""
    scan = shop.scan()
    finished: list[str] = []
    scan.finished = lambda table, at: finished.append(table.name)
    shop.ticks(scan)
    for name in ("a", "z"):
        made = described(TableName("public", name))
        for server in (shop.server, *(one.shelves for one in shop.followers.values())):
            server.create(made)
        shop.ticks(scan)
    assert finished == ["t", "a", "z"], "each as soon as it was there"
    finished.clear()
    shop.clock.at += 2_000.0  # all are due again
    shop.ticks(scan)
    assert finished == ["t", "a", "z"]


def test_a_follower_that_cannot_be_compared_does_not_keep_the_scan_busy(shop: Shop) -> None:
    del shop.followers["two"].shelves.tables[T]
    scan = shop.scan()
    shop.ticks(scan)
    before = [one.at for one in shop.journal.scans.chunks(T)]
    shop.clock.at += 700.0
    shop.ticks(scan)
    assert [one.at for one in shop.journal.scans.chunks(T)] == before


def test_who_was_away_for_a_moment_is_read_in_seconds_and_who_stays_away_is_asked_rarely(shop: Shop) -> None:
    def back_after(seconds: int) -> float:
        scan = shop.scan()
        gone = {name: one.shelves.tables.pop(T) for name, one in shop.followers.items()}
        shop.ticks(scan, seconds)
        for name, table in gone.items():
            shop.followers[name].shelves.tables[T] = table
        began = shop.clock.now()
        done: list[float] = []
        scan.finished = lambda table, at: done.append(at)
        while not done:
            shop.ticks(scan, 1)
        shop.clock.at += 2_000.0  # due again
        return done[0] - began

    assert back_after(1) <= 7.0
    assert 7.0 < back_after(115) <= 37.0


class Ready:
    """Judges every key as equal."""

    def __init__(self, keys: list[Key]) -> None:
        self.keys = keys

    def advance(self, now: float) -> dict[Key, Equal]:
        return dict.fromkeys(self.keys, Equal())


@pytest.mark.parametrize("problem", [Temporary("away"), Permanent("dropped")])
def test_keys_stay_due_when_the_attempt_at_them_cannot_even_begin(problem: Exception) -> None:
    problems = [problem]

    def judge(keys: list[Key]) -> Judging:
        if problems:
            raise problems.pop()
        return Ready(keys)

    room: Room[int] = Room(judge, SettlePolicy(wait_first_seconds=0.1, wait_max_seconds=0.1))
    room.admit([(1,), (2,)], 7, 0.0, delay=0.0)
    if isinstance(problem, Permanent):
        with pytest.raises(Permanent):
            room.advance(1.0)
    else:
        assert room.advance(1.0) == []
    assert room.next_due() is not None
    assert [(left.key, left.outcome) for left in room.advance(2.0)] == [((1,), Equal()), ((2,), Equal())]
    assert len(room) == 0


def test_a_batch_that_could_not_be_recorded_is_read_again_whatever_hindered_it(shop: Shop) -> None:
    class Refusing(TableBook):
        refuse = False

        def names(self) -> tuple[TableName, ...]:
            if self.refuse:
                raise Permanent("may not list the tables")
            return super().names()

    book = Refusing(shop.leader, shop.world.followers, ["*"], shop.clock)
    shop.world.book = book
    follow = FollowService(shop.world, MemoryStream(shop.server), shop.journal.stream, poll_seconds=0.0)
    follow.tick(shop.clock.now())
    assert shop.journal.stream.state().offsets, "where it began is recorded at once"
    shop.write(11)
    Refusing.refuse = True
    with pytest.raises(Permanent):
        follow.tick(shop.clock.now())
    Refusing.refuse = False
    shop.write(12)
    for _ in range(3):
        follow.tick(shop.clock.now())
        shop.clock.at += 1.0
    assert touched(shop.journal.stream.touched("one", limit=10)) == [(11,), (12,)]


def touched(found: Sequence[object]) -> list[Key]:
    return [one.key for one in found]  # type: ignore[attr-defined]


def test_no_chunk_is_skipped_at_whichever_question_the_leader_is_refused(shop: Shop) -> None:
    """A chunk that is read and not recorded is read again: here the leader is a standby for one question."""
    address, asked, struck = Address(shop.server), 0, 0

    def happen() -> None:
        nonlocal asked
        asked += 1
        address.server = shop.followers["two"] if asked == struck else shop.server

    leader = MemoryReplica("leader", address, role=Role.LEADER, happen=happen)
    shop.world.leader = shop.book.leader = leader
    refused = 0
    for struck in range(1, 40):
        asked, began, scan = 0, shop.clock.at, shop.scan()
        for _ in range(20):
            try:
                scan.tick(shop.clock.now())
            except Permanent:
                refused += 1
            shop.clock.at += 10.0
        seen = [result for result in shop.journal.scans.chunks(T) if result.follower == "one"]
        uppers = [result.chunk.range.upper for result in seen]
        assert [result.chunk.range.lower for result in seen] == [None, *uppers[:-1]]
        assert uppers[-1] is None
        assert all(result.at >= began for result in seen), f"a chunk was skipped, refused at question {struck}"
        shop.clock.at += 2_000.0
    assert refused == 3, "once for each chunk"


def test_keys_of_commits_that_a_failover_lost_hold_up_nobody(shop: Shop) -> None:
    """The new leader's log ends before the position of a touch: nobody will ever apply that."""
    shop.world.sight = None
    lost = Tick(shop.server.position + 1_000)
    now = shop.clock.now()
    shop.journal.stream.touch({(T, (3,)): lost, (T, (4,)): shop.server.tick()}, followers=["one"], at=now)
    verify = VerifyService(shop.world, "one", shop.journal.stream, SettlePolicy())
    for _ in range(20):
        verify.tick(shop.clock.now())
        shop.clock.at += 0.5
    assert shop.journal.stream.touched_count("one") == 0


def test_a_stream_that_begins_after_a_scan_makes_up_for_what_came_between(shop: Shop) -> None:
    scan = shop.scan()
    shop.ticks(scan)
    shop.write(11)  # by nobody noticed: the stream begins only now
    follow = FollowService(
        shop.world, MemoryStream(shop.server), shop.journal.stream, poll_seconds=0.0, scans=shop.journal.scans
    )
    follow.tick(shop.clock.now())
    assert shop.blind() == {T}
    shop.clock.at += 10.0
    shop.ticks(scan)
    assert shop.blind() == set()


def test_whoever_gives_up_lets_go_of_open_looks() -> None:
    class Waiting:
        held = True

        def advance(self, now: float) -> Again:
            return Again(now + 1.0)

        def abandon(self) -> None:
            self.held = False

    waiting = Waiting()
    room: Room[int] = Room(lambda keys: waiting, SettlePolicy())
    room.admit([(1,)], 7, 0.0, delay=0.0)
    assert room.advance(1.0) == []
    assert [left.key for left in room.give_up("dropped")] == [(1,)]
    assert not waiting.held
