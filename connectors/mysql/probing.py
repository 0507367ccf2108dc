"""Constants hashed in this server's SQL, without a table, to see that it writes the canonical encoding.

A derived table gives every constant the type of a column; types that no cast makes (BIT, SET, FLOAT, YEAR, geometries)
share their SQL with those that are probed, or stand for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from connectors.mysql.canonical import row_hash
from connectors.mysql.session import Sessions
from verifier import probe
from verifier.probe import CONSTANTS, Probed, pair
from verifier.table import Column, Family, Table, TableName, Value

# The form, the column's own family and declaration, and the SQL that makes such a value of a parameter.
_PROBED: Sequence[tuple[Family, Family, str, str]] = (
    (Family.INTEGER, Family.INTEGER, "bigint", "cast(%s as signed)"),
    (Family.DECIMAL, Family.DECIMAL, "decimal(20,4)", "cast(%s as decimal(20,4))"),
    (Family.FLOAT, Family.FLOAT, "double", "%s + 0e0"),
    (Family.BOOLEAN, Family.BOOLEAN, "tinyint(1)", "cast(%s as signed)"),
    (Family.TEXT, Family.TEXT, "varchar(40)", "cast(%s as char)"),
    (Family.CHAR, Family.TEXT, "varchar(40)", "cast(%s as char)"),
    (Family.ENUM, Family.TEXT, "varchar(40)", "cast(%s as char)"),
    (Family.BYTES, Family.BYTES, "varbinary(40)", "unhex(substr(%s, 3))"),
    (Family.DATE, Family.DATE, "date", "cast(%s as date)"),
    (Family.TIME, Family.TIME, "time(6)", "cast(%s as time(6))"),
    (Family.TIMESTAMP, Family.TIMESTAMP, "datetime(6)", "cast(%s as datetime(6))"),
    (Family.TIMESTAMPTZ, Family.TIMESTAMP, "datetime(6)", "cast(%s as datetime(6))"),
    (Family.UUID, Family.TEXT, "char(36)", "cast(%s as char)"),
)
_ADDRESSES = (Family.INET, Family.INET, "inet6", "cast(%s as inet6)")


def distrusted(sessions: Sessions) -> frozenset[Family]:
    """The forms that this server's SQL does not write as `verifier.encoding` does (`verifier.probe`)."""
    probed = [*_PROBED, *([_ADDRESSES] if sessions.dialect.name == "mariadb" else [])]
    made = {Column("v", family, declared, form=form): sql for form, family, declared, sql in probed}
    return probe.distrusted(list(made), partial(_hashed, sessions, made))


def _hashed(sessions: Sessions, made: Mapping[Column, str], columns: Sequence[Column]) -> list[Probed]:
    selects: list[str] = []
    wanted: list[tuple[Column, Value]] = []
    for column in columns:
        row = Table(TableName("", ""), pair(column), ())
        hashed = row_hash(row, sessions.quote, of="r")
        for value in (*CONSTANTS[column.meets_as], None):
            selects.append(f"(select {hashed} from (select {made[column]} as v, {made[column]} as w) as r)")
            wanted.append((column, value))
    with sessions.borrow("probing the canonical encoding") as session:
        found = session.one(f"select {', '.join(selects)}", [value for _, value in wanted for _ in "vw"])
    return [
        Probed(column, value, None if hashed is None else int(hashed, 16))
        for (column, value), hashed in zip(wanted, found, strict=True)
    ]
