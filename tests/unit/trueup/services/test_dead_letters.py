"""Dead letters go into the journal in the transaction that lets the offsets advance, or the offsets do not advance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.journal.opening import Journal, open_journal
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from reconciler.events import Announcer
from reconciler.letters import TOPIC, raw
from trueup.services.follow import FollowService
from trueup.services.group import GroupWorld, Sighted, TableBook
from trueup.services.letters import DeadLetters
from verifier.change import Batch, Blindness, Cause, DeadLetter
from verifier.errors import Permanent, Temporary
from verifier.look import Role
from verifier.ports import in_turn
from verifier.position import Position, Tick
from verifier.table import Column, Family, Table, TableName
from verifier.window import TransactionWindow

T = TableName("public", "t")


def letter(offset: int) -> DeadLetter:
    return DeadLetter("p.public.t", 0, offset, 1.0, b"k", b"\x00%d" % offset, (), "ValueError", "odd")


class Poisoned:
    """A `ChangeStream` every message of which is poison, from the journaled offset on, `size` in a batch."""

    def __init__(self, messages: int, size: int = 2) -> None:
        self.messages, self.size = messages, size
        self.at = 0
        self.acknowledged: list[Mapping[str, int]] = []

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        self.at = offsets.get("p", 0)
        return Tick(1)

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        until = min(self.at + self.size, self.messages)
        letters = tuple(letter(offset) for offset in range(self.at, until))
        self.at = until
        blind = (Blindness(Cause.UNREADABLE, T, "odd"),) if letters else ()
        return Batch((), Tick(until + 1), {"p": until}, blind, letters=letters)

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        self.acknowledged.append(offsets)

    def close(self) -> None: ...


class Bench:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = VirtualClock()
        self.journal: Journal = open_journal(path, "shop")
        self.server = Leader(self.clock.now)
        self.server.create(Table(T, (Column("id", Family.INTEGER, "bigint", False),), ("id",)))
        self.leader = MemoryReplica("leader", self.server)

    def follow(self, stream: Poisoned, *, waiting_max: int = 100) -> FollowService:
        followers = {"one": MemoryReplica("one", Follower(self.server, Role.STANDBY))}
        book = TableBook(self.leader, followers, ["*"], self.clock)
        sight = Sighted(TransactionWindow(), list(followers))
        world = GroupWorld("shop", self.leader, followers, book, self.clock, in_turn, sight)
        follow = FollowService(world, stream, self.journal.stream, poll_seconds=0.0)
        follow.letters = DeadLetters(Announcer("one", "shop"), self.journal.outbox, True, waiting_max)
        return follow

    def kept(self) -> list[bytes | None]:
        return [raw(event).value for event in self.journal.outbox.pending(100) if event.topic == TOPIC]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "journal.db")
    yield made
    made.journal.close()


def test_they_are_kept_with_the_offsets_behind_them(bench: Bench) -> None:
    stream = Poisoned(4)
    follow = bench.follow(stream)
    for _ in range(3):
        follow.tick(bench.clock.now())
    assert bench.kept() == [b"\x000", b"\x001", b"\x002", b"\x003"]
    assert dict(bench.journal.stream.state().offsets) == {"p": 4}
    assert set(bench.journal.stream.blind([T])) == {T}
    again = bench.follow(stream)
    stream.start({}, None)
    again._started = True  # read again from the start, as after a write of which nobody knows whether it came to pass
    again.tick(bench.clock.now())
    assert len(bench.kept()) == 4, "the same messages have the same ids"


def test_a_zombie_advances_nothing_and_keeps_nothing(bench: Bench) -> None:
    stream = Poisoned(4)
    follow = bench.follow(stream)
    token = bench.journal.leases.acquire("daemon", "a", 10.0, 0.0)
    assert token is not None
    bench.journal.fence("daemon", token)
    follow.tick(bench.clock.now())
    offsets, acknowledged = dict(bench.journal.stream.state().offsets), list(stream.acknowledged)
    successor = open_journal(bench.path, "shop")
    assert successor.leases.acquire("daemon", "b", 10.0, 20.0) == token + 1
    with pytest.raises(Permanent, match="was lost to b"):
        follow.tick(bench.clock.now())
    follow.close()
    assert dict(successor.stream.state().offsets) == offsets
    assert stream.acknowledged == acknowledged, "nor does it tell the broker's group"
    assert successor.outbox.pending_count(TOPIC) == 2
    successor.close()


def test_with_too_many_waiting_the_stream_is_not_read_until_they_are_delivered(bench: Bench) -> None:
    stream = Poisoned(9)
    follow = bench.follow(stream, waiting_max=4)
    for _ in range(2):
        follow.tick(bench.clock.now())
    with pytest.raises(Temporary, match="4 dead letters wait in the journal"):
        follow.tick(bench.clock.now())
    assert (stream.at, len(bench.kept())) == (4, 4)
    restarted = bench.follow(Poisoned(9), waiting_max=4)
    with pytest.raises(Temporary, match="4 dead letters wait"):
        restarted.tick(bench.clock.now())
    bench.journal.outbox.sent([event.id for event in bench.journal.outbox.pending(100)], 1.0)
    follow.tick(bench.clock.now())
    assert bench.kept() == [b"\x004", b"\x005"]


def test_a_letter_whose_key_is_known_has_its_key_looked_at_and_blinds_no_table(bench: Bench) -> None:
    class Keyed(Poisoned):
        def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
            batch = super().poll(changes_max=changes_max, seconds_max=seconds_max)
            keys = tuple((one.offset,) for one in batch.letters)
            return replace(batch, blind=(Blindness(Cause.UNREADABLE, T, "odd", keys),) if keys else ())

    follow = bench.follow(Keyed(3))
    follow.tick(bench.clock.now())
    assert bench.journal.stream.blind([T]) == {}
    touched = bench.journal.stream.touched("one", limit=9)
    assert [(one.key, one.commit) for one in touched] == [
        ((0,), bench.leader.position()),
        ((1,), bench.leader.position()),
    ]
