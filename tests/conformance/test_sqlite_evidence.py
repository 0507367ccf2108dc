"""What a judgement over SQLite files says: proven while the leader stands still, and nothing while it does not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures.sqlite_files import write

from connectors.sqlite.replica import SqliteReplica
from verifier.bracketing import BracketJudging
from verifier.compare import comparison
from verifier.drift import Certainty, Kind, Method
from verifier.look import Look, Role, Row
from verifier.outcome import Again, Differs, Equal, Moving, Outcome
from verifier.ports import Replica
from verifier.table import Key, Table, TableName

MADE = ("create table t (id integer primary key, v text)", "insert into t values (1, 'a'), (2, 'b'), (3, 'c')")


@dataclass
class Interrupted:
    """A replica in whose reads of rows something happens first."""

    inner: Replica
    happen: Callable[[], None]

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        self.happen()
        return self.inner.rows(table, keys)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture(params=["wal", "delete"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """Leader and follower, which differ in two rows."""
    paths = (tmp_path / "leader.db", tmp_path / "follower.db")
    for path in paths:
        write(path, f"pragma journal_mode = {request.param}", *MADE)
    write(paths[1], "update t set v = 'x' where id = 2", "delete from t where id = 3", "insert into t values (4, 'd')")
    return paths


@pytest.fixture
def sides(files: tuple[Path, Path]) -> Iterator[tuple[SqliteReplica, SqliteReplica]]:
    leader = SqliteReplica("leader", f"sqlite:///{files[0]}", Role.LEADER)
    follower = SqliteReplica("follower", f"sqlite:///{files[1]}")
    yield leader, follower
    leader.close()
    follower.close()


def judged(leader: SqliteReplica, follower: Any) -> Mapping[Key, Outcome]:
    name = TableName("main", "t")
    compared = comparison(leader.table(name), follower.table(name))
    answer = BracketJudging(leader, follower, compared, [(1,), (2,), (3,), (4,)]).advance(0.0)
    assert not isinstance(answer, Again)
    return answer


def test_beside_a_leader_that_stands_still_all_is_proven(sides: tuple[SqliteReplica, SqliteReplica]) -> None:
    outcomes = judged(*sides)
    assert outcomes[(1,)] == Equal()
    found = {key: one for key, one in outcomes.items() if isinstance(one, Differs)}
    assert {key: one.kind for key, one in found.items()} == {
        (2,): Kind.MISMATCHED, (3,): Kind.MISSING, (4,): Kind.EXTRA,
    }  # fmt: skip
    assert {(one.evidence.certainty, one.evidence.method) for one in found.values()} == {
        (Certainty.PROVEN, Method.SNAPSHOT)
    }


@pytest.mark.parametrize("change", ["insert into t values (9, 'z')", "update t set v = 'y' where id = 1"])
def test_a_commit_meanwhile_leaves_everything_open(
    sides: tuple[SqliteReplica, SqliteReplica], files: tuple[Path, Path], change: str
) -> None:
    leader, follower = sides
    outcomes = judged(leader, Interrupted(follower, lambda: write(files[0], change)))
    assert outcomes[(1,)] == Equal()
    assert {type(outcomes[(key,)]) for key in (2, 3, 4)} == {Moving}


def test_what_is_not_committed_has_not_happened(
    sides: tuple[SqliteReplica, SqliteReplica], files: tuple[Path, Path]
) -> None:
    leader, follower = sides
    with closing(sqlite3.connect(files[0])) as hand:
        outcomes = judged(leader, Interrupted(follower, lambda: hand.execute("update t set v = 'y' where id = 1")))
        hand.rollback()
    assert outcomes[(1,)] == Equal()
    assert {type(outcomes[(key,)]) for key in (2, 3, 4)} == {Differs}
