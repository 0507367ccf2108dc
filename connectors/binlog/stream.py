"""The change stream of a MariaDB or MySQL leader, read from its binlog as a replica does, without Kafka.

Where the stream stands is a place in the binlog between two transactions, together with the ids of all transactions at
or before it. It begins again at the place. The file's own header says whether it is still the same file: if it is
purged, shorter or another one, all that came since is lost, and the stream begins at the present with a gap.

The barrier (`Batch.read_through`) is that same position: the leader sends transactions in the order of its binlog, so
what has been read is complete. Commits with `sql_log_bin = 0` are not in the binlog and nobody tells of them.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping
from typing import Final

import pymysql

from connectors.binlog.assemble import Assembler, Ended, OriginOf
from connectors.binlog.dump import Damaged
from connectors.binlog.events import Idle, Rotated
from connectors.binlog.reader import Reader
from connectors.binlog.settings import present, require, settings, told_of
from connectors.binlog.shape import TableOf
from connectors.mysql.errors import numbered, translated
from connectors.mysql.session import Sessions
from verifier.change import Batch, Blindness, Cause, Change, Transaction
from verifier.errors import Misconfigured, Temporary, TrueupError
from verifier.gtid import Binlog, DomainGtids, GtidSet, Logged
from verifier.half import VALUES_BYTES
from verifier.policy import Limits
from verifier.position import Position

_BARRIER_SECONDS: Final = 0.05
_WAIT_SECONDS: Final = 0.1
_GONE: Final = 1236
"""The server's number for: what was asked for is not in the binlog (any more)."""


class BinlogStream:
    """A `ChangeStream` over one leader; for one thread. Nothing is connected before `start`.

    `table_of` describes the tables whose changes matter, `server_id` is the number by which the leader knows this
    reader: no replica and no other reader of it may have the same one (None: made of `name`). Offsets are `file` and
    `offset`, and what the file's header says: `server` and `made`.
    """

    def __init__(
        self,
        url: str,
        *,
        table_of: TableOf,
        server_id: int | None = None,
        name: str = "leader",
        transaction_changes_max: int = 100_000,
        origin_of: OriginOf | None = None,
        only: Callable[[Change], bool] | None = None,
    ) -> None:
        """`origin_of`: the server is a replica, and what came from its leader is not told. `only`: no other changes
        are."""
        self._name = name
        self._origin_of = origin_of
        self._only = only
        self._table_of = table_of
        self._server_id = server_id or 0x7D000000 + (zlib.crc32(name.encode()) & 0xFFFFFF)
        self._changes_max = transaction_changes_max
        self._sessions = Sessions(url, Limits(connections=1))
        self._mariadb = self._sessions.dialect.name == "mariadb"
        self._assembler: Assembler | None = None
        self._reader: Reader | None = None
        self._place: Binlog | None = None  # between transactions; everything at or below was delivered, or is _ready
        self._gtids: DomainGtids | GtidSet = DomainGtids() if self._mariadb else GtidSet()
        self._header: tuple[int, int] | None = None
        self._damaged: Binlog | None = None  # where an event was damaged that comes behind this place
        self._ready: list[Transaction] = []
        self._ended: list[DomainGtids | GtidSet] = []
        self._blind: list[Blindness] = []
        self._events_told = 0
        self._committed_at: float | None = None
        self._heard = 0.0

    @property
    def silent_seconds(self) -> float | None:
        """For how long the leader has said nothing on this connection; None while there is no connection."""
        return time.monotonic() - self._heard if self._reader else None

    def start(self, offsets: Mapping[str, int], read_through: Position | None) -> Position | None:
        """Begin behind the offsets, whose file `read_through` names, or at the present. Misconfigured if the leader's
        settings do not allow it; the message names them."""
        self._drop()
        self._ready.clear()
        self._ended.clear()
        self._blind.clear()
        self._assembler, self._place, self._header = None, None, None
        if offsets and isinstance(read_through, Logged) and isinstance(read_through.gtids, type(self._gtids)):
            self._gtids, self._place = read_through.gtids, _place(offsets, read_through.binlog)
            self._header = (offsets["server"], offsets["made"]) if "made" in offsets else None
        elif offsets:
            self._lose("the journal does not say where the stream stood")
        self._attach()
        return self._through()

    def poll(self, *, changes_max: int, seconds_max: float) -> Batch:
        if self._place is None:
            raise Misconfigured("the stream was not started")
        began = time.monotonic()
        try:
            if self._reader is None:
                self._attach()
            self._read(began, began + seconds_max, changes_max)
        except TrueupError:
            # What was complete before the error is good and goes first; the error comes again if it lasts.
            self._drop()
            if not self._ready:
                raise
        return self._batch()

    def acknowledge(self, offsets: Mapping[str, int]) -> None:
        """The leader keeps its binlog by its own rules; nobody is told."""

    def close(self) -> None:
        self._drop()
        self._sessions.close()

    def _attach(self) -> None:
        """Connect behind `_place`, or at the present if there is none, or nothing leads on from there."""
        if self._assembler is None:
            with self._sessions.borrow("asking the settings of the binlog") as session:
                found = settings(session, mariadb=self._mariadb)
            require(found, self._sessions.where, replica=self._origin_of is not None)
            told_of(found, self._sessions.where)
            self._assembler = Assembler(
                self._table_of,
                mariadb=self._mariadb,
                fold=found.fold,
                changes_max=self._changes_max,
                origin_of=self._origin_of,
                only=self._only,
            )
        if self._place is not None:
            why = self._connect(self._place)
            if not why:
                return
            self._lose(why)
        with self._sessions.borrow("asking where the binlog ends") as session:
            self._place, self._gtids = present(session, self._sessions.where, mariadb=self._mariadb)
        self._header = None
        why = self._connect(self._place)
        if why:
            raise Temporary(f"the binlog of {self._name} cannot be read at its end: {why}")

    def _connect(self, begin: Binlog) -> str:
        """Read the header of the file at `begin`; why nothing leads on from there."""
        assert self._assembler is not None
        if begin.offset >= 1 << 32:
            return f"the place {begin} lies behind the first 4 GB of its file, where nobody can be sent from"
        reader = Reader(self._sessions.connecting(), server_id=self._server_id, begin=begin)
        try:
            with translated("reading the binlog", self._sessions.where):
                while reader.made is None:
                    if not isinstance(reader.next(), Rotated | Idle):
                        raise Damaged("a file does not begin with its header")
        except Damaged as error:
            reader.close()
            return self._twice(error)
        except BaseException as error:
            reader.close()
            gone = _gone(error)
            if gone:
                return gone
            raise
        if self._header is not None and self._header != reader.made:
            reader.close()
            return f"{begin.file} is not the file that was read before: another server, or its binlog was reset"
        self._header = reader.made
        self._assembler.reset()
        self._reader, self._heard = reader, time.monotonic()
        return ""

    def _twice(self, error: Damaged) -> str:
        """Why nothing leads on from `_place`. Raises Temporary the first time: what was damaged on its way may come
        whole; what lies damaged on the leader's disk does not."""
        why = f"the binlog of {self._name} behind {self._place}: {error}"
        if self._damaged != self._place:
            self._damaged = self._place
            raise Temporary(f"{why}; it is read again") from error
        return why

    def _drop(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _lose(self, why: str) -> None:
        self._blind.append(Blindness(Cause.GAP, None, why))
        self._ready.clear()
        self._ended.clear()
        self._place = None
        if self._assembler is not None:
            self._assembler.forget()

    def _read(self, began: float, deadline: float, changes_max: int) -> None:
        """Read until something is worth a batch: transactions, a blindness, a moved barrier, or the deadline."""
        reader, assembler = self._reader, self._assembler
        assert reader is not None
        assert assembler is not None
        start, enough = self._place, self._events_told + changes_max
        full = assembler.bytes + VALUES_BYTES
        while True:
            now = time.monotonic()
            if not reader.waiting(0.0):
                moved = self._place != start and now - began >= _BARRIER_SECONDS
                if self._ready or self._blind or moved or now >= deadline:
                    return
                reader.waiting(min(deadline - now, _WAIT_SECONDS))
                continue
            if self._take(reader, assembler) or now >= deadline:
                return
            if self._ready and (assembler.events >= enough or assembler.bytes >= full):
                return

    def _take(self, reader: Reader, assembler: Assembler) -> bool:
        """One event; whether a batch must end behind it."""
        try:
            event = reader.next()
        except (pymysql.MySQLError, OSError, Damaged) as error:
            why = self._twice(error) if isinstance(error, Damaged) else _gone(error)
            if not why:
                with translated("reading the binlog", self._sessions.where):
                    raise
            self._drop()
            self._lose(why)
            self._attach()
            return True
        self._heard = time.monotonic()
        self._header = reader.made or self._header
        ended = assembler.feed(event, reader.place)
        if ended is not None:
            self._end(ended)
        if not assembler.open:
            self._place = reader.place
        if assembler.lost:
            self._blind.extend(assembler.lost)
            assembler.lost.clear()
            return True
        # Behind another definition of a table the catalog is asked anew, once this batch was taken.
        return ended is not None and _redefined(ended) and not isinstance(event, Idle)

    def _end(self, ended: Ended) -> None:
        if ended.gtid is not None:
            self._ended.append(ended.gtid)
        if ended.transaction is not None:
            self._ready.append(ended.transaction)
            self._committed_at = ended.transaction.committed_at

    def _through(self) -> Logged:
        assert self._place is not None
        ids, self._ended = self._ended, []
        if isinstance(self._gtids, DomainGtids):
            last = [one for gtid in ids if isinstance(gtid, DomainGtids) for one in gtid.last]
            self._gtids = DomainGtids.of((*self._gtids.last, *last)) if last else self._gtids
        elif ids:
            found = {origin: list(intervals) for origin, intervals in self._gtids.intervals}
            for gtid in ids:
                for origin, intervals in gtid.intervals if isinstance(gtid, GtidSet) else ():
                    found.setdefault(origin, []).extend(intervals)
            self._gtids = GtidSet.of(found)
        return Logged(self._gtids, self._place)

    def _batch(self) -> Batch:
        assert self._assembler is not None
        through = self._through()
        server, made = self._header or (0, 0)
        events = self._assembler.events - self._events_told
        batch = Batch(
            tuple(self._ready),
            through,
            {"file": through.binlog.place()[1], "offset": through.binlog.offset, "server": server, "made": made},
            tuple(self._blind),
            events=events,
            connector_at=self._committed_at,
        )
        self._events_told += events
        self._committed_at = None
        self._ready.clear()
        self._blind.clear()
        return batch


def _place(offsets: Mapping[str, int], known: Binlog) -> Binlog:
    """The place of the offsets, in the series of files that `known` belongs to, unless that one is later."""
    if "file" not in offsets or "offset" not in offsets:
        return known
    series, _, number = known.file.rpartition(".")
    place = Binlog(f"{series}.{offsets['file']:0{len(number)}}", offsets["offset"])
    return place if place.covers(known) else known


def _gone(error: BaseException) -> str:
    """What the leader says when it does not have what was asked for; empty for any other error."""
    cause = error if isinstance(error, pymysql.MySQLError) else error.__cause__
    if not isinstance(cause, pymysql.MySQLError):
        return ""
    number, said = numbered(cause)
    if "same server" in said:
        raise Temporary(
            f"somebody else reads this binlog under the same number ({said}); give each its own stream.binlog.server_id"
        ) from error
    return "" if number != _GONE else f"the leader's binlog has no more what comes next: {said}"


def _redefined(ended: Ended) -> bool:
    return ended.transaction is not None and any(one.cause is Cause.DDL for one in ended.transaction.blind)
