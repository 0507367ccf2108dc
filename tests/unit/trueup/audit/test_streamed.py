"""What an audit's change stream judges, and what it leaves to the rule without it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from connectors.memory.clock import VirtualClock
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from connectors.memory.stream import MemoryStream
from trueup.audit.progress import Silent
from trueup.audit.streamed import Streamed
from trueup.services.group import Sighted
from verifier.change import Batch, Blindness, Cause
from verifier.compare import Comparison, comparison
from verifier.errors import Permanent
from verifier.look import Role
from verifier.outcome import Again, Differs, Equal, Outcome
from verifier.ports import in_turn
from verifier.table import Column, Family, Key, Scheme, Table, TableName
from verifier.window import TransactionWindow

ITEMS = TableName("public", "items")
TABLE = Table(ITEMS, (Column("id", Family.INTEGER, "bigint", False), Column("v", Family.TEXT, "text")), ("id",))


@dataclass
class Told(MemoryStream):
    """A stream that also says what it is asked to, or fails."""

    extra: list[Batch | Exception] = field(default_factory=list)

    def __init__(self, leader: Leader) -> None:
        MemoryStream.__init__(self, leader)
        self.extra = []
        self.polls = 0

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        self.polls += 1
        if self.extra:
            said = self.extra.pop(0)
            if isinstance(said, Exception):
                raise said
            return said
        time.sleep(0.001)
        return MemoryStream.poll(self, changes_max=changes_max, seconds_max=seconds_max)


class World:
    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.leader = Leader(self.clock.now)
        self.leader.create(TABLE)
        self.follower = Follower(self.leader, Role.STANDBY)
        self.follower.shelves.create(TABLE)
        first = self.leader.begin()
        for key in range(4):
            first.insert(ITEMS, {"id": str(key), "v": "a"})
        first.commit()
        self.follower.catch_up()
        self.stream = Told(self.leader)
        ours, theirs = MemoryReplica("leader", self.leader, role=Role.LEADER), MemoryReplica("one", self.follower)
        self.replica = theirs
        sight = Sighted(TransactionWindow(), ["one"])
        self.streamed = Streamed(
            self.stream, sight, ours, {"one": theirs}, self.clock, in_turn, Silent(), give_up_seconds=5.0
        )
        self.compared = comparison(ours.table(ITEMS), theirs.table(ITEMS))

    def outcome(self, key: Key, compared: Comparison | None = None) -> Outcome | None:
        """By the stream; None where it does not judge."""
        judging = self.streamed.judging(self.replica, compared or self.compared, [key])
        if judging is None:
            return None
        until = time.monotonic() + 60
        while isinstance(told := judging.advance(self.clock.now()), Again):
            assert time.monotonic() < until
            time.sleep(0.002)
        return told[key]


@pytest.fixture
def world() -> World:
    return World()


def test_it_judges_by_the_stream_from_the_present_on(world: World) -> None:
    world.follower.put(ITEMS, (2,), {"id": "2", "v": "wrong"})
    world.streamed.begin()
    try:
        assert world.outcome((1,)) == Equal()
        found = world.outcome((2,))
        assert isinstance(found, Differs)
        assert (found.evidence.method.value, found.evidence.certainty.value) == ("visibility", "proven")
    finally:
        world.streamed.close()


@pytest.mark.parametrize(
    ("cause", "judged"), [(Cause.DDL, False), (Cause.TRUNCATE, False), (Cause.UNREADABLE, False), (Cause.GAP, True)]
)
def test_a_table_whose_definition_or_rows_are_in_doubt_is_left_to_the_other_rule(
    world: World, cause: Cause, judged: bool
) -> None:
    world.streamed.begin()
    try:
        world.stream.extra.append(Batch(blind=(Blindness(cause, ITEMS),), read_through=world.leader.tick()))
        _until(lambda: not world.stream.extra)
        polls = world.stream.polls
        _until(lambda: world.stream.polls > polls)  # who asks again has taken note of what was told
        assert (world.outcome((1,)) is not None) is judged
    finally:
        world.streamed.close()


def test_a_stream_that_ended_judges_nothing_more_and_says_why(world: World) -> None:
    world.streamed.begin()
    try:
        world.stream.extra.append(Permanent("the slot is gone"))
        _until(lambda: bool(world.streamed.ended))
        assert world.streamed.ended == "the slot is gone"
        assert world.outcome((1,)) is None
    finally:
        world.streamed.close()


def test_keys_of_another_spelling_and_followers_without_a_position_are_left_alone(world: World) -> None:
    world.streamed.begin()
    try:
        abroad = replace(world.compared, leader=replace(world.compared.leader, scheme=Scheme.CANONICAL))
        assert world.outcome((1,), abroad) is None
        world.streamed.followers = {}
        assert world.outcome((1,)) is None
    finally:
        world.streamed.close()


def _until(happened: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < until
        time.sleep(0.002)
