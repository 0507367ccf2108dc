"""The encoder that rows are hashed with writes the very bytes of the reference."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.client.hashing import _CANONICAL, encoder, hasher, packed, summed
from verifier.digest import Digest
from verifier.encoding import canonical_hash, client_hash, encode
from verifier.table import Column, Family, Scheme, Table, TableName, Value

WORDS = st.sampled_from([
    "", "-", "0", "1", "1.0", "-0", "nan", "t", "false", "\\x00FF", "2024-01-01", "2024-01-01 10:00:00.50",
    "2024-01-01 10:00:00+02", "6F1C1E0A8D2B4F579A3C0D9E8B7A6C5D", '{"b":1,"a":1.0}', ",", "!", "a ", "10.0.0.1",
])  # fmt: skip
SHAPED = st.one_of([
    st.from_regex(shape, fullmatch=True)
    for shape in (
        *_CANONICAL.values(), r"-?\d{1,4}(\.\d{1,3})?(e[+-]?\d{1,3})?",
        r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d{1,7})?)?( BC|\+00)?", r"\\x[0-9a-fA-F]{0,5}",
    )
])  # fmt: skip
"""Texts that are recognised at once, and neighbours of them."""
FAMILIES = st.sampled_from(list(Family))


VALUES: st.SearchStrategy[Value] = st.none() | WORDS | SHAPED | st.text(max_size=6)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(FAMILIES, st.none() | FAMILIES, VALUES), max_size=6))
def test_the_encoder_is_the_reference(parts: list[tuple[Family, Family | None, Value]]) -> None:
    columns = tuple(Column(f"c{n}", family, "", form=form) for n, (family, form, _) in enumerate(parts))
    values = [value for _, _, value in parts]
    expected = encode(columns, {column.name: value for column, value in zip(columns, values, strict=True)})
    assert encoder(columns)(values) == expected
    table = Table(TableName("s", "t"), columns, ())
    for scheme, one in ((Scheme.CANONICAL, canonical_hash), (Scheme.CLIENT, client_hash)):
        assert hasher(Table(table.name, columns, (), scheme=scheme))(values) == one(expected)


@settings(deadline=None)
@given(st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1), max_size=8))
def test_packed_and_summed_rows_are_the_same_rows(rows: dict[int, int]) -> None:
    integer = Table(TableName("s", "t"), (Column("id", Family.INTEGER, "bigint"),), ("id",))
    worded = Table(TableName("s", "t"), (Column("id", Family.TEXT, "text"),), ("id",))
    assert dict(packed(integer, (((key,), value) for key, value in rows.items()))) == {
        (key,): value for key, value in rows.items()
    }
    assert dict(packed(worded, (((str(key),), value) for key, value in rows.items()))) == {
        (str(key),): value for key, value in rows.items()
    }
    assert summed(rows.values()) == Digest.of(rows.values())
