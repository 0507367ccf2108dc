"""What values may differ by and be equal all the same."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict

from config.model import Model, Switch
from verifier.tolerance import TIME_DIGITS_MAX
from verifier.tolerance import Tolerance as Kept

TolerancePlace = Annotated[
    str, Field(pattern=r"^[^.]+\.[^.]+(\.[^.]+)?$|^\*$", examples=["*", "public.orders", "public.orders.price"])
]


class Tolerance(Model):
    """What values may differ by and be equal all the same: each setting for columns of its own kind, and none for those
    of the key. Every report names the columns. Rows of their tables are hashed by trueup itself."""

    float_relative: Annotated[float, Strict(), Field(gt=0, lt=1)] | None = None
    """Floats are equal that differ by no more than this share of the larger one: `1e-9`. Zero, infinities and NaN are
    equal to themselves alone."""
    time_digits: Annotated[int, Strict(), Field(ge=0, le=TIME_DIGITS_MAX)] | None = None
    """Times and moments are equal that are less than one unit of this digit of a second apart, whether a side rounds or
    cuts off: with 3 less than a millisecond."""
    ignore_trailing_spaces: Switch | None = None
    """Whether blanks at the end of texts do not count. (In `char(n)` they never do.)"""
    strict_scale: Switch | None = None
    """Whether decimals of another scale differ: 1.0 from 1.00."""

    def kept(self) -> Kept:
        """As comparisons take it."""
        return Kept(self.float_relative, self.time_digits, self.ignore_trailing_spaces, self.strict_scale)
