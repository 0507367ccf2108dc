"""Tables whose rows show when a statement says so that nobody tells of: XA transactions are logged when prepared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from connectors.debezium.event import End
from connectors.debezium.pending import Pending
from connectors.debezium.recent import Recent
from connectors.debezium.source import Source, TransactionId
from verifier.change import Blindness, Cause
from verifier.table import TableName


class Apart:
    """Wherever such a statement may stand they are blind."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._tables: set[TableName] = set()

    def add(self, tables: Iterable[TableName | None]) -> None:
        self._tables.update(table for table in tables if table is not None)

    def ended(self, end: End, pending: Mapping[TransactionId, Pending], recent: Recent) -> Iterator[TransactionId]:
        """Transactions that were logged before this END's, and have none. Their tables are kept."""
        for xid in list(pending) if self._source.fence is None else ():
            own = self._source.end(xid)[1]
            if xid != end.xid and not recent.below(own) and self._source.precedes(own, end.commit):
                self.add(one.table for one in pending[xid].stretches())
                yield xid

    def told(self) -> Iterator[Blindness]:
        for table in sorted(self._tables):
            yield Blindness(Cause.GAP, table, "rows of a transaction that ends apart from them (XA)")
