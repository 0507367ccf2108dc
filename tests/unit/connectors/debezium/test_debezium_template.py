"""The connector's configuration, and that its spellings are the ones the decoder tells everything of."""

from __future__ import annotations

import re

import pytest

from connectors.debezium.modes import RECOMMENDED, Modes
from connectors.debezium.template import Source, heartbeat_sql, postgres_connector
from verifier.errors import Misconfigured
from verifier.table import TableName

SOURCE = Source("db", 5432, "trueup", "${file:/etc/leader.properties:password}", "shop")
ORDERS = TableName("public", "orders")


def config(**changes: object) -> dict[str, str]:
    settings: dict[str, object] = {"slot": "trueup", "publication": "trueup"} | changes
    return postgres_connector("shop", SOURCE, [ORDERS, TableName("a.b", "c,d")], **settings)  # type: ignore[arg-type]


def test_its_modes_are_the_recommended_ones() -> None:
    assert Modes.of(config()) == RECOMMENDED


def test_tables_are_matched_literally_and_the_heartbeat_is_captured() -> None:
    patterns = config()["table.include.list"].split(",")
    names = ["public.orders", "a.b.c,d", "public.trueup_heartbeat"]
    assert all(re.fullmatch(pattern, name) for pattern, name in zip(patterns, names, strict=True))
    assert not re.fullmatch(patterns[1], "aXb.c,d")


def test_the_heartbeat_writes_only_where_it_was_asked_for() -> None:
    assert "heartbeat.action.query" not in config(heartbeat=None)
    assert config(heartbeat=TableName("Ops", "beat"))["heartbeat.action.query"].startswith('insert into "Ops".beat ')
    assert heartbeat_sql() == (
        "create table if not exists public.trueup_heartbeat (id integer primary key, at timestamptz not null)"
    )


def test_the_transaction_topic_has_one_partition_however_many_the_tables_have() -> None:
    made = config(partitions=6)
    assert made["topic.creation.default.partitions"] == "6"
    assert re.fullmatch(made["topic.creation.order.include"], "shop.transaction")
    assert made["topic.creation.order.partitions"] == "1"


@pytest.mark.parametrize("wrong", [{"slot": "Bad-Slot"}, {"publication": ""}, {"slot": ""}])
def test_names_that_servers_refuse_are_refused_here(wrong: dict[str, object]) -> None:
    with pytest.raises(Misconfigured):
        config(**wrong)
