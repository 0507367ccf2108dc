"""Bytes become messages; what is no message is refused by name."""

from __future__ import annotations

import struct

import pytest
from fixtures import pgoutput_bytes as wire

from connectors.pgoutput.decode import EPOCH_SECONDS, Malformed, Unreadable, frame, message, status_update
from connectors.pgoutput.messages import (
    UNCHANGED,
    Begin,
    Commit,
    Data,
    Delete,
    Insert,
    Keepalive,
    Message,
    Origin,
    Relation,
    RelationColumn,
    Truncate,
    TypeName,
    Update,
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (wire.begin(0x1_0000_0010, 1_500_000, 4_294_967_295), Begin(0x1_0000_0010, EPOCH_SECONDS + 1.5, 4_294_967_295)),
        (wire.commit(300, 200, -2_000_000), Commit(200, 300, EPOCH_SECONDS - 2)),
        (
            wire.relation(9, "tä", [("id", 23, True), ("x", 25, False)]),
            Relation(9, "public", "tä", "d", (RelationColumn("id", True, 23, -1), RelationColumn("x", False, 25, -1))),
        ),
        (wire.relation(9, "pg_x", [], schema=""), Relation(9, "pg_catalog", "pg_x", "d", ())),
        (wire.type_name(40_000, "", "int4"), TypeName(40_000, "pg_catalog", "int4")),
        (wire.insert(9, ["1", None, ""]), Insert(9, ("1", None, ""))),
        (wire.update(9, ["1", wire.UNCHANGED_CELL]), Update(9, None, False, ("1", UNCHANGED))),
        (wire.update(9, ["2"], ["1"]), Update(9, ("1",), False, ("2",))),
        (wire.update(9, ["2"], ["1"], "O"), Update(9, ("1",), True, ("2",))),
        (wire.delete(9, ["1", None]), Delete(9, ("1", None), False)),
        (wire.delete(9, ["1"], "O"), Delete(9, ("1",), True)),
        (wire.truncate(9, 10), Truncate((9, 10))),
        (wire.logical_message("p", b"\x00\xff"), Message(True, 5, "p", b"\x00\xff")),
        (wire.origin("elsewhere"), Origin("elsewhere", 9)),
    ],
)
def test_messages(raw: bytes, expected: object) -> None:
    assert message(raw) == expected


def test_frames() -> None:
    assert frame(b"w" + struct.pack("!QQq", 1, 2, 3_000_000) + b"abc") == Data(EPOCH_SECONDS + 3, b"abc")
    assert frame(b"k" + struct.pack("!Qqb", 77, 1_000_000, 1)) == Keepalive(77, EPOCH_SECONDS + 1, True)


def test_status_update() -> None:
    raw = status_update(written=5, flushed=4, now=EPOCH_SECONDS + 1.25, reply=True)
    assert struct.unpack("!cQQQqB", raw) == (b"r", 5, 4, 4, 1_250_000, 1)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Z123",
        wire.begin()[:-1],
        wire.begin() + b"\0",
        b"I" + struct.pack("!I", 9) + b"K" + wire.row(["1"]),
        b"D" + struct.pack("!I", 9) + b"N" + wire.row(["1"]),
        b"U" + struct.pack("!I", 9) + b"X" + wire.row(["1"]),
        wire.insert(9, ["abc"])[:-1],
        b"I" + struct.pack("!I", 9) + b"N" + struct.pack("!H", 1) + b"b\0\0\0\x01x",
        wire.truncate(1, 2)[:-4],
        wire.relation(1, "t", [("a", 23, True)])[:-9],
    ],
)
def test_what_is_no_message_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        message(raw)


@pytest.mark.parametrize("raw", [b"", b"x", b"w123", b"k123"])
def test_what_is_no_frame_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        frame(raw)


def test_text_that_is_not_utf8_names_the_relation() -> None:
    with pytest.raises(Unreadable) as caught:
        message(wire.insert(9, [b"\xff\xfe"]))
    assert caught.value.relation == 9
