"""What a connector's configuration takes from its events is named, with the setting that cures it."""

from __future__ import annotations

import pytest

from connectors.debezium.capture import captured
from connectors.debezium.legibility import remarks
from connectors.debezium.modes import JDBC_SINK
from connectors.debezium.template import Source, postgres_connector
from connectors.debezium.template_binlog import binlog_connector, heartbeat_table
from verifier.table import TableName

SOURCE = Source("db", 1, "u", "p", "shop")
ORDERS = TableName("shop", "orders")
POSTGRES = postgres_connector("shop", SOURCE, [ORDERS], slot="s", publication="p")
MARIADB = binlog_connector(
    "mariadb", "shop", SOURCE, [ORDERS], number=7, bootstrap="k:9092", heartbeat=heartbeat_table("shop")
)


@pytest.mark.parametrize("config", [POSTGRES, MARIADB])
def test_the_templates_leave_nothing_to_say(config: dict[str, str]) -> None:
    assert list(remarks(config)) == []
    assert captured(config, [ORDERS, TableName("shop", "others"), TableName("shopx", "orders")]) == {ORDERS}


UNWRAP = {"transforms": "unwrap", "transforms.unwrap.type": "io.debezium.transforms.ExtractNewRecordState"}
ROUTE = {"transforms": "r", "transforms.r.type": "org.apache.kafka.connect.transforms.RegexRouter"}
OWN = {"transforms": "mine", "transforms.mine.type": "com.example.Mine$Value"}


@pytest.mark.parametrize(
    ("change", "level", "says", "judged"),
    [
        (UNWRAP, "error", "transforms: unwrap (ExtractNewRecordState) flattens events", False),
        (ROUTE, "error", "transforms: r (RegexRouter) sends events to other topics", False),
        (OWN, "error", "transforms: mine (Mine) may change, drop or send elsewhere", False),
        ({"provide.transaction.metadata": "false"}, "error", "provide.transaction.metadata is false", True),
        ({"skipped.operations": "t"}, "error", "skipped.operations is t: these operations", False),
        ({"errors.tolerance": "all"}, "error", "errors.tolerance is all: events that cannot be", False),
        ({"event.processing.failure.handling.mode": "warn"}, "error", "events may be left out", False),
        ({"column.mask.with.5.chars": "shop.orders.name"}, "error", "values in events are not the leader's", False),
        ({"column.truncate.to.20.chars": "shop.orders.name"}, "error", "values in events are not the leader's", False),
        ({"post.processors": "reselect"}, "error", "may be younger than the change", False),
        ({"converters": "zero"}, "error", "they spell values in their own way", False),
        ({"message.key.columns": r"shop\.orders:v"}, "warning", "keys of their own", False),
        ({"message.key.columns": "shop.others:v"}, "warning", "keys of their own", True),
        ({"value.converter": "io.confluent.connect.protobuf.ProtobufConverter"}, "error", "trueup does not read", True),
        ({"value.converter": "io.apicurio.registry.utils.converter.AvroConverter"}, "error", "in its own way", True),
        ({"decimal.handling.mode": "double"}, "warning", "decimal.handling.mode is double: such columns", True),
        ({"time.precision.mode": "connect"}, "warning", "microseconds are lost", True),
        ({"event.converting.failure.handling.mode": "warn"}, "warning", "becomes NULL in silence", True),
        ({"field.name.adjustment.mode": "avro"}, "warning", "columns whose names it changes", True),
        ({"heartbeat.interval.ms": "0"}, "warning", "an idle leader cannot be told", True),
        ({"heartbeat.action.query": ""}, "note", "no heartbeat.action.query", True),
        ({"snapshot.mode": "when_needed"}, "warning", "snapshot.mode is when_needed: each snapshot", True),
        ({"snapshot.mode": "always"}, "warning", "a gap: every table is unverified", True),
        ({"topic.delimiter": "_"}, "error", "cannot be told from their tables", True),
    ],
)
def test_each_setting_that_takes_something_away_is_named(
    change: dict[str, str], level: str, says: str, judged: bool
) -> None:
    for config in (POSTGRES, MARIADB):
        (found,) = remarks(config | change)
        assert (found.level, says in found.what) == (level, True), found
        assert found.cure
        assert bool(captured(config | change, [ORDERS])) == judged


def test_a_transformation_of_headers_alone_harms_nothing() -> None:
    headers = {"transforms": "h", "transforms.h.type": "org.apache.kafka.connect.transforms.InsertHeader"}
    assert list(remarks(POSTGRES | headers)) == []
    assert captured(POSTGRES | headers, [ORDERS]) == {ORDERS}


def test_engines_are_asked_for_their_own_settings() -> None:
    binlog = {
        "bigint.unsigned.handling.mode": "long",
        "enable.time.adjuster": "true",
        "include.schema.changes": "false",
    }
    assert [one.level for one in remarks(MARIADB | binlog)] == ["note", "warning", "error"]
    assert list(remarks(POSTGRES | binlog)) == []
    postgres = {"interval.handling.mode": "numeric", "include.unknown.datatypes": "false"}
    assert [one.level for one in remarks(POSTGRES | postgres)] == ["note", "note"]
    assert list(remarks(MARIADB | postgres)) == []


def test_another_connector_is_none_that_is_read() -> None:
    (found,) = remarks({"connector.class": "org.example.Oracle"})
    assert found.what == "connector.class org.example.Oracle is none whose events trueup reads"


def test_a_sink_that_cannot_make_its_follower_equal_is_named() -> None:
    sound = {
        "connector.class": JDBC_SINK, "insert.mode": "upsert", "delete.enabled": "true", "truncate.enabled": "true",
        "primary.key.mode": "record_key",
    }  # fmt: skip
    assert list(remarks(sound)) == []
    (dropping,) = remarks(sound | {"value.converter.schemas.enable": "false"})
    assert (dropping.level, "drops every event" in dropping.what) == ("error", True)
    assert [one.level for one in remarks({"connector.class": JDBC_SINK})] == ["error", "error", "error", "warning"]


def test_databases_are_listed_where_binlogs_are_read() -> None:
    assert captured(MARIADB | {"database.include.list": "sho."}, [ORDERS]) == {ORDERS}
    assert captured(MARIADB | {"database.include.list": "other"}, [ORDERS]) == set()
    assert captured(MARIADB | {"database.exclude.list": "shop"}, [ORDERS]) == set()
