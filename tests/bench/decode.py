"""How fast the change stream is decoded and tracked, beside a client that merely consumes the same topics.

A connector's topics are made by hand: transactions of `ROWS` updates in one table, of about 750 bytes each, without
schemas, with their BEGIN and END. The bare loop takes each message's key and value and nothing else; trueup makes
transactions of them, puts them into the window, and gathers the touched keys. Both read the same topics of the same
broker, taking turns, each in a process of its own; each client has topics of its own, and reads them to their ends.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer as Confluent
from confluent_kafka import KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from stack.download import kafka_jars
from stack.kafka import Broker

from connectors.debezium.decoder import Decoder
from connectors.debezium.modes import RECOMMENDED
from connectors.embedded import Workspace
from connectors.kafka.clients import consumer_of
from connectors.kafka.stream import KafkaStream
from trueup.collecting import search_seldom
from trueup.services.follow import touch
from verifier.position import Lsn, Position
from verifier.table import Column, Family, Key, Table, TableName
from verifier.window import TransactionWindow

Row = tuple[str, ...]
HEADER = (
    "client",
    "who",
    "messages",
    "seconds",
    "its CPU s",
    "messages/s",
    "row changes/s",
    "share of bare",
    "peak MiB",
)
ROWS = 10
"""Row changes in a transaction."""
KEYS = 100_000
ORDERS = TableName("public", "orders")
_TEXT, _WHOLE = (Family.TEXT, "text"), (Family.INTEGER, "bigint")
_COLUMNS = {
    "id": _WHOLE, "customer": _WHOLE, "status": _TEXT, "amount": (Family.DECIMAL, "numeric(12,2)"), "currency": _TEXT,
    "placed_at": (Family.TIMESTAMP, "timestamp without time zone"), "note": _TEXT, "street": _TEXT, "city": _TEXT,
    "updated_at": (Family.TIMESTAMPTZ, "timestamp with time zone"),
}  # fmt: skip
TABLE = Table(ORDERS, tuple(Column(name, *kind) for name, kind in _COLUMNS.items()), ("id",))
_START = 1_000_000
_BATCH = 5_000
_STILL_SECONDS = 60.0

Message = tuple[str, bytes, bytes]


def bench(events: int, rounds: int) -> list[Row]:
    """Row changes to produce, and how often the two take turns; medians."""
    jars = kafka_jars()
    assert jars is not None
    found: list[Row] = []
    with Workspace() as workspace:
        broker = Broker(workspace.path / "broker", jars)
        broker.start()
        broker.wait()
        try:
            for client, share in (("confluent", 1.0), ("kafka-python", 0.25)):
                some = int(events * share) // ROWS * ROWS
                produce(broker.bootstrap, client, some)
                runs = [(_run("bare", client, broker.bootstrap, some), _run("trueup", client, broker.bootstrap, some))
                        for _ in range(rounds)]  # fmt: skip
                bare, ours = (
                    sorted(column, key=lambda one: one.seconds)[rounds // 2] for column in zip(*runs, strict=True)
                )
                found += [bare.row(client, 1.0), ours.row(client, bare.seconds / ours.seconds)]
        finally:
            broker.server.stop()
    return found


@dataclass(frozen=True, slots=True)
class Read:
    """One process that read the topics. `seconds` from the first message to the last, `cpu` those of the whole process
    in between."""

    who: str
    messages: int
    changes: int
    seconds: float
    cpu: float
    peak_mib: float

    def row(self, client: str, share: float) -> Row:
        rate, changes = self.messages / self.seconds, self.changes / self.seconds
        return (client, self.who, f"{self.messages:,}", f"{self.seconds:.2f}", f"{self.cpu:.2f}", f"{rate:,.0f}",
                f"{changes:,.0f}", f"{share:.0%}", f"{self.peak_mib:.0f}")  # fmt: skip


def _run(who: str, client: str, servers: str, events: int) -> Read:
    words = [sys.executable, "-m", "bench.decode", who, client, servers, str(events)]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1])
    return Read(**json.loads(done.stdout))


def topics(prefix: str) -> tuple[str, str]:
    """Of the rows and of the transactions."""
    return f"{prefix}.{ORDERS}", f"{prefix}.transaction"


def messages(prefix: str, events: int, *, rows: int = ROWS) -> Iterator[Message]:
    """Topic, key and value of each message of a connector, in the order in which it sends them."""
    table, order_of_all = topics(prefix)
    for xid in range(_START, _START + events // rows):
        lsn = xid * 1000
        begin = (
            f'{{"status":"BEGIN","id":"{xid}:{lsn}","event_count":null,"data_collections":null,"ts_ms":1795210540652}}'
        )
        yield order_of_all, f'{{"id":"{xid}:{lsn}"}}'.encode(), begin.encode()
        for order in range(1, rows + 1):
            key = (xid * rows + order) * 7919 % KEYS
            yield table, b'{"id":%d}' % key, _row(xid, lsn + order, order, key)
        end = lsn + rows + 1
        yield order_of_all, f'{{"id":"{xid}:{end}"}}'.encode(), (
            f'{{"status":"END","id":"{xid}:{end}","event_count":{rows},"data_collections":[{{"data_collection":'
            f'"{ORDERS}","event_count":{rows}}}],"ts_ms":1795210540652}}'
        ).encode()  # fmt: skip


def _row(xid: int, lsn: int, order: int, key: int) -> bytes:
    """As Debezium 3.6 writes an update, field for field."""
    return (
        f'{{"before":null,"after":{{"id":{key},"customer":{key % 977},"status":"paid","amount":"{key % 1000}.95",'
        f'"currency":"EUR","placed_at":1795210387299038,"note":"to be left with the neighbours, please","street":'
        f'"{key % 89} Mill Lane","city":"Lower Slaughter","updated_at":"2026-02-28T11:14:15.123456Z"}},"source":'
        f'{{"version":"3.6.3.Final","connector":"postgresql","name":"shop","ts_ms":1795210540600,"snapshot":"false",'
        f'"db":"shop","sequence":"[\\"{lsn - 2}\\",\\"{lsn}\\"]","ts_us":1795210540600123,"ts_ns":1795210540600123000,'
        f'"schema":"public","table":"orders","txId":{xid},"lsn":{lsn},"xmin":null,"origin":null,"origin_lsn":null}},'
        f'"transaction":{{"id":"{xid}:{lsn}","total_order":{order},"data_collection_order":{order}}},"op":"u",'
        f'"ts_ms":1795210540652,"ts_us":1795210540652018,"ts_ns":1795210540652018840}}'
    ).encode()


def produce(servers: str, prefix: str, events: int) -> None:
    """Topics of one partition, as the connector makes them, and `events` row changes in them."""
    admin = AdminClient({"bootstrap.servers": servers})
    for made in admin.create_topics([NewTopic(name, 1, 1) for name in topics(prefix)]).values():
        made.result(timeout=30)
    producer = Producer({
        "bootstrap.servers": servers, "linger.ms": 20, "batch.size": 1_000_000, "enable.idempotence": True,
        "queue.buffering.max.messages": 200_000, "message.timeout.ms": 600_000,
        "delivery.report.only.error": True, "on_delivery": _undelivered,
    })  # fmt: skip
    for topic, key, value in messages(prefix, events):
        while True:
            try:
                producer.produce(topic, value, key)
                break
            except BufferError:
                producer.poll(0.1)
    left = producer.flush(600)
    assert left == 0, f"{left} messages are not on the broker: whoever reads would wait for them for ever"


def _undelivered(error: KafkaError, _message: object) -> None:
    raise RuntimeError(f"a message is not on the broker: {error.str()}")


def bare(client: str, servers: str, total: int) -> Iterator[int]:
    """A loop of the client that takes key and value of every message; yields how many it has."""
    seen = 0
    if client == "confluent":
        consumer = Confluent({"bootstrap.servers": servers, "group.id": "bare", "enable.auto.commit": False})
        consumer.assign([TopicPartition(name, 0, 0) for name in topics(client)])
        while seen < total:
            for message in consumer.consume(2000, 0.1):
                if message.error() is None:
                    message.key(), message.value()
                    seen += 1
            yield seen
        consumer.close()
        return
    from kafka import KafkaConsumer
    from kafka import TopicPartition as Place

    python = KafkaConsumer(bootstrap_servers=servers, group_id="bare", enable_auto_commit=False)
    places = [Place(name, 0) for name in topics(client)]
    python.assign(places)
    for place in places:
        python.seek(place, 0)
    while seen < total:
        for found in python.poll(timeout_ms=100, max_records=2000).values():
            for message in found:
                assert message.value is not None
                seen += 1
        yield seen
    python.close()


class Tracking:
    """What the daemon does with the stream before its journal: the window, and the keys to look at."""

    def __init__(self, stream: KafkaStream) -> None:
        self.stream = stream
        self.window = TransactionWindow()
        self.window.begin(Lsn(0))
        self.window.set_mark(0)
        self.touched: dict[tuple[TableName, Key], Position] = {}
        self.changes = self.transactions = 0

    def turn(self) -> None:
        batch = self.stream.poll(changes_max=_BATCH, seconds_max=0.1)
        self.window.add(batch)
        touch(self.touched, batch.transactions, (ORDERS,))
        self.changes += sum([len(one.changes) for one in batch.transactions])
        self.transactions += len(batch.transactions)
        assert batch.blind == () == batch.letters
        if len(self.touched) > _BATCH:
            self.touched.clear()  # as the journal takes them


def trueup(client: str, servers: str, total: int) -> Iterator[int]:
    """trueup's own stream; yields how many messages it has made something of."""
    stream = KafkaStream(consumer_of(client, servers, "trueup"), decoder(client), client)
    stream.start({f"{name}:0": 0 for name in topics(client)}, Lsn(0))
    search_seldom()  # as the daemon does
    tracking = Tracking(stream)
    while tracking.changes + 2 * tracking.transactions < total:
        tracking.turn()
        yield tracking.changes + 2 * tracking.transactions
    assert tracking.window.changes
    stream.close()


def decoder(prefix: str) -> Decoder:
    return Decoder(prefix, RECOMMENDED, {ORDERS: TABLE}.get)


def _heeded(reading: Iterator[int], total: int) -> Iterator[int]:
    """The same numbers. RuntimeError where they have not grown for `_STILL_SECONDS`: nobody waits for ever."""
    most, grown_at = 0, time.monotonic()
    for seen in reading:
        if seen > most:
            most, grown_at = seen, time.monotonic()
        elif time.monotonic() - grown_at > _STILL_SECONDS:
            raise RuntimeError(f"no more than {most:,} of {total:,} messages have come for {_STILL_SECONDS:.0f} s")
        yield seen


READERS: dict[str, Callable[[str, str, int], Iterator[int]]] = {"bare": bare, "trueup": trueup}


def main(words: Sequence[str]) -> None:
    """One reader, told by what `_run` gives it; its figures as JSON on standard output."""
    who, client, servers, events = words[0], words[1], words[2], int(words[3])
    total = events + 2 * (events // ROWS)
    began, first, seen, cpu = 0.0, 0, 0, 0.0
    for seen in _heeded(READERS[who](client, servers, total), total):
        if seen and not began:
            began, first, cpu = time.monotonic(), seen, time.process_time()
    seconds = time.monotonic() - began
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    read = seen - first
    told = {"who": who, "messages": read, "changes": read * ROWS // (ROWS + 2), "seconds": seconds}
    told["cpu"] = time.process_time() - cpu
    json.dump(told | {"peak_mib": int(peak.split()[1]) / 1024}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
