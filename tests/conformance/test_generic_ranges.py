"""Engines beside each other: whatever the leader's key ranges are, the other side reads the same rows in each."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.generic.replica import GenericReplica
from connectors.sqlite.replica import SqliteReplica
from verifier.compare import Comparison, comparison, using
from verifier.digest import Digest
from verifier.errors import Misconfigured, Permanent, Temporary, Unreachable
from verifier.features import UNTOLD
from verifier.keyrange import ALL, KeyRange
from verifier.look import Role
from verifier.policy import Limits
from verifier.ports import Replica
from verifier.table import Family, Key, Scheme, TableName

ENGINES = ("sqlite", "duckdb", "stranger")
WORDS = ["", " ", "a", "A", "aa", "Ab", "b", "é", "z", "Z", "ß", "'", '"', "%s", "\\", ":x", "日本", "\U0001f600"]
KEYS: dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]] = {
    "text and integer": (("text", "integer"), list(itertools.product(WORDS, (-1, 2**31 - 1)))),
    "integer": (("bigint",), [(-(2**63),), (-1,), (0,), (2**63 - 1,)]),
    "decimal": (("decimal(9,2)",), [("-1.5",), ("0",), ("2",), ("10.25",)]),
    "uuid": (("uuid",), [(f"{one}f1c1e0a-8d2b-4f57-9a3c-0d9e8b7a6c5d",) for one in "0479af"]),
    "date": (("date",), [("1999-12-31",), ("2024-01-01",), ("2024-01-02",)]),
    "timestamp": (("timestamp",), [("2024-01-01 10:00:00",), ("2024-01-01 10:00:00.5",), ("2024-01-01 10:00:01",)]),
    "bytes": (("blob",), [(b"",), (b"\x00\xff",), (b"\xff",)]),
    "flag, time and double": (
        ("boolean", "time", "double"),
        list(itertools.product((True, False), ("09:59:59.5", "10:00:00", "10:00:00.5"), (-0.5, 1e15))),
    ),
}


def made(engine: str, path: Path, kinds: Sequence[str], keys: list[tuple[Any, ...]], role: Role | None) -> Replica:
    """A replica of a new file with the table `t`: the keys, and a value."""
    names = [f"k{place}" for place in range(len(kinds))]
    columns = ", ".join(f"{name} {kind} not null" for name, kind in zip(names, kinds, strict=True))
    create = f"create table t ({columns}, v text, primary key ({', '.join(names)}))"
    insert = f"insert into t values ({', '.join('?' * len(kinds))}, ?)"
    rows = [(*key, f"v{place}") for place, key in enumerate(reversed(keys))]
    if engine == "duckdb":
        with duckdb.connect(str(path)) as hand:
            hand.execute(create.replace("text", "varchar"))
            hand.executemany(insert, rows)
        return GenericReplica(path.name, f"duckdb:///{path}", role)
    with closing(sqlite3.connect(path)) as hand, hand:
        hand.execute(create.replace("bigint", "integer") if len(kinds) == 1 else create)
        hand.executemany(insert, rows)
    kind = SqliteReplica if engine == "sqlite" else GenericReplica
    return kind(path.name, f"sqlite:///{path}", role)


@pytest.fixture(params=list(KEYS))
def keyed(request: pytest.FixtureRequest) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    return KEYS[request.param]


@pytest.fixture
def sides(
    tmp_path: Path, keyed: tuple[tuple[str, ...], list[tuple[Any, ...]]]
) -> Iterator[dict[str, tuple[Replica, Replica]]]:
    """Each engine as leader and as follower."""
    both = {
        engine: (
            made(engine, tmp_path / f"leader.{engine}", *keyed, Role.LEADER),
            made(engine, tmp_path / f"follower.{engine}", *keyed, None),
        )
        for engine in ENGINES
    }
    yield both
    for pair in both.values():
        for one in pair:
            one.close()


def compared(leader: Replica, follower: Replica) -> Comparison:
    name = TableName("main", "t")
    found = comparison(leader.table(name), follower.table(name), abroad=True)
    assert found.problem is None
    return using(found, Scheme.CLIENT)


def test_every_range_holds_the_same_rows_on_both_sides(
    sides: dict[str, tuple[Replica, Replica]], keyed: tuple[tuple[str, ...], list[tuple[Any, ...]]]
) -> None:
    engines = ENGINES if keyed is not KEYS["uuid"] else ENGINES[:2]  # to a stranger SQLite has no such type
    for ours, theirs in itertools.product(engines, engines):
        leader, follower = sides[ours][0], sides[theirs][1]
        pair = compared(leader, follower)
        found: list[Key] = []
        lower: Key | None = None
        while True:
            upper = leader.boundary(pair.leader, lower, 3)
            within = KeyRange(lower, upper)
            left = leader.row_digests(pair.leader, within).value
            right = follower.row_digests(pair.follower, within).value
            assert dict(left) == dict(right), (ours, theirs, within)
            assert follower.digest(pair.follower, within).value == Digest.of(left.values())
            assert len(left) == 3 or upper is None
            found += left
            if upper is None:
                break
            lower = upper
        assert len(found) == len(set(found)) == len(keyed[1]), (ours, theirs)
        rows = follower.rows(pair.follower, found[:5]).value
        assert {key: row.digest for key, row in rows.items()} == leader.point_digests(pair.leader, found[:5]).value
        assert len(rows) == min(5, len(found))


STRANGE: dict[str, list[Key]] = {
    "text and integer": [("a", 5), ("nothing", -1), ("a", 2**64), ("a\0", -1)],
    "integer": [(2**63,), (-(2**64),), (10**400,), ("junk",), (3,)],
    "decimal": [("NaN",), ("Infinity",), ("0.005",), ("1e30",), ("junk",)],
    "uuid": [("junk",), ("",), (f"{'f' * 8}-8d2b-4f57-9a3c-0d9e8b7a6c5d",)],
    "date": [("0000-00-00",), ("infinity",), ("0044-03-15 BC",), ("2024-13-01",)],
    "timestamp": [("0000-00-00 00:00:00",), ("infinity",), ("2024-01-01 10:00:00.1+00",)],
    "bytes": [("\\x0",), ("\\x00",), ("junk",)],
    "flag, time and double": [("junk", "10:00:00", "-0.5"), ("true", "25:00:00", "NaN"), ("true", "10:00:00", "junk")],
}


def test_a_key_that_cannot_be_here_is_not_here(
    sides: dict[str, tuple[Replica, Replica]], keyed: tuple[tuple[str, ...], list[tuple[Any, ...]]]
) -> None:
    (strange,) = (STRANGE[kind] for kind, value in KEYS.items() if value is keyed)
    engines = ENGINES if keyed is not KEYS["uuid"] else ENGINES[:2]
    for engine in engines:
        leader, follower = sides[engine]
        table = compared(leader, follower).leader
        known = next(iter(leader.row_digests(table, ALL).value))
        for key in strange:
            assert leader.point_digests(table, [key]).value == {}, (engine, key)
        assert set(leader.rows(table, [*strange, known]).value) == {known}


def test_a_key_that_the_driver_cannot_say_is_found(tmp_path: Path) -> None:
    days = ["infinity", "0044-03-15 BC", "2024-01-01"]
    rows = "insert into t values ('infinity', 1), ('0044-03-15 (BC)', 2), ('2024-01-01', 3)"
    with closing(of_duckdb(tmp_path / "x.duckdb", "create table t (d date primary key, n integer)", rows)) as replica:
        table = replica.table(TableName("main", "t"))
        assert set(replica.row_digests(table, ALL).value) == {(day,) for day in days}
        assert {key: row.values["n"] for key, row in replica.rows(table, [(day,) for day in days]).value.items()} == {
            ("infinity",): "1", ("0044-03-15 BC",): "2", ("2024-01-01",): "3",
        }  # fmt: skip


def of_duckdb(path: Path, *statements: str, **limits: float) -> GenericReplica:
    with duckdb.connect(str(path)) as hand:
        for statement in statements:
            hand.execute(statement)
    return GenericReplica("one", f"duckdb:///{path}", Role.LEADER, Limits(**limits))  # type: ignore[arg-type]


def test_values_that_the_driver_would_spoil_come_as_the_engine_writes_them(tmp_path: Path) -> None:
    columns = {
        "n": ("timestamp_ns", "2024-01-01 00:00:00.123456789"),
        "d": ("date", "infinity"),
        "b": ("date", "0044-03-15 BC"),
        "i": ("interval", "1 year 2 mons 3 days 04:05:06"),
        "j": ("json", '{"a":1.10}'),
        "h": ("hugeint", str(2**100)),
        "u": ("ubigint", str(2**64 - 1)),
        "t": ("timestamptz", "2024-01-01 00:00:00+00"),
        "f": ("float", "0.10000000149011612"),
        "x": ("double", "nan"),
        "y": ("blob", "\\x00ff"),
        "s": ("boolean", "true"),
        "o": ("bit", "000101"),
        "m": ("enum('sad', 'é')", "é"),
    }
    given = {"b": "0044-03-15 (BC)", "i": "14 months 3 days 04:05:06", "t": "2024-01-01 02:00:00+02", "f": "0.1"}
    typed = ", ".join(f'"{name}" {kind}' for name, (kind, _) in columns.items())
    values = ", ".join(f"'{given.get(name, value)}'" for name, (_, value) in columns.items())
    values = values.replace("'\\x00ff'", "'\\x00\\xff'::blob")
    replica = of_duckdb(
        tmp_path / "x.duckdb",
        f"create table t (id integer primary key, {typed})",
        f"insert into t values (1, {values})",
    )
    with closing(replica):
        table = replica.table(TableName("main", "t"))
        families = [table.column(name).family for name in "niom"]
        assert families == [Family.TIMESTAMP, Family.INTERVAL, Family.BIT, Family.ENUM]
        assert replica.rows(table, [(1,)]).value[(1,)].values == {
            "id": "1", **{name: value for name, (_, value) in columns.items()},
        }  # fmt: skip


def test_a_statement_ends_at_its_time_limit(tmp_path: Path) -> None:
    endless = "select count(*) from range(100000000) a, range(1000) b where hash(a.range + b.range) = 3"
    with closing(of_duckdb(tmp_path / "x.duckdb", "create table t (id integer primary key)")) as replica:
        began = time.monotonic()
        with pytest.raises(Temporary, match="time limit"):
            replica.ask(endless, rows_max=1, seconds_max=0.2)
        assert time.monotonic() - began < 30
        assert replica.digest(replica.table(TableName("main", "t")), ALL).value.rows == 0


def test_a_collation_of_a_column_changes_nothing(tmp_path: Path) -> None:
    words = ["a", "B", "c", "Z", "é"]
    rows = "insert into t values " + ", ".join(f"('{word}', 1)" for word in words)
    make = "create table t (k varchar {} primary key, n integer)"
    with (
        closing(of_duckdb(tmp_path / "x.duckdb", make.format("collate nocase"), rows)) as one,
        closing(of_duckdb(tmp_path / "y.duckdb", make.format(""), rows)) as other,
    ):
        table = one.table(TableName("main", "t"))
        for side in (one, other):
            assert [side.boundary(table, None, n) for n in range(5)] == [(word,) for word in sorted(words)]
            assert set(side.row_digests(table, KeyRange(("Z",), ("c",))).value) == {("Z",), ("a",)}
            assert set(side.rows(table, [("A",), ("B",)]).value) == {("B",)}


def test_keys_are_told_and_what_is_not_told_is_named(tmp_path: Path) -> None:
    made = (
        "create sequence s",
        "create table t (id integer primary key default nextval('s'), n integer default -5, v varchar default 'it''s',"
        " b boolean default true, m timestamp default current_timestamp, f integer default (2 + 3), unique (n))",
        "create index i on t (n)",
        "insert into t (v) values ('a'); insert into t (id, n) values (7, 1)",
    )
    with closing(of_duckdb(tmp_path / "x.duckdb", *made)) as replica:
        told = {(one.what, one.text, one.portable, one.problem) for one in replica.features(TableName("main", "t"))}
    behind = "its next value 2 is not beyond 7, which the column holds already"
    assert told == {
        ("unique", "primary key (id)", "id", None), ("unique", "unique (n)", "n", None),
        ("default", "next value of a sequence", "sequence", None),
        ("sequence", f"by 1 from 1 to {2**63 - 1}", None, behind),
        ("default", "-5", "-5", None), ("default", "'it''s'", "it's", None), ("default", "true", "1", None),
        ("default", "current_timestamp", "now", None), ("default", "(2 + 3)", None, None),
        *((UNTOLD, kind, None, None) for kind in ("index", "check", "foreign key")),
    }  # fmt: skip


def test_nobody_writes_through_it(tmp_path: Path) -> None:
    with closing(of_duckdb(tmp_path / "x.duckdb", "create table t (id integer primary key)")) as replica:
        with pytest.raises(Permanent, match="read-only"):
            replica.ask("insert into t values (1) returning id", rows_max=1, seconds_max=5)
        assert replica.digest(replica.table(TableName("main", "t")), ALL).value.rows == 0


def test_rows_without_a_whole_key_are_never_left_out_unseen(tmp_path: Path) -> None:
    rows = "insert into t values (1, 'a'), (2, 'b'), (null, 'c')"
    with closing(of_duckdb(tmp_path / "x.duckdb", "create table t (id integer, v varchar)", rows)) as replica:
        table = replace(replica.table(TableName("main", "t")), key=("id",))
        with pytest.raises(Permanent, match="NULL in their key"):
            replica.digest(table, KeyRange(None, (2,)))
        kept = replace(table, where="id is not null and v <> ':c' -- :d")
        assert set(replica.row_digests(kept, KeyRange(None, (2,))).value) == {(1,)}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_condition_knows_renamed_columns_by_the_names_of_the_leader(tmp_path: Path, engine: str) -> None:
    """Also where another column here has the leader's name, and one that is not compared."""
    rows = [(1, "a", "z", 5), (2, "b", "a", 6), (3, None, "a", 6), (4, "c", "b", 6)]
    path = tmp_path / f"one.{engine}"
    create = "create table t (id integer not null primary key, word varchar(9), v varchar(9), spare integer)"
    hand: Any = duckdb.connect(str(path)) if engine == "duckdb" else sqlite3.connect(path)
    with closing(hand):
        hand.execute(create)
        hand.executemany("insert into t values (?, ?, ?, ?)", rows)
        hand.commit()
    kind = SqliteReplica if engine == "sqlite" else GenericReplica
    url = f"duckdb:///{path}" if engine == "duckdb" else f"sqlite:///{path}"
    with closing(kind("one", url, Role.LEADER)) as replica:
        stored = replica.table(TableName("main", "t"))
        kept = (stored.column("id"), replace(stored.column("word"), name="v", source="word"))
        for where, keys in (
            ("v = 'a'", {1}),
            ("v in ('a', 'b') and spare = 6 -- no more", {2}),
            ("v is null or id = 4", {3, 4}),
            ("v <> ':x'", {1, 2, 4}),
        ):
            table = replace(stored, columns=kept, where=where)
            found = replica.row_digests(table, ALL).value
            assert set(found) == {(key,) for key in keys}, where
            assert replica.digest(table, ALL).value == Digest.of(found.values())
            assert set(replica.rows(table, [(1,), (2,), (3,), (4,)]).value) == set(found)
            assert replica.boundary(table, None, 0) == (min(keys),)


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    replica = GenericReplica("one", f"duckdb:///{tmp_path / 'none.duckdb'}")
    with pytest.raises(Unreachable, match="does not exist"):
        replica.identity()
    replica.close()
    for url in ("nosuch://h/x", "not a url"):
        with pytest.raises(Misconfigured):
            GenericReplica("one", url)
