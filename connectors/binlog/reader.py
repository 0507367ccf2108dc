"""The replication protocol: a connection that asks for the binlog from a place on, and the events that come.

The protocol and its packets are python-mysql-replication's. Where a connection is lost it would go on by itself in the
middle of a transaction; here it does not: its second connection is refused, and whoever reads begins anew at the last
place between two transactions.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pymysql
from pymysqlreplication import event, row_event
from pymysqlreplication.constants import NONE_SOURCE

from connectors.binlog.dump import Dump, DumpConnection
from connectors.binlog.events import (
    Began,
    ColumnFacts,
    Committed,
    Event,
    Idle,
    Lost,
    Prepared,
    Rotated,
    Row,
    Rows,
    Statement,
    Undecodable,
    Unreadable,
)
from verifier.errors import Temporary
from verifier.gtid import Binlog, DomainGtids, GtidSet
from verifier.table import TableName

HEARTBEAT_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 30.0

# Numbers of events that the library does not know, by what they hold.
_IGNORED: Final = {28: "ignorable", 0xA1: "checkpoint", 0xA4: "encryption"}
_HOLDS_CHANGES: Final = {
    26: "the leader lost events (incident)",
    40: "compressed transactions (set binlog_transaction_compression=OFF)",
    42: "a tagged GTID",
    165: "a compressed statement (set log_bin_compress=OFF)",
    166: "compressed rows (set log_bin_compress=OFF)",
    167: "compressed rows (set log_bin_compress=OFF)",
    168: "compressed rows (set log_bin_compress=OFF)",
    169: "compressed rows (set log_bin_compress=OFF)",
    170: "compressed rows (set log_bin_compress=OFF)",
    171: "compressed rows (set log_bin_compress=OFF)",
}
_ANONYMOUS: Final = 34
_MARIADB_STANDALONE: Final = 1

_EVENTS: Final = [
    event.QueryEvent, event.RotateEvent, event.StopEvent, event.FormatDescriptionEvent, event.XAPrepareEvent,
    event.XidEvent, event.GtidEvent, event.BeginLoadQueryEvent, event.ExecuteLoadQueryEvent, event.HeartbeatLogEvent,
    event.NotImplementedEvent, event.MariadbGtidEvent, event.RowsQueryLogEvent, event.MariadbAnnotateRowsEvent,
    event.RandEvent, event.MariadbStartEncryptionEvent, event.MariadbGtidListEvent, event.MariadbBinLogCheckPointEvent,
    event.UserVarEvent, event.PreviousGtidsEvent, event.IntvarEvent, row_event.UpdateRowsEvent,
    row_event.WriteRowsEvent, row_event.DeleteRowsEvent, row_event.TableMapEvent, row_event.PartialUpdateRowsEvent,
]  # fmt: skip

logging.getLogger("pymysqlreplication").setLevel(logging.ERROR)  # it warns of connections that it makes again


class Reader:
    """One connection, for one thread. `connect` takes keyword arguments of `pymysql.connect`."""

    def __init__(self, connect: Mapping[str, Any], *, server_id: int, begin: Binlog) -> None:
        self._made = 0
        self._dump: DumpConnection | None = None
        settings = {
            **connect,
            "read_timeout": _SILENCE_SECONDS,
            "write_timeout": _SILENCE_SECONDS,
            "charset": "utf8mb4",
        }
        self._stream: Any = Dump(
            settings,
            server_id,
            blocking=True,
            resume_stream=True,
            log_file=begin.file,
            log_pos=begin.offset,
            only_events=_EVENTS,
            filter_non_implemented_events=False,
            slave_heartbeat=HEARTBEAT_SECONDS,
            slave_uuid=str(uuid.uuid5(uuid.NAMESPACE_OID, f"trueup {server_id}")),
            pymysql_wrapper=self._connect,
            enable_logging=False,
        )
        self.place = begin
        """Behind the last event."""
        self.made: tuple[int, int] | None = None
        """The server's number and the second in which it began the file, as the file says."""

    def waiting(self, seconds: float) -> bool:
        """Whether something has come, or comes within `seconds`."""
        return self._dump is None or self._dump.waiting(seconds)

    def next(self) -> Event:
        """The next event; blocks until there is one, `HEARTBEAT_SECONDS` at the longest unless the leader is silent.
        Raises pymysql's errors, Temporary when the connection was lost, and Damaged."""
        try:
            got = self._stream.fetchone()
        except (pymysql.MySQLError, OSError, Temporary):
            raise
        except Undecodable as why:
            return Unreadable(str(why))
        except Exception as error:
            # The packet was taken off the wire, and the next one can be read; the class alone is told, no values.
            return Unreadable(f"an event that the library cannot decode ({type(error).__name__})")
        if got is None:
            raise Temporary("the leader ended the stream")
        self._note(got)
        try:
            return _event(got)
        except Exception as error:
            return Unreadable(f"an event that cannot be read ({type(error).__name__})")

    def close(self) -> None:
        self._stream.close()
        if self._dump is not None and self._dump.open:  # the library forgets one that it was still preparing
            self._dump.close()

    def _connect(self, **settings: Any) -> Any:
        self._made += 1
        if self._made > 2:  # the stream's own, and one for questions
            raise Temporary("the connection was lost")
        database = settings.pop("db", None)  # a name that the driver has given up
        if self._made == 1:
            self._dump = DumpConnection(**settings)
            return self._dump
        return pymysql.connect(**{**settings, "database": database})

    def _note(self, got: Any) -> None:
        packet = got.packet
        if isinstance(got, event.RotateEvent):
            self.place = Binlog(got.next_binlog, got.position)
        elif packet.log_pos:
            turns, last = divmod(self.place.offset, 1 << 32)  # the field has 32 bits, and files may be larger
            turns += packet.log_pos + (1 << 31) < last
            self.place = Binlog(self.place.file, max(self.place.offset, (turns << 32) + packet.log_pos))
        if isinstance(got, event.FormatDescriptionEvent):
            self.made = (packet.server_id, packet.timestamp)


def _event(got: Any) -> Event:
    at = float(got.timestamp)
    if isinstance(got, row_event.RowsEvent):
        return _rows(got)
    if isinstance(got, event.GtidEvent):
        origin = str(uuid.UUID(bytes=got.sid))
        return Began(GtidSet.of({origin: [(got.gno, got.gno)]}), got.gno, at, committed_at=_to_microseconds(got))
    if isinstance(got, event.MariadbGtidEvent):
        gtid = DomainGtids.of([(got.domain_id, got.server_id, got.gtid_seq_no)])
        return Began(gtid, got.gtid_seq_no, at, bool(got.flags & _MARIADB_STANDALONE))
    if isinstance(got, event.XidEvent):
        return Committed(at)
    if isinstance(got, event.QueryEvent):
        return Statement(got.schema.decode(errors="replace"), got.query, at)
    if isinstance(got, event.XAPrepareEvent):
        if got.one_phase:
            return Committed(at)
        return Prepared(xid_of(got.xid_gtrid, got.xid_bqual, got.xid_format_id), at)
    if isinstance(got, event.RotateEvent):
        return Rotated()
    if isinstance(got, event.ExecuteLoadQueryEvent):
        return Unreadable("LOAD DATA logged as a statement")
    if isinstance(got, event.NotImplementedEvent):
        return _unknown(got.event_type, at)
    return Idle()


def _to_microseconds(got: Any) -> float | None:
    """When the transaction was committed, which MySQL 8 tells behind what the library reads of the event."""
    try:
        raw = got.packet.read(7)
    except Exception:  # an older event ends here
        return None
    told = int.from_bytes(raw, "little") & ((1 << 55) - 1)  # the highest bit says that another time follows
    return told / 1e6 if len(raw) == 7 and abs(told / 1e6 - got.timestamp) < 86_400 else None


def _unknown(number: int, at: float) -> Event:
    if number == _ANONYMOUS:
        return Began(None, 0, at)
    if number in _IGNORED:
        return Idle()
    return Unreadable(_HOLDS_CHANGES.get(number, f"an event of unknown type {number}"))


def xid_of(gtrid: bytes, bqual: bytes, format_id: int) -> bytes:
    """One name for a prepared transaction, wherever it is told."""
    return b"%d:%s:%s" % (format_id, gtrid.hex().encode(), bqual.hex().encode())


def _rows(got: Any) -> Rows:
    mapped = got.table_map[got.table_id]
    columns = [_facts(column) for column in mapped.columns] if mapped.column_name_flag else None
    read = _partial if isinstance(got, row_event.PartialUpdateRowsEvent) else lambda: _decoded(got)
    return Rows(TableName(got.schema, got.table), got.table_id, columns, 1, read, got.event_size)


def _facts(column: Any) -> ColumnFacts:
    labels = column.enum_values or column.set_values or ()
    return ColumnFacts(column.name, column.character_set_name, getattr(column, "fsp", 0), tuple(labels))


def _partial() -> Sequence[Row]:
    raise Undecodable("of a document only its change was logged (set binlog_row_value_options='')")


def _decoded(got: Any) -> Sequence[Row]:
    columns, present = len(got.columns), [got.columns_present_bitmap, getattr(got, "columns_present_bitmap2", b"")]
    if got.number_of_columns != columns:
        raise Undecodable("rows of another number of columns than their table was said to have")
    if not any(any(bits) for bits in present):  # the library finds none of them, or finds them without end
        raise Undecodable("rows without columns")
    found, rows = got.rows, []
    if not found or got.packet.read_bytes != got.event_size:
        raise Undecodable("rows that do not end where their event ends")
    for row in found:
        if isinstance(got, row_event.WriteRowsEvent):
            cells, lost = _cells(row["values"], row["none_sources"])
            rows.append(Row(None, cells, {}, lost))
            continue
        if isinstance(got, row_event.DeleteRowsEvent):
            cells, lost = _cells(row["values"], row["none_sources"])
            rows.append(Row(cells, None, lost, {}))
            continue
        before, lost_before = _cells(row["before_values"], row["before_none_sources"])
        after, lost_after = _cells(row["after_values"], row["after_none_sources"])
        rows.append(Row(before, after, lost_before, lost_after))
    return rows


def _cells(values: Mapping[str, Any], sources: Mapping[str, str]) -> tuple[dict[str, Any], Lost]:
    """Values that the event tells, and why some that are None are no NULL."""
    told = {name: value for name, value in values.items() if sources.get(name) != NONE_SOURCE.COLS_BITMAP}
    lost = {name: why for name, why in sources.items() if why not in (NONE_SOURCE.NULL, NONE_SOURCE.COLS_BITMAP)}
    return told, lost
