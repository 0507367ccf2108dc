"""PostgreSQL's spelling, against Python's own calendar and against texts read from a server."""

from __future__ import annotations

import datetime as dt
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.debezium import text

EPOCH = dt.date(1970, 1, 1)


@given(st.dates())
def test_days_are_the_calendars(day: dt.date) -> None:
    number = (day - EPOCH).days
    assert text.civil(number) == (day.year, day.month, day.day)
    assert text.day_number(day.year, day.month, day.day) == number
    assert text.date(number) == f"{day.year:04}-{day.month:02}-{day.day:02}"


@given(st.integers(text.FIRST_DAY, text.LAST_DAY))
def test_a_day_and_its_number_belong_together_everywhere(number: int) -> None:
    assert text.day_number(*text.civil(number)) == number


@pytest.mark.parametrize(
    ("micros", "written"),
    [
        (0, "1970-01-01 00:00:00"),
        (-1, "1969-12-31 23:59:59.999999"),
        (1709212455100000, "2024-02-29 13:14:15.1"),
        (-63517780800000000, "0044-03-15 12:00:00 BC"),
        (317273587200000000, "12024-01-01 00:00:00"),
        (9223372036825200000, "infinity"),
        (-9223372036832400000, "-infinity"),
        (9224318016000000000, None),
    ],
)
def test_timestamps(micros: int, written: str | None) -> None:
    assert text.timestamp(micros) == written


def test_the_zone_stands_before_the_era() -> None:
    assert text.timestamp(text.iso_micros("-0043-03-15T12:00:00.000000Z"), "+00") == "0044-03-15 12:00:00+00 BC"


@pytest.mark.parametrize("wrong", ["", "yesterday", "2024-02-29T13:14:15+02:00", "2024-02-29T13:14:15.1234567Z"])
def test_what_is_no_instant_in_utc_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"not an ISO|finer"):
        text.iso_micros(wrong)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.0, "0"), (-0.0, "-0"), (1.0, "1"), (-1.5, "-1.5"), (0.1, "0.1"), (1e-4, "0.0001"), (1e-5, "1e-05"),
        (123456789012345.0, "123456789012345"), (1e15, "1e+15"), (1.5e15, "1.5e+15"), (1e300, "1e+300"),
        (5e-324, "5e-324"), (float("inf"), "Infinity"), (float("-inf"), "-Infinity"), (float("nan"), "NaN"),
    ],
)  # fmt: skip
def test_doubles(value: float, written: str) -> None:
    assert text.float8(value) == written


@given(st.floats(allow_nan=False))
def test_doubles_read_back(value: float) -> None:
    assert struct.pack("<d", float(text.float8(value))) == struct.pack("<d", value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.1, "1.1"),
        (3.4028235e38, "3.4028235e+38"),
        (1.4e-45, "1e-45"),
        (999999.0, "999999"),
        (1e6, "1e+06"),
        (0.5, "0.5"),
    ],
)
def test_singles(value: float, written: str) -> None:
    assert text.float4(value) == written


@pytest.mark.parametrize(
    ("unscaled", "scale", "written"),
    [
        (0, 2, "0.00"),
        (-5, 2, "-0.05"),
        (1230, 2, "12.30"),
        (7, 0, "7"),
        (7, -2, "700"),
        (10**40, 1, "1" + "0" * 39 + ".0"),
    ],
)
def test_decimals(unscaled: int, scale: int, written: str) -> None:
    assert text.scaled(unscaled, scale) == written


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        ("P1Y2M3DT4H5M6.789S", "1 year 2 mons 3 days 04:05:06.789"),
        ("P0Y-1M5DT0H0M-1S", "-1 mons +5 days -00:00:01"),
        ("P0Y0M0DT0H0M0S", "00:00:00"),
        ("P0Y0M-3DT4H0M0S", "-3 days +04:00:00"),
        ("P-1Y-2M0DT0H0M0S", "-1 years -2 mons"),
        ("P0Y0M0DT100H0M0.5S", "100:00:00.5"),
    ],
)
def test_intervals(duration: str, written: str) -> None:
    assert text.interval(duration) == written


def test_arrays_quote_what_must_be_quoted() -> None:
    assert text.array([]) == "{}"
    assert text.array(["a", None, "null", "", "b,c", 'd"e\\', "f g", "{"]) == (
        '{a,NULL,"null","","b,c","d\\"e\\\\","f g","{"}'
    )
