"""Whatever bytes arrive, the decoder answers with a message or says that it is none; it never falls over."""

from __future__ import annotations

import contextlib

from fixtures import pgoutput_bytes as wire
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.pgoutput.assemble import Assembler
from connectors.pgoutput.decode import Malformed, Unreadable, frame, message
from connectors.pgoutput.messages import UNCHANGED, Insert, Update
from verifier.change import Transaction

cells = st.lists(st.one_of(st.none(), st.just(wire.UNCHANGED_CELL), st.text("aä€😀\0 1", max_size=9)), max_size=5)
columns = st.lists(
    st.tuples(st.text("abc", min_size=1, max_size=3), st.sampled_from([23, 25, 16]), st.booleans()), max_size=4
)
oids = st.integers(0, 3)
valid = st.one_of(
    st.builds(wire.begin),
    st.builds(wire.commit, st.integers(0, 2**63)),
    st.builds(wire.relation, oids, st.sampled_from(["t", "u"]), columns, identity=st.sampled_from("dnfi")),
    st.builds(wire.insert, oids, cells),
    st.builds(wire.update, oids, cells, st.one_of(st.none(), cells), st.sampled_from("KO")),
    st.builds(wire.delete, oids, cells, st.sampled_from("KO")),
    st.lists(oids, max_size=3).map(lambda o: wire.truncate(*o)),
    st.builds(wire.logical_message, st.just("p"), st.binary(max_size=9)),
    st.builds(wire.type_name, oids, st.just(""), st.sampled_from(["int4", "bool"])),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    raw = bytearray(draw(valid))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(raw) - 1)) if raw else 0
        kind = draw(st.sampled_from(["flip", "cut", "insert"]))
        if kind == "flip" and raw:
            raw[at] = draw(st.integers(0, 255))
        elif kind == "cut":
            del raw[at:]
        else:
            raw[at:at] = draw(st.binary(max_size=4))
    return bytes(raw)


@given(st.one_of(st.binary(max_size=80), damaged()))
def test_any_bytes_are_a_message_or_are_refused_by_name(raw: bytes) -> None:
    with contextlib.suppress(Malformed, Unreadable):
        message(raw)
    with contextlib.suppress(Malformed):
        frame(raw)


@given(st.lists(st.one_of(valid, damaged()), max_size=12))
def test_any_order_of_messages_is_a_transaction_or_is_refused_by_name(raws: list[bytes]) -> None:
    assembler = Assembler(lambda _: ("a",), changes_max=3)
    with contextlib.suppress(Malformed):
        for raw in raws:
            try:
                assembler.feed(message(raw))
            except Unreadable as error:
                assembler.unreadable(error.relation, str(error))


@given(cells, st.one_of(st.none(), cells), st.sampled_from("KO"))
def test_rows_come_back_as_they_were_written(new: list[wire.Cell], old: list[wire.Cell] | None, kind: str) -> None:
    def read(row: list[wire.Cell]) -> tuple[object, ...]:
        return tuple(UNCHANGED if cell == wire.UNCHANGED_CELL else cell for cell in row)

    assert message(wire.insert(5, new)) == Insert(5, read(new))
    expected = Update(5, None if old is None else read(old), old is not None and kind == "O", read(new))  # type: ignore[arg-type]
    assert message(wire.update(5, new, old, kind)) == expected


@st.composite
def transactions(draw: st.DrawFn) -> tuple[list[bytes], int]:
    """A transaction of three inserts into one table, of which one message arrives otherwise; how many rows come."""
    key = [("a", wire.INT4, True), ("b", wire.TEXT, False)]
    rows = [wire.insert(1, [str(number), draw(st.text("a€ ", max_size=3))]) for number in range(3)]
    raws = [wire.begin(), wire.relation(1, "t", key), *rows, wire.commit()]
    index = draw(st.integers(0, len(raws) - 1))
    raw = bytearray(raws[index])
    at = draw(st.integers(0, len(raw) - 1))
    kind = draw(st.sampled_from(["byte", "kind", "cut", "longer", "twice", "missing"]))
    if kind == "kind":
        raw[0] = draw(st.sampled_from(list(b"BCRYIUDTMO")))
    elif kind == "byte":
        raw[at] = draw(st.integers(0, 255))
    elif kind == "cut":
        del raw[at:]
    elif kind == "longer":
        raw[at:at] = draw(st.binary(min_size=1, max_size=4))
    copies = {"twice": 2, "missing": 0}.get(kind, 1)
    count = 3 + (copies - 1 if raws[index] in rows else 0)
    raws[index : index + 1] = [bytes(raw)] * copies
    return raws, count


@given(transactions())
@settings(max_examples=300)
def test_a_damaged_message_never_hides_a_row(damaged: tuple[list[bytes], int]) -> None:
    """There is no checksum: another key may be told. But as many rows as were sent, unless something is refused."""
    raws, count = damaged
    assembler = Assembler(lambda _: ("a",))
    told: list[Transaction] = []
    try:
        for raw in raws:
            ended = assembler.feed(message(raw))
            told += [] if ended is None else [ended]
    except (Malformed, Unreadable):
        return
    if assembler.open:  # nothing is told before the end, and nothing is confirmed
        assert told == []
        return
    (transaction,) = told
    blind = {one.table for one in transaction.blind}
    assert len(transaction.changes) == count or blind
