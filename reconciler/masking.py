"""Masked columns: what leaves trueup shows that values differ, not what they are.

A masked value becomes `masked:` and twelve digits of a keyed hash, so that equal values look equal and nothing else is
told. Without a salt, values of which there are few (a postcode, a birthday) could be guessed from the hash: the
front door passes one that it keeps secret. A mask is its own mask, so what was masked when it was found may be masked
again when it is told.

A column of a key is not masked: its rows are found, looked at again and repaired by it, and so it stands wherever a row
is named. A table of which that is asked for is not compared at all.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from verifier.drift import Difference, Drift
from verifier.errors import Misconfigured
from verifier.excerpt import Hide
from verifier.table import KeyValue, Table, TableName, Value

if TYPE_CHECKING:
    from reconciler.repair import Repair

_DIGITS = 12
_MASK = re.compile(rf"masked:[0-9a-f]{{{_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Masking:
    """The masked columns of each table, and the secret salt of the hash."""

    columns: Mapping[TableName, frozenset[str]]
    salt: bytes = b""

    def of(self, table: TableName) -> frozenset[str]:
        return self.columns.get(table, frozenset())

    def value(self, value: Value) -> Value:
        """The mask of one value; NULL stays NULL, and a mask itself."""
        if value is None or is_mask(value):
            return value
        digest = hashlib.blake2b(value.encode(errors="surrogatepass"), key=self.salt[:64], digest_size=16).hexdigest()
        return f"masked:{digest[:_DIGITS]}"

    def row(self, table: TableName, row: Mapping[str, Value]) -> dict[str, Value]:
        """The row with its masked columns masked."""
        hidden = self.of(table)
        return {name: self.value(value) if name in hidden else value for name, value in row.items()}

    def key(self, table: TableName, key: Mapping[str, KeyValue]) -> dict[str, KeyValue]:
        """The key with its masked columns masked, by column name."""
        hidden = self.of(table)
        return {name: str(self.value(str(value))) if name in hidden else value for name, value in key.items()}

    def hide(self, table: TableName) -> Hide | None:
        """What findings of the table keep of its values; None: all."""
        hidden = self.of(table)
        return (lambda name, value: self.value(value) if name in hidden else value) if hidden else None

    def anywhere(self) -> Hide | None:
        """For answers to SQL of which nobody knows what tables it reads: by the column's name alone, in any case."""
        hidden = {name.lower() for names in self.columns.values() for name in names}
        return (lambda name, value: self.value(value) if name.lower() in hidden else value) if hidden else None

    def drift(self, drift: Drift) -> Drift:
        """The finding as it may be told: one that was made before the column was masked holds its value."""
        hide = self.hide(drift.table)
        if hide is None:
            return drift
        columns = {name: Difference(hide(name, d.leader), hide(name, d.follower)) for name, d in drift.columns.items()}
        return replace(drift, columns=columns)

    def repair(self, repair: Repair) -> Repair:
        """The repair for people to look at; it cannot be written."""
        if not self.of(repair.table):
            return repair
        rows = (repair.wanted, repair.expected)
        wanted, expected = (None if row is None else self.row(repair.table, row) for row in rows)
        return replace(repair, wanted=wanted, expected=expected)

    def check(self, table: Table) -> None:
        """Misconfigured if a masked column is none of the leader's table, or one of its key."""
        known = {column.name for column in table.columns}
        for name in sorted(self.of(table.name)):
            if name not in known:
                raise Misconfigured(
                    f"{table.name} has no column {name!r}, which --mask or tables.mask_columns names, and is not "
                    "compared before that is right; check its spelling and case"
                )
            if name in table.key:
                raise Misconfigured(
                    f"column {name!r} of {table.name} is to be masked and is part of its key, by which rows are named "
                    "everywhere, so the table is not compared; exclude it, or do not mask the column"
                )


def is_mask(value: Value) -> bool:
    """Whether it looks like one."""
    return value is not None and _MASK.fullmatch(value) is not None


NOTHING_MASKED = Masking({})
