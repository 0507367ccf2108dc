"""Events that are not as they should be: whatever becomes of a recorded message on its way, it is decoded or called
unreadable, and a row is never told of another table than that of its topic."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from fixtures.avro_events import Registered
from golden.recorded import DEFAULTS, Message, described, recorded
from golden.test_debezium_semantics import TABLES
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.debezium.avro import AvroReader
from connectors.debezium.columns import Stretch
from connectors.debezium.decoder import Decoder
from connectors.debezium.event import Aside, Begin, End, RowEvent, Statement, Unreadable
from connectors.debezium.modes import Modes
from connectors.debezium.source import POSTGRES, Source
from connectors.debezium.source_binlog import BinlogSource
from verifier.errors import Temporary
from verifier.table import Table, TableName


@dataclass(frozen=True, slots=True)
class Recording:
    """Messages, the decoder that they are for, and whether they may change their topic."""

    messages: list[Message]
    decoder: Decoder


def _recording(name: str, prefix: str, source: Source, modes: Modes, tables: dict[TableName, Table]) -> Recording:
    return Recording(recorded(name), Decoder(prefix, modes, tables.get, source))


MARIADB = {name: table for name, (table, _) in described("mariadb").items()}
MYSQL = {name: table for name, (table, _) in described("mysql").items()}
RECORDINGS = [
    _recording("semantics", "s1", POSTGRES, Modes(), TABLES),
    _recording("mariadb_m1", "m1", BinlogSource(mariadb=True), DEFAULTS, MARIADB),
    _recording("mariadb_customers", "goldplain", BinlogSource(mariadb=True), DEFAULTS, MARIADB),
    _recording("mysql_customers", "goldplain", BinlogSource(mariadb=False), DEFAULTS, MYSQL),
]

_leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["BEGIN", "END", "c", "t", "m", "0-1-7", "7:9", "file=a.1,pos=4", "AA==", -(2**70), "\ud800"])
)  # fmt: skip
_odd = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def _places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every node of a JSON tree."""
    found = [path]
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for name, inner in items:
        found += _places(inner, (*path, name))
    return found


@st.composite
def damaged(draw: st.DrawFn, message: bytes) -> bytes:
    """The message with some of its bytes changed, cut out or doubled, or with one of its nodes replaced."""
    if draw(st.booleans()):
        tree = json.loads(message)
        path = draw(st.sampled_from(_places(tree)))
        odd = draw(_odd)
        if not path:
            return json.dumps(odd).encode()
        parent = tree
        for name in path[:-1]:
            parent = parent[name]
        if draw(st.booleans()):
            parent[path[-1]] = odd
        else:
            del parent[path[-1]]
        return json.dumps(tree).encode()
    start = draw(st.integers(0, len(message)))
    end = draw(st.integers(start, min(len(message), start + 40)))
    return message[:start] + draw(st.binary(max_size=6) | st.just(message[start:end] * 2)) + message[end:]


def check(decoder: Decoder, topic: str, key: bytes | None, value: bytes | None) -> None:
    try:
        event = decoder.decode(topic, key, value)
    except Unreadable as error:
        blamed = error.table
    else:
        agree(decoder, topic, key, value, event)
        return
    assert blamed is None or f"{topic.partition('.')[0]}.{blamed}" == topic
    assert decoder.rows(topic, [key], [value or b""]) is None


def agree(decoder: Decoder, topic: str, key: bytes | None, value: bytes | None, event: object) -> None:
    """The event is one, of the topic's table, and the same where many are decoded at a time."""
    assert isinstance(event, RowEvent | Begin | End | Statement | Aside)
    if isinstance(event, RowEvent):
        assert event.table is None or topic.endswith(f".{event.table}")
        assert event.change is None or event.change.table == event.table
    many = decoder.rows(topic, [key], [value or b""])
    if many is not None:
        assert isinstance(event, RowEvent)
        ((xid, stretch),) = many.parts
        assert (xid, _told(stretch)) == (event.xid, _told(event.stretch))


def _told(one: Stretch) -> object:
    changes = [] if one.told is None else one.told.changes()
    seen = [(change.table, change.key, change.operation, dict(change.after or {})) for change in changes]
    return tuple(one.orders), one.table, seen, one.blind, one.fields, one.place


@pytest.mark.parametrize("index", range(len(RECORDINGS)))
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_event_is_decoded_or_unreadable_and_nothing_else(index: int, data: st.DataObject) -> None:
    recording = RECORDINGS[index]
    message = data.draw(st.sampled_from(recording.messages))
    topic, key, value = message.topic, message.key, message.value
    if data.draw(st.integers(0, 9)) == 0:
        topic = data.draw(st.sampled_from(recording.messages)).topic
    if value is not None and data.draw(st.integers(0, 9)):
        value = data.draw(damaged(value))
    if key is not None and not data.draw(st.integers(0, 2)):
        key = data.draw(damaged(key))
    check(recording.decoder, topic, key, value)


class Forgetful(Registered):
    def schema(self, number: int) -> str:
        if number >= len(self.schemas):
            raise Temporary("no such schema yet")
        return super().schema(number)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_avro_is_decoded_unreadable_or_waits_for_its_schema(data: st.DataObject) -> None:
    registry = Forgetful()
    decoder = Decoder("m1", DEFAULTS, MARIADB.get, BinlogSource(mariadb=True), AvroReader(registry).read)
    message = data.draw(st.sampled_from([one for one in RECORDINGS[1].messages if one.value is not None]))
    assert message.value is not None
    value, key = registry.write(message.value), message.key and registry.write(message.key)
    start = data.draw(st.integers(0, len(value)))
    cut = data.draw(st.integers(start, len(value)))
    value = value[:start] + data.draw(st.binary(max_size=8)) + value[cut:]
    try:
        check(decoder, message.topic, key, value)
    except Temporary:
        assert int.from_bytes(value[1:5], "big") >= len(registry.schemas)
