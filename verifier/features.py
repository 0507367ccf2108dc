"""What a table has beside its columns: indexes, constraints, defaults, sequences. Compared, a difference is a finding
of its own and never stops the comparison of rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Feature:
    """One of them. `what`: `index`, `unique`, `check`, `foreign key`, `default`, `sequence`.

    `object` is its name, or for `default` and `sequence` the column's. `text` is the engine's own definition, compared
    between equal engines; `portable` says of it what any engine can say in the same words (for an index its columns in
    order, for a constraint its columns and what they refer to, None where nothing can be compared). `problem` is set
    where the feature is wrong by itself: a sequence whose next value lies at or below its column's maximum.
    """

    object: str
    what: str
    text: str
    portable: str | None = None
    problem: str | None = None
