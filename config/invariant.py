"""Statements over data that must always hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from config.model import Columns, Count, Model, Name, TableText
from config.units import Duration, DurationOrZero


def _select(value: str) -> str:
    text = value.strip().rstrip(";").rstrip()
    words = text.lower().split(None, 1)
    if not words or words[0].lstrip("(") not in ("select", "with", "values", "table"):
        raise ValueError("must be one SELECT (or WITH, VALUES, TABLE): invariants only read")
    return text


Select = Annotated[str, AfterValidator(_select)]


class Query(Model):
    """One side of a comparison."""

    endpoint: str
    """The name of the leader or of a follower."""
    sql: Select
    """A SELECT; it runs read-only and under the statement time limit."""


class _Invariant(Model):
    name: Name
    """What findings and metrics call it; unique within the group."""
    every: Duration = 60.0
    """How often it is evaluated."""
    grace: DurationOrZero = 0.0
    """A violation counts once the very same was seen for this long: for rules that two separate transactions keep."""
    sample: Count = 10
    """How many violations a finding shows."""


class EqualByKey(_Invariant):
    """Two queries give the same value for every key: ledger per account equals balance per account."""

    kind: Literal["equal_by_key"]
    """`equal_by_key`."""
    left: Query
    """All columns but the last are the key, the last is the value."""
    right: Query
    """The same shape as `left`."""


class Violations(_Invariant):
    """A query that returns what should not be."""

    kind: Literal["violations"]
    """`violations`."""
    endpoint: str
    """The name of the leader or of a follower."""
    sql: Select
    """Each row that it returns is a violation."""
    key: tuple[str, ...] = ()
    """Columns of the answer that name a violator. With a `grace` and without a key, only an empty answer holds."""


class NonNegative(_Invariant):
    """Columns that must not be below zero, such as stock."""

    kind: Literal["non_negative"]
    """`non_negative`."""
    endpoint: str
    """The name of the leader or of a follower."""
    table: TableText
    """`schema.table`, by its name on that database."""
    columns: Columns
    """None of them may be negative; NULL is not."""
    key: Columns
    """What names a row in a finding."""


Invariant = Annotated[EqualByKey | Violations | NonNegative, Field(discriminator="kind")]
