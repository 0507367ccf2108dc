"""The types of a table's columns, worked out once per table and message schema, not once per row."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from connectors.debezium.types import Type
from verifier.table import Column, Scheme, Table

_SCHEMAS_MAX = 64


class Shape:
    """Column types of one table as its catalog and the schemas of its messages describe them."""

    def __init__(self, table: Table, of_column: Callable[[Column, Mapping[str, object] | None], Type]) -> None:
        self.table = table
        self._of_column = of_column
        self._widened = table.scheme is not Scheme.NATIVE
        self._plain = {column.name: self._type(column, None) for column in table.columns}
        self._by_schema: dict[str, Mapping[str, Type]] = {}
        self._by_identity: dict[int, tuple[object, Mapping[str, Type]]] = {}

    def types(self, fields: object) -> Mapping[str, Type]:
        """Types by column name. `fields` is the Connect schema's field list, None without schemas."""
        if not isinstance(fields, list):
            return self._plain
        same = self._by_identity.get(id(fields))
        if same is not None and same[0] is fields:
            return same[1]
        fingerprint = json.dumps(fields)
        known = self._by_schema.get(fingerprint)
        if known is None:
            if len(self._by_schema) >= _SCHEMAS_MAX:
                self._by_schema.clear()
            by_name = {str(field.get("field")): field for field in fields if isinstance(field, dict)}
            known = {column.name: self._type(column, by_name.get(column.name)) for column in self.table.columns}
            self._by_schema[fingerprint] = known
        if len(self._by_identity) >= _SCHEMAS_MAX:
            self._by_identity.clear()
        self._by_identity[id(fields)] = fields, known  # which keeps the list, and so its identity
        return known

    def _type(self, column: Column, schema: Mapping[str, object] | None) -> Type:
        found = self._of_column(column, schema)
        return replace(found, widened=True) if self._widened else found
