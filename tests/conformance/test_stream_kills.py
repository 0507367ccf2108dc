"""Connect killed with -9 and the broker stopped under load: sent again or late, every transaction comes, in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import cast

import pytest
from fixtures.debezium_worlds import ORDERS, STREAM_WORLDS, Done, KafkaWorld, Step

from connectors.kafka.clients import consumer_of
from verifier.change import Transaction
from verifier.errors import Misconfigured, Temporary
from verifier.position import Lsn

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[KafkaWorld]:
    for made in STREAM_WORLDS["confluent"](request):
        yield cast(KafkaWorld, made)


def test_killed_and_restarted_nothing_is_missing_and_the_order_stays(world: KafkaWorld) -> None:
    done: list[Done] = []
    stop = threading.Event()

    def write() -> None:
        for number in range(100_000):
            if stop.is_set():
                break
            done.append(world.commit(*[Step("insert", ORDERS, (number * 3 + place,)) for place in range(3)]))
            time.sleep(0.01)

    stream = world.open()
    stream.start({}, None)
    got: list[Transaction] = []
    through: Lsn | None = None
    again = 0

    def read(seconds: float, until: Lsn | None = None) -> None:
        nonlocal through, again
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not (until and through and through.covers(until)):
            try:
                batch = stream.poll(changes_max=100, seconds_max=0.2)
            except Temporary:
                continue
            assert batch.blind == ()
            for transaction in batch.transactions:
                if through is not None and through.covers(transaction.commit):
                    again += 1
                elif transaction.changes:
                    got.append(transaction)
            through = batch.read_through if isinstance(batch.read_through, Lsn) else through

    writer = threading.Thread(target=write)
    writer.start()
    try:
        read(4)
        world.stack.connect.server.kill()
        world.stack.connect.start()
        read(4)
        world.stack.broker.server.stop()
        world.stack.broker.start()
        world.stack.connect.wait()
        read(4)
    finally:
        stop.set()
        writer.join()
    last = done[-1].after
    assert isinstance(last, Lsn)
    read(180, last)
    first = got[0].xid
    expected = done[next(place for place, known in enumerate(done) if known.xid == first) :]
    assert [transaction.xid for transaction in got] == [known.xid for known in expected]
    assert all(
        [c.key for c in t.changes] == [s.key for s in known.steps] for t, known in zip(got, expected, strict=True)
    )
    assert again == 0, "what Connect sent again was recognised before it was delivered"
    stream.close()


def test_an_unknown_client_is_refused() -> None:
    with pytest.raises(Misconfigured, match="use one of confluent, kafka-python"):
        consumer_of("librd", "x:1", "g")
