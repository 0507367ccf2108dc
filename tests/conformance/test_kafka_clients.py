"""Both clients and the sink on a real broker: the same port, the same answers."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer as Subscriber
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from fixtures.kafka_groups import groups_asked

from connectors.debezium.pending import Partition
from connectors.kafka.confluent import ConfluentConsumer
from connectors.kafka.kafka_python import KafkaPythonConsumer
from connectors.kafka.port import Consumer, Polled, Record
from connectors.kafka.sink import KafkaEventSink, binary
from connectors.kafka.steady import Steady
from reconciler.events import Announcer
from reconciler.letters import dead_letter_event
from reconciler.ports import Event
from verifier.change import DeadLetter
from verifier.errors import Misconfigured, Unreachable

pytestmark = pytest.mark.kafka
Made = Callable[..., Any]


@pytest.fixture(params=[ConfluentConsumer, KafkaPythonConsumer], ids=["confluent", "kafka-python"])
def client(request: pytest.FixtureRequest) -> Made:
    made: Made = request.param
    return made


@pytest.fixture
def topic(kafka_stack: Any) -> str:
    """A fresh topic of two partitions, three messages in the first; the last two belong to Kafka transactions, of which
    the second was aborted."""
    name = f"{kafka_stack.prefix()}.topic"
    admin = AdminClient({"bootstrap.servers": kafka_stack.bootstrap})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(timeout=20)
    producer = Producer({"bootstrap.servers": kafka_stack.bootstrap, "transactional.id": name})
    producer.init_transactions(30)
    for number, keep in enumerate((True, True, False)):
        producer.begin_transaction()
        producer.produce(name, f"v{number}", f"k{number}", 0, headers={"h": b"x"})
        producer.flush(20)
        if keep:
            producer.commit_transaction(20)
        else:
            producer.abort_transaction(20)
    return name


@pytest.fixture
def consumer(client: Made, kafka_stack: Any) -> Iterator[Consumer]:
    made: Consumer = client(kafka_stack.bootstrap, "test")
    yield made
    made.close()
    gc.collect()  # a socket that it left open is told of here, and not in another test


def records_of(polled: Polled) -> list[Record]:
    records = []
    for run in polled.runs:
        whole = [run.record(index) for index in range(len(run.offsets))]
        assert [(one.place, one.offset, one.key, one.value) for one in whole] == [
            (run.place, *columns) for columns in zip(run.offsets, run.keys, run.values, strict=True)
        ]
        assert whole[-1].at == run.at
        records += whole
    return records


def read(
    consumer: Consumer, until: Callable[[list[Record], dict[Partition, int]], bool], records_max: int = 100
) -> list[Record]:
    records: list[Record] = []
    ends: dict[Partition, int] = {}
    deadline = time.monotonic() + 60
    while not until(records, ends):
        polled = consumer.poll(records_max, 0.2)
        records += records_of(polled)
        ends |= dict(polled.ends)
        assert time.monotonic() < deadline, (records, ends)
    return records


def test_messages_come_in_order_and_the_end_is_behind_what_is_never_delivered(consumer: Consumer, topic: str) -> None:
    place = (topic, 0)
    assert list(consumer.partitions()[topic]) == [0, 1]
    asked, whole = [place, (topic, 1), ("no.such.topic", 0)], {place: (0, 6), (topic, 1): (0, 0)}
    deadline = time.monotonic() + 60  # the broker writes the mark of an aborted transaction after it has answered
    while consumer.bounds(asked) != whole and time.monotonic() < deadline:
        time.sleep(0.05)
    assert consumer.bounds(asked) == whole
    consumer.assign({place: 0, (topic, 1): 0})
    records = read(consumer, lambda records, ends: ends.get(place) == 6)
    assert [(r.offset, r.key, r.value, r.headers) for r in records] == [
        (0, b"k0", b"v0", (("h", b"x"),)), (2, b"k1", b"v1", (("h", b"x"),)),
    ]  # fmt: skip
    assert records[0].at == pytest.approx(time.time(), abs=60)
    assert consumer.high(place) == 6


def test_where_many_partitions_end_is_asked_at_once(consumer: Consumer, kafka_stack: Any) -> None:
    """One by one each question waited for the answer to a fetch, so a thousand partitions for minutes."""
    topic = kafka_stack.prefix()
    admin = AdminClient({"bootstrap.servers": kafka_stack.bootstrap})
    admin.create_topics([NewTopic(topic, 60)])[topic].result(30)
    places = [(topic, number) for number in range(60)]

    def seconds(asked: Collection[Partition]) -> float:
        began = time.monotonic()
        assert consumer.bounds(asked) == dict.fromkeys(asked, (0, 0))
        return time.monotonic() - began

    seconds(places)  # which are there from now on
    consumer.assign(dict.fromkeys(places, 0))
    read(consumer, lambda _, ends: len(ends) == len(places))
    one, many = (min(seconds(asked) for _ in range(3)) for asked in (places[:1], places))
    assert many < 10 * one + 0.5


def test_what_was_read_last_is_known_again_and_another_message_in_its_place_is_not(
    consumer: Consumer, topic: str
) -> None:
    place, deadline = (topic, 0), time.monotonic() + 60
    steady = Steady(consumer)
    steady.assign({place: 0})
    while steady.marks.get(place, (0, 0))[0] < 2:
        assert all(run.epoch is not None for run in steady.poll(100, 0.2).runs)
        assert time.monotonic() < deadline
    read = dict(steady.marks)
    steady.begin(read)
    steady.assign({place: 6})
    polled = steady.poll(100, 0.2)
    while polled.ends.get(place) != 6:
        assert (polled.runs, polled.lost) == ([], [])
        assert time.monotonic() < deadline
        polled = steady.poll(100, 0.2)
    steady.begin({place: (2, read[place][1] ^ 1)})
    steady.assign({place: 6})
    while not (lost := steady.poll(100, 0.2).lost):
        assert time.monotonic() < deadline
    assert lost == [place]


def test_reading_begins_where_it_is_told_to(consumer: Consumer, topic: str) -> None:
    consumer.assign({(topic, 0): 1})
    assert [record.offset for record in read(consumer, lambda records, _: bool(records))] == [2]


def test_a_paused_partition_brings_nothing(consumer: Consumer, topic: str) -> None:
    consumer.assign({(topic, 0): 0})
    consumer.pause([(topic, 0)], True)
    assert [records_of(consumer.poll(100, 0.1)) for _ in range(5)] == [[]] * 5
    consumer.pause([(topic, 0)], False)
    assert len(read(consumer, lambda records, _: len(records) == 2)) == 2


def test_a_resumed_partition_goes_on_though_nothing_comes_in_any_other(consumer: Consumer, kafka_stack: Any) -> None:
    name = f"{kafka_stack.prefix()}.two"
    admin = AdminClient({"bootstrap.servers": kafka_stack.bootstrap})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(timeout=20)
    producer = Producer({"bootstrap.servers": kafka_stack.bootstrap})
    for number in range(100):
        for partition in (0, 1):
            producer.produce(name, f"v{number}", "k", partition)
    assert producer.flush(20) == 0
    consumer.assign({(name, 0): 0, (name, 1): 0})
    records = read(consumer, lambda found, _: bool(found), 7)
    one = records[-1].place  # it has fetched more of this one
    consumer.pause([one], True)
    records += read(consumer, lambda found, _: sum(record.place != one for record in [*records, *found]) == 100, 7)
    consumer.pause([one], False)
    records += read(consumer, lambda found, _: len(records) + len(found) == 200, 7)
    assert [record.offset for record in records if record.place == one] == list(range(100))


def test_who_is_told_anew_what_to_read_reads_what_was_paused(consumer: Consumer, topic: str) -> None:
    """The clients hold on by themselves, and whoever asks knows of no pause any more, and would never end it."""
    steady, one, other = Steady(consumer), (topic, 0), (topic, 1)
    for places in ({one: 0}, {one: 0, other: 0}):
        steady.assign({one: 0})
        assert len(read(steady, lambda records, _: len(records) == 2)) == 2
        steady.pause([one], True)
        steady.assign(places)
        assert len(read(steady, lambda records, _: len(records) == 2)) == 2


def test_an_offset_that_the_broker_does_not_hold_is_lost(consumer: Consumer, topic: str) -> None:
    consumer.assign({(topic, 0): 99})
    deadline = time.monotonic() + 60
    polled = Polled()
    while not polled.lost:
        polled = consumer.poll(100, 0.2)
        assert time.monotonic() < deadline
    assert list(polled.lost) == [(topic, 0)]


def test_other_members_of_the_consumer_group_change_nothing(client: Made, topic: str, kafka_stack: Any) -> None:
    """Partitions are assigned by us and offsets are the journal's: who joins our group takes nothing away, be it a tool
    that subscribes or another trueup, and a broker that refuses our commits then stops nobody."""
    places = [(topic, 0), (topic, 1)]
    ours, twin = (client(kafka_stack.bootstrap, topic) for _ in range(2))
    for one in (ours, twin):
        one.assign(dict.fromkeys(places, 0))
        read(one, lambda records, _: len(records) == 2)
    member = Subscriber({"bootstrap.servers": kafka_stack.bootstrap, "group.id": topic, "auto.offset.reset": "latest"})
    producer, deadline = Producer({"bootstrap.servers": kafka_stack.bootstrap}), time.monotonic() + 60
    member.subscribe([topic])
    while len(member.assignment()) < 2:
        member.poll(0.1)
        assert time.monotonic() < deadline, "nobody gave the other member its partitions"
    for left in (False, True):
        if left:
            member.close()
        for place in places:
            producer.produce(topic, b"later", b"k", place[1])
        assert producer.flush(20) == 0
        for one in (ours, twin):
            one.commit({(topic, 0): 6})
            found = read(one, lambda records, _: len(records) == 2)
            assert [(record.place, record.value) for record in sorted(found, key=lambda record: record.place)] == [
                (place, b"later") for place in places
            ]
    ours.close()
    twin.close()


def test_a_topic_made_anew_has_another_number_and_a_compacted_one_is_known(client: Made, kafka_stack: Any) -> None:
    plain, compact = (f"{kafka_stack.prefix()}.{name}" for name in ("plain", "compact"))
    admin = AdminClient({"bootstrap.servers": kafka_stack.bootstrap})
    made = [NewTopic(plain, 1, 1), NewTopic(compact, 1, 1, config={"cleanup.policy": "compact,delete"})]
    for future in admin.create_topics(made).values():
        future.result(timeout=20)
    consumer = client(kafka_stack.bootstrap, "test")
    asked = [plain, compact, "no.such.topic"]
    first = consumer.made(asked)
    assert first.keys() == {plain, compact}
    assert consumer.made(asked) == first
    assert list(consumer.compacted(asked)) == [compact]
    admin.delete_topics([plain])[plain].result(timeout=20)
    deadline = time.monotonic() + 60
    while consumer.made([plain]) and time.monotonic() < deadline:
        time.sleep(0.05)
    admin.create_topics([NewTopic(plain, 1, 1)])[plain].result(timeout=20)
    while consumer.made(asked).keys() != {plain, compact} and time.monotonic() < deadline:
        time.sleep(0.05)
    again = consumer.made(asked)
    assert (again[compact], again[plain] == first[plain]) == (first[compact], False)
    assert all(0 < number < 2**128 for number in again.values())
    consumer.close()


def test_an_outage_is_told_once_and_reading_goes_on(consumer: Consumer, topic: str, kafka_stack: Any) -> None:
    consumer.assign({(topic, 0): 0})
    read(consumer, lambda records, _: len(records) == 2)
    with groups_asked(kafka_stack, topic):
        _outage(consumer, kafka_stack)
    producer = Producer({"bootstrap.servers": kafka_stack.bootstrap})
    producer.produce(topic, b"later", b"k", 0)
    assert producer.flush(20) == 0
    assert [record.value for record in read(consumer, lambda records, _: bool(records))] == [b"later"]


def _outage(consumer: Consumer, kafka_stack: Any) -> None:
    kafka_stack.broker.server.stop()
    told = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not told:
        try:
            consumer.poll(100, 0.2)
        except Unreachable as error:
            told.append(str(error))
    for _ in range(10):
        consumer.poll(100, 0.2)
    (message,) = told
    assert message.startswith(f"kafka at {kafka_stack.bootstrap} does not answer")
    kafka_stack.broker.start()
    kafka_stack.broker.wait()


def test_nobody_there_is_unreachable(client: Made) -> None:
    with pytest.raises(Unreachable, match="does not answer"):
        client("127.0.0.1:1", "test", seconds_max=1.0).partitions()


def test_wrong_settings_are_misconfigured(client: Made, kafka_stack: Any) -> None:
    with pytest.raises(Misconfigured, match="refuses its settings"):
        client(kafka_stack.bootstrap, "test", {"no.such.setting": "1"})


def event(number: int) -> Event:
    body = {
        "specversion": "1.0", "id": f"id{number}", "source": "/trueup/shop", "type": "drift.found", "subject": None,
        "datacontenttype": "application/json", "data": {"key": {"id": number}, "name": "é"},
    }  # fmt: skip
    return Event(f"id{number}", "drift", f"shop/public.t/{number}", body)


def test_events_arrive_as_binary_cloudevents(kafka_stack: Any, consumer: Consumer) -> None:
    prefix = kafka_stack.prefix()
    sink = KafkaEventSink(kafka_stack.bootstrap, prefix)
    assert sorted(sink.send([event(number) for number in range(3)])) == ["id0", "id1", "id2"]
    assert sink.send([]) == []
    sink.close()
    place = (f"{prefix}.drift", 0)
    consumer.assign({place: 0})
    first, *_ = read(consumer, lambda records, _: len(records) == 3)
    assert first.key == b"shop/public.t/0"
    assert json.loads(first.value or b"") == {"key": {"id": 0}, "name": "é"}
    assert dict(first.headers) == {
        "ce_specversion": b"1.0", "ce_id": b"id0", "ce_source": b"/trueup/shop", "ce_type": b"drift.found",
        "content-type": b"application/json",
    }  # fmt: skip


def test_a_dead_letter_arrives_as_the_message_that_it_was(kafka_stack: Any, consumer: Consumer) -> None:
    prefix = kafka_stack.prefix()
    headers = (("h", b"\x00\xff"), ("none", None))
    letters = [
        DeadLetter("p.public.t", 3, 17, 1_700_000_000.5, b"\xff{", b"\x00junk", headers, "ValueError", "odd"),
        DeadLetter("p.public.t", 3, 18, None, None, None, (), "Unreadable", "null"),
        DeadLetter("p.public.t", 3, 19, None, b"k", b"x" * 990_000, (), "ValueError", "large, and it was a message"),
    ]
    events = [dead_letter_event(Announcer("one", "shop"), letter, version="1.2", now=7.0) for letter in letters]
    sink = KafkaEventSink(kafka_stack.bootstrap, prefix)
    assert sorted(sink.send(events)) == sorted(event.id for event in events)
    sink.close()
    place = (f"{prefix}.dead-letters", 0)
    consumer.assign({place: 0})
    found = read(consumer, lambda records, _: len(records) == 3)
    assert [(one.key, one.value) for one in found] == [(letter.key, letter.value) for letter in letters]
    assert found[0].headers[:2] == headers
    assert dict(found[0].headers[2:]) == {
        "ce_specversion": b"1.0", "ce_id": events[0].id.encode(), "ce_source": b"/trueup/one/groups/shop",
        "ce_type": b"io.trueup.letter.dead.v1", "ce_subject": b"p.public.t:3",
        "ce_time": b"1970-01-01T00:00:07.000000Z",
        "ce_dataschema": b"urn:trueup:events:letter.v1", "ce_partitionkey": b"shop|p.public.t:3",
        "trueup.topic": b"p.public.t", "trueup.partition": b"3", "trueup.offset": b"17",
        "trueup.timestamp": b"2023-11-14T22:13:20.500000Z", "trueup.error": b"ValueError", "trueup.text": b"odd",
        "trueup.version": b"1.2",
    }  # fmt: skip


def test_events_that_nobody_confirms_are_not_reported_as_sent() -> None:
    sink = KafkaEventSink("127.0.0.1:1", "p", seconds_max=1.0)
    with pytest.raises(Unreachable, match="confirmed nothing within 1 s"):
        sink.send([event(1)])


def test_attributes_without_a_value_are_left_out() -> None:
    _, headers = binary(event(1))
    assert "ce_subject" not in dict(headers)
