"""The encoding of a row can be decoded, so different rows never share one, and equal values always do."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.canonical import canonical
from verifier.encoding import TEXTS, canonical_hash, encode, field, row_hash_of
from verifier.table import Column, Family, Table, TableName, Value

words = st.sampled_from(
    ["", "-", "!", "!2d", ",", "0", "1", "-1", "1.0", "NaN", "t", "\\x", "\\xab", "ab", "\\xAB", "a,b", "b,a", "é",
     "\ud800", "3ff0000000000000", "2026-01-02 03:04:05", "2026-01-02 03:04:05+00", "x+00", "x", "10.0.0.1",
     "10.0.0.1/", "10.0.0.1/32", "0a000001", "6f1c1e0a8d2b4f579a3c0d9e8b7a6c5d", "1 mon", "1 0 0", "[1]", "[1.0]"]
)  # fmt: skip
values = st.none() | words | st.text(max_size=8)
families = st.sampled_from(Family)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Column, ...]:
    chosen = draw(st.lists(families, min_size=1, max_size=6))
    return tuple(Column(f"c{n}", family, family.value) for n, family in enumerate(chosen))


def decode(columns: Sequence[Column], encoded: bytes) -> dict[str, Value]:
    """The digest forms of a row, read back from its encoding by the rules in `verifier.encoding` alone."""
    texts = [column.name for column in columns if column.meets_as in TEXTS]
    fixed = [column.name for column in columns if column.meets_as not in TEXTS]
    parts = encoded.split(b",", len(fixed) + len(texts))
    found: dict[str, Value] = {}
    for name, part in zip(fixed, parts[: len(fixed)], strict=True):
        found[name] = None if part == b"-" else part.decode()
    lengths = [part.decode() for part in parts[len(fixed) : len(fixed) + len(texts)]]
    rest = parts[-1] if len(parts) > len(fixed) + len(texts) else b""
    for n, (name, length) in enumerate(zip(texts, lengths, strict=True)):
        if n == len(texts) - 1:
            found[name] = None if length == "1" else rest.decode(errors="surrogatepass")
        elif length == "-":
            found[name] = None
        else:
            found[name], rest = rest[: int(length)].decode(errors="surrogatepass"), rest[int(length) + 1 :]
    return found


@given(st.data())
def test_an_encoding_can_be_decoded(data: st.DataObject) -> None:
    columns = data.draw(tables())
    row = {column.name: data.draw(values) for column in columns}
    told = decode(columns, encode(columns, row))
    assert told == {column.name: field(column.meets_as, row[column.name]) for column in columns}


@given(families, values, values)
def test_digest_forms_are_equal_exactly_where_canonical_texts_are(family: Family, one: Value, other: Value) -> None:
    assert (field(family, one) == field(family, other)) == (canonical(family, one) == canonical(family, other))


@given(families, values)
def test_fixed_forms_have_no_comma_and_are_no_null(family: Family, value: Value) -> None:
    written = field(family, value)
    assert (written is None) == (value is None)
    if family not in TEXTS and written is not None:
        assert written != "-"
        assert "," not in written
        assert written.isascii()


@given(st.floats(allow_nan=False))
def test_a_float_is_its_bits(number: float) -> None:
    assert field(Family.FLOAT, repr(number)) == struct.pack(">d", number + 0.0).hex()


@pytest.mark.parametrize(
    ("family", "value", "written"),
    [
        (Family.BOOLEAN, "t", "1"),
        (Family.BOOLEAN, "2", "2"),
        (Family.FLOAT, "1", "3ff0000000000000"),
        (Family.FLOAT, "-0", "0000000000000000"),
        (Family.FLOAT, "NaN", "7ff8000000000000"),
        (Family.FLOAT, "3ff0000000000000", "!33666630303030303030303030303030"),
        (Family.BYTES, "\\xAB", "ab"),
        (Family.BYTES, "ab", "!6162"),
        (Family.UUID, "6F1C1E0A-8D2B-4F57-9A3C-0D9E8B7A6C5D", "6f1c1e0a8d2b4f579a3c0d9e8b7a6c5d"),
        (Family.TIMESTAMPTZ, "2026-01-01 01:00:00+02", "2025-12-31 23:00:00"),
        (Family.TIMESTAMPTZ, "0044-03-15 00:00:00+00 BC", "0044-03-15 00:00:00 BC"),
        (Family.INET, "::ffff:10.0.0.1", "0a000001"),
        (Family.INET, "10.1.0.0/16", "0a010000/16"),
        (Family.INTERVAL, "1 year 2 mons 3 days -04:05:06.7", "14 3 -14706700000"),
        (Family.SET, "b,a", "a,b"),
        (Family.TEXT, "-", "-"),
        (Family.DATE, "-", "!2d"),
    ],
)
def test_digest_forms(family: Family, value: str, written: str) -> None:
    assert field(family, value) == written


TEXT_ROW = (Column("a", Family.TEXT, "text"), Column("b", Family.TEXT, "text"), Column("n", Family.INTEGER, "bigint"))
HOSTILE: tuple[Value, ...] = (
    None,
    "",
    "-",
    "!",
    ",",
    "0",
    "1",
    "NULL",
    "\\N",
    " ",
    "a",
    "a,",
    ",a",
    "1,0,",
    "é",
    "e\u0301",
)
NUMBERS: tuple[Value, ...] = (None, "0", "1", "-1", "10")


def test_no_two_hostile_rows_share_a_hash_and_no_exchange_cancels() -> None:
    table = Table(TableName("", "t"), TEXT_ROW, ("n",))
    rows = [dict(zip("abn", row, strict=True)) for row in itertools.product(HOSTILE, HOSTILE, NUMBERS)]
    for hashed in ([row_hash_of(table, row) for row in rows], [canonical_hash(encode(TEXT_ROW, row)) for row in rows]):
        assert len(set(hashed)) == len(rows)
        by_row = {tuple(row.values()): h for row, h in zip(rows, hashed, strict=True)}
        for x, y in itertools.combinations(HOSTILE, 2):  # a value exchanged between two rows
            before = by_row[x, "a", "0"]
            assert (before + by_row[y, "a", "1"]) % 2**64 != (by_row[y, "a", "0"] + by_row[x, "a", "1"]) % 2**64
