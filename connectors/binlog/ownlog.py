"""What a replica wrote itself, read from its own binlog when somebody asks why a row differs.

Nothing is read before that, and then no further back than two minutes: where the binlog ended is noted about once a
second. Each transaction has the id that the leader gave it, unless it was made on the replica.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from connectors.binlog.origins import own
from connectors.binlog.settings import require, settings, status
from connectors.binlog.shape import TableOf
from connectors.binlog.stream import BinlogStream
from connectors.mysql.replica import MysqlReplica
from verifier.change import Batch, Transaction
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.remembered import Remembered
from verifier.table import Key, TableName
from verifier.trace import Recalled

_BACK_SECONDS: Final = 120.0
_POLL_SECONDS: Final = 0.2
_CHANGES_MAX: Final = 5_000


@dataclass(slots=True)
class OwnBinlog:
    """For one thread. Every call may raise Temporary while the replica is away, Misconfigured or Forbidden if its
    binlog does not hold what it applied, or may not be read."""

    replica: MysqlReplica
    url: str
    table_of: TableOf
    name: str
    _here: str | None = None
    _places: deque[tuple[float, Binlog]] = field(default_factory=deque)
    _stream: BinlogStream | None = None
    _remembered: Remembered = field(default_factory=Remembered)

    def place(self) -> Binlog:
        """Where the binlog ends, noted as a place from which it can be read."""
        if self._here is None:
            with self.replica.sessions.borrow("asking the settings of the binlog") as session:
                mariadb = self.replica.dialect == "mariadb"
                require(settings(session, mariadb=mariadb), self.replica.sessions.where, replica=True)
            self._here = own(self.replica)
        end, now = self._end(), time.monotonic()
        self._places.append((now, end))
        while now - self._places[0][0] > _BACK_SECONDS:
            self._places.popleft()
        return end

    def reached(self) -> bool:
        """Whether it is read up to its present end; reads a little."""
        end = self._end()
        stream = self._stream
        if stream is None or not self._recent():
            self.close()
            stream = self._stream = self._begun()
        until = time.monotonic() + _POLL_SECONDS
        while not self._through(end) and time.monotonic() < until:
            batch = stream.poll(changes_max=_CHANGES_MAX, seconds_max=_POLL_SECONDS)
            told = tuple(self._told(one) for one in batch.transactions)
            at = batch.read_through
            through = at.binlog if isinstance(at, Logged) else None
            self._remembered.add(Batch(told, through, blind=batch.blind), time.time())
        return self._through(end)

    def changes(self, table: TableName, key: Key) -> Recalled:
        return self._remembered.changes(table, key)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _through(self, end: Binlog) -> bool:
        return self._remembered.through is not None and self._remembered.through.covers(end)

    def _recent(self) -> bool:
        """Whether reading on costs no more than reading again what is noted."""
        return not self._places or self._through(self._places[0][1])

    def _begun(self) -> BinlogStream:
        begin = self._places[0][1] if self._places else self._end()
        stream = BinlogStream(self.url, table_of=self.table_of, name=self.name)
        nothing = DomainGtids() if self.replica.dialect == "mariadb" else GtidSet()
        offsets = {"file": begin.place()[1], "offset": begin.offset}
        stream.start(offsets, Logged(nothing, begin))
        self._remembered = Remembered()
        self._remembered.add(Batch((), begin), time.time())
        return stream

    def _told(self, transaction: Transaction) -> Transaction:
        """In this binlog's places, with the leader's id as its origin."""
        commit = transaction.commit
        if not isinstance(commit, Logged):
            return transaction
        ids = commit.gtids
        if isinstance(ids, DomainGtids):
            here = any(str(server) == self._here for _, server, _ in ids.last)
        else:
            here = any(uuid.partition(":")[0] == self._here for uuid, _ in ids.intervals)
        return transaction._replace(commit=commit.binlog, origin=None if here else ids.text())

    def _end(self) -> Binlog:
        with self.replica.sessions.borrow("asking where the binlog ends") as session:
            return status(session, self.replica.sessions.where)[0]
