"""Messages become transactions, and what cannot be told by key becomes blindness."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from fixtures import pgoutput_bytes as wire

from connectors.pgoutput.assemble import Assembler
from connectors.pgoutput.decode import EPOCH_SECONDS, Malformed, message
from connectors.pgoutput.shape import KeyOf
from verifier import half
from verifier.change import Blindness, Cause, Change, Operation, Transaction
from verifier.position import Lsn
from verifier.table import TableName

T = TableName("public", "t")
COLUMNS = [("id", wire.INT4, True), ("x", wire.TEXT, False)]
PLAIN = wire.relation(1, "t", COLUMNS)


def _unknown(_: TableName) -> None:
    return None


def _told(raws: Sequence[bytes], key_of: KeyOf = _unknown, changes_max: int = 100) -> list[Transaction]:
    assembler = Assembler(key_of, changes_max=changes_max)
    return [told for raw in raws if (told := assembler.feed(message(raw))) is not None]


def _one(*raws: bytes, key_of: KeyOf = _unknown) -> Transaction:
    (transaction,) = _told([wire.begin(xid=7), *raws, wire.commit(end=200, at=1_000_000)], key_of)
    return transaction


def test_a_transaction_is_told_at_its_commit() -> None:
    assert _one(
        PLAIN, wire.insert(1, ["1", "a"]), wire.update(1, ["1", "b"]), wire.delete(1, ["1", None])
    ) == Transaction(
        7,
        Lsn(200),
        EPOCH_SECONDS + 1,
        (
            Change(T, (1,), Operation.INSERT, {"id": "1", "x": "a"}),
            Change(T, (1,), Operation.UPDATE, {"id": "1", "x": "b"}),
            Change(T, (1,), Operation.DELETE),
        ),
    )


def test_an_empty_transaction_is_not_told() -> None:
    assert _told([wire.begin(), wire.origin("o"), wire.logical_message("p", b"x"), wire.commit()]) == []


def test_a_key_change_is_a_delete_and_an_insert() -> None:
    got = _one(PLAIN, wire.update(1, ["2", "a"], ["1", None]))
    assert got.changes == (Change(T, (1,), Operation.DELETE), Change(T, (2,), Operation.INSERT, {"id": "2", "x": "a"}))


def test_an_old_row_with_the_same_key_is_an_update() -> None:
    full = wire.relation(1, "t", [("id", wire.INT4, True), ("x", wire.TEXT, True)], identity="f")
    got = _one(full, wire.update(1, ["1", wire.UNCHANGED_CELL], ["1", "a"], "O"), key_of=lambda _: ("id",))
    assert got.changes == (Change(T, (1,), Operation.UPDATE, {"id": "1", "x": "a"}),)


def test_the_callers_key_gives_the_order() -> None:
    both = wire.relation(1, "t", [("a", wire.TEXT, True), ("b", wire.INT4, True)])
    assert _one(both, wire.delete(1, ["x", "1"]), key_of=lambda _: ("b", "a")).changes[0].key == (1, "x")
    assert _one(both, wire.delete(1, ["x", "1"])).changes[0].key == ("x", 1)


@pytest.mark.parametrize(
    ("described", "key_of", "detail"),
    [
        (wire.relation(1, "t", COLUMNS, identity="f"), _unknown, "full and no known key"),
        (wire.relation(1, "t", [("id", 23, False)], identity="n"), lambda _: ("id",), "no replica identity"),
        (PLAIN, lambda _: ("x",), "lacks the key column x"),
    ],
)
def test_a_change_without_a_usable_key_blinds_the_table(described: bytes, key_of: KeyOf, detail: str) -> None:
    got = _one(described, wire.insert(1, ["1", "a"]), key_of=key_of)
    assert (got.changes, got.blind[0].cause, got.blind[0].table) == ((), Cause.KEYLESS, T)
    assert detail in got.blind[0].detail


def test_a_domain_is_read_as_its_base_type() -> None:
    described = wire.relation(1, "t", [("id", 50_000, True), ("x", 50_001, False)])
    types = [wire.type_name(50_000, "", "int4"), wire.type_name(50_001, "", "bool")]
    got = _one(*types, described, wire.insert(1, ["5", "t"]))
    assert got.changes == (Change(T, (5,), Operation.INSERT, {"id": "5", "x": "true"}),)


def test_a_domain_of_somebody_elses_int4_is_text() -> None:
    described = wire.relation(1, "t", [("id", 50_000, True), ("x", 25, False)])
    assert _one(wire.type_name(50_000, "mine", "int4"), described, wire.delete(1, ["5", None])).changes[0].key == ("5",)


def test_blindness_is_told_once_per_cause_and_table() -> None:
    got = _one(PLAIN, wire.truncate(1), wire.truncate(1), wire.insert(1, ["1", "a"]))
    assert got.blind == (Blindness(Cause.TRUNCATE, T),)
    assert len(got.changes) == 1


def test_a_table_made_anew_or_altered_is_blind_even_after_a_reconnect() -> None:
    assembler = Assembler(_unknown)

    def run(described: bytes, oid: int) -> tuple[Cause, ...]:
        cells = ["1", "a"]
        for raw in (wire.begin(), described, wire.insert(oid, cells)):
            assembler.feed(message(raw))
        told = assembler.feed(message(wire.commit()))
        assert told is not None
        return tuple(b.cause for b in told.blind)

    assert run(PLAIN, 1) == ()
    assembler.reset()
    assert run(PLAIN, 1) == ()
    assert run(wire.relation(2, "t", COLUMNS), 2) == (Cause.DDL,)
    assembler.reset()
    assert run(wire.relation(2, "t", [("id", wire.INT4, True), ("y", wire.TEXT, False)]), 2) == (Cause.DDL,)


def test_a_large_transaction_is_a_gap_of_every_table_it_touched() -> None:
    other = wire.relation(2, "u", COLUMNS)
    rows = [wire.insert(1 + n % 2, [str(n), "a"]) for n in range(11)]
    small = [wire.begin(), wire.insert(1, ["1", "a"]), wire.commit(end=300)]
    first, second = _told([wire.begin(), PLAIN, other, *rows, wire.commit(), *small], changes_max=10)
    assert first.changes == ()
    assert [(b.cause, b.table) for b in first.blind] == [(Cause.GAP, T), (Cause.GAP, TableName("public", "u"))]
    assert len(second.changes) == 1


def test_a_transaction_of_wide_rows_is_told_without_values_and_one_of_long_keys_by_stretches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(half, "VALUES_BYTES", 1_000)
    monkeypatch.setattr(half, "KEYS_BYTES", 150)

    def told(rows: int, width: int) -> Transaction:
        assembler = Assembler(_unknown)
        raws = [wire.begin(), PLAIN, *(wire.insert(1, [str(n), "a" * width]) for n in range(rows)), wire.commit()]
        answers = [assembler.feed(message(raw), len(raw)) for raw in raws]
        assert assembler.bytes == sum(map(len, raws[2:-1]))
        assert answers[-1] is not None
        return answers[-1]

    assert {change.after is None for change in told(9, 80).changes} == {False}
    wide = told(11, 80)
    assert wide.changes == tuple(Change(T, (n,), Operation.INSERT) for n in range(11))
    assert wide.blind == ()
    long = told(19, 80)
    assert (long.changes, [(b.cause, b.table) for b in long.blind]) == ((), [(Cause.GAP, T)])


def test_an_unreadable_change_blinds_its_table_and_the_rest_goes_on() -> None:
    assembler = Assembler(_unknown)
    for raw in (wire.begin(), PLAIN):
        assembler.feed(message(raw))
    assembler.unreadable(1, "bad text")
    assembler.feed(message(wire.insert(1, ["1", "a"])))
    told = assembler.feed(message(wire.commit()))
    assert told is not None
    assert told.blind == (Blindness(Cause.UNREADABLE, T, "bad text"),)
    assert len(told.changes) == 1


def test_reset_forgets_the_half_transaction() -> None:
    assembler = Assembler(_unknown)
    for raw in (wire.begin(), PLAIN, wire.insert(1, ["1", "a"])):
        assembler.feed(message(raw))
    assert assembler.open
    assembler.reset()
    assert not assembler.open
    with pytest.raises(Malformed, match="outside any transaction"):
        assembler.feed(message(wire.commit()))


@pytest.mark.parametrize(
    ("raws", "why"),
    [
        ([wire.commit()], "outside any transaction"),
        ([wire.insert(1, ["1"])], "outside any transaction"),
        ([wire.begin(), wire.begin()], "begins inside another"),
        ([wire.begin(), wire.insert(1, ["1"])], "before its description"),
        ([wire.begin(), wire.truncate(1)], "before its description"),
        ([wire.begin(), PLAIN, wire.insert(1, ["1"])], "has 1 columns, its description has 2"),
        ([wire.begin(), PLAIN, wire.insert(1, ["one", "a"])], "should be an integer"),
    ],
)
def test_messages_out_of_place_are_malformed(raws: list[bytes], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        _told(raws)


def test_where_a_transaction_comes_from_is_told_with_it() -> None:
    assert _one(PLAIN, wire.insert(1, ["1", "a"])).origin is None
    assert _one(wire.origin("pg_16394"), PLAIN, wire.insert(1, ["1", "a"])).origin == "pg_16394"


def test_our_own_repairs_are_known_by_their_message() -> None:
    assert _one(wire.logical_message("trueup", b"r"), PLAIN, wire.insert(1, ["1", "a"])).origin == "trueup"
    assert _one(wire.logical_message("other", b"r"), PLAIN, wire.insert(1, ["1", "a"])).origin is None
