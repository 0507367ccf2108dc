"""The world in memory with global transaction ids, as MySQL has them.

The same servers and steps, told otherwise: a transaction's id is its number in the leader's log. A leader's view is
what had become visible before its look, everything that is logged behind it may be visible; a follower tells what it
shows and has published, and may show all that it is applying. Nobody tells visibility by transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from connectors.memory.address import Server
from connectors.memory.follower import Follower
from connectors.memory.leader import Leader
from connectors.memory.replica import MemoryReplica
from connectors.memory.rows import Shelf
from connectors.memory.stream import MemoryStream
from verifier.change import Batch
from verifier.errors import Permanent
from verifier.gtid import Binlog, GtidSet, Logged
from verifier.look import Look, Publishes
from verifier.position import Position, Tick
from verifier.table import Table
from verifier.view import Shown

T = TypeVar("T")

_ORIGIN = "00000000-0000-0000-0000-000000000001"
_FILE = "memory.000001"


class IdentifiedReplica(MemoryReplica):
    """Leader or follower whose positions are sets of ids. It must not change its role."""

    @property
    def publishes(self) -> Publishes:
        return Publishes.TOGETHER

    def position(self) -> Position:
        with self._lock:
            server = self._reach()
            return _all(server) if isinstance(server, Leader) else _told(server)

    def mark(self, shown: Position | None = None) -> Position:
        with self._lock:
            server = self._reach()
            return _all(server) if isinstance(server, Leader) else _applied(server)

    def _look(self, table: Table, read: Callable[[Shelf], T]) -> Look[T]:
        with self._lock:
            server = self._reach()
            low = _told(server)
            self._happen()
            value = read(self._shelf(self._connection.still(server), table.name))
            self._happen()
            server = self._connection.still(server)
            high = _all(server) if isinstance(server, Leader) else _applied(server)
            return Look(value, low, high, Shown(low))


class IdentifiedStream(MemoryStream):
    """Each transaction with its own id and place."""

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        place = Tick(read_through.binlog.offset) if isinstance(read_through, Logged) else None
        begin = super().start(offsets, place)
        return placed(self._leader(), begin) if isinstance(begin, Tick) else None

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        with self._lock:
            batch = super().poll(changes_max=changes_max, seconds_max=seconds_max)
            ends = {record.end: number for number, record in enumerate(self._leader().log, 1)}
            told = tuple(
                one._replace(commit=Logged(_ids([ends[one.commit.value]]), Binlog(_FILE, one.commit.value)))
                for one in batch.transactions
                if isinstance(one.commit, Tick)
            )
            through = placed(self._leader(), batch.read_through) if isinstance(batch.read_through, Tick) else None
            return replace(batch, transactions=told, read_through=through)

    def _leader(self) -> Leader:
        leader = self._address.server
        if not isinstance(leader, Leader):
            raise Permanent("the change stream: a leader with ids does not become a follower in this world")
        return leader


def placed(leader: Leader, tick: Tick) -> Logged:
    """A place in the log, with the ids of all transactions at or before it."""
    numbers = [number for number, record in enumerate(leader.log, 1) if record.end <= tick.value]
    return Logged(_ids(numbers), Binlog(_FILE, tick.value))


def _ids(numbers: Iterable[int]) -> GtidSet:
    return GtidSet.of({_ORIGIN: [(number, number) for number in numbers]})


def _all(leader: Leader) -> GtidSet:
    """What is executed, and what is being committed."""
    return _ids(range(1, len(leader.log) + 1))


def _told(server: Server) -> GtidSet:
    """What is executed, as a variable tells it: everything of it is shown."""
    if isinstance(server, Leader):
        return _ids(number for number, one in enumerate(server.log, 1) if one.xid not in server.open)
    log = server.leader.log[: server.shown]
    return _ids(number for number, one in enumerate(log, 1) if one.end <= server.published)


def _applied(follower: Follower) -> GtidSet:
    return _ids(range(1, follower.shown + 1))
