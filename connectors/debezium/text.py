"""Values in PostgreSQL's own words: what `value::text` prints with TimeZone UTC, DateStyle ISO, IntervalStyle postgres.

Keys from events must equal, character for character, the keys that the servers give, so the spelling here is the
server's: fractions without trailing zeros, `BC` behind the time, exponents from 1e+15 on, `\\x` before hex.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from decimal import Decimal

DAY_US = 86_400_000_000
FIRST_DAY, LAST_DAY = -2_440_588, 2_145_031_948  # 4714-11-24 BC to 5874897-12-31, days since 1970
FIRST_US, LAST_US = FIRST_DAY * DAY_US, 9_224_318_016_000_000_000 - 1  # 294277-01-01, exclusive
INFINITE_US = {9_223_372_036_825_200_000: "infinity", -9_223_372_036_832_400_000: "-infinity"}


def civil(days: int) -> tuple[int, int, int]:
    """Year (0 is 1 BC), month and day of a day number since 1970-01-01, in the proleptic Gregorian calendar."""
    shifted = days + 719_468
    era, day_of_era = divmod(shifted, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_index = (5 * day_of_year + 2) // 153
    month = month_index + 3 if month_index < 10 else month_index - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    return year, month, day_of_year - (153 * month_index + 2) // 5 + 1


def day_number(year: int, month: int, day: int) -> int:
    """The inverse of `civil`."""
    year -= 1 if month <= 2 else 0
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def date(days: int) -> str | None:
    """None where PostgreSQL has no such date (infinity reaches us as a nonsensical day)."""
    if not FIRST_DAY <= days <= LAST_DAY:
        return None
    text, era = _date(days)
    return text + era


def _date(days: int) -> tuple[str, str]:
    year, month, day = civil(days)
    era = " BC" if year <= 0 else ""
    return f"{1 - year if year <= 0 else year:04}-{month:02}-{day:02}", era


def time(micros: int) -> str:
    seconds, fraction = divmod(micros, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def timestamp(micros: int, zone: str = "") -> str | None:
    """Microseconds since 1970 as text; `zone` is `+00` for timestamptz. None beyond what PostgreSQL can hold."""
    if micros in INFINITE_US:
        return INFINITE_US[micros]
    if not FIRST_US <= micros <= LAST_US:
        return None
    days, of_day = divmod(micros, DAY_US)
    text, era = _date(days)
    return f"{text} {time(of_day)}{zone}{era}"


_ISO = re.compile(
    r"(?P<year>[+-]?\d{4,})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?)?Z?"
)


def iso_micros(text: str) -> int:
    """Microseconds since 1970 of an ISO date or instant in UTC, of any year; ValueError otherwise."""
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError(f"not an ISO instant in UTC: {text[:40]!r}")
    days = day_number(int(found["year"]), int(found["month"]), int(found["day"]))
    seconds = int(found["hour"] or 0) * 3600 + int(found["minute"] or 0) * 60 + int(found["second"] or 0)
    fraction = (found["fraction"] or "").ljust(6, "0")
    if fraction[6:].strip("0"):
        raise ValueError(f"finer than microseconds: {text[:40]!r}")
    return days * DAY_US + seconds * 1_000_000 + int(fraction[:6])


def float8(value: float) -> str:
    return _float(value, repr(value), 15)


def float4(value: float) -> str:
    """The shortest digits that make the same single-precision number."""
    single = struct.pack("<f", value)
    for digits in range(1, 10):
        text = f"{value:.{digits}g}"
        try:
            if struct.pack("<f", float(text)) == single:
                return _float(value, text, 6)
        except OverflowError:  # rounded up beyond the largest single: more digits
            continue
    return _float(value, repr(value), 6)


def widened(value: float) -> str:
    """The double that a single-precision number is."""
    return float8(struct.unpack("<f", struct.pack("<f", value))[0])


def _float(value: float, shortest: str, widest: int) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    sign, digits, exponent = Decimal(shortest).as_tuple()
    if not any(digits):
        return "-0" if sign else "0"
    figures = "".join(map(str, digits)).lstrip("0")
    point = len(figures) + int(exponent)  # the value is 0.figures * 10**point
    figures = figures.rstrip("0")
    minus = "-" if sign else ""
    if -4 <= point - 1 < widest:
        if point <= 0:
            return f"{minus}0.{'0' * -point}{figures}"
        whole, rest = figures[:point].ljust(point, "0"), figures[point:]
        return f"{minus}{whole}.{rest}" if rest else f"{minus}{whole}"
    rest = f".{figures[1:]}" if len(figures) > 1 else ""
    return f"{minus}{figures[0]}{rest}e{point - 1:+03}"


def scaled(unscaled: int, scale: int) -> str:
    """`unscaled` * 10**-scale, with exactly `scale` decimals (as numeric(p,s) prints)."""
    if scale <= 0:
        return str(unscaled * 10**-scale)
    figures = str(abs(unscaled)).rjust(scale + 1, "0")
    return f"{'-' if unscaled < 0 else ''}{figures[:-scale]}.{figures[-scale:]}"


_DURATION = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+(?:\.\d+)?)S)?)?"
)


def interval(duration: str) -> str:
    """The connector's ISO duration, each part with its own sign, in IntervalStyle postgres."""
    found = _DURATION.fullmatch(duration)
    if found is None or duration.endswith(("P", "T")):
        raise ValueError(f"not an ISO duration: {duration[:40]!r}")
    parts = [int(part or 0) for part in found.groups()[:5]]
    years, months = _carry(parts[0] * 12 + parts[1], 12)
    micros = (parts[3] * 3600 + parts[4] * 60) * 1_000_000 + int(Decimal(found[6] or 0).scaleb(6))
    words: list[str] = []
    negative = False
    for amount, unit in ((years, "year"), (months, "mon"), (parts[2], "day")):
        if amount:
            words.append(f"{'+' if negative and amount > 0 else ''}{amount} {unit}{'' if amount == 1 else 's'}")
            negative = amount < 0
    if micros or not words:
        words.append(("-" if micros < 0 else "+" if negative else "") + time(abs(micros)))
    return " ".join(words)


def _carry(amount: int, size: int) -> tuple[int, int]:
    """Division that rounds toward zero, so that both results carry the sign."""
    whole, rest = divmod(abs(amount), size)
    return (-whole, -rest) if amount < 0 else (whole, rest)


_PLAIN = re.compile(r"[^\s{}\",\\]+")


def array(elements: Sequence[str | None]) -> str:
    """A one-dimensional array; elements are what the element type prints."""
    return "{" + ",".join(_element(element) for element in elements) + "}"


def _element(element: str | None) -> str:
    if element is None:
        return "NULL"
    if _PLAIN.fullmatch(element) and element.upper() != "NULL":
        return element
    return _quoted(element)


def hstore(pairs: Mapping[str, str | None]) -> str:
    """Pairs by the length of their keys in bytes, then by the bytes, as they are stored."""
    ordered = sorted(pairs.items(), key=lambda pair: (len(pair[0].encode()), pair[0].encode()))
    return ", ".join(f"{_quoted(key)}=>{'NULL' if value is None else _quoted(value)}" for key, value in ordered)


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
