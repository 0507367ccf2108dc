"""Beginnings and ends of transactions in the connector's usual spelling; whatever is not is no reason to guess.

A busy topic has two of these for each transaction, so ends are read many at a time, and the tables that one names are
made once for all ends that name the same: most transactions are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from connectors.debezium.event import Begin, End
from connectors.debezium.source import Source

NOT_PLAIN = (msgspec.MsgspecError, UnicodeError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError)
_KEPT = 1_000


class _Collection(msgspec.Struct, gc=False):
    data_collection: str
    event_count: int


class _Boundary(msgspec.Struct, gc=False):
    status: Literal["BEGIN", "END"]
    id: str
    event_count: int | None = None
    data_collections: list[_Collection] | None = None
    ts_ms: int | None = None


class _End(msgspec.Struct, gc=False):
    status: Literal["END"]
    id: str
    event_count: int
    data_collections: msgspec.Raw
    ts_ms: int


class Boundaries:
    """Those of one connector."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._any = msgspec.json.Decoder(_Boundary).decode
        self._end = msgspec.json.Decoder(_End).decode
        self._collections = msgspec.json.Decoder(list[_Collection] | None).decode
        self._tables: dict[bytes, tuple[tuple[str, int], ...]] = {}

    def one(self, message: bytes) -> Begin | End | None:
        """The beginning or the end that the message tells of; None if it is not plain."""
        try:
            told = self._any(message)
            if told.status == "BEGIN":
                return Begin(self._source.transaction(told.id))
            if told.event_count is None or told.ts_ms is None:
                return None
            xid, commit = self._source.end(told.id)
        except NOT_PLAIN:
            return None
        return End(xid, commit, told.event_count, _by_table(told.data_collections), told.ts_ms / 1000)

    def ends(self, messages: Sequence[bytes]) -> list[End] | None:
        """The same of many; None if one of them is not a plain end."""
        end = self._source.end
        try:
            return [
                End(*end(told.id), told.event_count, self._named(bytes(told.data_collections)), told.ts_ms / 1000)
                for told in map(self._end, messages)
            ]
        except NOT_PLAIN:
            return None

    def _named(self, collections: bytes) -> tuple[tuple[str, int], ...]:
        known = self._tables.get(collections)
        if known is None:
            if len(self._tables) >= _KEPT:
                self._tables.clear()
            known = self._tables[collections] = _by_table(self._collections(collections))
        return known


def _by_table(collections: Sequence[_Collection] | None) -> tuple[tuple[str, int], ...]:
    return tuple([(one.data_collection, one.event_count) for one in collections or ()])
