"""The stream tells exactly what was committed: whole transactions, ids, positions, keys, values as cast."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from fixtures.databases import Database
from fixtures.following import Follower, stream_of, told, written

from verifier.change import Cause
from verifier.position import Lsn
from verifier.spans import TOO_LARGE
from verifier.table import TableName

pytestmark = pytest.mark.postgres

SCHEMA = """
create table orders (id bigint primary key, customer int, state text);
create table lines (order_id bigint, line int, article text, primary key (line, order_id));
"""


def _following(database: Database, **options: object) -> Follower:
    """A started stream; the database's fixture ends its connection."""
    follower = Follower(database, stream_of(database, **options))
    follower.stream.start({}, None)
    return follower


@pytest.fixture
def shop(versioned_database: Database) -> Iterator[Follower]:
    versioned_database.sql(SCHEMA)
    follower = _following(versioned_database)
    yield follower
    follower.stream.close()


def _committed(connection: psycopg.Connection[tuple[object, ...]]) -> tuple[int, Lsn]:
    """Commit; the transaction's id in 32 bits and the end of the log just behind it."""
    row = connection.execute("select txid_current() & 4294967295").fetchone()
    connection.commit()
    after = connection.execute("select pg_current_wal_insert_lsn()::text").fetchone()
    connection.rollback()
    assert row is not None
    assert after is not None
    return int(str(row[0])), Lsn.parse(str(after[0]))


def test_whole_transactions_with_their_ids_positions_and_keys(shop: Follower) -> None:
    expected = []
    with psycopg.connect(shop.database.dsn) as connection:
        connection.execute("insert into orders values (1, 7, 'new'), (2, 7, 'new')")
        connection.execute("insert into lines values (1, 1, 'tea'), (1, 2, 'rum')")
        expected.append(_committed(connection))
        connection.execute("insert into orders values (3, 8, 'gone')")
        connection.rollback()
        connection.execute("update orders set state = 'paid' where id = 1")
        connection.execute("savepoint s")
        connection.execute("delete from lines")
        connection.execute("rollback to savepoint s")
        connection.execute("update lines set line = 9 where line = 2")
        connection.execute("savepoint s")
        connection.execute("delete from orders where id = 2")
        expected.append(_committed(connection))
        connection.execute("update orders set id = 5 where id = 1")
        connection.execute("insert into orders values (1, 1, 'again')")
        expected.append(_committed(connection))
    now = time.time()
    got = shop.catch_up()
    assert [(t.xid, t.commit) for t in got] == expected
    assert [told(t) for t in got] == [
        [("orders", (1,), "insert"), ("orders", (2,), "insert"),
         ("lines", (1, 1), "insert"), ("lines", (2, 1), "insert")],
        [("orders", (1,), "update"), ("lines", (2, 1), "delete"),
         ("lines", (9, 1), "insert"), ("orders", (2,), "delete")],
        [("orders", (1,), "delete"), ("orders", (5,), "insert"), ("orders", (1,), "insert")],
    ]  # fmt: skip
    assert got[1].changes[0].after == {"id": "1", "customer": "7", "state": "paid"}
    assert got[1].changes[1].after is None
    assert all(abs(t.committed_at - now) < 10 for t in got)
    assert not any(t.blind for t in got)


@pytest.fixture
def plain(database: Database) -> Iterator[Follower]:
    database.sql(SCHEMA)
    follower = _following(database)
    yield follower
    follower.stream.close()


TYPES = {
    "b": ("boolean", "true"), "b0": ("boolean", "false"), "c": ("char(6)", "'ab '"), "v": ("varchar(9)", "'ä,\"'"),
    "n": ("numeric(20,4)", "12345678901.5"), "n0": ("numeric", "'NaN'"), "f": ("float8", "0.1::float8 + 0.2"),
    "r": ("real", "1e-7"), "d": ("date", "'2026-02-28'"), "t": ("time", "'10:00:00.25'"),
    "ts": ("timestamp", "'2026-02-28 10:00:00.5'"), "tz": ("timestamptz", "'2026-02-28 10:00:00+05:30'"),
    "i": ("interval", "'1 year 2 days -3 hours'"), "u": ("uuid", "'9a4f1c2e-0000-4000-8000-000000000001'"),
    "j": ("json", "'{\"a\" : 1}'"), "jb": ("jsonb", "'{\"b\":2,\"a\" : 1}'"), "y": ("bytea", "'\\x00ff'"),
    "ip": ("inet", "'10.0.0.1'"), "ip6": ("inet", "'::1'"), "net": ("inet", "'10.0.0.0/8'"),
    "ci": ("cidr", "'10.0.0.0/8'"),
    "m": ("money", "1234.5"),
    "ba": ("boolean[]", "array[true,null,false]"), "ta": ("text[]", "array['a,b','NULL',null]"),
    "e": ("mood", "'glad'"), "dom": ("flag", "true"), "padded": ("code", "'x'"), "x": ("xml", "'<a>1</a>'"),
    "p": ("point", "'(1,2)'"), "rg": ("int4range", "'[1,5)'"), "bits": ("bit(5)", "B'10110'"),
    "reg": ("regclass", "'pg_class'"),
    "nul": ("text", "null"), "empty": ("text", "''"),
}  # fmt: skip


def test_every_value_is_the_text_that_the_cast_gives(database: Database) -> None:
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in TYPES.items())
    database.sql(
        "create type mood as enum ('sad', 'glad'); create domain flag as boolean; create domain code as char(4)"
    )
    database.sql(f"create domain number as int; create table zoo (id number primary key, {columns})")
    follower = _following(database)
    database.sql(f"insert into zoo values (-4, {', '.join(value for _, value in TYPES.values())})")
    (transaction,) = follower.catch_up()
    with psycopg.connect(
        database.dsn, options="-c timezone=UTC -c datestyle=ISO -c bytea_output=hex -c lc_monetary=C"
    ) as connection:
        names = ["id", *TYPES]
        row = connection.execute(f"select {', '.join(f'{name}::text' for name in names)} from zoo").fetchone()
    assert row is not None
    assert transaction.changes[0].after == dict(zip(names, row, strict=True))
    assert transaction.changes[0].key == (-4,)
    follower.stream.close()


def test_unchanged_toast_is_left_out_unless_the_whole_old_row_was_sent(database: Database) -> None:
    database.sql("create table a (id int primary key, n int, big text); alter table a alter big set storage external")
    database.sql("create table w (id int primary key, n int, big text); alter table w alter big set storage external")
    database.sql("alter table w replica identity full")
    follower = _following(database)
    for table in ("a", "w"):
        database.sql(f"insert into {table} values (1, 1, repeat('x', 9000))")
        database.sql(f"update {table} set n = 2")
        database.sql(f"update {table} set id = 3")
        database.sql(f"delete from {table}")
    got = follower.catch_up()
    big = "x" * 9000
    assert [[c.after for c in t.changes] for t in got] == [
        [{"id": "1", "n": "1", "big": big}], [{"id": "1", "n": "2"}], [None, {"id": "3", "n": "2"}], [None],
        [{"id": "1", "n": "1", "big": big}], [{"id": "1", "n": "2", "big": big}],
        [None, {"id": "3", "n": "2", "big": big}], [None],
    ]  # fmt: skip
    assert [told(t) for t in got[4:]] == [
        [("w", (1,), "insert")], [("w", (1,), "update")], [("w", (1,), "delete"), ("w", (3,), "insert")],
        [("w", (3,), "delete")],
    ]  # fmt: skip
    follower.stream.close()


def test_a_large_key_that_was_not_touched_is_found_in_the_old_row(database: Database) -> None:
    database.sql("create table k (id text primary key, n int); alter table k alter id set storage external")
    follower = _following(database)
    key = "".join(chr(33 + (i * i * 7 + i // 3) % 90) for i in range(2500))
    database.sql("insert into k values (%s, 1)", (key,))
    database.sql("update k set n = 2")
    database.sql("delete from k")
    got = follower.catch_up()
    assert [told(t) for t in got] == [[("k", (key,), "insert")], [("k", (key,), "update")], [("k", (key,), "delete")]]
    follower.stream.close()


def test_what_cannot_be_told_by_key_makes_the_table_blind(plain: Follower) -> None:
    sql = plain.database.sql
    sql("insert into orders values (1, 1, 'a'); insert into lines values (1, 1, 'a')")
    plain.catch_up()
    sql("truncate orders, lines")
    sql("begin; alter table orders add note text; insert into orders values (2, 2, 'b', 'c'); commit")
    sql("alter table lines rename to items")
    sql("insert into items values (5, 5, 'z')")
    sql("create table log (line text); alter publication trueup add table log")
    sql("insert into log values ('x')")
    got = plain.catch_up()
    orders, lines, items = (TableName("public", name) for name in ("orders", "lines", "items"))
    assert [[(b.cause, b.table) for b in t.blind] for t in got] == [
        [(Cause.TRUNCATE, orders), (Cause.TRUNCATE, lines)],
        [(Cause.DDL, orders)],
        [(Cause.DDL, lines), (Cause.DDL, items)],
        [(Cause.KEYLESS, TableName("public", "log"))],
    ]
    assert [told(t) for t in got] == [[], [("orders", (2,), "insert")], [("items", (5, 5), "insert")], []]


def test_a_table_altered_before_its_first_change_is_blind(versioned_database: Database) -> None:
    versioned_database.sql("create domain money_text as varchar(9)")
    versioned_database.sql(
        "create table a (id int primary key, gone int, n numeric(9,2), m money_text, "
        "twice int generated always as (id * 2) stored); create table b (id int primary key); "
        "alter table a drop column gone"
    )
    follower = _following(versioned_database)
    versioned_database.sql("alter table b add column x text default 'y'")
    versioned_database.sql("insert into a values (1, 1.5, 'z')")
    versioned_database.sql("insert into b values (1)")
    got = follower.catch_up()
    assert [[(b.cause, b.table and b.table.name) for b in t.blind] for t in got] == [[], [(Cause.DDL, "b")]]
    assert got[0].changes[0].after == {"id": "1", "n": "1.50", "m": "z"}
    follower.stream.close()


def test_a_transaction_too_large_keeps_no_keys(database: Database) -> None:
    database.sql(SCHEMA)
    follower = _following(database, transaction_changes_max=1000)
    database.sql("insert into orders select n, n, 'x' from generate_series(1, 1000) n")
    database.sql("begin; insert into lines values (1, 1, 'a'); update orders set state = 'y'; commit")
    database.sql("delete from orders where id = 1")
    got = follower.catch_up()
    assert [len(t.changes) for t in got] == [1000, 0, 1]
    found = {b.table and b.table.name: (b.cause, b.detail, b.spans) for b in got[1].blind}
    assert {name: told[:2] for name, told in found.items()} == dict.fromkeys(
        ("lines", "orders"), (Cause.GAP, TOO_LARGE)
    )
    assert found["lines"][2] == (((1, 1), (1, 1)),)
    orders = found["orders"][2]
    assert orders is not None
    assert len(orders) == 256
    assert (orders[0][0], orders[-1][1]) == ((1,), (1000,))
    follower.stream.close()


def test_changes_of_a_partition_are_told_as_the_partitioned_table(database: Database) -> None:
    database.sql("create table p (id int primary key, x int) partition by range (id)")
    database.sql("create table p1 partition of p for values from (0) to (10)")
    follower = _following(database)
    database.sql("insert into p values (1, 1); update p set x = 2")
    assert [c for t in follower.catch_up() for c in told(t)] == [("p", (1,), "insert"), ("p", (1,), "update")]
    assert follower.stream.published == {TableName("public", "p")}
    follower.stream.close()


def test_the_barrier_covers_a_position_only_after_what_committed_before_it_was_delivered(plain: Follower) -> None:
    """Writers take the log's end right after their commit; the reader must hold the transaction by then."""
    promises: list[tuple[int, Lsn]] = []
    stop = threading.Event()

    def write(base: int) -> None:
        with psycopg.connect(plain.database.dsn) as connection:
            for n in range(base, base + 100_000):
                if stop.is_set():
                    return
                connection.execute("insert into orders values (%s, 1, 'x')", (n,))
                if n % 7 == 0:
                    connection.rollback()
                    continue
                promises.append(_committed(connection))

    writers = [threading.Thread(target=write, args=(n * 1_000_000,)) for n in range(1, 4)]
    for writer in writers:
        writer.start()
    checked = 0
    began = time.monotonic()
    delivered: set[int] = set()
    seen = 0
    while time.monotonic() < began + 3 or checked <= 100:
        assert time.monotonic() < began + 60, checked
        barrier = plain.poll(changes_max=20)
        delivered.update(t.xid for t in plain.transactions[seen:])
        seen = len(plain.transactions)
        due = [xid for xid, position in list(promises)[checked:] if barrier.covers(position)]
        late = [xid for xid in due if xid not in delivered]
        assert late == []
        while checked < len(promises) and barrier.covers(promises[checked][1]):
            checked += 1
    stop.set()
    for writer in writers:
        writer.join()
    plain.catch_up()
    xids = [t.xid for t in plain.transactions]
    assert sorted(xids) == sorted(xid for xid, _ in promises)
    commits = [t.commit for t in plain.transactions]
    assert all(later.covers(earlier) for earlier, later in itertools.pairwise(commits))


def test_the_barrier_of_an_idle_leader_follows_at_once(plain: Follower) -> None:
    waits = []
    for n in range(6):
        # Not published: nothing will be delivered, only the log moves on, over page ends too.
        plain.database.sql(f"create table other{n} (x text); insert into other{n} values (repeat('y', 7000))")
        position, began = written(plain.database), time.monotonic()
        while not plain.poll().covers(position):
            assert time.monotonic() < began + 60
        waits.append(time.monotonic() - began)
    assert min(waits) < 1.0, "the best of them, whatever else this machine does"
    assert plain.transactions == []


def test_the_barrier_reaches_a_position_behind_a_page_header(plain: Follower) -> None:
    """Where a record ends with its page, the reader of the log stops at the page's end, and the writer behind the next
    page's header: without care the barrier of an idle leader would stay below for ever."""
    plain.database.sql("create table other (n int)")
    with psycopg.connect(plain.database.dsn, autocommit=True) as connection:
        for n in range(20_000):
            connection.execute("insert into other values (%s)", (n,))
            row = connection.execute("select (pg_current_wal_insert_lsn() - '0/0')::bigint").fetchone()
            if row is not None and int(str(row[0])) % 8192 == 24:
                break
        else:
            pytest.fail("no record ended with its page")
    position, began = written(plain.database), time.monotonic()
    assert position.value % 8192 == 24
    while not plain.poll().covers(position):
        assert time.monotonic() < began + 60
    assert plain.offsets["lsn"] == position.value


def test_a_transaction_is_delivered_within_a_fraction_of_a_second(plain: Follower) -> None:
    with psycopg.connect(plain.database.dsn, autocommit=True) as connection:
        waits = []
        for n in range(5):
            timer = threading.Timer(0.2, connection.execute, (f"insert into orders values ({n}, 1, 'x')",))
            before = len(plain.transactions)
            timer.start()
            while len(plain.transactions) == before:
                plain.poll(seconds_max=10)
            waits.append(time.time() - plain.transactions[-1].committed_at)
            timer.join()
    assert min(waits) < 0.5, "the best of them, whatever else this machine does"
