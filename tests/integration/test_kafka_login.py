"""A daemon's stream whose password is wrong says so, and goes on once the right one stands in its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from stack.kafka import PASSWORD
from stack.native import KafkaStack

import config
from connectors.journal.opening import open_journal
from connectors.kafka.stream import KafkaStream
from connectors.memory.clock import VirtualClock
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from trueup.bootstrap.deferred import Deferred
from trueup.bootstrap.doctoring_abroad import _topics
from trueup.bootstrap.fed import fed_lag
from trueup.bootstrap.kafka_topics import kafka_reading
from trueup.bootstrap.stream import Described
from trueup.services.follow import FollowService
from trueup.services.group import GroupWorld, Sighted, TableBook
from verifier.errors import Forbidden
from verifier.lag import LagState
from verifier.ports import in_turn
from verifier.window import TransactionWindow

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("client", ["confluent", "kafka-python"])
def test_the_right_password_in_its_file_is_enough_to_go_on(
    client: str, kafka_stack: KafkaStack, tmp_path: Path
) -> None:
    word, prefix = tmp_path / "word", kafka_stack.prefix()
    word.write_text("hunter2\n")
    word.chmod(0o600)
    text = (
        "groups:\n  - name: shop\n    leader: {url: postgresql://t@h/shop}\n    followers:\n"
        "      - {name: two, url: postgresql://t@h2/shop, fed_by: {kafka_connect_sink: sink}}\n"
        f"    stream: {{kind: kafka, kafka: {{bootstrap_servers: '{kafka_stack.broker.secured}', "
        f"topic_prefix: {prefix}, client: {client}, security_protocol: SASL_SSL, sasl_mechanism: PLAIN, "
        f"sasl_user: trueup, sasl_password: 'file:{word}', ssl_ca: '{kafka_stack.broker.certificates.ca}'}}}}\n"
    )
    group = config.parse(text, folder=tmp_path).groups[0]
    assert group.stream is not None
    kafka = group.stream.kafka
    assert kafka is not None
    clock = VirtualClock()
    leader = MemoryReplica("leader", Leader(clock.now))
    book = TableBook(leader, {}, ["public.*"], clock)
    world = GroupWorld("shop", leader, {}, book, clock, in_turn, Sighted(TransactionWindow(), []))
    journal = open_journal(tmp_path / "journal.db", "shop")

    def made() -> KafkaStream:
        reading = kafka_reading("trueup-shop", "c", kafka, Described(book))
        return KafkaStream(reading.consumer, reading.decoder, prefix)

    stream = Deferred(made)
    follow = FollowService(world, stream, journal.stream, poll_seconds=0.0)
    with pytest.raises(Forbidden, match=f"kafka at {kafka_stack.broker.secured} refuses us") as caught:
        follow.tick(clock.now())
    (remark,) = _topics(kafka, "shop")
    lag = fed_lag(group)["two"]
    assert (remark.level, lag.state) == ("error", LagState.UNKNOWN)
    for told in (str(caught.value), remark.what, lag.detail):
        assert "refuses us" in told
        assert "hunter2" not in told

    word.write_text(f"{PASSWORD}\n")
    follow.tick(clock.now())
    assert follow.started
    assert "refuses us" not in "".join(remark.what for remark in _topics(kafka, "shop"))
    assert (
        fed_lag(group)["two"].detail == f"consumer group connect-sink has committed no offset in a topic of {prefix!r}"
    )
    follow.close()
    journal.close()
