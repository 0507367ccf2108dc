"""Laws of the canonical form: it is stable, it merges the spellings of one value, and it keeps values apart."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.canonical import canonical, differing_columns
from verifier.drift import Difference
from verifier.table import Column, Family, Table, TableName

families = st.sampled_from(Family)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=None)
mantissas = st.integers(-3, 3) | st.integers(-(10**40), 10**40) | st.integers(10**399, 10**401)
edges = (308, 399, 400, 401, 131_072, 200_000, 200_001, 999_999, 1_000_000, 2_000_000, 10**12, 10**17)
exponents = st.integers(-12, 12) | st.sampled_from([*edges, *(-edge for edge in edges)])
trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**450), 10**450) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(families, st.text())
def test_any_text_has_one_form_and_it_is_its_own(family: Family, text: str) -> None:
    once = canonical(family, text)
    assert once is not None
    assert canonical(family, once) == once


@given(families)
def test_null_stays_null(family: Family) -> None:
    assert canonical(family, None) is None


@given(decimals, decimals)
def test_decimals_are_equal_by_value(one: Decimal, other: Decimal) -> None:
    left, right = canonical(Family.DECIMAL, str(one)), canonical(Family.DECIMAL, str(other))
    assert (left == right) == (one == other)


@given(st.integers(-(10**30), 10**30), st.integers(0, 20), st.integers(0, 5))
def test_scale_counts_only_when_strict(number: int, scale: int, zeros: int) -> None:
    text = format(Decimal(number).scaleb(-scale), "f")
    longer = (text if "." in text else text + ".") + "0" * zeros
    assert canonical(Family.DECIMAL, longer) == canonical(Family.DECIMAL, text)
    assert (canonical(Family.DECIMAL, longer, strict_scale=True) == text) == (longer.removesuffix(".") == text)


@given(st.floats(), st.floats())
def test_floats_are_equal_by_bits_but_for_zero_and_nan(one: float, other: float) -> None:
    same = one == other or (math.isnan(one) and math.isnan(other))
    assert (canonical(Family.FLOAT, repr(one)) == canonical(Family.FLOAT, repr(other))) == same


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from([" ", "T"]),
)
def test_instants_count_and_not_their_offsets(instant: datetime, minutes: int, separator: str) -> None:
    utc = instant.replace(tzinfo=UTC)
    elsewhere = utc.astimezone(timezone(timedelta(minutes=minutes)))
    assert canonical(Family.TIMESTAMPTZ, elsewhere.isoformat(separator)) == canonical(
        Family.TIMESTAMPTZ, utc.isoformat(" ")
    )
    later = utc + timedelta(microseconds=1)
    assert canonical(Family.TIMESTAMPTZ, later.isoformat()) != canonical(Family.TIMESTAMPTZ, utc.isoformat())


@given(trees, trees)
def test_json_is_equal_by_structure(one: object, other: object) -> None:
    def typed(node: object) -> object:  # Python says True == 1
        if isinstance(node, dict):
            return {key: typed(value) for key, value in node.items()}
        if isinstance(node, list):
            return [typed(value) for value in node]
        return (type(node).__name__, node)

    spelled = json.dumps(one, indent=1, ensure_ascii=False)
    assert canonical(Family.JSON, spelled) == canonical(Family.JSON, json.dumps(one, sort_keys=True))
    assert (canonical(Family.JSON, spelled) == canonical(Family.JSON, json.dumps(other))) == (
        typed(one) == typed(other)
    )


def value(mantissa: int, exponent: int) -> tuple[int, int]:
    """The number, the same for all its spellings."""
    while mantissa and mantissa % 10 == 0:
        mantissa, exponent = mantissa // 10, exponent + 1
    return (mantissa, exponent) if mantissa else (0, 0)


@given(mantissas, exponents, mantissas, exponents, st.integers(0, 3), st.booleans())
def test_numbers_are_equal_by_value_however_large(
    mantissa: int, exponent: int, other: int, others: int, zeros: int, near: bool
) -> None:
    """Also 1e1000000, which a context of Python's own making overflows at, and 1e-2000000, which it takes for zero."""
    if near:
        other, others = mantissa + other % 2, exponent
    one = f"{mantissa * 10**zeros}E{exponent - zeros:+}", f"{mantissa}.{'0' * zeros}0e{exponent}"
    another = f"{other}e{others}"
    same = value(mantissa, exponent) == value(other, others)
    for family in (Family.DECIMAL, Family.INTEGER, Family.JSON):
        left, right = {canonical(family, text) for text in one}, canonical(family, another)
        assert len(left) == 1
        assert left.isdisjoint({right}) is not same
        assert {canonical(family, text or "") for text in left} == left
    nested = [canonical(Family.JSON, f'{{"a": [{text}]}}') for text in (*one, another)]
    assert (nested[0] == nested[1], nested[0] == nested[2]) == (True, same)


def test_a_number_of_few_characters_does_not_become_a_long_text() -> None:
    text = "[" + ",".join(["1e100000", "-1.5e-199999", "2e9999999"] * 500) + "]"
    assert len(canonical(Family.JSON, text) or "") < 2 * len(text)
    assert len(canonical(Family.DECIMAL, "1e9999999") or "") < 20


@pytest.mark.parametrize(
    ("family", "one", "other", "equal"),
    [
        (Family.DECIMAL, "1.0", "1.00", True),
        (Family.DECIMAL, "-0.00", "0", True),
        (Family.DECIMAL, "100", "1e2", True),
        (Family.DECIMAL, "10", "1", False),
        (Family.DECIMAL, "NaN", "Infinity", False),
        (Family.DECIMAL, "Infinity", "-Infinity", False),
        (Family.FLOAT, "-0", "0", True),
        (Family.FLOAT, "1e+15", "1000000000000000", True),
        (Family.BOOLEAN, "t", "true", True),
        (Family.BOOLEAN, "t", "f", False),
        (Family.CHAR, "a  ", "a", True),
        (Family.TEXT, "a ", "a", False),
        (Family.TEXT, "e\u0301", "\u00e9", False),
        (Family.BYTES, "\\xAB", "\\xab", True),
        (Family.UUID, "{6F1C1E0A8D2B4F579A3C0D9E8B7A6C5D}", "6f1c1e0a-8d2b-4f57-9a3c-0d9e8b7a6c5d", True),
        (Family.TIMESTAMP, "2026-01-02 03:04:05.500000", "2026-01-02T03:04:05.5", True),
        (Family.TIMESTAMP, "2026-01-02 03:04:05", "2026-01-02 03:04:05.000001", False),
        (Family.TIMESTAMP, "0044-03-15 00:00:00 BC", "0044-03-15 00:00:00", False),
        (Family.TIMESTAMPTZ, "infinity", "-infinity", False),
        (Family.TIMESTAMPTZ, "2026-01-01 01:00:00+02", "2025-12-31 23:00:00+00", True),
        (Family.TIME, "10:00:00.10", "10:00:00.1", True),
        (Family.JSON, '{"a":1,"b":[]}', '{ "b": [], "a": 1.0 }', True),
        (Family.JSON, "[]", "{}", False),
        (Family.JSON, "[[1,2]]", "[[1],2]", False),
        (Family.JSON, '"1"', "1", False),
        (Family.INTERVAL, "1 mon", "30 days", False),
        (Family.INTERVAL, "1 day", "24:00:00", False),
        (Family.INTERVAL, "1 year 2 mons 3 days 04:05:06.7", "P1Y2M3DT4H5M6.7S", True),
        (Family.INTERVAL, "-1 days +02:03:00", "P-1DT2H3M", True),
        (Family.INTERVAL, "infinity", "-infinity", False),
        (Family.INTEGER, "1_0", "10", False),
        (Family.INTEGER, "+007", "7", True),
        (Family.INTEGER, "18446744073709551615", "-1", False),
        (Family.INTEGER, "1", "1.0", True),
        (Family.DECIMAL, "1e300000", "1.00e300000", True),
        (Family.DECIMAL, "1e1000000", "10e999999", True),
        (Family.DECIMAL, "1e-2000000", "2e-2000000", False),
        (Family.JSON, "1e1000000", "1e1000001", False),
        (Family.JSON, "-1e-2000000", "0", False),
        (Family.JSON, "1e450", "1" + "0" * 450, True),
        (Family.JSON, "-1e400", "-1" + "0" * 400, True),
        (Family.FLOAT, "1_0", "10", False),
        (Family.FLOAT, "5e-324", "0", False),
        (Family.FLOAT, "1.7976931348623157e308", "Infinity", False),
        (Family.TIMESTAMPTZ, "2026-01-01 00:00:00.500", "2026-01-01 00:00:00.5+00", True),
        (Family.TIMESTAMPTZ, "0001-01-01 00:30:00+01", "0001-12-31 23:30:00+00 BC", True),
        (Family.TIMESTAMPTZ, "12024-12-31 23:30:00-01", "12025-01-01 00:30:00+00", True),
        (Family.TIMESTAMPTZ, "0044-03-15 00:00:00+00 BC", "0044-03-15 00:00:00+00", False),
        (Family.DATE, "0000-00-00", "0001-01-01", False),
        (Family.TIME, "-01:00:00", "01:00:00", False),
        (Family.TIME, "-00:00:00", "00:00:00.000", True),
        (Family.TIME, "24:00:00", "00:00:00", False),
        (Family.TIME, "838:59:59.000000", "838:59:59", True),
        (Family.SET, "b,a", "a,b", True),
        (Family.SET, "", "a", False),
        (Family.ENUM, "a", "A", False),
        (Family.BIT, "0011", "11", False),
        (Family.INET, "10.0.0.1/32", "10.0.0.1", True),
        (Family.INET, "10.0.0.1/8", "10.0.0.1", False),
        (Family.INET, "2001:DB8:0:0:0:0:0:1", "2001:db8::1", True),
        (Family.INET, "::ffff:10.0.0.1", "10.0.0.1", True),
        (Family.INET, "010.0.0.1", "10.0.0.1", False),
        (Family.UUID, "\\x6f1c1e0a8d2b4f579a3c0d9e8b7a6c5d", "6f1c1e0a-8d2b-4f57-9a3c-0d9e8b7a6c5d", True),
        (Family.UUID, "x", "X", False),
        (Family.JSON, '{"a":1,"a":2}', '{"a":2}', True),
        (Family.JSON, "1e0", "1", True),
        (Family.JSON, "[12345678901234567890.1]", "[12345678901234567890.10]", True),
        (Family.JSON, "12345678901234567890", "12345678901234567891", False),
        (Family.JSON, '"\\u00e9"', '"é"', True),
        (Family.JSON, "true", "1", False),
        (Family.JSON, "null", '"null"', False),
    ],
)
def test_pairs(family: Family, one: str, other: str, equal: bool) -> None:
    assert (canonical(family, one) == canonical(family, other)) is equal


TABLE = Table(
    TableName("public", "t"),
    (Column("id", Family.INTEGER, "bigint"), Column("n", Family.DECIMAL, "numeric"), Column("s", Family.TEXT, "text")),
    ("id",),
)


def test_only_differing_columns_are_named() -> None:
    ours, theirs = {"id": "1", "n": "1.0", "s": ""}, {"id": "1", "n": "1.00", "s": None}
    assert differing_columns(TABLE, ours, theirs) == {"s": Difference("", None)}


def test_an_absent_row_differs_in_every_column() -> None:
    row = {"id": "1", "n": None, "s": "x"}
    assert differing_columns(TABLE, row, None) == {
        "id": Difference("1", None),
        "n": Difference(None, None),
        "s": Difference("x", None),
    }
    assert differing_columns(TABLE, None, row)["s"] == Difference(None, "x")
