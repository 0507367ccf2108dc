"""The changes of one key, read back from the binlog of a MariaDB or MySQL leader.

A binlog can be read from the beginning of any of its files, so the newest files that the limits allow are read, oldest
first, up to where the binlog ends at that moment. Rows of other tables are not decoded. Nothing is kept on the leader.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from connectors.binlog.settings import status
from connectors.binlog.shape import TableOf
from connectors.binlog.stream import BinlogStream
from connectors.mysql.replica import MysqlReplica
from verifier.change import Batch
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.position import Position
from verifier.table import Key, Table, TableName
from verifier.trace import CUT, Newest, Recalled, Traced

_POLL_SECONDS: Final = 0.2
_CHANGES_MAX: Final = 10_000
_HEADER: Final = 4
"""Where the first event of a file begins."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The newest files that together have at most so many bytes are read, but always the newest one; and not for longer
    than `seconds` in all."""

    bytes: int = 1 << 29
    seconds: float = 30.0


@dataclass(slots=True)
class BinlogHistory:
    """A `verifier.trace.History`. One thread; `name` makes the number by which the leader knows this reader, `progress`
    is told the share of the bytes that were read, `seconds` is a monotonic clock."""

    leader: MysqlReplica
    url: str
    table_of: TableOf
    name: str
    limits: Limits = field(default_factory=Limits)
    progress: Callable[[float], None] = lambda share: None
    seconds: Callable[[], float] = monotonic

    def changes(self, table: TableName, key: Key, since: Position | None = None) -> Recalled:
        """Behind `since`, or as far back as the limits allow. Misconfigured if the binlog tells no rows."""
        until = self.seconds() + self.limits.seconds
        files, end = self._files()
        begin = _begin(files, end, self.limits.bytes, since)
        stream = BinlogStream(
            self.url,
            table_of=self._only(table),
            name=self.name,
            only=lambda change: change.table == table and change.key == key,
        )
        found = Newest()
        notes: list[str] = []
        whole, known = False, True
        try:
            stream.start({"file": begin.place()[1], "offset": begin.offset}, Logged(self._nothing(), begin))
            while not whole and self.seconds() < until:
                batch = stream.poll(changes_max=_CHANGES_MAX, seconds_max=_POLL_SECONDS)
                for one in _changes(batch):
                    found.add(one)
                told = _blindness(batch, table)
                notes += [note for note in told if note not in notes]
                known = known and not told
                at = batch.read_through
                if isinstance(at, Logged):
                    self.progress(_share(files, begin, at.binlog, end))
                    whole = at.binlog.covers(end)
        finally:
            stream.close()
        if not whole:
            notes.append("not everything within the limits could be read in time: the newest changes are missing")
        if found.cut is not None:
            notes.append(CUT)
        return Recalled(found.behind(since), (found.cut or begin) if whole and known else None, "; ".join(notes))

    def close(self) -> None:
        """Nothing is held between calls."""

    def _files(self) -> tuple[list[tuple[str, int]], Binlog]:
        """The files with their sizes in bytes, oldest first, and where the last one ends."""
        where = self.leader.sessions.where
        with self.leader.sessions.borrow("asking which files the binlog has") as session:
            listed = [(str(row[0]), int(row[1])) for row in session.all("show binary logs")]
            return listed, status(session, where)[0]

    def _only(self, table: TableName) -> TableOf:
        def described(name: TableName) -> Table | None:
            return self.table_of(name) if name == table else None

        return described

    def _nothing(self) -> DomainGtids | GtidSet:
        return DomainGtids() if self.leader.dialect == "mariadb" else GtidSet()


def _begin(files: list[tuple[str, int]], end: Binlog, most: int, since: Position | None) -> Binlog:
    """Where reading begins: at a place that is known, or with the oldest file that the limit allows."""
    if isinstance(since, Logged):
        return since.binlog
    first, total = end.file, 0
    for name, size in reversed(files):
        total += size
        if total > most and name != end.file:
            break
        first = name
    return Binlog(first, _HEADER)


def _changes(batch: Batch) -> list[Traced]:
    return [
        Traced(
            one.commit,
            change.operation,
            None if change.after is None else dict(change.after),
            committed_at=one.committed_at,
            transaction=str(one.commit.gtids) if isinstance(one.commit, Logged) else str(one.xid),
            place=str(one.commit.binlog) if isinstance(one.commit, Logged) else "",
        )
        for one in batch.transactions
        for change in one.changes
    ]


def _blindness(batch: Batch, table: TableName) -> list[str]:
    """What was not told of the table, in words."""
    told = [*batch.blind, *(one for transaction in batch.transactions for one in transaction.blind)]
    return [
        f"{one.cause.value}: {one.detail}" if one.detail else one.cause.value
        for one in told
        if one.table in (None, table)
    ]


def _share(files: list[tuple[str, int]], begin: Binlog, at: Binlog, end: Binlog) -> float:
    """Of the bytes between the two places."""
    sizes = dict(files)
    names = [name for name, _ in files]

    def reached(place: Binlog) -> int:
        before = names[: names.index(place.file)] if place.file in names else names
        return sum(sizes[name] for name in before) + place.offset

    whole = reached(end) - reached(begin)
    return 1.0 if whole <= 0 else min(1.0, max(0.0, (reached(at) - reached(begin)) / whole))
