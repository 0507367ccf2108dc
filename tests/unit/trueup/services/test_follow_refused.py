"""Whoever was refused by the change stream's source begins anew behind what the journal holds, once he is let in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from connectors.memory.stream import MemoryStream
from trueup.services.follow import FollowService
from trueup.services.group import GroupWorld, Sighted, TableBook
from verifier.change import Batch
from verifier.errors import Forbidden
from verifier.ports import in_turn
from verifier.position import Position
from verifier.table import Column, Family, Table, TableName
from verifier.window import TransactionWindow

T = TableName("public", "t")


class Guarded:
    """A stream whose source lets nobody in while `shut`."""

    def __init__(self, stream: MemoryStream) -> None:
        self._stream = stream
        self.acknowledge, self.close = stream.acknowledge, stream.close
        self.shut = False
        self.starts: list[Mapping[str, int]] = []

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        self.starts.append(dict(offsets))
        return self._stream.start(offsets, read_through)

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        if self.shut:
            raise Forbidden("kafka at h:9 refuses us")
        return self._stream.poll(changes_max=changes_max, seconds_max=seconds_max)


def test_a_refused_stream_is_begun_anew_and_nothing_is_lost(tmp_path: Path) -> None:
    clock = VirtualClock()
    server = Leader(clock.now)
    server.create(Table(T, (Column("id", Family.INTEGER, "bigint", False),), ("id",)))
    leader = MemoryReplica("leader", server)
    world = GroupWorld(
        "shop", leader, {}, TableBook(leader, {}, ["public.t"], clock), clock, in_turn,
        Sighted(TransactionWindow(), ["one"]),
    )  # fmt: skip
    journal = open_journal(tmp_path / "journal.db", "shop")
    stream = Guarded(MemoryStream(server))
    follow = FollowService(world, stream, journal.stream, poll_seconds=0.0, gather_seconds=0.0)
    world.followers["one"] = leader  # whose touched keys are written down; nobody looks at it

    def written(number: str) -> None:
        writing = server.begin()
        writing.insert(T, {"id": number})
        writing.commit()

    follow.tick(clock.now())
    written("1")
    clock.at += 2.0
    follow.tick(clock.now())
    stream.shut = True
    written("2")
    for _ in range(2):
        with pytest.raises(Forbidden):
            follow.tick(clock.now())
        assert not follow.started
    stream.shut = False
    clock.at += 2.0
    follow.tick(clock.now())
    assert [bool(offsets) for offsets in stream.starts] == [False, True, True]
    assert [one.key for one in journal.stream.touched("one", limit=9)] == [(1,), (2,)]
    journal.close()
