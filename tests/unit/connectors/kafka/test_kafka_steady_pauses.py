"""What is paused while the client has not been told yet where to read on: it knows none of it. And what was paused when
it is told anew: it does not forget it by itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pytest
from fixtures.debezium_broker import MemoryBroker, MemoryConsumer

from connectors.debezium.pending import Partition
from connectors.kafka.steady import Steady
from verifier.errors import Unreachable

OLD, NEW = ("p.public.t", 0), ("p.public.new", 0)


@dataclass
class Strict(MemoryConsumer):
    """As kafka-python: what it does not read cannot be paused."""

    def pause(self, partitions: Collection[Partition], paused: bool) -> None:
        assert self.positions.keys() >= set(partitions), "not assigned"
        super().pause(partitions, paused)


def test_a_pause_waits_until_the_broker_is_back() -> None:
    broker = MemoryBroker()
    for topic, number in (OLD, NEW):
        broker.topic(topic)
        broker.append((topic, number), {"id": 1}, {"id": 1})
    consumer = Strict(broker)
    steady = Steady(consumer)
    steady.begin({OLD: (0, 1)})
    broker.down = True
    with pytest.raises(Unreachable):
        steady.assign({OLD: 1, NEW: 0})
    steady.pause([NEW], True)
    broker.down = False
    steady.poll(9, 0.0)
    assert consumer.paused == {NEW}
    steady.pause([NEW], False)
    assert consumer.paused == set()


def test_who_is_told_anew_what_to_read_reads_what_was_paused() -> None:
    broker = MemoryBroker()
    broker.topic(OLD[0])
    broker.append(OLD, {"id": 1}, {"id": 1})
    consumer = Strict(broker)
    steady = Steady(consumer)
    steady.assign({OLD: 0})
    steady.pause([OLD], True)
    steady.assign({OLD: 0, NEW: 0})
    assert [run.place for run in steady.poll(9, 0.0).runs] == [OLD]


def test_who_is_let_go_on_while_another_leader_is_elected_goes_on() -> None:
    broker = MemoryBroker()
    for topic, number in (OLD, NEW):
        broker.topic(topic)
        broker.append((topic, number), {"id": 1}, {"id": 1})
    steady = Steady(Strict(broker))
    steady.assign({OLD: 0, NEW: 0})
    steady.pause([NEW], True)
    broker.epoch = 6
    assert [run.place for run in steady.poll(9, 0.0).runs] == [OLD]
    broker.epoch = 7
    broker.append(OLD, {"id": 2}, {"id": 2})
    assert steady.poll(9, 0.0).runs == []  # it is read once more
    steady.pause([NEW], False)
    assert {run.place for run in steady.poll(9, 0.0).runs} == {OLD, NEW}
