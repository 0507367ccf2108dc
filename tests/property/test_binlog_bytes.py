"""Whatever becomes of an event on its way, its rows are told as they were written, or it is told that they were not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import pymysql
import pytest
from fixtures.binlog_wire import (
    ENGINES,
    FORMAT,
    ROWS,
    TABLE_MAP,
    J,
    T,
    Told,
    U,
    recorded,
    sealed,
    sent,
    told,
    unsummed,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.binlog.dump import Damaged
from verifier.change import Cause, Change
from verifier.errors import Temporary


@cache
def before(engine: str, index: int) -> Told:
    """What is told of the events before this one."""
    return told(recorded(engine)[:index], engine)


def whole(engine: str) -> Told:
    return before(engine, len(recorded(engine)))


def _noted(changes: Sequence[Change]) -> list[tuple[str, object, str, str | None]]:
    return [(one.table.name, one.key[0], one.operation.value, (one.after or {}).get("n", "?")) for one in changes]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_recorded(engine: str) -> None:
    changes, blind, ended = whole(engine)
    document = [("j", 1, "insert", "5")] if engine == "mysql" else []
    assert _noted(changes) == [
        ("t", 1, "insert", "10"), ("t", 2, "insert", None), ("t", 3, "insert", "30"), ("t", 1, "update", "11"),
        ("t", 3, "update", "31"), ("u", 1, "insert", "1"), ("t", 2, "delete", "?"), ("u", 1, "delete", "?"),
        ("u", 5, "insert", "1"), ("u", 9, "insert", "9"), *document, ("t", 4, "insert", "40"),
    ]  # fmt: skip
    assert str(ended) == "the connection was lost"
    assert {(one.table, one.cause) for one in blind} == (
        {(U, Cause.UNREADABLE), (U, Cause.DDL), (T, Cause.DDL)}
        if engine == "mariadb"
        else {(J, Cause.UNREADABLE), (J, Cause.DDL), (U, Cause.DDL), (T, Cause.DDL)}
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_binlog_without_checksums_tells_the_same(engine: str) -> None:
    changes, blind, _ = told([unsummed(event) for event in recorded(engine)], engine)
    assert (changes, blind) == whole(engine)[:2]


@st.composite
def spoilt(draw: st.DrawFn, packet: bytes) -> bytes:
    """A packet that arrives otherwise: with another bit, other bytes, cut, or longer."""
    raw = bytearray(packet)
    at = draw(st.integers(0, len(raw) - 1))
    kind = draw(st.sampled_from(["bit", "bytes", "cut", "fitting cut", "longer"]))
    if kind == "bit":
        raw[at] ^= 1 << draw(st.integers(0, 7))
    elif kind == "bytes":
        raw[at : at + 4] = draw(st.binary(min_size=1, max_size=4))
    elif kind == "longer":
        raw[at:at] = draw(st.binary(min_size=1, max_size=9))
    else:
        del raw[at:]
        if kind == "fitting cut" and len(raw) > 20:  # as long as it says
            raw[10:14] = (len(raw) - 1).to_bytes(4, "little")
    return bytes(raw)


def _packets(engine: str, summed: bool) -> list[bytes]:
    return [b"\0" + (event if summed else unsummed(event)) for event in recorded(engine)]


@st.composite
def damage(draw: st.DrawFn, *, summed: bool) -> tuple[str, int, bytes]:
    """A recording, a packet of it by its index, and how it arrives."""
    engine = draw(st.sampled_from(ENGINES))
    packets = _packets(engine, summed)
    index = draw(st.integers(0, len(packets) - 1))
    same = {packets[index], _other_bytes(packets[0], 18, b"\1")}  # whether a file is in use is no part of its checksum
    return engine, index, draw(spoilt(packets[index]).filter(lambda raw: raw not in same))


@given(damage(summed=True))
@settings(max_examples=250, deadline=None)
def test_a_damaged_event_is_never_believed(damaged: tuple[str, int, bytes]) -> None:
    engine, index, raw = damaged
    packets = _packets(engine, True)
    packets[index] = raw
    changes, blind, ended = sent(packets, engine)
    assert isinstance(ended, Damaged) or raw[:1] == b"\xff"  # the mark of an error, which it then is
    assert changes == before(engine, index)[0]
    # A format description may have become one of a binlog without checksums, which is noticed at the next event.
    assert index == 0 or blind == before(engine, index)[1]


@given(damage(summed=False))
@settings(max_examples=100, deadline=None)
def test_a_damaged_event_without_a_checksum_ends_by_name_and_soon(damaged: tuple[str, int, bytes]) -> None:
    engine, index, raw = damaged
    packets = _packets(engine, False)
    packets[index] = raw
    changes, _, ended = sent(packets, engine)
    assert isinstance(ended, Temporary | pymysql.MySQLError)
    assert len(changes) < 100


def _columns_at(event: bytes) -> int:
    """Where the number of columns is in a row event; behind it, for less than nine of them, a byte of bits."""
    return 27 if event[4] < 30 else 29


def _other_bytes(event: bytes, at: int, other: bytes) -> bytes:
    return event[:at] + other + event[at + len(other) :]


_LYING: dict[str, tuple[tuple[int, ...], Callable[[bytes], bytes]]] = {
    "no table map": ((TABLE_MAP,), lambda _: b""),
    "of an unknown table": (ROWS, lambda event: _other_bytes(event, 19, b"\1\2\3\4\5\6")),
    "without columns": (ROWS, lambda event: _other_bytes(event, _columns_at(event) + 1, b"\0")),
    "with other columns": (ROWS, lambda event: _other_bytes(event, _columns_at(event), b"\2")),
    "cut": (ROWS, lambda event: event[:-6] + event[-4:]),
    "longer": (ROWS, lambda event: event[:-4] + b"\0\0" + event[-4:]),
    "no columns mapped": (
        (TABLE_MAP,),
        lambda event: _other_bytes(event, 31 + event[27] + event[29 + event[27]], b"\0"),
    ),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("lie", _LYING)
def test_an_event_that_does_not_agree_with_itself_is_not_believed(engine: str, lie: str) -> None:
    """As if the server had written it so."""
    kinds, lying = _LYING[lie]
    events = recorded(engine)
    for index, event in enumerate(events):
        if event[4] not in kinds:
            continue
        other = lying(event)
        changes, blind, ended = told(
            [*events[:index], *([sealed(other)] if other else ()), *events[index + 1 :]], engine
        )
        assert str(ended) == "the connection was lost"
        if event[4] == TABLE_MAP and changes == whole(engine)[0]:  # said before, or of a row that is not told anyway
            continue
        unseen = {one.table for one in blind if one.cause in (Cause.UNREADABLE, Cause.KEYLESS)}
        missing = {one.table for one in whole(engine)[0] if one not in changes}
        assert missing
        assert None in unseen or missing <= unseen
        assert all(one in whole(engine)[0] for one in changes)


_UNKNOWN = [0, 1, *range(43, 0xA0), *range(0xAC, 0x100), 26, 40, 42, *range(165, 172)]


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_an_event_of_an_unknown_kind_blinds(data: st.DataObject) -> None:
    engine = data.draw(st.sampled_from(ENGINES))
    events = list(recorded(engine))
    # Whether the last transaction ends is told by what follows it.
    index = data.draw(st.integers(0, len(events) - 3).filter(lambda at: events[at][4] != FORMAT))
    kind = data.draw(st.sampled_from(_UNKNOWN))
    events[index] = sealed(_other_bytes(events[index], 4, bytes([kind])))
    changes, blind, ended = told(events, engine)
    assert any(one.table is None for one in blind)
    assert str(ended) == "the connection was lost"
    assert all(one in whole(engine)[0] for one in changes)
