"""The whole loop on real Kafka, Kafka Connect and Debezium, by the installed program alone."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from fixtures.program import DaemonProcess, ok
from fixtures.running import Served, beside
from fixtures.watched import kafka_stream
from jsonschema import Draft202012Validator
from stack.native import KafkaStack

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

SCHEMAS = Path(__file__).parent.parent.parent / "reconciler" / "schemas"
BEND = """
create function bend() returns trigger language plpgsql as $$
begin
  if new.note like 'bend%' and pg_catalog.current_setting('application_name') <> 'trueup-repair' then
    new.amount := new.amount + 0.01;
  end if;
  return new;
end $$;
create trigger bend before update on orders for each row execute function bend();
alter table orders enable replica trigger bend;
"""


class Loop:
    """The shop, watched through Kafka. Nothing but the stream finds anything: the scan comes once an hour."""

    def __init__(self, served: Served, stack: KafkaStack, client: str) -> None:
        self.served, self.stack = served, stack
        self.name = stack.prefix()
        self.prefix = f"ev.{self.name}"
        stack.adopt(self.name, served.world.trio.leader, served.world.name)

        def edit(text: str) -> str:
            lines = text.splitlines()
            stream = next(n for n, line in enumerate(lines) if "stream:" in line)
            events = next(n for n, line in enumerate(lines) if "events:" in line)
            lines[stream] = f"    {kafka_stream(stack, self.name, f'client: {client}')}"
            lines[events] = f"    events: {{kind: kafka, topic_prefix: {self.prefix}, relay_every: 200ms}}"
            return "\n".join(lines) + "\n"

        served.write(mode="approve, share_of_table: 1.0", period="1h", edit=edit)
        served.subscriber.sql(BEND)

    def register(self) -> None:
        """The shop is published as a whole, so a new table on the leader would stop the subscriber."""
        stops = self.served.ask("connector", "register", "--create-heartbeat")
        assert stops.code == 4, stops
        assert "subscriber has no public.trueup_heartbeat: it would stop applying" in stops.err
        assert self.served.leader.sql("select to_regclass('public.trueup_heartbeat')") == [(None,)]
        self.served.subscriber.sql(stops.err.rpartition("then again: ")[2])
        done = self.served.ask("connector", "register", "--create-heartbeat", "--wait", "60")
        assert (done.code, f"connector {self.name} runs" in done.err) == (0, True), done

    def bend(self, *rows: int) -> None:
        """Let the follower damage these rows as the leader changes them."""
        for row in rows:
            self.served.leader.sql("update orders set note = 'bend' where id = %s", (row,))

    def found(self, daemon: DaemonProcess, rows: set[int], seconds: float = 120.0) -> None:
        """Wait until these rows are known to differ; no other may be, and the proof is of the stream."""
        daemon.until(lambda: daemon.metric("trueup_drift_rows") == len(rows), f"drift of {rows}", seconds)
        drift = self.served.drift()
        assert drift.keys() == {("subscriber", "public.orders", (str(row),)) for row in rows}
        assert {(one["evidence"], one["method"]) for one in drift.values()} == {("proven", "visibility")}

    def lag(self, code: int) -> dict[str, dict[str, Any]]:
        deadline = time.monotonic() + 60
        while not (done := self.served.ask("lag", "--seconds", "1", "--format", "json")).out:
            assert time.monotonic() < deadline, done  # somebody did not answer in time, and nothing was told
        assert done.code == code, done
        return {hop["hop"]: hop for hop in done.json["hops"]}

    def every_hop_is_told(self, daemon: DaemonProcess) -> None:
        """Leader to connector to Kafka to trueup, and leader to each follower: known, and caught up sooner or later."""
        words = ("lag", "--seconds", "1", "--format", "json", "--config", str(beside(self.served, daemon)))
        deadline = time.monotonic() + 60
        while (done := self.served.ask(*words, config=False)).code != 0:
            assert time.monotonic() < deadline, done
        hops = done.json["hops"]
        assert [hop["hop"] for hop in hops] == ["stream", "connector", "broker", "trueup", "standby", "subscriber"]
        assert {hop["state"] for hop in hops} == {"caught_up"}
        assert [hop for hop in hops if hop["seconds"] is None] == []

    def traced(self, row: int) -> None:
        """Its life is read back from the topic: one update, which did not arrive as it was."""
        told = self.served.ask("trace", "orders", str(row), "--format", "json")
        assert told.code == 1, told
        (change,) = told.json["changes"]
        assert (change["operation"], change["row"]["note"], told.json["history"]["source"]) == (
            "update",
            "bend",
            "kafka",
        )
        assert change["place"].startswith(f"{self.name}.public.orders:0@")
        subscriber = next(one for one in told.json["followers"] if one["follower"] == "subscriber")
        assert (subscriber["state"], list(subscriber["columns"])) == ("mismatched", ["amount"])
        assert subscriber["holds"] is None
        # Unknown where it was found before anything had dated what the follower writes, in the daemon's first second
        # (tests/integration/test_daemon_causes.py wants each cause).
        assert subscriber["known"]["cause"] in (None, "altered", "unknown"), subscriber

    def events(self, topic: str, count: int) -> list[dict[str, Any]]:
        """So many events from the beginning of one of trueup's topics, each as its schema wants it."""
        with _consumed(self.stack.bootstrap, f"{self.prefix}.{topic}") as messages:
            found = [next(messages) for _ in range(count)]
        for event in found:
            family = event["dataschema"].removeprefix("urn:trueup:events:").partition(".")[0]
            schema = json.loads((SCHEMAS / f"{family}.v1.json").read_text())
            Draft202012Validator(schema).validate(event)
        return found


@contextmanager
def _consumed(bootstrap: str, topic: str) -> Iterator[Iterator[dict[str, Any]]]:
    settings = {"bootstrap.servers": bootstrap, "group.id": str(uuid.uuid4()), "auto.offset.reset": "earliest"}
    consumer = Consumer({**settings, "topic.metadata.refresh.interval.ms": 500, "log_level": 0})
    consumer.subscribe([topic])

    def messages() -> Iterator[dict[str, Any]]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                headers = dict(message.headers() or [])
                body = json.loads(message.value())
                # CloudEvents over Kafka: attributes in the headers, or the whole event as the message.
                yield body if "specversion" in body else _joined(headers, body)
        pytest.fail(f"no further event on {topic} for 40 s")

    try:
        yield messages()
    finally:
        consumer.close()


def _joined(headers: dict[str, bytes], data: Any) -> dict[str, Any]:
    event: dict[str, Any] = {"data": data, "datacontenttype": headers["content-type"].decode().partition(";")[0]}
    return event | {name.removeprefix("ce_"): word.decode() for name, word in headers.items() if name[:3] == "ce_"}


@pytest.mark.parametrize("client", ["confluent", "kafka-python"])
def test_the_loop_through_kafka_from_the_connector_to_the_repair(
    client: str, served: Served, kafka_stack: KafkaStack
) -> None:
    loop = Loop(served, kafka_stack, client)
    rendered = ok("connector", "render", "--config", served.file)
    assert served.password_free(rendered.out + rendered.err)
    loop.register()
    status = ok("connector", "status", "--format", "json", "--config", served.file).json
    assert [part["state"] for part in status["parts"]] == ["RUNNING", "RUNNING"]
    with served.daemon() as daemon:
        daemon.until_ready()
        served.leader.sql("update orders set status = 'paid' where id between 500 and 599")
        daemon.until(lambda: (daemon.metric("trueup_touched_keys_verified_total", result="match") or 0) >= 200, "looks")
        assert served.drift() == {}
        loop.bend(7)
        loop.found(daemon, {7})
        loop.traced(7)
        loop.every_hop_is_told(daemon)

        ok("repair", "approve", "--all", "--config", served.file)
        applied = ok("repair", "apply", "--yes", "--config", served.file)
        assert "the daemon (default on" in applied.err
        daemon.until(lambda: daemon.metric("trueup_drift_rows") in (0, None), "the repair")
        daemon.until(lambda: served.repairs() == {("public.orders", "7"): "verified"}, "its verification")
        daemon.until(lambda: daemon.metric("trueup_outbox_pending") == 0, "an empty outbox")
        steps = [event["type"].split(".")[3] for event in loop.events("repairs", 4)]
        assert steps == ["proposed", "approved", "applied", "verified"]
        assert [event["type"].split(".")[3] for event in loop.events("drift", 2)] == ["opened", "cleared"]

        # A message that nobody understands costs sight of its table, not the stream.
        with psycopg.connect(served.subscriber.dsn) as blocker:
            blocker.execute("lock table items in access exclusive mode")
            producer = Producer({"bootstrap.servers": kafka_stack.bootstrap, "log_level": 0})
            producer.produce(f"{loop.name}.public.items", b"{not json", b"}")
            assert producer.flush(10) == 0
            daemon.until_red("blind for public.items")
            assert "dead_letter" in daemon.actions()
            assert "blind for public.orders" not in daemon.health("/readyz")[1]
            loop.bend(8)
            daemon.until(lambda: daemon.metric("trueup_drift_rows") == 1, "drift in another table")
            blocker.rollback()
        daemon.until_ready()
        loop.found(daemon, {8})

        # A connector that does nothing is not caught up, however quiet the leader.
        ok("connector", "pause", "--config", served.file)
        daemon.until(lambda: daemon.metric("trueup_stream_state", state="unknown") == 1, "a stream of unknown lag")
        assert "caught_up" not in {hop["state"] for name, hop in loop.lag(4).items() if name in ("connector", "stream")}
        ok("connector", "resume", "--config", served.file)
        loop.bend(9)
        loop.found(daemon, {8, 9})
        assert daemon.health("/livez") == (200, "")


def test_kafka_and_connect_die_and_come_back_and_nothing_is_lost(served: Served, kafka_stack: KafkaStack) -> None:
    loop = Loop(served, kafka_stack, "confluent")
    loop.register()
    with served.daemon() as daemon:
        daemon.until_ready()
        loop.bend(1)
        loop.found(daemon, {1})
        for round_, server in enumerate((kafka_stack.connect, kafka_stack.broker), 1):
            server.server.kill()
            loop.bend(100 * round_, 100 * round_ + 1)
            daemon.until(lambda: daemon.metric("trueup_stream_state", state="unknown") == 1, "unknown lag", 120)
            assert daemon.health("/livez") == (200, "")
            if server is kafka_stack.connect:
                assert loop.lag(4)["stream"]["state"] == "unknown"
            server.start()
            server.wait()
            loop.bend(100 * round_ + 2)
            expected = {1} | {100 * n + more for n in range(1, round_ + 1) for more in range(3)}
            loop.found(daemon, expected, 120)
        daemon.until(lambda: daemon.metric("trueup_stream_state", state="caught_up") == 1, "a stream caught up", 120)
        daemon.until(lambda: daemon.metric("trueup_outbox_pending") == 0, "an empty outbox", 120)
        opened = loop.events("drift", 7)
        assert {int(event["data"]["key"]["id"]) for event in opened} == expected
        daemon.until_ready()


def test_a_connector_that_is_deleted_under_the_daemon_is_a_gap_until_everything_was_scanned(
    served: Served, kafka_stack: KafkaStack
) -> None:
    """With its slot and what Kafka Connect remembers of it: nothing in its topics tells what was lost."""
    loop = Loop(served, kafka_stack, "confluent")
    served.file.write_text(served.file.read_text().replace("period: 1h", "period: 2s"))
    loop.register()
    with served.daemon() as daemon:
        daemon.until_ready()
        assert served.ask("connector", "delete", "--forget").code == 0
        assert f"connector {loop.name} is not known to Kafka Connect" in daemon.until_red("is not known")
        served.leader.sql(f"select pg_drop_replication_slot('dbz_{loop.name}')")
        loop.bend(2)  # of this no stream tells
        done = served.ask("connector", "register", "--wait", "60")
        assert done.code == 0, done
        loop.bend(3)
        blind = "select detail from trueup_blind"
        daemon.until(lambda: any("registered anew" in row[0] for row in served.journal(blind)), "the second gap", 120)
        daemon.until(lambda: daemon.metric("trueup_drift_rows") == 2, "both bent rows", 120)
        assert served.drift().keys() == {("subscriber", "public.orders", (str(row),)) for row in (2, 3)}
        daemon.until_ready()
