"""Where ids do not grow, a restart must read the disorder again: else it would take positions for what they are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from trueup.services.follow import FollowService
from trueup.services.group import GroupWorld, Sighted, TableBook
from verifier.change import Batch, Change, Operation, Transaction
from verifier.gtid import Binlog, DomainGtids, Logged
from verifier.look import Role
from verifier.ports import in_turn
from verifier.position import Position
from verifier.table import Column, Family, Table, TableName
from verifier.window import TransactionWindow

T = TableName("public", "t")


def logged(gtid: str, place: int) -> Logged:
    return Logged(DomainGtids.parse(gtid), Binlog("b.000001", place))


class Told:
    """A stream of batches that are given."""

    def __init__(self, *batches: Batch) -> None:
        self._batches = list(batches)

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        return logged("0-1-99", 1)

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        return self._batches.pop(0)

    def acknowledge(self, offsets: Mapping[str, int]) -> None: ...

    def close(self) -> None: ...


def batch(gtid: str, place: int, through: str) -> Batch:
    change = Change(T, (place,), Operation.UPDATE)
    told = Transaction(place, logged(gtid, place), 0.0, (change,), ())
    return Batch((told,), logged(through, place), {"offset": place})


def test_while_ids_tell_nothing_no_place_is_recorded(tmp_path: Path) -> None:
    clock = VirtualClock()
    server = Leader(clock.now)
    server.create(Table(T, (Column("id", Family.INTEGER, "bigint", False),), ("id",)))
    leader, replicas = MemoryReplica("leader", server), {"one": MemoryReplica("one", Follower(server, Role.STANDBY))}
    book = TableBook(leader, replicas, ["public.t"], clock)
    world = GroupWorld("shop", leader, replicas, book, clock, in_turn, Sighted(TransactionWindow(), ["one"]))
    journal = open_journal(tmp_path / "journal.db", "shop")
    stream = Told(
        batch("0-1-100", 2, "0-1-100"), batch("0-2-100", 3, "0-1-100"), batch("0-3-100", 4, "0-1-100"),
        batch("0-1-101", 5, "0-1-101"),
    )  # fmt: skip
    follow = FollowService(world, stream, journal.stream, poll_seconds=0.0, gather_seconds=0.0)
    recorded = []
    for _ in range(4):
        follow.tick(clock.now())
        clock.at += 2.0
        recorded.append(journal.stream.state())
    assert [state.offsets for state in recorded] == [{"offset": 2}, {"offset": 2}, {"offset": 2}, {"offset": 5}]
    assert [state.read_through for state in recorded] == [logged("0-1-100", 2)] * 3 + [logged("0-1-101", 5)]
    assert [one.key for one in journal.stream.touched("one", limit=9)] == [(2,), (3,), (4,), (5,)]
    journal.close()
