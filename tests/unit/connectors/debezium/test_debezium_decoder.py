"""Messages that are not as they should be: what is told of them, and what is not."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from connectors.debezium.decoder import Decoder
from connectors.debezium.event import Aside, RowEvent, Statement, Unreadable
from connectors.debezium.modes import RECOMMENDED, Modes
from verifier.change import Blindness, Cause, Change, Operation
from verifier.position import Lsn
from verifier.table import Column, Family, Scheme, Table, TableName

T = TableName("public", "t")
TABLE = Table(
    T,
    (
        Column("id", Family.INTEGER, "bigint"),
        Column("at", Family.TIMESTAMPTZ, "timestamp with time zone"),
        Column("n", Family.DECIMAL, "numeric"),
        Column("v", Family.TEXT, "text"),
        Column("b", Family.BYTES, "bytea"),
    ),
    ("at", "id"),
)
KEYED_BY_DECIMAL = Table(T, TABLE.columns, ("n",))
KEY = {"id": 2**60 + 1, "at": "2024-02-29T11:14:15.120Z"}
AFTER: dict[str, Any] = {**KEY, "n": "1.50", "v": "é", "b": "00ff"}


def event(op: str = "u", **changes: object) -> dict[str, Any]:
    source = {"schema": "public", "table": "t", "ts_ms": 1000, "snapshot": "false", "lsn": 5}
    transaction = {"id": "7:5", "total_order": 3, "data_collection_order": 1}
    after = None if op in "dt" else AFTER
    return {
        "op": op,
        "before": None,
        "after": after,
        "source": source,
        "ts_ms": 2000,
        "transaction": transaction,
    } | changes


def a_snapshot_row(kind: str) -> dict[str, Any]:
    return event("r", transaction=None) | {"source": event()["source"] | {"snapshot": kind}}


def decode(
    value: object,
    key: object = KEY,
    *,
    table: Table | None = TABLE,
    modes: Modes = RECOMMENDED,
    topic: str = "p.public.t",
) -> object:
    decoder = Decoder("p", modes, lambda name: table if name == T else None)
    raw = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    return decoder.decode(topic, None if key is None else json.dumps(key).encode(), raw)


def the_row(found: object) -> RowEvent:
    assert isinstance(found, RowEvent)
    return found


def test_the_key_stands_in_key_order_with_exact_numbers() -> None:
    row = the_row(decode(event()))
    key = ("2024-02-29 11:14:15.12+00", 2**60 + 1)
    after = {"id": str(2**60 + 1), "at": key[0], "n": "1.50", "v": "é", "b": "\\x00ff"}
    assert row.change == Change(T, key, Operation.UPDATE, after)
    assert (row.xid, row.order, row.blind, row.handled_at) == (7, 3, None, 2.0)
    assert row.fields == ("at", "b", "id", "n", "v")


@pytest.mark.parametrize(("op", "operation"), [("c", Operation.INSERT), ("d", Operation.DELETE)])
def test_inserts_and_deletes(op: str, operation: Operation) -> None:
    change = the_row(decode(event(op))).change
    assert change is not None
    assert change.operation is operation
    assert (change.after is None) == (op == "d")


def test_a_value_that_was_left_alone_is_not_told() -> None:
    placeholder = {"v": "__debezium_unavailable_value", "b": b"__debezium_unavailable_value".hex()}
    change = the_row(decode(event(after=AFTER | placeholder))).change
    assert change is not None
    assert change.after is not None
    assert set(change.after) == {"id", "at", "n"}


@pytest.mark.parametrize("odd", [{"n": {"no": "number"}}, {"b": "zz"}, {"v": 7}, {"unheard": 1}])
def test_one_odd_column_is_unknown_and_the_rest_is_told(odd: dict[str, object]) -> None:
    change = the_row(decode(event(after=AFTER | odd))).change
    assert change is not None
    assert change.after is not None
    assert set(change.after) == set(AFTER) - set(odd)


def test_schemas_in_the_message_are_unwrapped() -> None:
    wrapped = {"schema": {"type": "struct", "fields": []}, "payload": event()}
    assert the_row(decode(wrapped, {"schema": None, "payload": KEY})).change == the_row(decode(event())).change


@pytest.mark.parametrize(
    ("value", "key", "table", "cause"),
    [
        (event("t"), None, TABLE, Cause.TRUNCATE),
        (event(), None, TABLE, Cause.KEYLESS),
        (event(), KEY, Table(T, TABLE.columns, ()), Cause.KEYLESS),
        (event(), {"id": 1}, TABLE, Cause.UNREADABLE),
        (event(), {"id": 1, "at": "soon"}, TABLE, Cause.UNREADABLE),
        (event(), {"n": {"scale": 1, "value": "Dw=="}}, KEYED_BY_DECIMAL, Cause.UNREADABLE),
        (event("x"), KEY, TABLE, Cause.UNREADABLE),
        (event(after=None), KEY, TABLE, Cause.UNREADABLE),
    ],
)
def test_rows_that_cannot_be_told_count_and_blind_their_table(
    value: object, key: object, table: Table, cause: Cause
) -> None:
    row = the_row(decode(value, key, table=table))
    assert row.change is None
    assert isinstance(row.blind, Blindness)
    assert (row.blind.cause, row.blind.table) == (cause, T)
    assert (row.xid, row.order) == (7, 3)


def test_a_table_that_is_not_verified_only_counts() -> None:
    row = the_row(decode(event(), table=None))
    assert (row.change, row.blind, row.order) == (None, None, 3)


def test_a_message_in_a_transaction_only_counts_and_one_outside_is_aside() -> None:
    row = the_row(decode(event("m"), {"prefix": "x"}, topic="p.message"))
    assert (row.table, row.change, row.order) == (None, None, 3)
    assert decode(event("m", transaction=None), topic="p.message") == Aside(2.0)


@pytest.mark.parametrize(
    ("value", "topic", "handled_at"),
    [(None, "p.public.t", None), (a_snapshot_row("incremental"), "p.public.t", 2.0),
     ({"ts_ms": 5000}, "__debezium-heartbeat.p", 5.0)],
)  # fmt: skip
def test_what_no_transaction_counts_is_aside(value: object, topic: str, handled_at: float | None) -> None:
    assert decode(value, topic=topic) == Aside(handled_at)


@pytest.mark.parametrize("kind", ["first", "true", "first_in_data_collection", "last_in_data_collection", "last"])
def test_a_row_of_a_snapshot_says_that_something_may_be_lost_and_where_the_log_stood(kind: str) -> None:
    gap = Blindness(Cause.GAP, None, "the connector took a snapshot: it did not go on where it had been")
    told = Statement(None, None, 2.0, (gap,), handled_at=2.0, snapshot=True, through=Lsn(5))
    assert decode(a_snapshot_row(kind)) == told


@pytest.mark.parametrize(
    "value",
    [
        b"", b"{", b"null", b"[]", b'"text"', b"\xff\xfe", b'{"schema":1,"payload":null}', b"[" * 100_000, {},
        {"id": 1, "v": "flattened"}, event(source=None), event(transaction=None), event(transaction={"id": "7:5"}),
        event(transaction={"id": "gtid-0-1", "total_order": 1}), event(transaction={"id": "7:5", "total_order": "1"}),
    ],
)  # fmt: skip
def test_what_nobody_understands_is_unreadable_and_names_its_table(value: object) -> None:
    with pytest.raises(Unreadable) as caught:
        decode(value)
    assert caught.value.table == T


@pytest.mark.parametrize(
    ("topic", "table"),
    [("p.public.t", T), ("p.public.other", TableName("public", "other")), ("p.public.any_table", None), ("q.x", None)],
)  # fmt: skip
def test_the_table_of_an_unreadable_message_is_only_named_where_the_topic_surely_says_it(
    topic: str, table: TableName | None
) -> None:
    with pytest.raises(Unreadable) as caught:
        decode(b"junk", topic=topic)
    assert caught.value.table == table


def test_a_row_in_the_topic_of_another_table_is_unreadable_and_blinds_all() -> None:
    with pytest.raises(Unreadable, match=r"rows of public\.t in topic p\.public\.u") as caught:
        decode(event(), topic="p.public.u")
    assert caught.value.table is None


def test_topics_spell_odd_names_otherwise() -> None:
    odd = TableName("public", "ein Tisch")
    source = event()["source"] | {"table": odd.name}
    found = Decoder("p", RECOMMENDED, {odd: TABLE}.get).decode(
        "p.public.ein_Tisch", json.dumps(KEY).encode(), json.dumps(event(source=source)).encode()
    )
    assert the_row(found).table == odd


def test_keys_of_a_comparison_across_engines_are_canonical() -> None:
    abroad = replace(TABLE, key=("n", "at"), scheme=Scheme.CANONICAL)
    row = the_row(decode(event(), {"n": "1.50", "at": KEY["at"]}, table=abroad))
    assert row.change is not None
    assert row.change.key == ("1.5", "2024-02-29 11:14:15.12+00")


@pytest.mark.parametrize(
    "value",
    [{"status": "END", "id": "7:5"}, {"status": "PAUSED", "id": "7:5"}, {"id": "7:5"}, b"junk",
     {"status": "END", "id": "7", "event_count": 0, "ts_ms": 1}],
)  # fmt: skip
def test_an_unreadable_boundary_names_no_table(value: object) -> None:
    with pytest.raises(Unreadable) as caught:
        decode(value, topic="p.transaction")
    assert caught.value.table is None


def test_the_cure_is_named_where_metadata_is_missing() -> None:
    with pytest.raises(Unreadable, match=r"provide\.transaction\.metadata=true"):
        decode(event(transaction=None))


def test_fields_of_later_versions_change_nothing() -> None:
    later = {"commit_lsn": "0/1", "nested": {"list": [1, None, {"x": "y"}]}}
    plain = event()
    more = plain | later | {part: plain[part] | later for part in ("source", "transaction")}
    assert decode(more) == decode(plain)
    boundary = {"status": "END", "id": "7:5", "event_count": 0, "data_collections": [], "ts_ms": 3}
    assert decode(boundary | later, topic="p.transaction") == decode(boundary, topic="p.transaction")
    assert decode({"ts_ms": 5000} | later, topic="__debezium-heartbeat.p") == Aside(5.0)


@pytest.mark.parametrize(
    ("scheme", "real", "reals"),
    [(Scheme.NATIVE, "1.1", "{1.1,NULL}"), (Scheme.CANONICAL, "1.100000023841858", "{1.1,NULL}")],
)
def test_a_real_is_told_as_rows_are_spelled_that_it_is_held_against(scheme: Scheme, real: str, reals: str) -> None:
    columns = (Column("f", Family.FLOAT, "real"), Column("fs", Family.ARRAY, "real[]"))
    table = replace(TABLE, columns=(*TABLE.columns, *columns), scheme=scheme)
    told = decode(event(after={**AFTER, "f": 1.1, "fs": [1.1, None]}), table=table)
    assert isinstance(told, RowEvent)
    assert told.change is not None
    assert told.change.after is not None
    assert (told.change.after["f"], told.change.after["fs"]) == (real, reals)


def test_a_key_that_no_number_can_hold_is_no_fault_of_those_that_are_read_at_once() -> None:
    table = Table(TableName("public", "t"), (Column("r", Family.FLOAT, "double precision"),), ("r",))
    decoder = Decoder("p", RECOMMENDED, {table.name: table}.get)
    source = {"snapshot": "false", "db": "d", "sequence": '["1","2"]', "schema": "public", "table": "t"}
    block = {"id": "7:5", "total_order": 1}
    value = {"before": None, "after": {"r": 1}, "source": source, "transaction": block, "op": "c", "ts_ms": 1}
    key, message = b'{"r":1' + b"0" * 400 + b"}", json.dumps(value, separators=(",", ":")).encode()
    assert decoder.rows("p.public.t", [b'{"r":1}'], [message]) is not None
    assert decoder.rows("p.public.t", [key], [message]) is None
    event = decoder.decode("p.public.t", key, message)
    assert isinstance(event, RowEvent)
    assert event.blind is not None
    assert event.blind.cause is Cause.UNREADABLE
