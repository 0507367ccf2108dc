"""What MariaDB and MySQL say of their logs, and what becomes of servers that are slow, gone, changed or closed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import pytest
from fixtures.mysql_servers import PairDatabase
from fixtures.proxy import TcpProxy

from connectors.mysql.agreement import agree
from connectors.mysql.positions import MariaDbLog
from connectors.mysql.replica import MysqlReplica, Options
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, Unreachable
from verifier.gtid import Binlog, DomainGtids, Logged
from verifier.keyrange import ALL
from verifier.look import Look, Role, Row
from verifier.policy import Limits
from verifier.stillness import still_point, unsettled
from verifier.table import Family, Key, Table, TableName

pytestmark = pytest.mark.mysql

WRITERS = 4


@dataclass(frozen=True, slots=True)
class Sides:
    leader: MysqlReplica
    follower: MysqlReplica
    database: PairDatabase

    def table(self, name: str) -> Table:
        return self.leader.table(TableName(self.database.name, name))


@pytest.fixture
def sides(pair_database: PairDatabase) -> Iterator[Sides]:
    leader = MysqlReplica("leader", pair_database.leader_url, Options(role=Role.LEADER))
    follower = MysqlReplica("follower", pair_database.replica_url)
    pair_database.sql("create table t (id int primary key, v bigint)", "insert into t values (1, 0)")
    pair_database.pair.caught_up()
    yield Sides(leader, follower, pair_database)
    leader.close()
    follower.close()


def counters(look: Look[dict[Key, Row]]) -> list[int]:
    return [int(look.value[key].values["v"] or 0) for key in sorted(look.value)]


def test_marks_and_positions_bound_what_reads_show(sides: Sides) -> None:
    """Each writer counts up in a row of its own, so a read tells which transactions it showed.

    What the leader showed before its position shows on a follower that covers it; what a follower showed before a mark
    shows on the leader once its view covers the mark; and between equal marks nothing changed.
    """
    sides.database.sql("delete from t", *(f"insert into t values ({n}, 0)" for n in range(WRITERS)))
    table, keys = sides.table("t"), [(n,) for n in range(WRITERS)]
    stop = threading.Event()

    def write(number: int) -> None:
        with sides.database.pair.leader.session(sides.database.name) as cursor:
            while not stop.is_set():
                cursor.execute("update t set v = v + 1 where id = %s", (number,))
                if stop.wait(0.02 if int(time.monotonic() * 5) % 2 else 0):
                    return

    workers = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    for worker in workers:
        worker.start()
    rounds = 0
    try:
        began = time.monotonic()
        while time.monotonic() < began + 3 or rounds <= 5:
            assert time.monotonic() < began + 60, rounds
            before = sides.leader.mark()
            r1 = sides.leader.rows(table, keys)
            position = sides.leader.position()
            while not sides.follower.position().covers(position):
                time.sleep(0.001)
            f1 = sides.follower.rows(table, keys)
            assert f1.low.covers(position)
            assert f1.high.covers(f1.low)
            mark = sides.leader.mark(f1.high)
            while not (r2 := sides.leader.rows(table, keys)).view.ended_below(mark):
                time.sleep(0.001)
            first, shown, second = counters(r1), counters(f1), counters(r2)  # type: ignore[arg-type]
            assert all(a <= b <= c for a, b, c in zip(first, shown, second, strict=True))
            if r1.view.ended_below(before) and mark == before:
                assert first == shown
            rounds += 1
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def test_an_idle_leader_is_still_also_after_its_binlog_was_rotated(sides: Sides) -> None:
    """The new file begins with events that are no transactions."""
    table = sides.table("t")
    for statement in (None, "flush binary logs", None):
        if statement is not None:
            sides.database.sql(statement)
        deadline = time.monotonic() + 60
        while True:
            mark = sides.leader.mark()
            r1 = sides.leader.rows(table, [(1,)])
            point = still_point(mark, r1.view, sides.leader.position())
            f1 = sides.follower.rows(table, [(1,)])
            after = sides.leader.mark(f1.high)
            if point is not None and not unsettled(point, r1, f1, sides.follower.publishes, mark_after=after):
                break
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_events_that_are_no_transactions_do_not_keep_a_leader_from_standing_still(sides: Sides) -> None:
    """MariaDB may end its file with a checkpoint, which it writes at a time of its own: here one is pretended."""
    if sides.leader.dialect != "mariadb":
        return
    table, mark = sides.table("t"), sides.leader.mark()
    assert isinstance(mark, Logged)
    behind = replace(mark, binlog=Binlog(mark.binlog.file, mark.binlog.offset + 42))
    assert isinstance(sides.leader._log, MariaDbLog)
    sides.leader._log._asked = behind
    first, second = (sides.leader.rows(table, [(1,)]) for _ in range(2))
    assert not first.view.ended_below(behind)
    assert second.view.ended_below(behind)
    sides.database.sql("update t set v = 1 where id = 1")
    sides.leader._log._asked = later = Logged(DomainGtids.parse("0-1-999999999"), Binlog("binlog.999999", 4))
    looks = [sides.leader.rows(table, [(1,)]) for _ in range(3)]
    assert [look.view.ended_below(later) for look in looks] == [False] * 3


def test_what_is_written_and_not_committed_is_neither_shown_nor_marked(sides: Sides) -> None:
    table = sides.table("t")
    with closing(sides.database.pair.leader.connect(sides.database.name)) as connection, connection.cursor() as cursor:
        cursor.execute("update t set v = 7 where id = 1")
        mark = sides.leader.mark()
        look = sides.leader.rows(table, [(1,)])
        assert look.value[(1,)].values["v"] == "0"
        connection.commit()
    later = sides.leader.mark()
    assert later != mark
    look = sides.leader.rows(table, [(1,)])
    assert look.view.ended_below(later)
    assert look.value[(1,)].values["v"] == "7"


def test_a_server_that_follows_nobody_says_so(sides: Sides) -> None:
    lonely = MysqlReplica("copy", sides.database.leader_url)
    with closing(lonely):
        with pytest.raises(Permanent, match=r"is no replica.*at rest"):
            lonely.position()
        look = lonely.rows(sides.table("t"), [(1,)])
        assert look.value[(1,)].values == {"id": "1", "v": "0"}
        assert not look.low.covers(sides.leader.position())


def test_missing_rights_are_named(sides: Sides) -> None:
    pair, name = sides.database.pair, sides.database.name
    for server in (pair.leader, pair.replica):
        server.quietly(
            f"create user reader_{name}@'%' identified by 'x'", f"grant select on `{name}`.* to reader_{name}@'%'"
        )
    leader = MysqlReplica("leader", pair.leader.url(name, user=f"reader_{name}", password="x"), Options(Role.LEADER))
    follower = MysqlReplica("follower", pair.replica.url(name, user=f"reader_{name}", password="x"))
    with closing(leader), closing(follower):
        table = leader.table(TableName(name, "t"))
        assert leader.digest(table, ALL).value == sides.leader.digest(table, ALL).value
        with pytest.raises(Forbidden, match="grant that right"):
            follower.position()
        with pytest.raises(Forbidden, match="GRANT PROCESS"):
            leader.running()
        with pytest.raises(Permanent, match="GRANT SELECT"):
            leader.table(TableName("mysql", "user"))
        if pair.leader.engine == "mysql":
            assert leader.mark() == sides.leader.mark()
            pair.replica.quietly(f"grant replication client on *.* to reader_{name}@'%'")
        else:
            with pytest.raises(Forbidden, match="BINLOG MONITOR"):
                leader.mark()
            pair.leader.quietly(f"grant binlog monitor on *.* to reader_{name}@'%'")
            pair.replica.quietly(f"grant replica monitor on *.* to reader_{name}@'%'")
    follower = MysqlReplica("follower", pair.replica.url(name, user=f"reader_{name}", password="x"))
    with closing(follower):
        assert follower.position().covers(sides.leader.position())
        if pair.leader.engine == "mariadb":
            with pytest.raises(Forbidden, match=r"GRANT SELECT ON mysql\.gtid_slave_pos"):
                follower.digest(table, ALL)
            pair.replica.quietly(f"grant select on mysql.gtid_slave_pos to reader_{name}@'%'")
        assert follower.digest(table, ALL).value == leader_digest(sides, table)
    for server in (pair.leader, pair.replica):
        server.quietly(f"drop user reader_{name}@'%'")


def leader_digest(sides: Sides, table: Table) -> object:
    return sides.leader.digest(table, ALL).value


def test_nothing_can_be_written_through_us(sides: Sides) -> None:
    for sql, error in (
        ("insert into t values (2, 2)", "not a query"),
        ("/* select */ drop table t", "not a query"),
        ("set sql_log_bin = 0", "not a query"),
        ("select 1; delete from t", "error 1064"),
        ("with a as (select 1) delete from t", "error 1064|only reads"),
        ("", "not a query"),
    ):
        with pytest.raises(Permanent, match=error):
            sides.leader.ask(sql, rows_max=5, seconds_max=5)
    for sql in ("delete from t", "create temporary table x (a int)", "drop table t", "truncate t", "select 1 into @x"):
        with contextlib.suppress(Permanent), sides.leader.sessions.borrow("writing") as session:
            session.run(sql)
    assert sides.leader.digest(sides.table("t"), ALL).value.rows == 1


def test_answers_keep_their_order_and_their_limits(sides: Sides) -> None:
    sides.database.sql("insert into t values (2, 5), (3, 1), (4, 3)")
    asked = sides.leader.ask("(select id, v, x'ff' as b, null as n from t order by v desc);", rows_max=2, seconds_max=5)
    assert asked.value.columns == ("id", "v", "b", "n")
    assert asked.value.rows == (("2", "5", "\\xff", None), ("4", "3", "\\xff", None))
    assert asked.value.truncated
    with pytest.raises(Temporary, match="time limit"):
        sides.leader.ask("select count(*) from t a, t b where sleep(1) = 0", rows_max=2, seconds_max=0.3)
    assert sides.leader.ask("select 100 % 7", rows_max=2, seconds_max=5).value.rows == (("2",),)


def test_nobody_waits_long_for_a_lock_and_nobody_keeps_one(sides: Sides) -> None:
    name, table = sides.database.name, sides.table("t")
    with sides.database.pair.leader.session(name) as cursor:
        cursor.execute("lock tables t write")
        began = time.monotonic()
        with pytest.raises(Temporary, match="lock"):
            sides.leader.digest(table, ALL)
        assert time.monotonic() - began < 30
        cursor.execute("unlock tables")
        assert sides.leader.ask(f"select get_lock('{name}', 0)", rows_max=1, seconds_max=5).value.rows == (("1",),)
        cursor.execute("select get_lock(%s, 1)", (name,))
        assert cursor.fetchall() == ((1,),)


def test_servers_that_are_gone_silent_or_others_are_told_apart(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.sql.pool._TRUSTED_SECONDS", 600.0)
    pair, name = sides.database.pair, sides.database.name
    other = {"mysql": "mariadb", "mariadb": "mysql"}[pair.leader.engine]
    wrong = MysqlReplica("leader", pair.leader.url(name).replace(pair.leader.engine, other, 1))
    with closing(wrong), pytest.raises(Misconfigured, match=f"write {pair.leader.engine}://"):
        wrong.identity()
    denied = MysqlReplica("leader", pair.leader.url(name, password="wrong"))
    with closing(denied), pytest.raises(Forbidden, match="login was refused"):
        denied.identity()
    nobody = MysqlReplica("leader", f"{pair.leader.engine}://u:x@127.0.0.1:1/{name}")
    with closing(nobody), pytest.raises(Unreachable, match="nobody answers"):
        nobody.identity()
    proxy = TcpProxy(pair.leader.port)
    through = MysqlReplica(
        "leader",
        pair.leader.url(name).replace(f":{pair.leader.port}/", f":{proxy.port}/"),
        Options(Role.LEADER, Limits(connections=1, statement_seconds=60)),
    )
    with closing(proxy), closing(through):
        table = sides.table("t")
        expected = through.digest(table, ALL).value
        proxy.cut()
        with pytest.raises(Temporary, match="connection was lost"):
            through.digest(table, ALL)  # it was used just now, so it is not asked whether it still works
        assert through.digest(table, ALL).value == expected


def test_a_table_is_described_with_every_type(sides: Sides) -> None:
    engine = sides.database.pair.leader.engine
    own = ", u uuid, i inet6" if engine == "mariadb" else ", u binary(16), i varbinary(16)"
    invisible = "invisible int invisible default 3" if engine == "mariadb" else "invisible int default 3 invisible"
    sides.database.sql(
        "create table every (id bigint unsigned primary key, b bit(3), y year, d decimal(30,4), f float, e enum('a'), "
        f"s set('x'), j json, g point, t text, c char(3), n varbinary(9), l longblob, dt datetime, ts timestamp null, "
        f"ti time, da date, gen int as (id + 1) stored, {invisible}{own})"
    )
    described = {c.name: c for c in sides.table("every").columns}
    assert {name: c.family for name, c in described.items()} == {
        "id": Family.INTEGER, "b": Family.BIT, "y": Family.INTEGER, "d": Family.DECIMAL, "f": Family.FLOAT,
        "e": Family.ENUM, "s": Family.SET, "j": Family.JSON, "g": Family.GEOMETRY, "t": Family.TEXT, "c": Family.CHAR,
        "n": Family.BYTES, "l": Family.BYTES, "dt": Family.TIMESTAMP, "ts": Family.TIMESTAMPTZ, "ti": Family.TIME,
        "da": Family.DATE, "gen": Family.INTEGER, "invisible": Family.INTEGER,
        "u": Family.UUID if engine == "mariadb" else Family.BYTES,
        "i": Family.INET if engine == "mariadb" else Family.BYTES,
    }  # fmt: skip
    assert described["gen"].generated
    assert not described["id"].generated
    assert (described["id"].nullable, described["ts"].nullable) == (False, True)


def test_a_replica_that_did_not_answer_is_probed_when_it_does(sides: Sides) -> None:
    agreement = agree([sides.leader], [sides.table("t")], later=[sides.follower])
    assert agreement.native_order == frozenset({TableName(sides.database.name, "t")})
    assert sides.follower.on_first_contact is not None
    sides.follower.position()
    assert sides.follower.on_first_contact is None
