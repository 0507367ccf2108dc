"""What the user lets two values of a column differ by, and the two questions that this raises.

Nearness is no equality: of three values each may be near to the next one, and the first far from the last. So no text
can stand for exactly the values that are near to each other, and a digest cannot decide. It sorts values into buckets
instead, none of which is wider than the tolerance: two values of one bucket are near for certain, and two of different
ones may be near all the same, which the values themselves decide (`near_floats`, `near_moments`).

Texts are canonical ones (`verifier.canonical`, which knows whose they are).
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from verifier.errors import Misconfigured

TIME_DIGITS_MAX = 9
_MANTISSA = 52
_INFINITY = 0x7FF << _MANTISSA
_FLOAT = re.compile(r"-?\d+(\.\d+)?(e[+-]\d+)?", re.ASCII)  # as `repr` writes them
_MOMENT = re.compile(
    r"(-?)(?:(\d{4,6})-(\d\d)-(\d\d) )?(\d{2,4}):(\d\d):(\d\d)(?:\.(\d{1,4000}))?((?:\+00)?(?: BC)?)", re.ASCII
)  # with so many digits as Python reads as a number


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Of a table or a column; None: nothing is said. A column's own (`Column.tolerance`) says only what its family has.

    `float_relative`: floats are equal that differ by no more than this share of the larger one, between 0 and 1.
    `time_digits`: times and moments are equal that are less than one unit of this digit of a second apart (3: less than
    a millisecond), whether one side rounds or cuts off. `ignore_trailing_spaces`: blanks at the end of a text do not
    count. `strict_scale` lets decimals differ less: 1.0 is not 1.00. Misconfigured if a number is out of its range.
    """

    float_relative: float | None = None
    time_digits: int | None = None
    ignore_trailing_spaces: bool | None = None
    strict_scale: bool | None = None

    def __post_init__(self) -> None:
        if self.float_relative is not None and not 0 < self.float_relative < 1:
            raise Misconfigured(f"float_relative is {self.float_relative:g}: needs a share between 0 and 1, as 1e-9")
        if self.time_digits is not None and not 0 <= self.time_digits <= TIME_DIGITS_MAX:
            raise Misconfigured(f"time_digits is {self.time_digits}: needs digits of a second, 0 to {TIME_DIGITS_MAX}")

    @property
    def near(self) -> bool:
        """Values are judged by nearness, so that equal ones may have different digests."""
        return self.float_relative is not None or self.time_digits is not None

    def over(self, wider: Tolerance | None) -> Tolerance:
        """This one, and where it says nothing the wider one."""
        return self if wider is None else replace(wider, **self.told())

    def told(self) -> dict[str, Any]:
        """What it says, by name: `Tolerance(**told)` is the same one."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def words(self) -> str:
        """For people."""
        found: list[str] = []
        if self.float_relative is not None:
            found.append(f"equal within {self.float_relative:g} of the larger value")
        if self.time_digits is not None:
            unit = f"{10**-self.time_digits:.{self.time_digits}f}"
            found.append(f"equal less than {unit} s apart")
        if self.ignore_trailing_spaces:
            found.append("blanks at the end do not count")
        if self.strict_scale:
            found.append("1.0 is not 1.00")
        return ", ".join(found)


def near_floats(one: str, other: str, relative: float) -> bool:
    """Two canonical floats that differ by no more than this share of the larger one. Infinities and NaN are near to
    nothing; zero to nothing either, since every number is the larger one beside it."""
    if not _FLOAT.fullmatch(one) or not _FLOAT.fullmatch(other):
        return False
    return math.isclose(float(one), float(other), rel_tol=relative, abs_tol=0.0)


def float_bucket(text: str, relative: float) -> str:
    """A canonical float with so many bits of its fraction, rounded to nearest, that a bucket is no wider than the
    tolerance: a step of the last bit that is kept is at most `relative` of the smallest number of its exponent. Round
    numbers lie in the middle of a bucket, not on its edge. What is smaller than 2.2e-308 or would become infinite, and
    what is no number, stands for itself."""
    if not _FLOAT.fullmatch(text):
        return text
    _, exponent = math.frexp(relative)  # relative >= 2 ** (exponent - 1)
    dropped = _MANTISSA - (1 - exponent)
    (bits,) = struct.unpack(">Q", struct.pack(">d", float(text)))
    sign, size = bits >> 63, bits & (1 << 63) - 1
    if dropped <= 0 or size < 1 << _MANTISSA:
        return text
    rounded = (size + (1 << dropped - 1)) >> dropped << dropped
    if rounded >= _INFINITY:
        return text
    (number,) = struct.unpack(">d", struct.pack(">Q", sign << 63 | rounded))
    return repr(number)


def near_moments(one: str, other: str, digits: int) -> bool:
    """Two canonical times, or moments, that are less than one unit of this digit of a second apart. Those of no
    calendar (zero dates, years before 1 or beyond 9999, infinity) are near only within their own second."""
    if moment_bucket(one, digits) == moment_bucket(other, digits):
        return True
    first, second = _ticks(one), _ticks(other)
    if first is None or second is None or first[0] != second[0]:
        return False
    (_, whole, fraction), (_, whole_too, fraction_too) = first, second
    places = max(len(fraction), len(fraction_too), digits)
    apart: int = (whole - whole_too) * 10**places + _scaled(fraction, places) - _scaled(fraction_too, places)
    unit: int = 10 ** (places - digits)
    return abs(apart) < unit


def moment_bucket(text: str, digits: int) -> str:
    """A canonical time or moment without what lies behind this digit of its second. Times below zero stand for
    themselves: cut off, they would share the bucket of those above it."""
    match = _MOMENT.fullmatch(text)
    if not match or match[1] or match[8] is None:
        return text
    kept = match[8][:digits].rstrip("0")
    return f"{text[: match.start(8) - 1]}{'.' if kept else ''}{kept}{match[9]}"


def _ticks(text: str) -> tuple[bool, int, str] | None:
    """Whether it has a date, its whole seconds, and the digits behind them, with its sign; None of what no calendar
    has."""
    match = _MOMENT.fullmatch(text)
    if not match or match[9].endswith("BC"):
        return None
    sign, year, month, day, hours, minutes, seconds, fraction, _ = match.groups()
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    if year is not None:
        try:
            whole += date(int(year), int(month), int(day)).toordinal() * 86_400
        except ValueError:
            return None
    return year is not None, -whole if sign else whole, sign + (fraction or "0")


def _scaled(fraction: str, places: int) -> int:
    """The digits behind the point as a number of so many places; with its sign."""
    negative = fraction.startswith("-")
    number = int(fraction.lstrip("-").ljust(places, "0"))
    return -number if negative else number
