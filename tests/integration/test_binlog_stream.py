"""The binlog stream on real servers: how values and keys are spelled, and everything that is no plain row change."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fixtures.mysql_servers import PairDatabase

from connectors.binlog import stream as binlog_stream
from connectors.binlog.settings import settings, told
from connectors.binlog.stream import BinlogStream
from connectors.mysql.replica import MysqlReplica, Options
from verifier.change import Batch, Blindness, Cause, Transaction
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.keyrange import ALL
from verifier.look import Role
from verifier.table import Key, Table, TableName

pytestmark = pytest.mark.mysql

_COLUMNS = (
    "id bigint unsigned not null, n int, tiny tinyint unsigned, medium mediumint, y year, d decimal(20, 6), f double, "
    "fl float, s varchar(20), c char(5), l varchar(20) character set latin1, b binary(4), vb varbinary(8), bl blob, "
    "ts timestamp(3) null, dt datetime(6), dt0 datetime, da date, tm time, tm3 time(3), e enum('a', 'bé'), "
    "st set('x', 'y', 'z'), bt bit(11), j json, u varchar(10) character set utf16"
)
_ROWS = (
    "18446744073709551615, -5, 255, -8388608, 1999, -12345.678900, 0.1, 1.1, 'ä€😀', 'ab ', 'é', x'01000000', x'00ff', "
    "x'', '2020-01-02 03:04:05.678', '2020-01-02 03:04:05.000678', '0999-01-02 03:04:05', '9999-12-31', '-12:34:56', "
    "'838:59:59.000', 'bé', 'x,z', b'10100000001', '{\"a\": 1.5}', 'x'",
    "0, 2147483647, 0, 8388607, 2155, 0.5, -1e300, 16777216, '', '', '', x'', x'', x'00', '1970-01-01 00:00:01', "
    "'2020-01-02 03:04:05', '2020-01-02 03:04:05', '2024-02-29', '00:00:00', '-01:00:00', 'a', '', b'0', '[]', ''",
    f"7, {', '.join(['null'] * 24)}",
)
_NEVER = {"mysql": {"j", "u"}, "mariadb": {"u"}}
"""Documents in MySQL's binary form and text in odd charsets are not told."""


class Following:
    """A stream from the present on, and what it brought."""

    def __init__(self, database: PairDatabase) -> None:
        self.leader = MysqlReplica("leader", database.leader_url, Options(role=Role.LEADER))
        self.database = database
        self.stream = BinlogStream(database.leader_url, table_of=self._table, name=database.name)
        self.offsets, self.through = {}, self.stream.start({}, None)  # type: ignore[var-annotated]
        self.blind: list[Blindness] = []

    def table(self, name: str) -> TableName:
        return TableName(self.database.name, name)

    def _table(self, name: TableName) -> Table | None:
        try:
            return self.leader.table(name) if name.schema == self.database.name else None
        except Permanent:
            return Table(name, (), ())

    def poll(self) -> Batch:
        batch = self.stream.poll(changes_max=1000, seconds_max=0.3)
        self.offsets, self.through = batch.offsets, batch.read_through
        self.blind.extend(batch.blind)
        return batch

    def all(self) -> list[Transaction]:
        """Everything until the leader's present."""
        wanted, found = self.leader.position(), list[Transaction]()
        deadline = time.monotonic() + 60
        while self.through is None or not self.through.covers(wanted):
            found += self.poll().transactions
            assert time.monotonic() < deadline
        return found

    def close(self) -> None:
        self.stream.close()
        self.leader.close()


@pytest.fixture
def following(pair_database: PairDatabase) -> Iterator[Following]:
    made = Following(pair_database)
    yield made
    made.close()


def causes(transactions: list[Transaction]) -> list[tuple[Cause, str | None]]:
    return [(b.cause, b.table.name if b.table else None) for one in transactions for b in one.blind]


def test_values_are_spelled_as_the_server_spells_them(following: Following) -> None:
    following.database.sql(
        f"create table typed ({_COLUMNS}, primary key (id))", *(f"insert into typed values ({row})" for row in _ROWS)
    )
    done = following.all()
    changes = [change for one in done for change in one.changes]
    whole = {one.committed_at % 1 == 0 for one in done if one.changes}
    assert whole == {following.leader.dialect == "mariadb"}, "MySQL tells microseconds"
    table = following.leader.table(following.table("typed"))
    rows = following.leader.rows(table, [change.key for change in changes]).value
    assert [change.key for change in changes] == [(18446744073709551615,), (0,), (7,)]
    for change in changes:
        assert change.after is not None
        values, odd = rows[change.key].values, ("f", "fl")
        alike = {name: text for name, text in change.after.items() if name not in odd}
        assert alike == {name: values[name] for name in alike}
        for name in odd:  # several texts of one number
            known, text = values[name], change.after[name]
            assert (known is None) is (text is None)
            assert known is None or float(known) == float(text)  # type: ignore[arg-type]
        negative = {"tm3"} if change.key == (0,) else set()  # below zero with a fraction
        untold = set(values) - set(change.after)
        assert untold == (_NEVER[following.leader.dialect] if change.key != (7,) else untold & {"j"}) | negative


_KEYS = {
    "varchar(20) collate utf8mb4_bin": ["'ä€'", "''", "'A'"],
    "char(4) character set latin1": ["'é'", "'x '"],
    "binary(4)": ["x'01000000'", "x'00'"],
    "varbinary(8)": ["x'00ff'", "x''"],
    "decimal(10, 3)": ["-1.5", "0"],
    "date": ["'2024-02-29'"],
    "datetime(3)": ["'2020-01-02 03:04:05.678'"],
    "timestamp(6)": ["'2020-01-02 03:04:05.000678'"],
    "time": ["'-12:34:56'", "'100:00:00'"],
    "year": ["1999", "0"],
    "enum('a', 'bé')": ["'bé'"],
    "bit(11)": ["b'10100000001'", "b'1'"],
}


def test_keys_are_spelled_as_those_of_a_look(following: Following) -> None:
    for number, (declared, listed) in enumerate(_KEYS.items()):
        values = ", ".join(f"({value}, 1)" for value in listed)
        following.database.sql(
            f"create table keyed{number} (k {declared} not null primary key, v int)",
            f"insert into keyed{number} values {values}",
            f"update keyed{number} set v = 2",
        )
    touched: dict[str, set[Key]] = {}
    for transaction in following.all():
        for change in transaction.changes:
            touched.setdefault(change.table.name, set()).add(change.key)
    for number, (declared, listed) in enumerate(_KEYS.items()):
        keys = touched[f"keyed{number}"]
        table = following.leader.table(following.table(f"keyed{number}"))
        assert keys == following.leader.row_digests(table, ALL).value.keys(), declared
        assert len(keys) == len(listed)


def test_what_is_no_plain_row_change(following: Following) -> None:
    database = following.database
    database.sql(
        "create table t (id int primary key, a int, b int, c blob)",
        "create table keyless (a int)",
        "create table floating (f double primary key)",
        "insert into t values (1, 1, 1, 'x'), (2, 2, 2, 'y')",
    )
    following.all()
    with database.pair.leader.session(database.name) as cursor:
        for image in ("MINIMAL", "NOBLOB"):
            cursor.execute(f"set session binlog_row_image = '{image}'")
            cursor.execute("update t set a = a + 1 where id = 1")
        cursor.execute("set session binlog_row_image = 'FULL'")
        minimal, noblob = (one.changes[0] for one in following.all())
        assert (minimal.key, minimal.after) == ((1,), {"id": "1", "a": "2"})
        assert (noblob.key, noblob.after) == ((1,), {"id": "1", "a": "3", "b": "1"})

        cursor.execute("begin")
        cursor.execute("insert into t (id) values (10)")
        cursor.execute("savepoint s")
        cursor.execute("insert into t (id) values (11)")
        cursor.execute("rollback to s")
        cursor.execute("insert into t (id) values (12)")
        cursor.execute("commit")
        (done,) = following.all()
        assert [change.key for change in done.changes] == [(10,), (12,)]

        cursor.execute("insert into keyless values (1)")
        cursor.execute("insert into floating values (1.5)")
        assert causes(following.all()) == [(Cause.KEYLESS, "keyless"), (Cause.KEYLESS, "floating")]

        cursor.execute("set session binlog_format = 'STATEMENT'")
        cursor.execute("update t set b = 7 where id = 2")
        cursor.execute("set session binlog_format = 'ROW'")
        assert causes(following.all()) == [(Cause.UNREADABLE, None)]

        cursor.execute("set session sql_log_bin = 0")
        cursor.execute("update t set b = 8 where id = 2")
        cursor.execute("set session sql_log_bin = 1")
        assert following.all() == [], "nobody tells"

        for statement in ("xa start 'x'", "insert into t (id) values (20)", "xa end 'x'", "xa prepare 'x'"):
            cursor.execute(statement)
        assert following.all() == []
        cursor.execute("xa commit 'x'")
        (done,) = following.all()
        assert [change.key for change in done.changes] == [(20,)]
        lost = [(one.cause, one.table) for one in following.blind]
        mariadb = following.leader.dialect == "mariadb"
        assert lost == ([(Cause.UNREADABLE, following.table("t"))] if mariadb else [])


def test_compressed_events_blind_the_stream_and_it_goes_on(following: Following) -> None:
    database = following.database
    mariadb = following.leader.dialect == "mariadb"
    database.sql("create table t (id int primary key, v text)")
    following.all()
    variable = "log_bin_compress" if mariadb else "binlog_transaction_compression"
    server = database.pair.leader
    server.sql(f"set global {variable} = on")
    try:
        database.sql("insert into t values (1, repeat('x', 5000))")
        with following.leader.sessions.borrow("asking") as session:
            faults = [fault.what for fault in settings(session, mariadb=mariadb).faults()]
        assert [what for what in faults if what.startswith(variable)] != []
    finally:
        server.sql(f"set global {variable} = off")
    database.sql("insert into t values (2, 'x')")
    done = following.all()
    assert causes(done) == [(Cause.UNREADABLE, None)]
    assert [change.key for one in done for change in one.changes] == [(2,)]
    database.pair.caught_up()


def test_tables_whose_rows_change_without_an_event_are_not_told_of(following: Following) -> None:
    following.database.sql(
        "create table parents (id int primary key)",
        "create table children (id int primary key, p int, foreign key (p) references parents (id) on delete cascade)",
        "create table friends (id int primary key, p int, foreign key (p) references parents (id))",
        "create table plain (id int primary key) engine = MyISAM",
    )
    with following.leader.sessions.borrow("asking") as session:
        known = told(session, "the leader")
    ours = {table.name for table in known if table.schema == following.database.name}
    assert ours == {"parents", "friends"}


def test_a_reset_log_is_noticed_by_its_header(following: Following) -> None:
    """The same file name, the same place, another log."""
    following.database.sql("create table t (id int primary key)")
    following.all()
    following.stream.close()
    offsets = {**following.offsets, "made": following.offsets["made"] - 1}
    again = BinlogStream(following.database.leader_url, table_of=lambda _: None, name="again")
    again.start(offsets, following.through)
    (blind,) = again.poll(changes_max=10, seconds_max=0.1).blind
    assert (blind.cause, blind.table) == (Cause.GAP, None)
    assert "another server, or its binlog was reset" in blind.detail
    again.close()


def test_rights_and_readers_of_the_same_number(following: Following) -> None:
    database = following.database
    server = database.pair.leader
    by = "identified" if following.leader.dialect == "mariadb" else "identified with mysql_native_password"
    server.sql(f"create user 'weak{database.name}'@'%' {by} by 'weak'")
    server.sql(f"grant select on `{database.name}`.* to 'weak{database.name}'@'%'")
    weak = BinlogStream(
        server.url(database.name, user=f"weak{database.name}", password="weak"), table_of=lambda _: None
    )
    with pytest.raises(Forbidden, match="grant that right"):
        weak.start({}, None)
    weak.close()
    server.sql(f"drop user 'weak{database.name}'@'%'")

    rival = BinlogStream(database.leader_url, table_of=lambda _: None, name=database.name)
    rival.start({}, None)  # the leader lets go of the first one
    deadline = time.monotonic() + 60
    with pytest.raises(Temporary):
        _poll_until(following.stream, deadline)
    rival.close()


def _poll_until(stream: BinlogStream, deadline: float) -> None:
    while time.monotonic() < deadline:
        stream.poll(changes_max=10, seconds_max=0.2)


def test_a_batch_ends_where_its_rows_are_large_enough(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binlog_stream, "VALUES_BYTES", 5_000)
    following.database.sql("create table wide (id int primary key, v text)")
    following.all()
    following.database.sql(*(f"insert into wide values ({n}, repeat('x', 3000))" for n in range(6)))
    batches, wanted = [], following.leader.position()
    deadline = time.monotonic() + 60
    while following.through is None or not following.through.covers(wanted):
        batches.append([change for one in following.poll().transactions for change in one.changes])
        assert time.monotonic() < deadline
    assert [change.key for batch in batches for change in batch] == [(n,) for n in range(6)]
    assert max(map(len, batches)) <= 2
