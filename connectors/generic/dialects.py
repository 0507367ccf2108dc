"""What is known of a dialect by its name. Of any other nothing is assumed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from verifier.table import Family

_EVERYWHERE = frozenset({Family.INTEGER, Family.DECIMAL})


@dataclass(frozen=True, slots=True)
class Dialect:
    """`connect`: arguments that make a connection read-only. `pins`: statements for each new one. `ordered`: families
    whose order in the engine is the one that all engines share, text by the collation `by_bytes`. `as_text`: families
    that the engine itself spells, because its driver loses something. `standard_catalog`: described by
    `information_schema`. `sequences`: SQL that tells of `:name` in `:schema` the next value, step, least and largest
    value, and whether it begins again. `embedded`: a file, and no server."""

    connect: Mapping[str, object] = field(default_factory=dict)
    pins: tuple[str, ...] = ()
    ordered: frozenset[Family] = _EVERYWHERE
    by_bytes: str | None = None
    as_text: frozenset[Family] = frozenset({Family.JSON, Family.OTHER})
    standard_catalog: bool = False
    sequences: str | None = None
    embedded: bool = False


_KNOWN: Mapping[str, Dialect] = {
    # Columns may have a collation that the catalogue does not tell; its driver cuts nanoseconds, intervals and infinite
    # dates; its dialect does not reflect with SQLAlchemy 2.1.
    "duckdb": Dialect(
        connect={"read_only": True},
        pins=("set timezone = 'UTC'", "set default_collation = ''"),
        ordered=_EVERYWHERE
        | {Family.TEXT, Family.UUID, Family.BYTES, Family.DATE, Family.TIMESTAMP, Family.TIMESTAMPTZ},
        by_bytes="C",
        as_text=frozenset({
            Family.JSON, Family.OTHER, Family.INTERVAL, Family.DATE, Family.TIME, Family.TIMESTAMP, Family.TIMESTAMPTZ,
            Family.ENUM, Family.BIT,
        }),
        standard_catalog=True,
        sequences="select coalesce(last_value::hugeint + increment_by, start_value), increment_by, min_value, "
        "max_value, cycle from duckdb_sequences() where database_name = current_database() and schema_name = :schema "
        "and sequence_name = :name",
        embedded=True,
    ),
    "sqlite": Dialect(embedded=True),
}  # fmt: skip


def known(name: str) -> Dialect:
    """What is known of the dialect."""
    return _KNOWN.get(name, Dialect())
