"""The connection on which the binlog comes, and whether each event came whole.

The library passes over what it does not expect, and believes what it can decode. So every packet is looked at before
it: it must be an event, as long as it says, and its CRC32 must fit. Whether events have one is said by the file that
they come from (its format description); where a leader writes none (`binlog_checksum=NONE`), only what contradicts
itself is noticed, and the event is given one, because the library believes that all of a connection have one or none.
"""

from __future__ import annotations

import select
import socket
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import pymysql
from pymysql.cursors import Cursor
from pymysql.protocol import MysqlPacket
from pymysqlreplication import BinLogStreamReader

from connectors.binlog.events import Undecodable
from verifier.errors import Temporary

_DUMP: Final = 0x12
"""The command that asks for the binlog."""
_HEADER: Final = 19
_TYPE, _SIZE, _FLAGS = 4, slice(9, 13), 17
"""Where the header of an event has its type, its size and its flags."""
_SUM: Final = 4
_FORMAT: Final = 15
_IN_USE: Final = 1
"""A flag of the format description that is set and taken away while the file is written; no sum is made with it."""
_ENCRYPTION: Final = 0xA4
"""MariaDB sends it otherwise than it wrote it. It is not read here."""
_NOBODYS: Final = (0xFFFFFFFF, 0xFFFFFFFFFFFF)
"""Numbers of no table: an event that has no rows, and ends a statement."""

if TYPE_CHECKING:
    _Connection = pymysql.Connection[Cursor]
else:
    _Connection = pymysql.Connection  # generic for the type checker only


class Damaged(Temporary):
    """An event is not as the server wrote it: read again, it may be. The message names no value."""


class DumpConnection(_Connection):
    """The connection on which the binlog comes. Reading a packet raises Damaged if it is no whole event."""

    _connected = False
    _dumping = False
    _summed = True
    _looked = True

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._connected = True

    def waiting(self, seconds: float) -> bool:
        """Whether bytes have come, or come within `seconds`."""
        sock = getattr(self, "_sock", None)
        if sock is None or self._buffered(sock):
            return True
        ready, _, _ = select.select([sock], [], [], max(0.0, seconds))
        return bool(ready)

    def _buffered(self, sock: socket.socket) -> bool:
        """Whether the driver holds bytes already. It waits for nobody."""
        before = sock.gettimeout()
        sock.setblocking(False)
        try:
            return bool(getattr(self, "_rfile").peek(1))  # noqa: B009  # the driver's stubs do not know it
        except OSError:  # an encrypted connection has nothing whole yet
            return False
        finally:
            sock.settimeout(before)

    def _write_bytes(self, data: bytes) -> None:
        if self._connected and data[4] == _DUMP:
            # Files with and without checksums are sent to a reader who says that he knows of them. The library says it
            # only where the leader writes them now, and an older file may have them all the same.
            self.query("set @master_binlog_checksum = 'CRC32'")
            self._dumping = True
        super()._write_bytes(data)  # type: ignore[misc]  # the driver's stubs do not know it

    def _read_packet(self, packet_type: type[MysqlPacket] = MysqlPacket) -> MysqlPacket:
        try:
            packet: MysqlPacket = super()._read_packet(packet_type)  # type: ignore[no-untyped-call]
        except IndexError as error:
            raise Damaged("what came is empty") from error
        if not self._dumping or packet.is_eof_packet():
            return packet
        raw: bytes = packet.get_all_data()  # type: ignore[no-untyped-call]
        if raw[:1] != b"\0":
            raise Damaged("what came is no event")
        whole = self._whole(raw[1:])
        return packet if whole is None else packet_type(b"\0" + whole, self.encoding)

    def _whole(self, event: bytes) -> bytes | None:
        """The event with a checksum; None if it has one already."""
        if len(event) < _HEADER + _SUM or int.from_bytes(event[_SIZE], "little") != len(event):
            raise Damaged("an event is not as long as it says")
        kind, first = event[_TYPE], not self._looked
        if kind == _FORMAT:
            algorithm = event[-_SUM - 1]
            if algorithm > 1:
                raise Damaged(f"a binlog with checksums of an unknown kind ({algorithm})")
            self._summed, self._looked = algorithm == 1, False
            if self._summed and not _fits(event[:_FLAGS] + bytes([event[_FLAGS] & ~_IN_USE]) + event[_FLAGS + 1 :]):
                raise Damaged("an event whose checksum does not fit")
            return None
        self._looked = True
        if self._summed:
            if kind != _ENCRYPTION and not _fits(event):
                raise Damaged("an event whose checksum does not fit")
            return None
        if first and _fits(event):
            raise Damaged("an event has a checksum where its file says that there are none")
        longer = event[: _SIZE.start] + (len(event) + _SUM).to_bytes(4, "little") + event[_SIZE.stop :]
        return longer + zlib.crc32(longer).to_bytes(_SUM, "little")


def _fits(event: bytes) -> bool:
    return zlib.crc32(memoryview(event)[:-_SUM]) == int.from_bytes(event[-_SUM:], "little")


class _Maps(dict[int, Any]):
    """What is known of tables, by their numbers. The library passes over rows of others."""

    def __missing__(self, number: int) -> Any:
        if number in _NOBODYS:
            raise KeyError(number)
        raise Undecodable("rows of a table of which nothing was said")


class Dump(BinLogStreamReader):  # type: ignore[misc]  # the library has no types
    """The library's stream, where it would go on in silence."""

    @property
    def table_map(self) -> _Maps:
        return self._maps

    @table_map.setter
    def table_map(self, maps: Mapping[int, Any]) -> None:
        self._maps = _Maps(maps)

    def _BinLogStreamReader__checksum_enabled(self) -> bool:
        """The library's own question, whether events have a checksum: `DumpConnection` gives one to those without."""
        return True
