"""Keys of every kind on MariaDB and MySQL: ranges partition them, look-ups find what was asked and no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from fixtures.mysql_servers import PairDatabase, fresh_database
from fixtures.walking import walk
from stack.mysql_servers import MysqlPair

from connectors.mysql.agreement import agree
from connectors.mysql.replica import MysqlReplica, Options
from verifier.digest import EMPTY, Digest
from verifier.errors import Permanent
from verifier.keyrange import ALL, KeyRange
from verifier.look import Role
from verifier.table import Key, Scheme, Table, TableName

pytestmark = pytest.mark.mysql

KEYS: dict[str, tuple[str, list[str], str]] = {
    "ci": ("varchar(40) collate utf8mb4_general_ci", ["'b'", "'A'", "'é'", "' x'", "'日本'", "'%s'", "'\\\\'"], ""),
    "padded": ("varchar(40) collate utf8mb4_unicode_ci", ["'a'", "'a\\t'", "' a'", "''", "'\U0001f600'"], ""),
    "latin1": ("varchar(40) character set latin1", ["'ü'", "'u'", "'z'", "'Z2'", "''"], ""),
    "ascii_bin": ("varchar(40) character set ascii collate ascii_bin", ["'a'", "'B'", "'b'", "'~'"], ""),
    "char": ("char(8)", ["'a'", "'b  '", "'C'", "''"], ""),
    "binary": ("binary(4)", ["x'00000000'", "x'00ff0000'", "x'61620000'", "x'ffffffff'"], ""),
    "varbinary": ("varbinary(16)", ["x''", "x'00'", "x'0000'", "x'ff'", "x'5c27'"], ""),
    "blob_free": ("varbinary(16)", ["x'6f1c1e0a8d2b4f579a3c0d9e8b7a6c5d'", "x'00'"], ""),
    "unsigned": ("bigint unsigned", ["0", "9223372036854775807", "9223372036854775808", "18446744073709551615"], ""),
    "signed": ("bigint", ["-9223372036854775808", "-1", "0", "9223372036854775807"], ""),
    "zerofill": ("int(6) unsigned zerofill", ["0", "42", "123456"], ""),
    "tiny": ("tinyint(1)", ["-128", "0", "1", "127"], ""),
    "year": ("year", ["1901", "2024", "2155"], ""),
    "bit": ("bit(10)", ["0", "1", "512", "1023"], ""),
    "decimal": (
        "decimal(40,10)", ["0", "-0.0000000001", "123456789012345678901234567890.0000000001", "1234567890123456.5"], "",
    ),
    "double": ("double", ["0", "-1.5e300", "0.1", "5e-324", "1.7976931348623157e308"], ""),
    "float": ("float", ["0", "0.1", "16777216", "-3.4e38"], ""),
    "date": ("date", ["'1000-01-01'", "'2026-02-28'", "'9999-12-31'"], ""),
    "time": ("time(6)", ["'-838:59:59'", "'00:00:00.000001'", "'25:00:00'"], ""),
    "datetime": ("datetime(6)", ["'1000-01-01 00:00:00'", "'2026-02-28 12:00:00.000001'"], ""),
    "timestamp": ("timestamp(3)", ["'1970-01-01 00:00:01'", "'2026-02-28 12:00:00.5'"], ""),
    "enum": ("enum('z','a','M')", ["'a'", "'M'", "'z'"], ""),
    "set": ("set('z','a')", ["''", "'a'", "'z,a'", "'z'"], ""),
    "uuid": ("uuid", ["'00000000-0000-0000-0000-000000000001'", "'6f1c1e0a-8d2b-4f57-9a3c-0d9e8b7a6c5d'"], "mariadb"),
    "inet6": ("inet6", ["'::1'", "'2001:db8::ff00:42:8329'", "'::ffff:192.0.2.128'"], "mariadb"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sides:
    leader: MysqlReplica
    follower: MysqlReplica
    database: PairDatabase

    def tables(self, name: str) -> tuple[Table, Table]:
        named = TableName(self.database.name, name)
        return self.leader.table(named), self.follower.table(named)


@contextmanager
def opened(database: PairDatabase) -> Iterator[Sides]:
    leader = MysqlReplica("leader", database.leader_url, Options(role=Role.LEADER))
    follower = MysqlReplica("follower", database.replica_url)
    yield Sides(leader, follower, database)
    leader.close()
    follower.close()


@pytest.fixture
def sides(pair_database: PairDatabase) -> Iterator[Sides]:
    with opened(pair_database) as made:
        yield made


@pytest.fixture(scope="module")
def every_kind(either_pair: MysqlPair) -> Iterator[Sides]:
    """Two tables for each kind of key: of one column, and of two."""
    database = PairDatabase(either_pair, fresh_database())
    for name, values in kinds(either_pair.leader.engine).items():
        declared = KEYS[name][0]
        rows = ", ".join(f"({value}, {n}, 'v')" for n, value in enumerate(values))
        database.sql(
            f"create table {name}_one (k {declared} primary key, n int, v varchar(9))",
            f"create table {name}_two (k {declared}, n int, v varchar(9), primary key (k, n))",
            f"insert into {name}_one values {rows}",
            f"insert into {name}_two values {rows}",
            f"insert into {name}_two select k, n + 100, v from {name}_two",
        )
    either_pair.caught_up()
    with opened(database) as made:
        yield made
    database.drop()


def kinds(engine: str) -> dict[str, list[str]]:
    """The values of each kind of key that the engine has."""
    return {name: values for name, (_, values, only) in KEYS.items() if only in ("", engine)}


def partitioned(sides: Sides, ours: Table, theirs: Table, count: int, rows: int = 1) -> None:
    """Every way to ask gives the same rows, each once."""
    keys = list(sides.leader.row_digests(ours, ALL).value)
    assert len(set(keys)) == count
    found: list[Key] = []
    total = EMPTY
    for within in walk(sides.leader, ours, rows):
        left, right = (
            side.row_digests(t, within).value for side, t in ((sides.leader, ours), (sides.follower, theirs))
        )
        assert dict(left) == dict(right)
        assert len(left) <= rows
        found += left
        total += sides.follower.digest(theirs, within).value
    assert sorted(map(str, found)) == sorted(map(str, keys))
    assert total == sides.leader.digest(ours, ALL).value
    for side, table in ((sides.leader, ours), (sides.follower, theirs)):
        packed = dict(side.row_digests(table, ALL).value)
        assert side.point_digests(table, keys).value == packed
        assert Digest.of(packed.values()) == side.digest(table, ALL).value
        assert set(side.rows(table, keys[1:]).value) == set(keys[1:])


@pytest.mark.parametrize("scheme", ["native", "native by bytes", "canonical", "client"])
def test_keys_of_every_type_are_walked_and_found(every_kind: Sides, scheme: str) -> None:
    sides = every_kind
    for one in sides.leader, sides.follower:
        one.adopt(frozenset())
    if scheme == "native":
        assert agree([sides.leader, sides.follower]).reasons == ()
    for name, values in kinds(sides.database.pair.leader.engine).items():
        if scheme == "native by bytes" and "char" not in KEYS[name][0]:
            continue
        for table, count, rows in ((f"{name}_one", len(values), 1), (f"{name}_two", 2 * len(values), 3)):
            ours, theirs = (replace(t, scheme=Scheme(scheme.split()[0])) for t in sides.tables(table))
            try:
                partitioned(sides, ours, theirs, count, rows)
            except Exception as error:
                error.add_note(f"{table}, {scheme}")
                raise


def test_a_key_that_the_collation_takes_for_another_is_not_found(sides: Sides) -> None:
    """The index of the replica equates `a` with `A`; the keys are two all the same."""
    sides.database.sql(
        "create table t (k varchar(9) collate utf8mb4_general_ci primary key, v int)",
        "insert into t values ('a', 1), ('b', 2), ('c', 3)",
    )
    sides.database.pair.caught_up()
    sides.database.plant("update t set k = 'A' where k = 'a'", "update t set k = 'b ' where k = 'b'")
    ours, theirs = sides.tables("t")
    for agreed in (False, True):
        if agreed:
            agree([sides.leader, sides.follower])
        found = sides.follower.point_digests(theirs, [("a",), ("A",), ("b",), ("c",)]).value
        assert set(found) == {("A",), ("c",)}
        assert set(sides.follower.rows(theirs, [("a",)]).value) == set()
        assert set(sides.leader.row_digests(ours, ALL).value) == {("a",), ("b",), ("c",)}
        assert set(sides.follower.row_digests(theirs, ALL).value) == {("A",), ("b ",), ("c",)}


def test_a_collation_of_its_own_on_the_replica_is_walked_by_bytes(sides: Sides) -> None:
    sides.database.sql(
        "create table t (k varchar(9) collate utf8mb4_general_ci primary key)",
        "insert into t values ('a'), ('B'), ('c'), ('Ü'), ('_')",
    )
    sides.database.pair.caught_up()
    sides.database.plant("alter table t modify k varchar(9) collate utf8mb4_bin")
    ours, theirs = sides.tables("t")
    agreement = agree([sides.leader, sides.follower], [ours])
    assert agreement.native_order == frozenset()
    assert "follower sorts its key otherwise" in agreement.reasons[0]
    assert [within.upper for within in walk(sides.leader, ours, 1)][:4] == [("_",), ("a",), ("c",), ("Ü",)]
    partitioned(sides, ours, theirs, 5)


def test_names_are_quoted_whatever_they_are(sides: Sides) -> None:
    sides.database.sql(
        "create table `Ta`` %s.ble ü` "
        "(`K\"e'y` int, `gr%üße` varchar(20), `order` int, primary key (`order`, `K\"e'y`))",
        "insert into `Ta`` %s.ble ü` values (1, 'a', 2), (2, null, 1)",
    )
    sides.database.pair.caught_up()
    (name,) = sides.leader.tables([f"{sides.database.name}.*"])
    assert name == TableName(sides.database.name, "Ta` %s.ble ü")
    ours, theirs = sides.tables(name.name)
    assert ours.key == ("order", "K\"e'y")
    partitioned(sides, ours, theirs, 2)
    assert sides.leader.rows(ours, [(1, 2)]).value[(1, 2)].values == {"K\"e'y": "2", "gr%üße": None, "order": "1"}
    limited = [replace(table, where="`gr%üße` like '%a%' -- only these") for table in (ours, theirs)]
    partitioned(sides, limited[0], limited[1], 1)


def test_a_chunk_reads_its_own_rows_and_not_all_that_share_the_first_column(sides: Sides) -> None:
    """A key that begins with a tenant, and one tenant who has nearly everything."""
    rows = ", ".join(f"(1, 'x{n:04}', {n})" for n in range(3000))
    sides.database.sql(
        "create table t (tenant int, name varchar(20), n int, primary key (tenant, name, n))",
        f"insert into t values {rows}, (2, 'y', 1)",
        "analyze table t",
    )
    sides.database.pair.caught_up()
    ours, _ = sides.tables("t")
    agree([sides.leader, sides.follower], [ours])
    for upper in (1, "x1500", 9), (2, "y", 0):
        plan = sides.leader.explain(ours, KeyRange((1, "x1490", 9), upper)).plan[0]
        assert "type: range" in plan
        read = int(plan.partition("rows: ")[2].partition(",")[0])
        assert read < (40 if upper[0] == 1 else 2000)
    first, second, *_ = walk(sides.leader, ours, 1490)
    assert (first.upper, second.lower) == ((1, "x1490", 1490),) * 2
    within = KeyRange(second.lower, (1, "x1500", 1500))
    assert sorted(sides.leader.row_digests(ours, within).value) == [(1, f"x{n:04}", n) for n in range(1490, 1500)]


def test_the_key_is_the_primary_one_or_a_unique_one_that_addresses_rows(sides: Sides) -> None:
    sides.database.sql(
        "create table a (x int, y int not null, z int not null, primary key (y, x), unique (z))",
        "create table b (x int, y int not null, z int not null, unique nullable (x), unique two (z, y))",
        "create table c (x varchar(20) not null, unique beginning (x(3)))",
        "create table d (x int)",
    )
    sides.database.pair.caught_up()
    found = {name: sides.tables(name)[0].key for name in "abcd"}
    assert found == {"a": ("y", "x"), "b": ("z", "y"), "c": (), "d": ()}
    with pytest.raises(Permanent, match="no primary key"):
        sides.leader.row_digests(sides.tables("d")[0], ALL)


def test_a_table_whose_reads_have_no_snapshot_is_refused(sides: Sides) -> None:
    sides.database.sql("create table t (id int primary key) engine=MyISAM")
    sides.database.pair.caught_up()
    for side in (sides.leader, sides.follower):
        with pytest.raises(Permanent, match=r"MyISAM.*use InnoDB"):
            side.table(TableName(sides.database.name, "t"))


@pytest.mark.parametrize("scheme", [Scheme.NATIVE, Scheme.CANONICAL, Scheme.CLIENT])
@pytest.mark.parametrize("key", [("n",), ("word", "n")])
def test_rows_with_null_in_a_named_key_are_counted_and_never_left_out_unseen(
    sides: Sides, key: tuple[str, ...], scheme: Scheme
) -> None:
    sides.database.sql(
        "create table t (n int, word varchar(9) not null, v int)",
        "insert into t values (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (null, 'd', 4)",
    )
    sides.database.pair.caught_up()
    ours, theirs = (replace(one, key=key, scheme=scheme) for one in sides.tables("t"))
    ranges = walk(sides.leader, ours, 2)
    for side, table in ((sides.leader, ours), (sides.follower, theirs)):
        digests = [side.digest(table, within).value for within in ranges]
        assert sum(digests, EMPTY) == side.digest(table, ALL).value
        assert sum(digests, EMPTY).rows == 4
        with pytest.raises(Permanent, match=r"NULL in their key \(.*n\)"):
            side.row_digests(table, ranges[0])
        assert len(side.row_digests(table, ranges[1]).value) == 1
