"""Masked columns: an event shows that values differ, not what they are.

A masked value becomes `masked:` and twelve digits of a keyed hash, so that equal values look equal and nothing else is
told. Without a salt, values of which there are few (a postcode, a birthday) could be guessed from the hash: the
front door passes one that it keeps secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from verifier.table import KeyValue, TableName, Value

_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Masking:
    """The masked columns of each table, and the secret salt of the hash."""

    columns: Mapping[TableName, frozenset[str]]
    salt: bytes = b""

    def of(self, table: TableName) -> frozenset[str]:
        return self.columns.get(table, frozenset())

    def value(self, value: Value) -> Value:
        """The mask of one value; NULL stays NULL."""
        if value is None:
            return None
        digest = hashlib.blake2b(value.encode(), key=self.salt[:64], digest_size=16).hexdigest()
        return f"masked:{digest[:_DIGITS]}"

    def row(self, table: TableName, row: Mapping[str, Value]) -> dict[str, Value]:
        """The row with its masked columns masked."""
        hidden = self.of(table)
        return {name: self.value(value) if name in hidden else value for name, value in row.items()}

    def key(self, table: TableName, key: Mapping[str, KeyValue]) -> dict[str, KeyValue]:
        """The key with its masked columns masked, by column name."""
        hidden = self.of(table)
        return {name: str(self.value(str(value))) if name in hidden else value for name, value in key.items()}


NOTHING_MASKED = Masking({})
