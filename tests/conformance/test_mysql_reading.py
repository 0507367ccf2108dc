"""How MariaDB and MySQL are read: as rows come, in parts that fit the server's packets, and in nobody's way."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import product

import pytest
from fixtures.mysql_servers import PairDatabase

from connectors.mysql.replica import MysqlReplica, Options
from verifier.digest import Digest
from verifier.errors import Permanent, Temporary
from verifier.keyrange import ALL, KeyRange
from verifier.look import Role
from verifier.policy import Limits
from verifier.table import Scheme, Table, TableName

pytestmark = pytest.mark.mysql

LONG = "select /* endless */ repeat('x', 60000) from digits a, digits b, digits c, digits d, digits e"
"""100,000 rows of 60,000 bytes: more than any buffer between a server and its reader holds."""


@contextmanager
def opened(database: PairDatabase, follower: bool = False) -> Iterator[MysqlReplica]:
    if follower:
        replica = MysqlReplica("follower", database.replica_url)
    else:
        replica = MysqlReplica("leader", database.leader_url, Options(role=Role.LEADER))
    yield replica
    replica.close()


@pytest.fixture
def leader(pair_database: PairDatabase) -> Iterator[MysqlReplica]:
    pair_database.sql(
        "create table digits (n int primary key)", f"insert into digits values {', '.join(f'({n})' for n in range(10))}"
    )
    with opened(pair_database) as replica:
        yield replica


def table(replica: MysqlReplica, name: str, scheme: Scheme = Scheme.NATIVE) -> Table:
    return replace(replica.table(TableName(replica.default_schema or "", name)), scheme=scheme)


def until(seen: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_answer_is_taken_as_it_comes_and_ends_with_its_reader(
    pair_database: PairDatabase, leader: MysqlReplica
) -> None:
    def running() -> bool:
        asked = "select count(*) from information_schema.processlist where info like 'select /* endless%%'"
        return bool(pair_database.pair.leader.sql(asked)[0][0])

    def begin() -> None:
        with leader.sessions.borrow("reading") as session, session.stream(LONG) as rows:
            assert next(rows) == ("x" * 60_000,)
            assert running(), "all rows were fetched"
            raise KeyError

    with pytest.raises(KeyError):
        begin()
    until(lambda: not running())
    with leader.sessions.borrow("reading") as session:
        assert session.one("select 1") == ("1",)
        with session.stream("select n from digits where n < %s order by n", [3]) as rows:
            assert list(rows) == [("0",), ("1",), ("2",)]
        assert session.one("select 2") == ("2",)
        with session.stream("select n from digits") as rows:
            next(rows)
        assert not session.usable
    with (
        pytest.raises(Permanent, match="nothing"),
        leader.sessions.borrow("reading") as session,
        session.stream("select * from nothing"),
    ):
        pass
    with leader.sessions.borrow("reading") as session:
        assert session.one("select 3") == ("3",)


def test_a_time_limit_also_ends_an_answer_that_is_read_as_it_comes(
    pair_database: PairDatabase, leader: MysqlReplica
) -> None:
    hurried = MysqlReplica("leader", pair_database.leader_url, Options(limits=Limits(statement_seconds=0.3)))

    began: list[object] = []

    def read() -> None:
        slow = "select repeat('x', 20000), sleep(0.1) from digits"
        with hurried.sessions.borrow("reading") as session, session.stream(slow) as rows:
            began.extend(rows)

    with closing(hurried):
        with pytest.raises(Temporary, match="time limit"):
            read()
        assert 0 < len(began) < 10
        with hurried.sessions.borrow("reading") as session:
            assert session.one("select 1") == ("1",)


def test_rows_that_are_hashed_here_are_not_held(pair_database: PairDatabase, leader: MysqlReplica) -> None:
    pair_database.sql(
        "create table wide (n int, w text)",
        "insert into wide select a.n, repeat('x', 50000) from digits a, digits b",
    )
    wide = table(leader, "wide", Scheme.CLIENT)
    tracemalloc.start()
    try:
        assert leader.digest(wide, ALL).value.rows == 100
        assert sorted(leader.multiset(wide).value.values()) == [10] * 10
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 1_500_000, "of 5,000,000 bytes"


def test_packed_digests_come_in_parts_where_one_answer_is_too_large(pair_database: PairDatabase) -> None:
    pair_database.sql(
        "create table texts (k varchar(200) primary key, v int)",
        "create table numbers (id int primary key, v int)",
        "create table large (id int primary key, v longtext)",
        f"insert into numbers values {', '.join(f'({n}, {n})' for n in range(3000))}",
        "insert into texts select concat(id, repeat('x', 150)), v from numbers where id < 400",
        "insert into large values (1, 'x'), (2, repeat('x', 30000)), (3, 'y')",
    )
    pair_database.pair.caught_up()
    ours = pair_database.pair.leader
    ((usual,),) = ours.sql("select @@global.max_allowed_packet")
    with opened(pair_database, follower=True) as follower:
        ours.sql("set global max_allowed_packet = 16384")
        try:
            with opened(pair_database) as small:
                for scheme, name, rows in (
                    (Scheme.NATIVE, "texts", 400), (Scheme.CANONICAL, "texts", 400), (Scheme.NATIVE, "numbers", 3000),
                ):  # fmt: skip
                    one = table(small, name, scheme)
                    found = small.row_digests(one, ALL).value
                    assert len(found) == rows
                    assert dict(found) == dict(follower.row_digests(table(follower, name, scheme), ALL).value)
                    assert Digest.of(found.values()) == small.digest(one, ALL).value
                with pytest.raises(Permanent, match="max_allowed_packet"):
                    small.row_digests(table(small, "large"), ALL)
        finally:
            ours.sql(f"set global max_allowed_packet = {usual}")


def test_a_condition_knows_columns_that_are_renamed_and_columns_that_are_left_out(
    pair_database: PairDatabase, leader: MysqlReplica
) -> None:
    pair_database.sql(
        "create table t (id int primary key, word varchar(9), `Mixed` int, spare int, other int)",
        "insert into t values (1, 'a', 1, 5, 0), (2, 'b', 1, 6, 0), (3, null, 1, 6, 0), (4, 'a', 1, 6, 0)",
    )
    stored = table(leader, "t")
    renamed = {"word": "v", "Mixed": "mixed"}
    kept = tuple(
        replace(c, name=renamed[c.name], source=c.name) if c.name in renamed else c for c in stored.columns[:3]
    )
    for scheme, where, keys in (
        (Scheme.NATIVE, "v = 'a'", {1, 4}),
        (Scheme.CANONICAL, "v = 'a' and spare = 6 and mixed = 1 -- '%s'", {4}),
        (Scheme.CLIENT, "v is null or spare in (5)", {1, 3}),
    ):
        one = replace(stored, columns=kept, where=where, scheme=scheme)
        found = leader.row_digests(one, ALL).value
        assert set(found) == {(key,) for key in keys}, where
        assert leader.digest(one, ALL).value == Digest.of(found.values())
        assert dict(leader.point_digests(one, [(n,) for n in range(6)]).value) == dict(found)
        assert leader.boundary(one, None, 0) == (min(keys),)
    taken = replace(kept[1], name="other")
    with pytest.raises(Permanent, match="Duplicate column name 'other'"):
        leader.digest(replace(stored, columns=(kept[0], taken), where="other = 'a'"), ALL)


def test_an_end_of_a_chunk_that_cannot_be_here_is_told(pair_database: PairDatabase, leader: MysqlReplica) -> None:
    """Other engines have keys that the server would take for zero, or refuse in words that nobody understands."""
    pair_database.sql(
        "create table days (k date primary key)",
        "create table stamps (k datetime(6) primary key)",
        "create table amounts (k decimal(9,2) primary key)",
        "insert into days values ('2024-01-01'), ('2024-01-02')",
    )
    for name, strange in (
        ("days", ("infinity", "0044-03-15 BC", "12024-01-01")),
        ("stamps", ("-infinity", "0044-03-15 10:00:00 BC")),
        ("amounts", ("NaN", "Infinity")),
    ):
        one = table(leader, name, Scheme.CANONICAL)
        for value in strange:
            for within in (KeyRange(None, (value,)), KeyRange((value,), None)):
                with pytest.raises(Permanent, match=rf"value in k that {one.columns[0].declared[:4]}.* cannot hold"):
                    leader.digest(one, within)
            assert leader.point_digests(one, [(value,)]).value == {}
    days = table(leader, "days", Scheme.CANONICAL)
    assert leader.digest(days, KeyRange(("2024-01-02",), ("9999-12-31",))).value.rows == 1


def test_partitions_views_and_generated_columns(pair_database: PairDatabase, leader: MysqlReplica) -> None:
    pair_database.sql(
        "create table parts (id int primary key, v varchar(9), doubled int generated always as (id * 2) stored, "
        "tripled int generated always as (id * 3) virtual) partition by range (id) "
        "(partition low values less than (5), partition high values less than maxvalue)",
        f"insert into parts (id, v) values {', '.join(f'({n}, {n})' for n in range(9))}",
        "create view seen as select id, v, tripled from parts where id > 2",
    )
    pair_database.pair.caught_up()
    pair_database.plant(
        "update parts set v = 'x' where id in (1, 7)",
        "alter table parts modify tripled int generated always as (if(id = 4, 0, id * 3)) virtual",
    )
    with opened(pair_database, follower=True) as follower:
        for scheme, (name, rows, apart) in product(Scheme, (("parts", 9, {1, 4, 7}), ("seen", 6, {4, 7}))):
            ours, theirs = (replace(table(side, name, scheme), key=("id",)) for side in (leader, follower))
            left, right = leader.row_digests(ours, ALL).value, follower.row_digests(theirs, ALL).value
            assert len(left) == len(right) == rows
            assert {key for (key,) in left if left[key,] != right[key,]} == apart
            assert Digest.of(right.values()) == follower.digest(theirs, ALL).value
            within = KeyRange((4,), leader.boundary(ours, (4,), 2))
            assert set(leader.row_digests(ours, within).value) == {(4,), (5,)}
            assert leader.rows(ours, [(4,)]).value[4,].values["tripled"] == "12"
            assert [c.generated for c in ours.columns][-1] is (name == "parts")


def test_a_session_has_a_name_and_an_idle_one_is_in_nobodys_way(
    pair_database: PairDatabase, leader: MysqlReplica
) -> None:
    assert leader.digest(table(leader, "digits"), ALL).value.rows == 10
    assert leader.sessions.connecting()["program_name"] == "trueup"
    idle = "select count(*) from information_schema.processlist where db = %s and command = 'Sleep'"
    until(lambda: pair_database.pair.leader.sql(idle, [pair_database.name]) == [(1,)])
    pair_database.sql("set lock_wait_timeout = 1", "drop table digits")
