"""The connector's configuration for MariaDB and MySQL."""

from __future__ import annotations

import re

import pytest

from connectors.debezium.modes import RECOMMENDED_BINLOG, Modes, engine
from connectors.debezium.template import Source
from connectors.debezium.template_binlog import binlog_connector, heartbeat_sql, heartbeat_table, server_id
from verifier.errors import Misconfigured
from verifier.table import TableName

SOURCE = Source("db", 3306, "dbz", "${file:/etc/leader.properties:password}", "shop")
TABLES = [TableName("shop", "orders"), TableName("my.shop", "a,b")]


def config(dialect: str = "mysql", **changes: object) -> dict[str, str]:
    settings: dict[str, object] = {"number": 7, "bootstrap": "k:9092", "heartbeat": heartbeat_table("shop")} | changes
    return binlog_connector(dialect, "shop", SOURCE, TABLES, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("dialect", ["mysql", "mariadb"])
def test_its_modes_are_the_recommended_ones(dialect: str) -> None:
    assert Modes.of(config(dialect)) == RECOMMENDED_BINLOG
    assert engine(config(dialect)) == dialect


def test_modes_that_are_not_set_are_those_of_the_binlog_connectors() -> None:
    bare = Modes.of({"connector.class": config()["connector.class"]})
    assert (bare.time, bare.bigint_unsigned, bare.time_adjuster) == ("adaptive_time_microseconds", "long", True)
    assert (Modes.of({}).time, Modes.of({}).time_adjuster) == ("adaptive", False)


def test_tables_databases_and_the_heartbeat_are_matched_literally() -> None:
    tables = config()["table.include.list"].split(",")
    names = ["shop.orders", "my.shop.a,b", "shop.trueup_heartbeat"]
    assert all(re.fullmatch(one, name) for one, name in zip(tables, names, strict=True))
    databases = config()["database.include.list"].split(",")
    assert all(re.fullmatch(one, name) for one, name in zip(databases, ["shop", "my.shop"], strict=True))
    assert not re.fullmatch(databases[1], "myxshop")


def test_no_lock_is_taken_and_no_copy_is_made() -> None:
    made = config()
    assert (made["snapshot.mode"], made["snapshot.locking.mode"]) == ("no_data", "none")


def test_the_history_of_shapes_is_no_topic_of_the_stream() -> None:
    assert not config()["schema.history.internal.kafka.topic"].startswith("shop.")


def test_the_heartbeat_writes_only_where_it_was_asked_for() -> None:
    assert "heartbeat.action.query" not in config(heartbeat=None)
    assert config(heartbeat=TableName("my`shop", "beat"))["heartbeat.action.query"] == (
        "insert into `my``shop`.`beat` (id, at) values (1, now(6)) on duplicate key update at = now(6)"
    )
    assert heartbeat_sql(heartbeat_table("shop")) == (
        "create table if not exists `shop`.`trueup_heartbeat` (id int primary key, at datetime(6) not null)"
    )


def test_an_idle_leader_beats_every_few_seconds() -> None:
    """Debezium's own minute makes it every 48 s, however often the heart shall beat."""
    assert config()["connect.keep.alive.interval.ms"] == "10000"


def test_a_connector_has_always_the_same_number_and_another_one_another() -> None:
    assert server_id("shop") == server_id("shop") != server_id("shops")
    assert 1_000_000_000 <= server_id("shop") < 2_000_000_000


def test_what_cannot_be_captured_is_refused() -> None:
    with pytest.raises(Misconfigured, match="no binlog"):
        config("postgresql")
    with pytest.raises(Misconfigured, match="prefix"):
        binlog_connector("mysql", "a b", SOURCE, TABLES, number=1, bootstrap="k", heartbeat=None)
    with pytest.raises(Misconfigured, match="at least one table"):
        binlog_connector("mysql", "shop", SOURCE, [], number=1, bootstrap="k", heartbeat=None)
