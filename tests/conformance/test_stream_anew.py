"""A connector of PostgreSQL that was restarted goes on where it was; one that lost its offsets and its slot does not,
and its events say so, although nobody read the stream meanwhile."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import cast

import pytest
from fixtures.debezium_worlds import ORDERS, STREAM_WORLDS, Done, KafkaWorld, Step

from connectors.debezium.beginnings import BEGAN_ANEW
from connectors.debezium.lifecycle import Lifecycle
from verifier.change import Batch, Blindness
from verifier.errors import Temporary
from verifier.ports import ChangeStream

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[KafkaWorld]:
    for made in STREAM_WORLDS["confluent"](request):
        yield cast(KafkaWorld, made)


def read(stream: ChangeStream, done: Done) -> tuple[list[object], list[Blindness], Batch]:
    """Through this transaction: keys, what is lost, and the last batch."""
    keys: list[object] = []
    blind: list[Blindness] = []
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, (keys, blind)
        with suppress(Temporary):  # a topic that is being made has no leader yet
            batch = stream.poll(changes_max=100, seconds_max=0.5)
            keys += [change.key[0] for one in batch.transactions for change in one.changes]
            blind += batch.blind
            if batch.read_through is not None and batch.read_through.covers(done.after):
                return keys, blind, batch


def test_only_a_connector_that_lost_its_place_is_a_gap(world: KafkaWorld) -> None:
    stream, name = world.open(), world.prefix
    stream.start({}, None)
    assert read(stream, world.commit(Step("insert", ORDERS, (1,))))[:2] == ([1], [])
    lifecycle = Lifecycle(world.connect, name)
    assert lifecycle.restart().reached
    keys, blind, journaled = read(stream, world.commit(Step("insert", ORDERS, (2,))))
    assert (keys, blind) == ([2], [])
    stream.close()

    with urllib.request.urlopen(f"{world.stack.connect_url}/connectors/{name}/config") as answer:
        config = json.load(answer)
    assert lifecycle.delete().reached
    world.connect.register(name, config)
    assert lifecycle.until("RUNNING").reached
    stream = world.open()
    stream.start(journaled.offsets, journaled.read_through)
    keys, blind, journaled = read(stream, world.commit(Step("insert", ORDERS, (3,))))
    assert (keys, blind) == ([3], []), "it kept its offsets and its slot"
    stream.close()

    assert lifecycle.delete(forget=True).reached
    world.database.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = %s",
                       (world.database.name,))  # fmt: skip
    world.commit(Step("insert", ORDERS, (4,)))
    world.connect.register(name, config)
    assert lifecycle.until("RUNNING").reached
    world.commit(Step("insert", ORDERS, (5,)))
    stream = world.open()
    stream.start(journaled.offsets, journaled.read_through)
    keys, blind, journaled = read(stream, world.commit(Step("insert", ORDERS, (6,))))
    assert (keys, blind) == ([5, 6], [BEGAN_ANEW])
    stream.close()
