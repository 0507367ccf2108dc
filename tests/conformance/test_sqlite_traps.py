"""What SQLite does otherwise than servers do, held against files that do it."""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fixtures.sqlite_files import write
from fixtures.walking import walk

from connectors.sqlite.replica import SqliteReplica
from connectors.sqlite.values import MARK
from verifier.canonical import differing_columns
from verifier.digest import EMPTY, Digest
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, Unreachable
from verifier.keyrange import ALL, KeyRange
from verifier.look import Role
from verifier.policy import Limits
from verifier.table import Family, Key, Kind, Scheme, Table, TableName

WORDS = ["", " ", "a", "A", "a ", "aa", "Ab", "b", "é", "z", "Z", "ß", "'", '"', "?", "\\", "日本", "\U0001f600"]
UUID = "6f1c1e0a-8d2b-4f57-9a3c-0d9e8b7a6c5d"


@contextmanager
def opened(path: Path, *statements: str, role: Role | None = Role.LEADER, **limits: float) -> Iterator[SqliteReplica]:
    """A replica of the file, after these statements."""
    write(path, *statements)
    replica = SqliteReplica("one", f"sqlite:///{path}", role, Limits(**limits))  # type: ignore[arg-type]
    try:
        yield replica
    finally:
        replica.close()


def described(replica: SqliteReplica, name: str, scheme: Scheme = Scheme.NATIVE) -> Table:
    return replace(replica.table(TableName("main", name)), scheme=scheme)


# Of each column's declared type: what stands in it, all different, whatever a text of it looks like.
ODDITIES = {
    "": ["1", "1.0", "'1'", "x'31'", "null", "'null'", "'x''31'''", "''''", "'''1'''", "x''"],
    "text": ["'31'", "x'31'", "cast(x'ff' as text)", "x'ff'", "'\\xff'", f"'{MARK}blob:31'", f"'{MARK}text:a'", "''"],
    "integer": ["1000", "'1_000'", "x'31303030'", "'１０００'", "1.5", "'a'", f"'{MARK}text:a'"],
    "double": ["10", "'1_0'", "x'3130'", "'inf'", "9e999", "'a'"],
    "decimal(9,2)": ["1.5", "x'312e35'", "'1,5'", "'a'"],
    "boolean": ["1", "0", "2", "1.5", "'yes'", "x'31'"],
    "blob": ["x'31'", "'31'", "'\\x31'", "31", "31.5", "''", "x''"],
    "date": ["'2024-01-01'", "20240101", "19723.5", "x'323032342d30312d3031'"],
    "timestamp": ["'2024-01-01 10:00'", "'2024-01-01 10:01:00'", "1704103200", "'10 o''clock'"],
    "uuid": [f"'{UUID}'", "x'00'", "'6f1c'", "1"],
    "json": ["'{}'", "'[]'", "1", "x'7b7d'", "'\"1\"'"],
}  # fmt: skip


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("declared", ODDITIES)
def test_storage_classes_are_kept_apart(tmp_path: Path, declared: str, scheme: Scheme) -> None:
    values = ODDITIES[declared]
    rows = (f"insert into t values ({number}, {value})" for number, value in enumerate(values))
    with opened(tmp_path / "x.db", f"create table t (id integer primary key, v {declared})", *rows) as replica:
        table = described(replica, "t", scheme)
        found = replica.rows(table, [(number,) for number in range(len(values))]).value
        assert len(found) == len(values)
        bare = replace(table, columns=table.columns[1:])
        for one, other in itertools.combinations(found.values(), 2):
            assert differing_columns(bare, one.values, other.values), (one.values, other.values)
        packed = replica.row_digests(table, ALL).value
        assert {key: row.digest for key, row in found.items()} == dict(packed)
        write(tmp_path / "x.db", "create table u as select v from t")
        assert list(replica.multiset(described(replica, "u", scheme)).value.values()) == [1] * len(values)


@pytest.mark.parametrize(
    ("declared", "one", "other"),
    [
        ("decimal(9,2)", "1", "'1.0'"),
        ("double", "1", "'1'"),
        ("boolean", "1", "'true'"),
        ("uuid", f"'{UUID}'", f"x'{UUID.replace('-', '')}'"),
        ("timestamp", "'2024-01-01 10:00'", "'2024-01-01T10:00:00.000'"),
        ("json", '\'{"a": 1.0, "b": 2}\'', '\'{"b":2,"a":1}\''),
    ],
)
def test_what_a_family_merges_is_equal(tmp_path: Path, declared: str, one: str, other: str) -> None:
    made = f"create table t (id integer primary key, v {declared})"
    with opened(tmp_path / "x.db", made, f"insert into t values (1, {one}), (2, {other})") as replica:
        table = described(replica, "t", Scheme.CANONICAL)
        found = replica.rows(table, [(1,), (2,)]).value
        assert differing_columns(table, {"v": found[(1,)].values["v"]}, {"v": found[(2,)].values["v"]}) == {}
        write(tmp_path / "x.db", "create table u (v " + declared + ")", "insert into u select v from t")
        assert list(replica.multiset(described(replica, "u", Scheme.CANONICAL)).value.values()) == [2]


@pytest.mark.parametrize("rows", [1, 4, 1000])
@pytest.mark.parametrize(
    ("left", "right"), [("text collate nocase", "text"), ("text collate rtrim", "varchar(9)"), ("text", "text")]
)
def test_two_files_cut_ranges_alike(tmp_path: Path, left: str, right: str, rows: int) -> None:
    """Whatever their collations and encodings. A collation may take two words for one: then the key has a number."""
    made = "create table t (word {} not null, n integer not null, primary key (word, n)) without rowid"
    keys = [(word, n) for n, word in enumerate(WORDS)]
    fills = [f"insert into t values ('{word.replace(chr(39), chr(39) * 2)}', {n})" for word, n in keys]
    with (
        opened(tmp_path / "x.db", made.format(left), *fills) as one,
        opened(tmp_path / "y.db", "pragma encoding = 'UTF-16le'", made.format(right), *fills) as other,
    ):
        for scheme in (Scheme.NATIVE, Scheme.CANONICAL):
            ours, theirs = described(one, "t", scheme), described(other, "t", scheme)
            assert ours.key == theirs.key == ("word", "n")
            found: list[Key] = []
            for within in walk(one, ours, rows):
                part = one.row_digests(ours, within).value
                assert dict(part) == dict(other.row_digests(theirs, within).value)
                assert one.digest(ours, within).value == Digest.of(part.values())
                found += sorted(part, key=lambda key: (str(key[0]).encode(), key[1]))
            assert found == sorted(keys, key=lambda key: (key[0].encode(), key[1]))
            assert set(one.rows(ours, [("a", 2), ("A", 2), ("a ", 4)]).value) == {("a", 2), ("a ", 4)}
            assert set(other.point_digests(theirs, [("a", 2), ("A", 2), ("a ", 4)]).value) == {("a", 2), ("a ", 4)}


KEYS = {
    "bigint": (["-3", "7", "9223372036854775807"], Family.INTEGER),
    "decimal(9,2)": (["-1.5", "2", "10.25"], Family.DECIMAL),
    "double": (["-1e300", "0.5", "2"], Family.FLOAT),
    "blob": (["x''", "x'00ff'", "x'ff'"], Family.BYTES),
    "date": (["'2023-12-31'", "'2024-01-01'", "'2024-01-02'"], Family.DATE),
    "timestamp": (["'2024-01-01 10:00'", "'2024-01-01 10:00:00.5'", "'2024-01-01T10:00:01'"], Family.TIMESTAMP),
    "uuid": (["'0F1C1E0A-8D2B-4F57-9A3C-0D9E8B7A6C5D'", f"'{UUID}'", "x'ff" + "00" * 15 + "'"], Family.UUID),
    "boolean": (["0", "1"], Family.BOOLEAN),
}  # fmt: skip


@pytest.mark.parametrize("declared", KEYS)
def test_keys_of_every_type_are_walked_and_found(tmp_path: Path, declared: str) -> None:
    values, family = KEYS[declared]
    fills = [f"insert into t values ({value}, {n})" for n, value in reversed(list(enumerate(values)))]
    with opened(tmp_path / "x.db", f"create table t (k {declared} not null primary key, n integer)", *fills) as replica:
        table = described(replica, "t", Scheme.CANONICAL)
        assert table.column("k").family is family
        parts = [replica.row_digests(table, within).value for within in walk(replica, table, 1)]
        assert [len(part) for part in parts] == [1] * len(values)
        keys = [key for part in parts for key in part]
        assert [row.values["n"] for row in map(replica.rows(table, keys).value.__getitem__, keys)] == list(
            map(str, range(len(values)))
        )


def test_the_key_is_the_primary_key_or_the_shortest_unique_one_without_null(tmp_path: Path) -> None:
    with opened(
        tmp_path / "x.db",
        "create table alias (id integer primary key, v)",
        "create table bare (id int primary key, v)",
        "create table filled (id text primary key, v) without rowid",
        "create table uniques (a int not null, b int not null, c int not null unique, d int unique, unique (a, b))",
        "create table odd (a int not null, b text not null)",
        "create unique index odd_part on odd (a) where b <> ''",
        "create unique index odd_made on odd (lower(b))",
        "create table none (a int)",
    ) as replica:
        tables = {name: described(replica, name) for name in ("alias", "bare", "filled", "uniques", "odd", "none")}
        assert {name: table.key for name, table in tables.items()} == {
            "alias": ("id",), "bare": ("id",), "filled": ("id",), "uniques": ("c",), "odd": (), "none": (),
        }  # fmt: skip
        nullable = {name: table.column("id").nullable for name, table in tables.items() if table.key == ("id",)}
        assert nullable == {"alias": False, "bare": True, "filled": False}
        with pytest.raises(Permanent, match="cannot be addressed"):
            replica.digest(tables["none"], KeyRange((1,), None))


@pytest.mark.parametrize(
    ("bad", "said"), [("null", "NULL"), ("x'61'", "class bytes"), (f"'{MARK}text:a'", "class str")]
)
def test_a_key_that_no_other_engine_could_name_is_refused(tmp_path: Path, bad: str, said: str) -> None:
    rows = f"insert into t values ('a', 1), ('b', 2), ({bad}, 3)"
    with opened(tmp_path / "x.db", "create table t (k text primary key, n integer)", rows) as replica:
        table = described(replica, "t")
        # NULL comes first and no range finds it; a blob comes last.
        within = KeyRange(None, ("b",)) if bad == "null" else KeyRange(("b",), None)
        with pytest.raises(Permanent, match=said):
            replica.row_digests(table, within)
        kept = replace(table, where=f"k is not {bad}")
        assert len(replica.row_digests(kept, ALL).value) == 2


def test_no_write_is_possible_and_no_file_is_made(tmp_path: Path) -> None:
    with opened(tmp_path / "x.db", "create table t (id integer primary key)", "insert into t values (1)") as replica:
        table = described(replica, "t")
        assert replica.digest(table, ALL).value.rows == 1
        with pytest.raises(Permanent):
            replica.ask("delete from t returning id", rows_max=1, seconds_max=5)
        with (
            pytest.raises(Permanent, match="readonly"),
            replica.sessions.borrow("writing") as session,
        ):
            session.all("delete from t")
        assert [path.name for path in tmp_path.iterdir()] == ["x.db"]
        assert replica.digest(table, ALL).value.rows == 1


def test_a_file_in_wal_mode_is_not_spoilt_for_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.db"
    with opened(path, "pragma journal_mode = wal", "create table t (id integer primary key)") as replica:
        monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
        with pytest.raises(Forbidden, match="run trueup as the owner"):
            replica.identity()
        assert [one.name for one in tmp_path.iterdir()] == ["x.db"]
        with closing(sqlite3.connect(path)) as program:
            program.execute("select count(*) from t")
            assert replica.digest(described(replica, "t"), ALL).value == EMPTY


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_nothing_stays_open_between_questions(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "x.db"
    made = (f"pragma journal_mode = {mode}", "create table t (id integer primary key)", "insert into t values (1)")
    with opened(path, *made) as replica:
        table = described(replica, "t")
        replica.position()
        replica.rows(table, [(n,) for n in range(2_000)])
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as hand:
            hand.execute("begin exclusive")
            hand.execute("drop table t")
            hand.execute("commit")
            if mode == "wal":
                assert hand.execute("pragma wal_checkpoint(truncate)").fetchone()[0] == 0, "a reader holds it"


def test_the_position_counts_what_others_commit(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with opened(path, "create table t (id integer primary key)") as replica:
        table = described(replica, "t")
        before = replica.position()
        look = replica.digest(table, ALL)
        assert (look.low, look.value) == (before, EMPTY)
        assert look.view.ended_below(replica.mark())
        with closing(sqlite3.connect(path)) as hand:
            hand.execute("insert into t values (1)")
            assert replica.mark() == before, "not committed yet"
            assert replica.digest(table, ALL).value == EMPTY
            hand.commit()
        assert replica.mark() != before
        assert replica.position().covers(before)
        assert not before.covers(replica.position())
        assert not look.view.ended_below(replica.mark())
        assert replica.digest(table, ALL).view.ended_below(replica.mark())
        assert replica.mark() == replica.mark()


def test_a_statement_ends_at_its_time_limit(tmp_path: Path) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    with opened(tmp_path / "x.db", "create table t (id integer primary key)", statement_seconds=0.2) as replica:
        began = time.monotonic()
        with pytest.raises(Temporary, match="time limit"):
            replica.ask(endless, rows_max=1, seconds_max=0.2)
        assert time.monotonic() - began < 30
        assert replica.digest(described(replica, "t"), ALL).value == EMPTY
        slow = replace(described(replica, "t"), where=f"id < ({endless})")
        write(tmp_path / "x.db", "insert into t values (1)")
        with pytest.raises(Temporary, match="time limit"):
            replica.digest(slow, ALL)


def test_a_lock_is_waited_for_no_longer_than_allowed(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with opened(path, "create table t (id integer primary key)", lock_seconds=0.1) as replica:
        table = described(replica, "t")
        with closing(sqlite3.connect(path, isolation_level=None)) as hand:
            hand.execute("begin exclusive")
            with pytest.raises(Temporary, match="holds a lock"):
                replica.digest(table, ALL)
            hand.execute("rollback")
        assert replica.digest(table, ALL).value == EMPTY


def test_another_file_behind_the_path_is_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "x.db", tmp_path / "y.db"
    with opened(path, "create table t (id integer primary key)") as replica:
        table = described(replica, "t")
        write(other, "create table t (id integer primary key)", "insert into t values (1)")
        other.replace(path)
        for question in (replica.position, lambda: replica.digest(table, ALL)):
            with pytest.raises(Permanent, match="another file"):
                question()


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database at all, but long enough to look like one" * 50)
    told = {"none.db": (Unreachable, "check the path"), "x.db": (Permanent, "not a database")}
    for name, (kind, said) in told.items():
        replica = SqliteReplica("one", f"sqlite:///{tmp_path / name}")
        with pytest.raises(kind, match=said):
            replica.identity()
        replica.close()
    assert not (tmp_path / "none.db").exists()
    for url in ("sqlite://", "sqlite:///:memory:", "sqlite:///x.db?mode=rw", "sqlite:///x.db?attach=y", "mysql:///x"):
        with pytest.raises(Misconfigured):
            SqliteReplica("one", url)


def test_views_generated_columns_and_attached_files(tmp_path: Path) -> None:
    write(tmp_path / "y.db", "create table old (id integer primary key, v text)", "insert into old values (1, 'a')")
    write(
        tmp_path / "x.db",
        'create table "odd ""name" (id integer primary key, "Größe" int, twice int as ("Größe" * 2) stored)',
        'insert into "odd ""name" (id, "Größe") values (1, 21)',
        'create view seen as select id, twice from "odd ""name"',
        "create virtual table words using fts5 (word)",
    )
    replica = SqliteReplica("one", f"sqlite:///{tmp_path / 'x.db'}?attach=archive={tmp_path / 'y.db'}")
    with closing(replica):
        odd, old = TableName("main", 'odd "name'), TableName("archive", "old")
        assert replica.tables(["*"]) == [old, odd]
        assert replica.tables(["main.*", "main.seen"]) == [odd, TableName("main", "seen")]
        table = replica.table(odd)
        assert [(c.name, c.generated) for c in table.columns] == [("id", False), ("Größe", False), ("twice", True)]
        assert replica.rows(table, [(1,)]).value[(1,)].values == {"id": "1", "Größe": "21", "twice": "42"}
        assert replica.rows(replica.table(old), [(1,)]).value[(1,)].values == {"id": "1", "v": "a"}
        view = replica.table(TableName("main", "seen"))
        assert (view.kind, view.key) == (Kind.VIEW, ())
        keyed = replace(view, key=("id",))
        assert set(replica.row_digests(keyed, ALL).value) == {(1,)}
        assert replica.table(TableName("main", "SEEN")).source == TableName("main", "seen")


def test_a_condition_and_other_names_are_obeyed(tmp_path: Path) -> None:
    rows = "insert into t values (1, 'a'), (2, 'b'), (3, 'c')"
    with opened(tmp_path / "x.db", "create table t (nr integer primary key, v text)", rows) as replica:
        table = described(replica, "t")
        columns = (replace(table.columns[0], name="id", source="nr"), table.columns[1])
        renamed = replace(table, columns=columns, key=("id",), where="id < 3 -- only these")
        assert set(replica.row_digests(renamed, ALL).value) == {(1,), (2,)}
        assert set(replica.rows(renamed, [(2,), (3,)]).value) == {(2,)}
        assert replica.boundary(renamed, None, 1) == (2,)
        assert replica.boundary(renamed, None, 2) is None


def test_indexes_and_constraints_are_told(tmp_path: Path) -> None:
    with opened(
        tmp_path / "x.db",
        "create table p (id integer primary key)",
        "create table t (id integer primary key, a text default 'x', b int not null unique default 7,"
        " at timestamp default current_timestamp, p int references p (id) on delete cascade,"
        " constraint \"check (1)\" check (/* ( */ b>0 and (a <> ')' or p is null)))",
        "create index t_a on t (a collate nocase desc) where b > 0",
    ) as replica:
        told = {(one.what, one.portable, one.text) for one in replica.features(TableName("main", "t"))}
        assert told == {
            ("unique", "id", "primary key (id)"),
            ("unique", "b", "unique (b)"),
            ("index", None, "index (a desc collate nocase) where b > 0"),
            ("foreign key", "p -> p(id)", "foreign key (p) references p (id) on update no action on delete cascade"),
            ("check", None, "check (b > 0 and ( a <> ')' or p is null ))"),
            ("default", "x", "'x'"),
            ("default", "7", "7"),
            ("default", "now", "current_timestamp"),
        }
