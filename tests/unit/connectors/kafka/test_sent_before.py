"""When all that was sent before an END has been read."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from connectors.debezium.pending import Partition
from connectors.kafka.sent import SETTLE_SECONDS, SentBefore
from verifier.errors import Unreachable

ROWS: Partition = ("p.db.t", 0)


class World:
    """A clock, and a broker that is asked for its ends."""

    def __init__(self) -> None:
        self.now, self.end, self.down = 100.0, 0, False
        self.asked: list[float] = []
        self.sent = SentBefore(self.ends, lambda: self.now)

    def ends(self) -> Mapping[Partition, int]:
        self.asked.append(self.now)
        if self.down:
            raise Unreachable("kafka in memory does not answer: is it running")
        return {ROWS: self.end}

    def all_of(self, end: int, read: int = 0) -> bool:
        ends = self.sent.ends(end)
        return ends is not None and ends[ROWS] <= read


def test_what_comes_before_the_end_has_settled_is_waited_for() -> None:
    world = World()
    world.sent.order(1)
    assert not world.all_of(0)
    world.now, world.end = world.now + SETTLE_SECONDS, 7
    assert not world.all_of(0, read=6)
    world.end = 9  # sent later
    assert world.all_of(0, read=7)
    assert world.asked == [101.0]


def test_what_was_asked_counts_for_all_that_were_read_long_enough_before() -> None:
    world = World()
    for position in (1, 2, 3):
        world.sent.order(position)
        world.now += 0.2
    assert not world.all_of(0)
    world.now = 101.25
    assert [world.all_of(end) for end in (0, 1, 2)] == [True, True, False]
    world.now = 101.4
    assert world.all_of(2)
    assert world.asked == [101.25, 101.4]


def test_a_broker_that_does_not_answer_is_asked_again() -> None:
    world = World()
    world.sent.order(1)
    world.now, world.down = 102.0, True
    with pytest.raises(Unreachable):
        world.all_of(0)
    world.down = False
    assert world.all_of(0)
    assert world.asked == [102.0, 102.0]


def test_an_end_that_waited_long_is_not_forgotten_however_often_the_order_is_read() -> None:
    world = World()
    for position in range(1, 5_000):
        world.sent.order(position)
        world.now += 0.001
    assert world.all_of(0), "5 s ago"
    assert not world.all_of(4_990)


def test_what_is_assigned_anew_settles_anew() -> None:
    world = World()
    world.sent.order(5)
    world.now += 2.0
    assert world.all_of(4)
    world.sent.begin()
    world.sent.order(5)
    assert not world.all_of(4)
    world.now += SETTLE_SECONDS
    assert world.all_of(4)
