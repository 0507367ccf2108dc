"""The laws of tolerances: within is equal, beyond is not, and what is beyond never shares a digest."""

from __future__ import annotations

import math
import struct
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from connectors.client.hashing import encoder
from connectors.memory.rows import row_hash
from verifier.canonical import canonical, differing_columns, same, standing_for
from verifier.encoding import encode, row_hash_of
from verifier.errors import Misconfigured
from verifier.table import Column, Family, Table, TableName, Value
from verifier.tolerance import TIME_DIGITS_MAX, Tolerance

SHARES = st.one_of(st.sampled_from([1e-15, 1e-9, 1e-6, 1e-3, 0.5, 2**-30, 2**-52, 1e-17, 0.99]), st.floats(1e-12, 0.9))
DIGITS = st.integers(0, TIME_DIGITS_MAX)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
LARGEST = 1.7976931348623157e308


def floats(share: float) -> Column:
    return Column("v", Family.FLOAT, "double precision", tolerance=Tolerance(float_relative=share))


def moments(digits: int, family: Family = Family.TIMESTAMP) -> Column:
    return Column("v", family, family.value, tolerance=Tolerance(time_digits=digits))


def one_digest(column: Column, left: Value, right: Value) -> bool:
    table = Table(TableName("s", "t"), (column,), ())
    found = row_hash_of(table, {"v": left}) == row_hash_of(table, {"v": right})
    assert found == (row_hash(table, {"v": left}) == row_hash(table, {"v": right}))
    return found


@st.composite
def beside(draw: st.DrawFn) -> tuple[float, float, float]:
    """A share and two numbers about so far apart."""
    share, one = draw(SHARES), draw(FINITE)
    other = draw(FINITE | st.floats(-3, 3).map(lambda times: one * (1 + times * share)))
    for _ in range(draw(st.integers(0, 2))):
        other = math.nextafter(other, draw(st.sampled_from([-math.inf, math.inf])))
    assume(math.isfinite(other))
    return share, one, other


@settings(max_examples=150, deadline=None)
@example((1e-9, 100.0, math.nextafter(100.0, 0)))
@example((0.5, LARGEST, -LARGEST))
@example((0.99, LARGEST, math.nextafter(LARGEST, 0)))
@example((1e-3, 5e-324, 1e-323))
@example((1e-3, 0.0, 5e-324))
@example((1e-3, 0.0, -0.0))
@given(beside())
def test_floats_are_equal_up_to_their_share_and_not_beyond(parts: tuple[float, float, float]) -> None:
    share, one, other = parts
    column, left, right = floats(share), repr(one), repr(other)
    apart = abs(Fraction(one) - Fraction(other))
    most = Fraction(share) * max(abs(Fraction(one)), abs(Fraction(other)))
    equal = same(column, left, right)
    assert equal == same(column, right, left)
    if apart == 0 or apart * (1 + Fraction(1, 2**50)) + Fraction(5e-324) < most:
        assert equal
    if apart > most * (1 + Fraction(1, 2**50)) + Fraction(5e-324):  # the product of share and number is rounded
        assert not equal
    if one_digest(column, left, right):
        assert apart <= most
        assert equal


@example(1e-3, LARGEST, "Infinity")
@example(0.5, -LARGEST, "-Infinity")
@given(SHARES, FINITE, st.sampled_from(["NaN", "Infinity", "-Infinity"]))
def test_what_is_no_number_is_near_to_nothing(share: float, number: float, odd: str) -> None:
    column = floats(share)
    assert not same(column, repr(number), odd)
    assert not one_digest(column, repr(number), odd)
    assert same(column, odd, odd.lower())
    assert one_digest(column, odd, odd.lower())
    assert not same(column, "Infinity", "-Infinity")
    assert not same(column, None, odd)
    assert not one_digest(column, "word", odd)


def test_most_floats_of_a_tiny_difference_share_a_digest() -> None:
    """Above all round ones, which would lie on the edge of a bucket that is cut off."""
    column = floats(1e-9)
    numbers = [*map(float, range(1, 1000)), *(number / 8 for number in range(1, 1000)), 1e15, -7.0]
    for number in numbers:
        for other in (math.nextafter(number, 0), math.nextafter(number, math.inf)):
            assert one_digest(column, repr(number), repr(other)), (number, other)
    (bits,) = struct.unpack(">Q", struct.pack(">d", float(standing_for(column, "0.1") or "")))
    assert bits & (1 << 22) - 1 == 0  # 30 bits are kept


def bits_of(number: float) -> int:
    (bits,) = struct.unpack(">Q", struct.pack(">d", number))
    return int(bits)


def number_of(bits: int) -> float:
    (number,) = struct.unpack(">d", struct.pack(">Q", bits))
    return float(number)


@pytest.mark.parametrize("share", [2**-52, 1e-15, 1e-9, 2**-30, 1e-3, 0.3, 0.5, 0.99])
def test_no_bucket_is_wider_than_the_share(share: float) -> None:
    """From its least number to its largest: whoever draws numbers seldom draws two that lie at both ends."""
    column = floats(share)
    for number in (1.0, math.nextafter(1.0, 0), 1.2345678901234, 1.5, 1.9999, 3e300, 5e-300):
        bucket, ends = standing_for(column, repr(number)), []
        for sign in (-1, 1):
            inside, outside = 0, 1 << 52
            while outside - inside > 1:
                middle = (inside + outside) // 2
                told = standing_for(column, repr(number_of(bits_of(number) + sign * middle)))
                inside, outside = (middle, outside) if told == bucket else (inside, middle)
            ends.append(Fraction(number_of(bits_of(number) + sign * inside)))
        assert ends[1] - ends[0] <= Fraction(share) * ends[1]


TICKS = st.integers(-(10**12), 10**12)
START = datetime(2024, 2, 28, 23, 59, 59)


@settings(max_examples=150, deadline=None)
@example(0, 0, 10**6, "")
@example(0, 7, 1 - 10**6, "")
@example(3, 5, -1000, "+00")
@example(3, 5, 999, "+00")
@example(6, 5, 1, "")
@given(DIGITS, TICKS, st.one_of(TICKS, st.integers(-2_100_000, 2_100_000)), st.sampled_from(["", "+00"]))
def test_moments_are_equal_less_than_a_unit_apart(digits: int, ticks: int, further: int, zone: str) -> None:
    """In microseconds."""
    family = Family.TIMESTAMPTZ if zone else Family.TIMESTAMP
    column, one = moments(digits, family), START + timedelta(microseconds=ticks)
    other = one + timedelta(microseconds=further)
    left, right = f"{one:%Y-%m-%d %H:%M:%S.%f}{zone}", f"{other:%Y-%m-%dT%H:%M:%S.%f}{zone}"
    equal = further == 0 or abs(further) * 10**digits < 10**6
    assert same(column, left, right) == same(column, right, left) == equal
    if one_digest(column, left, right):
        assert equal


@settings(max_examples=150, deadline=None)
@given(DIGITS, st.integers(-(3 * 10**6), 3 * 10**6), st.integers(-(3 * 10**6), 3 * 10**6))
def test_times_below_zero_are_as_far_from_those_above_as_they_are(digits: int, ticks: int, others: int) -> None:
    column = moments(digits, Family.TIME)

    def written(micros: int) -> str:
        seconds, fraction = divmod(abs(micros), 10**6)
        return f"{'-' if micros < 0 else ''}00:00:{seconds:02d}.{fraction:06d}"

    equal = ticks == others or abs(ticks - others) * 10**digits < 10**6
    assert same(column, written(ticks), written(others)) == equal
    if one_digest(column, written(ticks), written(others)):
        assert equal


@given(st.integers(0, 6), st.integers(0, 10**6 - 1))
def test_rounded_and_cut_off_are_both_within(digits: int, micros: int) -> None:
    whole = START + timedelta(microseconds=micros)
    unit = 10 ** (6 - digits)
    cut = START + timedelta(microseconds=micros // unit * unit)
    rounded = START + timedelta(microseconds=(micros + unit // 2) // unit * unit)
    for kept in (cut, rounded):
        assert same(moments(digits), f"{whole:%Y-%m-%d %H:%M:%S.%f}", f"{kept:%Y-%m-%d %H:%M:%S.%f}")


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("0000-00-00 00:00:00", "0000-00-00 00:00:00.4", True),  # within a second of no calendar
        ("0000-00-00 00:00:00", "0000-00-00 00:00:01", False),
        ("0044-03-15 10:00:00.9 BC", "0044-03-15 10:00:00 BC", True),
        ("0044-03-15 10:00:00.9 BC", "0044-03-15 10:00:01 BC", False),
        ("0044-03-15 10:00:00 BC", "0044-03-15 10:00:00", False),
        ("infinity", "infinity", True),
        ("infinity", "2024-01-01 00:00:00", False),
        ("9999-12-31 23:59:59.9", "10000-01-01 00:00:00", False),
        ("2023-12-31 23:59:59.9", "2024-01-01 00:00:00", True),
        ("2023-12-31 23:59:59.9", None, False),
        ("yesterday", "yesterday.4", False),
        ("2024-01-01 00:00:00." + "4" * 5_000, "2024-01-01 00:00:01", False),  # a text column of SQLite holds anything
    ],
)
def test_moments_of_no_calendar_are_near_within_their_second(one: Value, other: Value, equal: bool) -> None:
    assert same(moments(0), one, other) == equal
    assert not one_digest(moments(0), one, other) or equal


@given(st.text(max_size=5), st.integers(0, 3), st.text(max_size=5))
def test_only_blanks_at_the_end_may_be_ignored(text: str, blanks: int, other: str) -> None:
    column = Column("v", Family.TEXT, "text", tolerance=Tolerance(ignore_trailing_spaces=True))
    assert same(column, text, text + " " * blanks)
    assert one_digest(column, text, text + " " * blanks)
    assert same(column, text, other) == one_digest(column, text, other) == (text.rstrip(" ") == other.rstrip(" "))
    assert not same(column, text, None)
    assert not one_digest(column, " ", None)


def test_a_strict_scale_counts_in_values_and_digests() -> None:
    """However a driver writes the number."""
    strict = Column("v", Family.DECIMAL, "numeric", tolerance=Tolerance(strict_scale=True))
    for one, other, equal in (
        ("1.0", "1.00", False), ("1.00", "1.00", True), ("1", "2", False),
        ("0E-10", "0.0000000000", True), ("1E-7", "0.0000001", True), ("1.0E-7", "0.0000001", False),
        ("-0.0", "0.0", True), ("0", "0.0", False), (".50", "0.50", True), ("1E+2", "100", True), ("nan", "NaN", True),
        ("0E-300000", "0", True), ("one", "one", True),
    ):  # fmt: skip
        assert same(strict, one, other) == one_digest(strict, one, other) == equal
    assert one_digest(Column("v", Family.DECIMAL, "numeric"), "1.0", "1.00")


TOLERANT = (
    Column("f", Family.FLOAT, "", tolerance=Tolerance(float_relative=1e-3)),
    Column("m", Family.TIMESTAMP, "", tolerance=Tolerance(time_digits=0)),
    Column("t", Family.TEXT, "", tolerance=Tolerance(ignore_trailing_spaces=True)),
    Column("d", Family.DECIMAL, "", tolerance=Tolerance(strict_scale=True)),
    Column("w", Family.TEXT, ""),
)
CELLS = st.tuples(
    st.sampled_from(["1", "1.0004", "1.0006", "1.002", "0", None]),
    st.sampled_from(["2024-01-01 00:00:00", "2024-01-01 00:00:00.7", "2024-01-01 00:00:01.2", "x,-", None]),
    st.sampled_from(["", " ", "a", "a ", ",", None]),
    st.sampled_from(["1", "1.0", "!", None]),
    st.sampled_from(["a", "a ", None]),
)


@settings(max_examples=100, deadline=None)
@given(CELLS, CELLS)
def test_rows_of_one_digest_have_no_differing_column(one: tuple[Value, ...], other: tuple[Value, ...]) -> None:
    table = Table(TableName("s", "t"), TOLERANT, ())
    names = [column.name for column in TOLERANT]
    left, right = dict(zip(names, one, strict=True)), dict(zip(names, other, strict=True))
    assert encoder(TOLERANT)(one) == encode(TOLERANT, left)
    if row_hash_of(table, left) == row_hash_of(table, right):
        assert differing_columns(table, left, right) == {}


@pytest.mark.parametrize("family", list(Family))
def test_without_a_tolerance_the_canonical_text_stands_for_a_value(family: Family) -> None:
    for value in ("1.50", "a ", "2024-01-01 10:00:00.50", "t", None):
        assert standing_for(Column("v", family, ""), value) == canonical(family, value)


@pytest.mark.parametrize(
    "made", [{"float_relative": 0.0}, {"float_relative": 1.0}, {"time_digits": -1}, {"time_digits": 10}]
)
def test_a_number_out_of_range_is_refused(made: dict[str, float]) -> None:
    with pytest.raises(Misconfigured, match="needs"):
        Tolerance(**made)  # type: ignore[arg-type]
