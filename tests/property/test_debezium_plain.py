"""Rows told many at a time are what each message tells by itself, or are left to that, whatever the messages are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.debezium.decoder import Decoder
from connectors.debezium.event import Event, RowEvent, Unreadable
from connectors.debezium.modes import RECOMMENDED
from connectors.debezium.run import Run
from connectors.debezium.source_binlog import BinlogSource
from verifier.change import Change, Operation
from verifier.gtid import Binlog
from verifier.table import Column, Family, Table, TableName

NAMES = ("orders", "tags", "mixed", "numbers", "keyless")
_KEYS = {
    "orders": (Column("id", Family.INTEGER, "bigint"),),
    "tags": (Column("name", Family.TEXT, "text"), Column("id", Family.INTEGER, "integer")),
    "mixed": (Column("at", Family.TIMESTAMPTZ, "timestamp with time zone"), Column("id", Family.INTEGER, "integer")),
    "numbers": (Column("n", Family.DECIMAL, "numeric(20,2)"),),
    "keyless": (),
}
_V = Column("v", Family.TEXT, "text")
TABLES = {
    TableName("public", name): Table(
        TableName("public", name), (*_KEYS[name], _V), tuple(column.name for column in _KEYS[name])
    )
    for name in NAMES
}

whole = st.one_of(st.integers(-3, 3), st.integers(-(2**70), 2**70), st.just(2**63))
texts = st.one_of(
    st.text(max_size=6), st.sampled_from(["", "a ", '"},"transaction":{"id":"1:1"', "__debezium_unavailable_value"])
)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), whole, texts, st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)


def payload(name: str, key: Mapping[str, object], op: str, xid: int, order: object, **more: object) -> dict[str, Any]:
    after = {**key, "v": "é\\"} if op != "d" else None
    source = {"connector": "postgresql", "db": "shop", "schema": "public", "table": name, "txId": xid}
    transaction = {"id": f"{xid}:{xid * 100}", "total_order": order, "data_collection_order": order}
    return {"before": None, "after": after, "source": source, "transaction": transaction, "op": op, "ts_ms": 5, **more}


def written(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


Found = tuple[str, list[tuple[bytes | None, bytes]]]


@st.composite
def messages(draw: st.DrawFn) -> Found:
    """A run of one table, at times with something in it that is not as usual."""
    name = draw(st.sampled_from(NAMES))
    found: list[tuple[bytes | None, bytes]] = []
    for order in range(1, draw(st.integers(1, 6)) + 1):
        key: dict[str, object] = {
            "id": draw(whole),
            "name": draw(texts),
            "n": draw(texts),
            "at": "2026-01-01T00:00:00Z",
        }
        key = {column.name: key[column.name] for column in _KEYS[name]}
        event = payload(name, key, draw(st.sampled_from("cuuud")), draw(st.integers(1, 2)), order)
        if draw(st.integers(0, 5)) == 0:
            at = draw(st.sampled_from([event, event["source"], event["transaction"], event["after"] or event, key]))
            at[draw(st.sampled_from(["op", "after", "table", "total_order", "id", "w", "schema", "ts_ms"]))] = draw(
                anything
            )
        raw, value = written(key), written(event)
        if draw(st.integers(0, 9)) == 0:
            event["source"].pop(draw(st.sampled_from(["schema", "table", "db"])), None)
            value = written(event)
        if draw(st.integers(0, 9)) == 0:
            place = draw(st.integers(0, len(value) - 1))
            value = value[:place] + draw(st.binary(max_size=2)) + value[place + draw(st.integers(0, 2)) :]
        found.append((None if name == "keyless" or draw(st.integers(0, 19)) == 0 else raw, value))
    return f"p.public.{name}", found


def one_by_one(decoder: Decoder, topic: str, found: Sequence[tuple[bytes | None, bytes]]) -> list[Event | None]:
    told: list[Event | None] = []
    for key, value in found:
        try:
            told.append(decoder.decode(topic, key, value))
        except Unreadable:
            told.append(None)
    return told


def each(run: Run) -> list[RowEvent]:
    """The run as single events; the columns' names are told for rows alone, as in each event."""
    found = []
    for xid, one in run.parts:
        changes: Sequence[Change | None] = [None] * len(one.orders) if one.told is None else one.told.changes()
        for order, change in zip(one.orders, changes, strict=True):
            deleted = change is not None and change.operation is Operation.DELETE
            names = () if deleted else one.fields
            found.append(RowEvent(xid, order, one.table, change, one.blind, names, run.handled_at, one.place))
    return found


def same(fast: Sequence[RowEvent], slow: Sequence[Event | None]) -> bool:
    for one, other in zip(fast, slow, strict=True):
        assert isinstance(other, RowEvent)
        assert (one.xid, one.order, one.table, one.blind) == (other.xid, other.order, other.table, other.blind)
        assert one.change == other.change
    return [one.fields for one in fast] == [other.fields for other in slow if isinstance(other, RowEvent)]


@given(messages(), st.booleans())
def test_many_at_a_time_or_one_by_one_the_answers_are_the_same(drawn: Found, known: bool) -> None:
    """Whether or not the decoder has learnt what the topic carries."""
    topic, found = drawn
    decoder = Decoder("p", RECOMMENDED, TABLES.get)
    if known:
        name = topic.rpartition(".")[2]
        usual = payload(name, {column.name: 1 for column in _KEYS[name]}, "u", 1, 1)
        decoder.rows(topic, [b"{}"], [written(usual)])
    run = decoder.rows(topic, *map(list, zip(*found, strict=True)))
    slow = one_by_one(decoder, topic, found)
    fast = [] if run is None else each(run)
    if run is not None and not same(fast, slow):
        shapes = [other.fields for other in slow if isinstance(other, RowEvent) and other.fields]
        assert shapes[0] == shapes[-1] == next(one.fields for one in fast if one.fields), (
            "only between the two may differ"
        )


@pytest.mark.parametrize("name", ["orders", "tags", "mixed", "elsewhere"])
def test_the_usual_is_told_many_at_a_time(name: str) -> None:
    decoder = Decoder("p", RECOMMENDED, TABLES.get)
    columns = [column.name for column in _KEYS.get(name, ())]
    found = []
    for order, op in enumerate("cuduc", 1):
        whole_key = {"id": order, "name": f"ü{order} ", "at": f"2026-01-01T00:00:0{order}.5Z"}
        key = {column: whole_key[column] for column in columns}
        found.append((written(key), written(payload(name, key, op, 7, order))))
    run = decoder.rows(f"p.public.{name}", *map(list, zip(*found, strict=True)))
    assert run is not None
    fast = each(run)
    assert same(fast, one_by_one(decoder, f"p.public.{name}", found)) or name == "elsewhere"
    if name == "elsewhere":
        assert all(one.told is None for _, one in run.parts), "a table that is not verified"
        return
    if name == "mixed":
        assert [one.change.key for one in fast if one.change] == [
            (f"2026-01-01 00:00:0{order}.5+00", order) for order in range(1, 6)
        ]
    image = fast[0].change.after if fast[0].change else None
    assert image is None or ("v" in image and dict(image)["v"] == "é\\" and repr(image) == "RowImage(...)")


def test_rows_of_a_binlog_are_told_many_at_a_time_with_their_places() -> None:
    name = TableName("shop", "orders")
    table = Table(name, (Column("id", Family.INTEGER, "int"), _V), ("id",))
    decoder = Decoder("p", RECOMMENDED, {name: table}.get, BinlogSource(mariadb=True))
    found = []
    for order in range(1, 4):
        event = payload("orders", {"id": order}, "u", 1, order)
        event["source"] = {
            "db": "shop",
            "table": "orders",
            "file": "bin.000001",
            "pos": 100 + order,
            "row": 0,
            "gtid": "0-1-5",
        }
        event["transaction"]["id"] = "0-1-5"
        found.append((written({"id": order}), written(event)))
    run = decoder.rows("p.shop.orders", *map(list, zip(*found, strict=True)))
    assert run is not None
    assert same(each(run), one_by_one(decoder, "p.shop.orders", found))
    assert [one.place for _, one in run.parts] == [Binlog("bin.000001", 101)], "one of its rows"


def test_a_shape_that_changes_within_a_run_is_told_row_by_row() -> None:
    decoder = Decoder("p", RECOMMENDED, TABLES.get)
    found = [(b'{"id":1}', written(payload("orders", {"id": 1}, "u", 7, order))) for order in (1, 2)]
    wider = payload("orders", {"id": 1, "w": 1}, "u", 7, 3)
    keys, values = map(list, zip(*found, (b'{"id":1}', written(wider)), strict=True))
    assert decoder.rows("p.public.orders", keys, values) is None
    assert decoder.rows("p.public.orders", keys[:2], values[:2]) is not None
    assert decoder.rows("p.transaction", keys[:2], values[:2]) is None
