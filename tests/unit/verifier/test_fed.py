"""A follower that a sink feeds: where its looks stand, and what they wait for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count

import pytest

from connectors.debezium.naming import topic_of
from connectors.memory.clock import VirtualClock
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from verifier.errors import Misconfigured, Temporary
from verifier.fed import FedBracket, FedFollower, FedUnread
from verifier.keyrange import ALL
from verifier.look import Publishes, Role
from verifier.offsets import OffsetIndex, Offsets, Place
from verifier.position import NOWHERE, Tick
from verifier.table import Column, Family, Table, TableName

T = Table(TableName("public", "t"), (Column("id", Family.INTEGER, "integer"),), ("id",))
ROWS, ENDS = ("c.public.t", 0), ("c.transaction", 0)


@dataclass
class Broker:
    """What a sink has committed, and where partitions end."""

    offsets: dict[Place, int] = field(default_factory=dict)
    high: dict[Place, int] = field(default_factory=lambda: {ROWS: 0, ENDS: 0})
    group: str = "connect-s"

    def committed(self, places: Collection[Place] = ()) -> Offsets:
        return {place: at for place, at in self.offsets.items() if not places or place in places}

    def ends(self, places: Collection[Place]) -> Offsets:
        return {place: self.high[place] for place in places if place in self.high}

    def close(self) -> None:
        pass


class World:
    """A leader at 40, a copy, and a reader that has read two transactions, at 10 and at 20."""

    def __init__(self) -> None:
        self.leader, self.copy = Leader(lambda: 0.0), Leader(lambda: 0.0)
        for one in (self.leader, self.copy):
            one.create(T)
        self.leader.noise(40)
        self.broker, self.index = Broker({ROWS: 0}), OffsetIndex(count(step=10).__next__)
        ours = MemoryReplica("leader", self.leader, role=Role.LEADER)
        self.follower = FedFollower(MemoryReplica("copy", self.copy), ours, self.broker, self.index, "c")
        self.index.read({ROWS: 0, ENDS: 0}, Tick(0))

    def settle(self) -> None:
        self.index.ended()
        self.index.delivered({ROWS: 0}, Tick(0))
        self.index.delivered({ROWS: 1}, Tick(10))
        self.broker.high = {ROWS: 2, ENDS: 2}
        with pytest.raises(Temporary, match="sent again"):
            self.follower.position()  # which asks for the ends that must be read
        self.read()

    def read(self) -> None:
        self.index.read(dict(self.broker.high), Tick(20))


def test_a_look_stands_between_what_was_committed_before_it_and_the_leader_after_it() -> None:
    world = World()
    world.settle()
    world.broker.offsets[ROWS] = 1
    with pytest.raises(Temporary, match="not yet committed as much"):
        world.follower.position()  # what was there when the doubt ended may not have been applied
    world.broker.offsets[ROWS] = 2
    world.index.delivered({ROWS: 2}, Tick(20))
    world.index.read({ROWS: 3, ENDS: 3}, Tick(30))
    look = world.follower.rows(T, [(1,)])
    assert (look.low, look.high, world.follower.position()) == (Tick(20), world.leader.tick(), Tick(20))
    assert look.proviso is not None
    assert (look.proviso.lacking(), look.proviso.refused()) == ("", "")
    world.broker.high[ROWS] = 5
    later = world.follower.point_digests(T, [(1,)])
    assert later.proviso is not None
    assert later.proviso.lacking()
    world.index.again()
    assert later.proviso.refused().startswith("what was sent again")
    assert world.follower.publishes is Publishes.ROW_BY_ROW


def test_nothing_is_certain_of_a_table_without_a_topic_or_while_the_reader_is_in_doubt() -> None:
    world = World()
    look = world.follower.rows(T, [(1,)])
    assert look.proviso is not None
    assert (look.low, look.proviso.refused()[:18]) == (NOWHERE, "what was sent agai")
    world.settle()
    world.broker.offsets[ROWS] = 2
    other = Table(TableName("public", "other"), T.columns, T.key)
    world.copy.create(other)
    stranger = world.follower.rows(other, [(1,)])
    assert stranger.proviso is not None
    assert (stranger.low, stranger.proviso.refused()) == (NOWHERE, "no topic of public.other is known")
    assert world.follower.digest(T, ALL).low == NOWHERE


def test_a_table_whose_rows_went_back_waits_until_they_have_come_as_far_as_they_were() -> None:
    world = World()
    world.settle()
    world.broker.offsets[ROWS] = 2
    world.index.furthest.came(ROWS, 2, 1, seen=False)
    world.index.furthest.came(ROWS, 1, 1, seen=True)
    look = world.follower.rows(T, [(1,)])
    assert look.proviso is not None
    assert (look.low, look.proviso.refused()[:36]) == (NOWHERE, "what was sent again has set rows bac")
    with pytest.raises(Temporary, match="waiting until it has come as far"):
        world.follower.position()
    world.index.furthest.came(ROWS, 2, 1, seen=True)
    assert world.follower.position() == Tick(20)


def test_a_table_whose_topic_is_spelled_otherwise_is_looked_for_there() -> None:
    world, place = World(), ("c.public.ein_Tisch", 0)
    odd = Table(TableName("public", "ein Tisch"), T.columns, T.key)
    world.copy.create(odd)
    world.follower.topic_of = topic_of
    world.broker.offsets[place] = 0
    world.broker.high = {place: 0, ENDS: 0}
    world.index.read({place: 0, ENDS: 0}, Tick(0))
    refused = world.follower.rows(odd, [(1,)]).proviso
    assert refused is not None
    assert refused.refused().startswith("what was sent again"), "and not that it has no topic"


def test_a_group_without_offsets_is_named() -> None:
    world = World()
    world.broker.offsets = {("elsewhere.t", 0): 9}
    with pytest.raises(Misconfigured, match="consumer group connect-s has committed no offset in a topic of 'c'"):
        world.follower.position()


def test_the_bracketed_rule_waits_until_a_look_is_known_to_hold() -> None:
    world = World()
    world.settle()
    world.broker.offsets[ROWS] = 2
    clock = VirtualClock()
    bracket = FedBracket(world.follower, clock)
    assert bracket.position() == Tick(20)
    look = bracket.rows(T, [(1,)])
    assert (look.low, look.proviso) == (Tick(20), None)
    world.broker.high[ROWS] = 3
    with pytest.raises(Temporary, match="has not been read as far as the sink may have"):
        bracket.rows(T, [(1,)])
    world.broker.high[ROWS] = 2
    world.index.again()
    with pytest.raises(Temporary, match="what was sent again"):
        bracket.rows(T, [(1,)])


def test_where_nobody_reads_the_stream_it_is_no_copy_at_rest() -> None:
    with pytest.raises(Misconfigured, match=r"copy is fed by a sink.*--stream config"):
        FedUnread(World().follower.replica).position()
