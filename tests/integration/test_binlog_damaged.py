"""Events that do not come as they were written, and logs that are written otherwise than a server's settings say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from fixtures.mysql_servers import PairDatabase
from fixtures.proxy import TcpProxy

from connectors.binlog.stream import BinlogStream
from connectors.mysql.replica import MysqlReplica, Options
from verifier.change import Blindness, Cause
from verifier.errors import Temporary
from verifier.look import Role

pytestmark = pytest.mark.mysql
MARK = b"poison"


class Reading:
    """A stream through `line`, and what came of it."""

    def __init__(self, database: PairDatabase, line: TcpProxy) -> None:
        self.database = database
        self.line = line
        self.leader = MysqlReplica("leader", database.leader_url, Options(role=Role.LEADER))
        url = database.leader_url.replace(f":{database.pair.leader.port}/", f":{line.port}/") + "?ssl_disabled=true"
        self.stream = BinlogStream(
            url, table_of=lambda name: self.leader.table(name) if name.schema == database.name else None,
            name=database.name,
        )  # fmt: skip
        self.through = self.stream.start({}, None)
        self.keys: list[object] = []
        self.blind: list[Blindness] = []
        self.said: list[str] = []

    def insert(self, *values: str) -> None:
        for value in values:
            self.database.sql(f"insert into t (v) values ('{value}')")

    def all(self) -> None:
        """Until the leader's present."""
        wanted, deadline = self.leader.position(), time.monotonic() + 60
        while self.through is None or not self.through.covers(wanted):
            assert time.monotonic() < deadline, (self.keys, self.blind, self.said)
            try:
                batch = self.stream.poll(changes_max=1000, seconds_max=0.3)
            except Temporary as error:
                self.said.append(str(error))
                continue
            self.through = batch.read_through
            self.keys += [change.key[0] for one in batch.transactions for change in one.changes]
            self.blind += [*batch.blind, *(one for told in batch.transactions for one in told.blind)]

    def unread(self) -> list[tuple[str | None, str]]:
        """Of which tables something could not be read, and why; all of them: None."""
        told = [one for one in self.blind if one.cause is not Cause.DDL]
        assert {one.cause for one in told} <= {Cause.UNREADABLE}
        return [(one.table.name if one.table else None, one.detail) for one in told]

    def close(self) -> None:
        self.stream.close()
        self.leader.close()


@pytest.fixture
def reading(pair_database: PairDatabase, proxy: Callable[[int], TcpProxy]) -> Iterator[Reading]:
    pair_database.sql("create table t (id int primary key auto_increment, v varchar(20) default 'x')")
    made = Reading(pair_database, proxy(pair_database.pair.leader.port))
    yield made
    made.close()


def spoiling(times: int) -> Callable[[bytes], bytes]:
    """Another byte at the first mark of a piece, so often."""
    left = [times]

    def alter(piece: bytes) -> bytes:
        at = piece.find(MARK)
        if at < 0 or left[0] == 0:
            return piece
        left[0] -= 1
        return piece[:at] + b"X" + piece[at + 1 :]

    return alter


def test_what_was_damaged_on_its_way_is_read_again_and_what_stays_so_is_a_gap(reading: Reading) -> None:
    reading.insert("fine")
    reading.all()
    reading.line.alter = spoiling(1)
    reading.insert(MARK.decode())
    reading.all()
    assert (reading.keys, reading.blind) == ([1, 2], [])
    (said,) = reading.said
    assert "an event whose checksum does not fit; it is read again" in said

    reading.line.alter = spoiling(-1)
    reading.insert(MARK.decode())
    reading.all()
    assert reading.keys == [1, 2]
    assert [(one.cause, one.table) for one in reading.blind] == [(Cause.GAP, None)]
    assert "an event whose checksum does not fit" in reading.blind[0].detail
    assert len(reading.said) == 2
    reading.insert("fine")
    reading.all()
    assert (reading.keys[2:], len(reading.blind)) == ([4], 1)


def test_what_is_logged_otherwise_than_the_servers_settings_say(reading: Reading) -> None:
    """The files of one log may have checksums or none, and a session may log less of its rows than others."""
    server = reading.database.pair.leader
    reading.database.sql("create table d (id int primary key default 50, v int default 7)")
    reading.insert("a")
    try:
        server.sql("set global binlog_checksum = 'NONE'")
        reading.insert("b")
        reading.all()
        reading.line.cut()  # who begins in a file without them
        reading.insert("c")
        reading.all()
    finally:
        server.sql("set global binlog_checksum = 'CRC32'")
    reading.insert("d")
    reading.all()
    assert (reading.keys, reading.unread()) == ([1, 2, 3, 4], [])
    with server.session(reading.database.name) as cursor:
        cursor.execute("set session binlog_row_image = 'MINIMAL'")
        cursor.execute("insert into d () values ()")
    reading.all()
    assert reading.unread() == [("d", "rows without columns")]
    if reading.leader.dialect == "mysql":
        _document(reading)
    reading.database.pair.caught_up()


def _document(reading: Reading) -> None:
    """Of a document that was changed in part MySQL can log the change alone."""
    del reading.blind[:]
    reading.database.sql("create table j (id int primary key, doc json)")
    with reading.database.pair.leader.session(reading.database.name) as cursor:
        cursor.execute(f'insert into j values (1, \'{{"a": "{"x" * 100}", "b": 1}}\')')
        cursor.execute("set session binlog_row_value_options = 'PARTIAL_JSON'")
        cursor.execute("update j set doc = json_set(doc, '$.b', 2)")
    reading.all()
    assert reading.unread() == [("j", "of a document only its change was logged (set binlog_row_value_options='')")]
