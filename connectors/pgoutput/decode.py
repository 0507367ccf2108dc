"""Bytes to messages, without I/O: frames of the replication copy stream, and pgoutput protocol 1 inside them.

Whatever the bytes are, the answer is a message or `Malformed`. A row whose text cannot be read (a database whose
encoding is SQL_ASCII may hold bytes that are no UTF-8) is `Unreadable`: the stream itself is sound and may go on, but
the table's change is not known.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from connectors.pgoutput.messages import (
    UNCHANGED,
    Begin,
    Cell,
    Cells,
    Commit,
    Data,
    Delete,
    Insert,
    Keepalive,
    Message,
    Origin,
    Output,
    Relation,
    RelationColumn,
    Truncate,
    TypeName,
    Update,
)
from verifier.errors import Permanent

# PostgreSQL counts microseconds since 2000-01-01 00:00 UTC.
EPOCH_SECONDS = 946_684_800

_U16 = struct.Struct("!H").unpack_from
_U32 = struct.Struct("!I").unpack_from
_U64 = struct.Struct("!Q").unpack_from
_DATA = struct.Struct("!QQq").unpack_from
_KEEPALIVE = struct.Struct("!Qq?").unpack_from
_BEGIN = struct.Struct("!QqI").unpack_from
_COMMIT = struct.Struct("!BQQq").unpack_from
_COLUMN_TAIL = struct.Struct("!Ii").unpack_from
_TRUNCATE = struct.Struct("!IB").unpack_from
_MESSAGE = struct.Struct("!BQ").unpack_from
_STATUS = struct.Struct("!cQQQqB")

_NULL, _TOAST, _TEXT, _NEW, _KEY, _OLD = (ord(c) for c in "nutNKO")


class Malformed(Permanent):
    """The bytes are no message of protocol 1: another plugin answers, or something between us and the server alters
    what it says."""


class Unreadable(Permanent):
    """A change whose text is not UTF-8; `relation` is the oid of its table."""

    def __init__(self, relation: int) -> None:
        super().__init__(f"a change of relation {relation} holds text that is not utf-8")
        self.relation = relation


def seconds(microseconds: int) -> float:
    """A server's timestamp as seconds since the Unix epoch."""
    return EPOCH_SECONDS + microseconds / 1e6


def frame(raw: bytes) -> Data | Keepalive:
    """One copy-data frame of a walsender; Malformed if it is none."""
    try:
        kind = raw[:1]
        if kind == b"w":
            _, _, sent = _DATA(raw, 1)
            return Data(seconds(sent), raw[25:])
        if kind == b"k":
            wal_end, sent, reply = _KEEPALIVE(raw, 1)
            return Keepalive(wal_end, seconds(sent), reply)
    except struct.error as error:
        raise Malformed(f"a replication frame of {len(raw)} bytes is cut short") from error
    raise Malformed(f"unknown kind of replication frame {kind!r}, need 'w' or 'k'")


def status_update(*, written: int, flushed: int, now: float, reply: bool) -> bytes:
    """A standby status update: positions as 64-bit integers, `now` in seconds since the Unix epoch. Nothing is
    applied here, so what is said to be applied is what is flushed."""
    return _STATUS.pack(b"r", written, flushed, flushed, int((now - EPOCH_SECONDS) * 1e6), reply)


def message(payload: bytes) -> Output:
    """One pgoutput message; Malformed or Unreadable otherwise."""
    try:
        reader = _READERS.get(payload[0]) if payload else None
        if reader is None:
            raise Malformed(f"unknown pgoutput message {payload[:1]!r}: need plugin pgoutput, protocol version 1")
        return reader(payload)
    except (struct.error, IndexError) as error:
        raise Malformed(f"pgoutput message {payload[:1]!r} of {len(payload)} bytes is cut short") from error
    except UnicodeDecodeError as error:
        if payload[0] in b"IUD":
            raise Unreadable(_U32(payload, 1)[0]) from error
        raise Malformed(f"pgoutput message {payload[:1]!r} holds a name that is not utf-8") from error


def _cells(raw: bytes, at: int) -> tuple[Cells, int]:
    """The tuple that starts at `at`, and where it ends. The hot loop: no calls but slicing and decoding."""
    (count,) = _U16(raw, at)
    at += 2
    size = len(raw)
    cells: list[Cell] = []
    append = cells.append
    for _ in range(count):
        kind = raw[at]
        at += 1
        if kind == _TEXT:
            end = at + 4 + _U32(raw, at)[0]
            if end > size:
                raise IndexError("a value reaches beyond its message")
            append(raw[at + 4 : end].decode())
            at = end
        elif kind == _NULL:
            append(None)
        elif kind == _TOAST:
            append(UNCHANGED)
        else:
            raise Malformed(f"unknown kind of column value {chr(kind)!r}, need text: binary was not asked for")
    return tuple(cells), at


def _string(raw: bytes, at: int) -> tuple[str, int]:
    end = raw.find(b"\0", at)
    if end < 0:
        raise IndexError("a string has no end")
    return raw[at:end].decode(), end + 1


def _whole(raw: bytes, at: int, read: Output) -> Output:
    """The message, if nothing is left behind it: bytes left over mean that it was not understood."""
    if at != len(raw):
        raise Malformed(f"pgoutput message {raw[:1]!r} has {len(raw) - at} bytes too many")
    return read


def _begin(raw: bytes) -> Output:
    final, at, xid = _BEGIN(raw, 1)
    return _whole(raw, 21, Begin(final, seconds(at), xid))


def _commit(raw: bytes) -> Output:
    _, commit, end, at = _COMMIT(raw, 1)
    return _whole(raw, 26, Commit(commit, end, seconds(at)))


def _origin(raw: bytes) -> Output:
    (lsn,) = _U64(raw, 1)
    name, at = _string(raw, 9)
    return _whole(raw, at, Origin(name, lsn))


def _relation(raw: bytes) -> Output:
    (oid,) = _U32(raw, 1)
    schema, at = _string(raw, 5)
    name, at = _string(raw, at)
    identity = chr(raw[at])
    (count,) = _U16(raw, at + 1)
    at += 3
    columns = []
    for _ in range(count):
        flags = raw[at]
        column, at = _string(raw, at + 1)
        type_oid, modifier = _COLUMN_TAIL(raw, at)
        at += 8
        columns.append(RelationColumn(column, bool(flags & 1), type_oid, modifier))
    # An empty schema is how the protocol spells pg_catalog.
    return _whole(raw, at, Relation(oid, schema or "pg_catalog", name, identity, tuple(columns)))


def _type(raw: bytes) -> Output:
    (oid,) = _U32(raw, 1)
    schema, at = _string(raw, 5)
    name, at = _string(raw, at)
    return _whole(raw, at, TypeName(oid, schema or "pg_catalog", name))


def _insert(raw: bytes) -> Output:
    if raw[5] != _NEW:
        raise Malformed(f"an insert carries {chr(raw[5])!r} instead of a new row")
    new, at = _cells(raw, 6)
    return _whole(raw, at, Insert(_U32(raw, 1)[0], new))


def _update(raw: bytes) -> Output:
    kind, at = raw[5], 6
    old: Cells | None = None
    if kind in (_KEY, _OLD):
        old, at = _cells(raw, at)
        at += 1
    if raw[at - 1] != _NEW:
        raise Malformed(f"an update carries {chr(raw[at - 1])!r} instead of a new row")
    new, at = _cells(raw, at)
    return _whole(raw, at, Update(_U32(raw, 1)[0], old, kind == _OLD, new))


def _delete(raw: bytes) -> Output:
    kind = raw[5]
    if kind not in (_KEY, _OLD):
        raise Malformed(f"a delete carries {chr(kind)!r} instead of an old row")
    old, at = _cells(raw, 6)
    return _whole(raw, at, Delete(_U32(raw, 1)[0], old, kind == _OLD))


def _truncate(raw: bytes) -> Output:
    count, _ = _TRUNCATE(raw, 1)
    if len(raw) != 6 + 4 * count:
        raise Malformed(f"a truncate of {count} tables has {len(raw)} bytes, need {6 + 4 * count}")
    return Truncate(struct.unpack_from(f"!{count}I", raw, 6))


def _message(raw: bytes) -> Output:
    flags, lsn = _MESSAGE(raw, 1)
    prefix, at = _string(raw, 10)
    (size,) = _U32(raw, at)
    at += 4
    return _whole(raw, at + size, Message(bool(flags & 1), lsn, prefix, raw[at : at + size]))


_READERS: dict[int, Callable[[bytes], Output]] = {
    ord("B"): _begin,
    ord("C"): _commit,
    ord("O"): _origin,
    ord("R"): _relation,
    ord("Y"): _type,
    ord("I"): _insert,
    ord("U"): _update,
    ord("D"): _delete,
    ord("T"): _truncate,
    ord("M"): _message,
}
