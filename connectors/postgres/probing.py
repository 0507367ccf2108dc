"""Constants hashed in this server's SQL, without a table, to see that it writes the canonical encoding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from connectors.postgres.canonical import hash_of, row_text
from connectors.postgres.session import Sessions
from verifier import probe
from verifier.digest import MODULUS
from verifier.probe import CONSTANTS, Probed, pair
from verifier.table import Column, Family, Value

# Types whose values are probed in the form of each family, the column's own family beside them.
_PROBED: Sequence[tuple[Family, Family, str]] = (
    (Family.INTEGER, Family.INTEGER, "bigint"),
    (Family.DECIMAL, Family.DECIMAL, "numeric"),
    (Family.FLOAT, Family.FLOAT, "double precision"),
    (Family.BOOLEAN, Family.BOOLEAN, "boolean"),
    (Family.BOOLEAN, Family.INTEGER, "integer"),
    (Family.TEXT, Family.TEXT, "text"),
    (Family.CHAR, Family.CHAR, "character(8)"),
    (Family.CHAR, Family.TEXT, "text"),
    (Family.BYTES, Family.BYTES, "bytea"),
    (Family.DATE, Family.DATE, "date"),
    (Family.TIME, Family.TIME, "time without time zone"),
    (Family.TIMESTAMP, Family.TIMESTAMP, "timestamp without time zone"),
    (Family.TIMESTAMPTZ, Family.TIMESTAMPTZ, "timestamp with time zone"),
    (Family.UUID, Family.UUID, "uuid"),
    (Family.UUID, Family.TEXT, "text"),
    (Family.INET, Family.INET, "inet"),
    (Family.INTERVAL, Family.INTERVAL, "interval"),
    (Family.SET, Family.TEXT, "text"),
    (Family.ENUM, Family.TEXT, "text"),
    (Family.BIT, Family.BIT, "bit varying"),
)


def distrusted(sessions: Sessions) -> frozenset[Family]:
    """The forms that this server's SQL does not write as `verifier.encoding` does (`verifier.probe`)."""
    columns = [Column("v", family, declared, form=form) for form, family, declared in _PROBED]
    return probe.distrusted(columns, partial(_hashed, sessions))


def _hashed(sessions: Sessions, columns: Sequence[Column]) -> list[Probed]:
    wanted: list[tuple[Column, Value]] = [(c, text) for c in columns for text in (*CONSTANTS[c.meets_as], None)]
    with sessions.borrow("probing the canonical encoding") as session:
        (version,) = session.one("select current_setting('server_version_num')::int")
        hashes = [
            f"(select {hash_of(row_text(pair(column), _bare), version)} "
            f"from (select %s::{column.declared} as v) a, (select %s::{column.declared} as w) b)"
            for column, _ in wanted
        ]
        found = session.one(f"select {', '.join(hashes)}", [value for _, value in wanted for _ in "vw"])
    return [
        Probed(column, value, None if hashed is None else hashed % MODULUS)
        for (column, value), hashed in zip(wanted, found, strict=True)
    ]


def _bare(name: str) -> str:
    return name
