"""Canonical forms of dates, times, instants and intervals.

Dates and times are written as ISO 8601 says, fractions without trailing zeros, years before 1 with ` BC` behind. What
only one engine has (infinity, the zero dates and the negative times of MySQL) keeps that engine's word for it.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

_CLOCK = re.compile(r"(-?)(\d{2,4}:\d\d:\d\d)(\.\d*)?", re.ASCII)
_STAMP = re.compile(r"(\d{4,6})-(\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d*)?(.*)", re.ASCII | re.DOTALL)
_OFFSET = re.compile(r"\s*(?:(Z)|([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?)?( BC)?", re.ASCII)
_CYCLE_YEARS = 400  # the Gregorian calendar repeats itself

_WORDS = re.compile(
    r"(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?"
    r"(?:([+-]?)(\d+):(\d\d):(\d\d(?:\.\d{1,6})?))?",
    re.ASCII,
)
_ISO = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+(?:\.\d{1,6})?)S)?)?", re.ASCII
)


def time(text: str) -> str:
    """`10:00:00.50` is `10:00:00.5`; `24:00:00`, `-01:00:00` and `838:59:59` are times of their own."""
    match = _CLOCK.fullmatch(text)
    if not match:
        return text
    plain = match[2] + _fraction(match[3])
    return match[1] + plain if plain.strip("0:") else plain


def timestamp(text: str) -> str:
    match = _STAMP.fullmatch(text)
    if not match or match[5] not in ("", " BC"):
        return text
    return f"{match[1]}-{match[2]} {match[3]}{_fraction(match[4])}{match[5]}"


def timestamptz(text: str) -> str:
    """The instant in UTC, with `+00` behind. Without an offset it is taken to be in UTC already."""
    match = _STAMP.fullmatch(text)
    zone = _OFFSET.fullmatch(match[5]) if match else None
    if not match or not zone:
        return text
    year, rest, era = match[1], f"{match[2]} {match[3]}", zone[6] or ""
    offset = timedelta(hours=int(zone[3] or 0), minutes=int(zone[4] or 0), seconds=int(zone[5] or 0))
    if offset:
        try:
            year, rest, era = _shifted(int(year), rest, bool(era), -offset if zone[2] == "+" else offset)
        except ValueError:
            return text
    return f"{year}-{rest}{_fraction(match[4])}+00{era}"


def _shifted(year: int, rest: str, before_christ: bool, by: timedelta) -> tuple[str, str, str]:
    """Year, `MM-DD HH:MM:SS` and era of the moment `by` later; ValueError if there is no such moment."""
    astronomical = 1 - year if before_christ else year
    stand_in = 2000 + astronomical % _CYCLE_YEARS  # a year with the same calendar, which `datetime` knows
    moved = datetime.strptime(f"{stand_in} {rest}", "%Y %m-%d %H:%M:%S") + by
    found = moved.year + astronomical - stand_in
    return f"{1 - found if found <= 0 else found:04d}", f"{moved:%m-%d %H:%M:%S}", " BC" if found <= 0 else ""


def interval(text: str) -> str:
    """`months days microseconds`: a month is no number of days, and a day is no number of hours; a year is 12 months.
    Reads the spelling of PostgreSQL (IntervalStyle postgres) and ISO 8601 durations."""
    words, iso = _WORDS.fullmatch(text), _ISO.fullmatch(text)
    if words and text:
        years, months, days, sign, hours, minutes, seconds = words.groups()
        clock = _micros(hours, minutes, seconds) * (-1 if sign == "-" else 1)
    elif iso and text[-1] not in "PT":
        years, months, days, hours, minutes, seconds = iso.groups()
        clock = _micros(hours, minutes, seconds)
    else:
        return text
    return f"{int(years or 0) * 12 + int(months or 0)} {int(days or 0)} {clock}"


def _micros(hours: str | None, minutes: str | None, seconds: str | None) -> int:
    return (int(hours or 0) * 60 + int(minutes or 0)) * 60_000_000 + int(Decimal(seconds or 0).scaleb(6))


def _fraction(digits: str | None) -> str:
    """`.500000` is `.5`; none and `.000` are nothing."""
    return (digits or "").rstrip("0").rstrip(".")
