"""`trueup connector` on real connectors: verbs end when the state is real, failures are named with their fix."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer
from fixtures.databases import Database
from fixtures.mysql_servers import PairDatabase
from fixtures.program import Done
from stack.mysql_servers import MysqlServer
from stack.native import KafkaStack

from trueup.cli.main import outcome

pytestmark = pytest.mark.kafka

_RUNNING, _PAUSED = ["RUNNING", "RUNNING"], ["PAUSED", "PAUSED"]


class Site:
    """A group whose stream is a connector of this stack; commands run in this process."""

    def __init__(
        self, folder: Path, stack: KafkaStack, url: str, word: str, table: str, more: str = "", follower: str = ""
    ) -> None:
        self.stack, self.name = stack, stack.prefix()
        name, follower = self.name, (follower or "postgresql://nobody@127.0.0.1:1/shop").replace(f":{word}@", "@")
        self.word = word
        (folder / "word").write_text(word)
        login, place = url.replace(f":{word}@", "@"), folder / "trueup.yaml"
        place.write_text(
            f"journal: {folder}/journal.db\ngroups:\n  - name: {name}\n"
            f"    leader: {{url: '{login}', password: 'file:{folder}/word'}}\n"
            f"    followers: [{{name: eu, url: '{follower}', password: 'file:{folder}/word'}}]\n"
            f"    tables: {{include: ['{table}']}}\n"
            f"    stream: {{kind: kafka, kafka: {{bootstrap_servers: '{stack.bootstrap}', topic_prefix: {name}, "
            f"connect_url: '{stack.connect_url}'{more.replace('NAME', name)}}}}}\n"
        )
        self.file = place

    def __call__(self, capsys: pytest.CaptureFixture[str], *words: str) -> Done:
        code = outcome([*words, "--config", str(self.file)])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Done(code, said.out, said.err)

    def states(self) -> list[str]:
        return self.stack.connect.rest.states(self.name)


@pytest.fixture
def site(kafka_stack: KafkaStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Site]:
    monkeypatch.setattr("connectors.debezium.lifecycle.STEADY_SECONDS", 0.7)
    return partial(Site, tmp_path, kafka_stack)


def _first(stack: KafkaStack, topic: str) -> dict[str, Any]:
    """The first event of a topic; fails when 60 s pass without one."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.bootstrap, "group.id": str(uuid.uuid4()), "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 300, "log_level": 0,
        }
    )  # fmt: skip
    consumer.subscribe([topic])
    until = time.monotonic() + 60
    try:
        while time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is not None and message.error() is None and message.value() is not None:
                event: dict[str, Any] = json.loads(message.value())
                return event
    finally:
        consumer.close()
    pytest.fail(f"no event on {topic} not within 30 s")


def _remarks(done: Done) -> dict[str, set[str]]:
    """What status said, by level."""
    found: dict[str, set[str]] = {"ok": set(), "note": set(), "warning": set(), "error": set()}
    for one in done.json["remarks"]:
        found[one["level"]].add(one["what"])
    return found


@pytest.mark.postgres
def test_each_verb_is_done_when_the_state_is_real_and_a_lost_slot_is_named(
    site: Callable[..., Site], database: Database, kafka_stack: KafkaStack, capsys: pytest.CaptureFixture[str]
) -> None:
    database.sql("create table orders (id int primary key, amount numeric(12,2) not null)")
    own = (
        ", slot: dbz_NAME, publication: dbz_NAME, connect_user: dbz_NAME, connect_password: 'file:word'"
        ", connector_settings: {publication.autocreate.mode: disabled}"
    )
    shop = site(database.url, database.cluster.password, "public.orders", own)
    name = shop.name
    kafka_stack.adopt(name, database.cluster, database.name)
    _role(database, f"dbz_{name}")
    assert shop(capsys, "connector", "pause").code == 4, "nobody knows it yet"

    registered = shop(capsys, "connector", "register")
    assert (registered.code, shop.states()) == (0, _RUNNING), registered
    database.sql("insert into orders values (1, 2.50)")
    event = _first(kafka_stack, f"{shop.name}.public.orders")
    assert (event["op"], event["after"]) == ("c", {"id": 1, "amount": "2.50"})
    status = shop(capsys, "connector", "status", "--format", "json")
    assert (status.code, status.json["running"], _remarks(status)["error"]) == (0, True, set())
    database.sql(f"revoke select on orders from dbz_{name}")
    status = shop(capsys, "connector", "status", "--format", "json")
    assert (status.code, _remarks(status)["error"]) == (4, {f"role 'dbz_{name}' may not read public.orders"})

    paused = shop(capsys, "connector", "pause")
    assert (paused.code, shop.states()) == (0, _PAUSED), paused
    told = shop(capsys, "connector", "status")
    assert (told.code, "trueup connector resume" in told.out) == (4, True)
    resumed = shop(capsys, "connector", "resume")
    assert (resumed.code, shop.states()) == (0, _RUNNING), resumed
    assert f"connector {shop.name} runs" in resumed.err

    kafka_stack.connect.rest.call("PUT", f"/connectors/{shop.name}/stop")
    _lost(database, f"dbz_{name}")
    failed = shop(capsys, "connector", "resume")
    assert failed.code == 4
    assert "the replication slot is gone" in failed.err
    assert "trueup connector delete --forget" in failed.err
    status = shop(capsys, "connector", "status", "--format", "json")
    assert (status.code, status.json["running"]) == (4, False)
    assert [part["state"] for part in status.json["parts"]] == ["RUNNING", "FAILED"]
    assert f"no logical slot 'dbz_{name}'" in _remarks(status)["error"]

    assert shop(capsys, "connector", "delete", "--forget").code == 0
    assert shop(capsys, "connector", "register").code == 0
    deleted = shop(capsys, "connector", "delete")
    assert (deleted.code, shop.states()) == (0, [])
    assert f"slot dbz_{name} stays on the leader and keeps its log" in deleted.err
    drop = f"select pg_drop_replication_slot('dbz_{name}'); drop publication if exists \"dbz_{name}\";"
    assert drop in deleted.err
    _lost(database, f"dbz_{name}")
    database.sql(f"drop owned by dbz_{name}; drop role dbz_{name}")


def _role(database: Database, name: str) -> None:
    """A login for the connector with the rights that docs/operations.md asks for, and no other; the publication is made
    by the tables' owner."""
    database.sql(
        "create table trueup_heartbeat (id integer primary key, at timestamptz not null);"
        f"create role {name} login replication password '{database.cluster.password}';"
        f"grant select on orders to {name}; grant select, insert, update on trueup_heartbeat to {name};"
        f"create publication {name} for table orders, trueup_heartbeat"
    )


def _lost(database: Database, slot: str) -> None:
    """Drop the slot as soon as its connector lets go of it."""
    until = time.monotonic() + 60
    while database.sql("select 1 from pg_replication_slots where slot_name = %s and active", (slot,)):
        assert time.monotonic() < until, "the slot stays in use, not within 60 s"
        time.sleep(0.05)
    database.sql("select pg_drop_replication_slot(%s)", (slot,))


def test_no_secret_is_printed_unless_asked_for(
    site: Callable[..., Site], database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    database.sql("create table orders (id int primary key)")
    shop = site(database.url, database.cluster.password, "public.orders")
    hidden = shop(capsys, "connector", "render")
    assert hidden.json["database.password"] == "[hidden]"
    assert shop.word not in hidden.out + hidden.err
    assert shop(capsys, "connector", "render", "--reveal").json["database.password"] == shop.word
    reference = "${file:/etc/leader.properties:word}"
    more = f", connect_password_reference: '{reference}', connector_settings: {{max.batch.size: '99'}}"
    referring = site(database.url, database.cluster.password, "public.orders", more)
    for words in (["render"], ["render", "--reveal"]):
        made = referring(capsys, "connector", *words).json
        assert (made["database.password"], made["max.batch.size"]) == (reference, "99")


def _login(leader: MysqlServer, name: str) -> list[str]:
    """A login for the connector with the rights that docs/operations.md asks for, and no other."""
    how, watch = ("by", "binlog monitor") if leader.engine == "mariadb" else (
        "with mysql_native_password by", "replication client"
    )  # fmt: skip
    return [
        f"create user {name}@'%' identified {how} '{leader.password}'",
        f"grant select, show databases, replication slave, {watch} on *.* to {name}@'%'",
        f"grant insert, update on {name}.* to {name}@'%'",
    ]


@pytest.mark.mysql
def test_a_binlog_connector_delivers_rows_and_a_setting_that_stops_it_is_named(
    site: Callable[..., Site], pair_database: PairDatabase, kafka_stack: KafkaStack, capsys: pytest.CaptureFixture[str]
) -> None:
    leader = pair_database.pair.leader
    pair_database.sql(
        "create table orders (id bigint unsigned primary key, amount decimal(12,2) not null)",
        *_login(leader, pair_database.name),
    )
    shop = site(
        pair_database.leader_url, leader.password, f"{pair_database.name}.orders",
        f", connect_user: {pair_database.name}, connect_password: 'file:word'"
        # others have tables on this server that Debezium cannot parse
        ", connector_settings: {schema.history.internal.skip.unparseable.ddl: 'true'}", pair_database.replica_url,
    )  # fmt: skip
    registered = shop(capsys, "connector", "register", "--create-heartbeat")
    kafka_stack.adopt(shop.name, leader, pair_database.name)
    assert (registered.code, shop.states()) == (0, _RUNNING), registered
    _first(kafka_stack, f"{shop.name}.{pair_database.name}.trueup_heartbeat")  # from here on everything is told
    pair_database.sql("insert into orders values (1, 2.50)")
    event = _first(kafka_stack, f"{shop.name}.{pair_database.name}.orders")
    assert (event["op"], event["after"]["amount"], event["transaction"] is not None) == ("c", "2.50", True)
    assert event["source"]["gtid"] == event["transaction"]["id"]
    status = shop(capsys, "connector", "status", "--format", "json")
    assert (status.code, _remarks(status)["error"]) == (0, set())
    assert "the binlog tells every change of every row" in _remarks(status)["ok"]
    assert "the connector's login may read the binlog and the tables" in _remarks(status)["ok"]
    watching = "binlog monitor" if leader.engine == "mariadb" else "replication client"
    leader.sql(f"revoke {watching} on *.* from {pair_database.name}@'%'")
    status = shop(capsys, "connector", "status", "--format", "json")
    assert (status.code, _remarks(status)["error"]) == (4, {f"the connector's login lacks {watching}"})
    leader.sql(f"grant {watching} on *.* to {pair_database.name}@'%'")

    leader.sql("set global binlog_row_image = 'MINIMAL'")
    try:
        failed = shop(capsys, "connector", "restart")
        doctor = shop(capsys, "doctor", "--format", "json")
    finally:
        leader.sql("set global binlog_row_image = 'FULL'")
    assert failed.code == 4
    assert "binlog_row_image is not FULL; do: set global binlog_row_image = FULL" in failed.err
    said = {one["what"]: (one["level"], one["cure"]) for one in doctor.json["remarks"]}
    assert said["binlog_row_image is not FULL"][0] == "error"
    level, cure = said["binlog_row_image is MINIMAL: changes are not told row by row, in full"]
    assert (level, "set global binlog_row_image = FULL" in cure) == ("error", True)
    assert shop(capsys, "connector", "restart").code == 0
    deleted = shop(capsys, "connector", "delete")
    assert (deleted.code, shop.states()) == (0, [])
    assert "nothing stays on the leader" in deleted.err
    leader.sql(f"drop user {pair_database.name}@'%'")
