"""The watermark row: counting it up on each engine, and what a judgement by it says of followers without a position."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fixtures.sqlite_files import write

from connectors.generic.replica import GenericReplica
from connectors.generic.watermark import GenericWatermark
from connectors.memory.clock import VirtualClock
from connectors.sqlite.replica import SqliteReplica
from connectors.sqlite.watermark import SqliteWatermark
from trueup.audit.multiset import MultisetAudit
from trueup.audit.progress import Silent
from trueup.audit.tools import Tools
from verifier.bracketing import REPEATS, BracketJudging
from verifier.compare import comparison, using
from verifier.drift import Certainty, Kind, Method
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.look import Look, Role, Row
from verifier.outcome import Again, Differs, Equal, Moving, Outcome
from verifier.policy import Limits, ScanPolicy, SettlePolicy
from verifier.ports import Replica, in_turn
from verifier.position import Tick
from verifier.table import Key, Scheme, Table, TableName
from verifier.watermark import (
    ADVANCE,
    DEFINITION,
    Watermark,
    WatermarkedFollower,
    WatermarkedLeader,
    WatermarkPolicy,
    needs_watermark,
)

MARK = TableName("main", "trueup_watermark")
ITEMS = TableName("main", "t")
MADE = (
    *(f"{one};" for one in DEFINITION.format(table=MARK.name).split(";") if one),
    "create table t (id integer not null primary key, v text);",
    "insert into t values (1, 'a'), (2, 'b'), (3, 'c');",
)


@dataclass
class Pipeline:
    """A leader of an engine without a log, and a follower that is given each of its commits, in order, when told to."""

    leader_path: Path
    follower_path: Path
    late: list[tuple[str, ...]] = field(default_factory=list)

    def commit(self, *statements: str) -> None:
        write(self.leader_path, *statements)
        self.late.append(statements)

    def carry(self, commits: int | None = None) -> None:
        """The oldest commits (None: all) reach the follower."""
        for statements in self.late[:commits]:
            write(self.follower_path, *statements)
        del self.late[:commits]

    def advance(self) -> Tick:
        """`Advancing`: counts up as the program does, and the pipeline carries it as any commit."""
        made = GenericWatermark(f"sqlite:///{self.leader_path}", MARK).advance()
        self.late.append((ADVANCE.format(table=MARK.name),))
        return made

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    found = Pipeline(tmp_path / "leader.db", tmp_path / "follower.db")
    for path in (found.leader_path, found.follower_path):
        write(path, *MADE)
    return found


@dataclass
class Happening:
    """A replica around whose reads of rows of `t` something happens."""

    inner: Replica
    before: Callable[[int], None] = lambda reads: None
    after: Callable[[int], None] = lambda reads: None
    reads: int = 0

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        if table.name != ITEMS:
            return self.inner.rows(table, keys)
        self.reads += 1
        self.before(self.reads)
        look = self.inner.rows(table, keys)
        self.after(self.reads)
        return look

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class Sides:
    pipeline: Pipeline
    leader: GenericReplica
    follower: SqliteReplica

    def judged(
        self,
        keys: list[Key],
        *,
        write: bool = True,
        ordered: bool = True,
        leader: Any = None,
        follower: Any = None,
        idle: Callable[[], None] | None = None,
    ) -> Mapping[Key, Outcome]:
        """The outcomes; `idle` happens whenever the judge waits (default: everything reaches the follower)."""
        ours, theirs = leader or self.leader, follower or self.follower
        found = comparison(self.leader.table(ITEMS), self.follower.table(ITEMS), abroad=True)
        compared = using(found, Scheme.CLIENT)
        judging = BracketJudging(
            WatermarkedLeader(ours, Watermark(ours, MARK), ordered, self.pipeline if write else None),
            WatermarkedFollower(theirs, Watermark(theirs, MARK), ordered),
            compared,
            keys,
        )
        now = 0.0
        while True:
            answer = judging.advance(now)
            if not isinstance(answer, Again):
                return answer
            (idle or self.pipeline.carry)()
            now = answer.at


@pytest.fixture
def sides(pipeline: Pipeline) -> Iterator[Sides]:
    found = Sides(
        pipeline,
        GenericReplica("leader", f"sqlite:///{pipeline.leader_path}", Role.LEADER),
        SqliteReplica("follower", f"sqlite:///{pipeline.follower_path}"),
    )
    yield found
    found.leader.close()
    found.follower.close()


def test_a_follower_that_is_late_is_waited_for(sides: Sides) -> None:
    sides.pipeline.commit("update t set v = 'z' where id = 1", "delete from t where id = 2")
    sides.pipeline.commit("insert into t values (4, 'd')")
    assert needs_watermark(sides.leader, sides.follower)
    assert sides.judged([(1,), (2,), (3,), (4,)]) == dict.fromkeys([(1,), (2,), (3,), (4,)], Equal())


def test_what_differs_behind_the_watermark_is_found_and_is_probable_without_row_versions(sides: Sides) -> None:
    write(sides.pipeline.follower_path, "update t set v = 'x' where id = 1", "delete from t where id = 2",
          "insert into t values (9, 'i')")  # fmt: skip
    outcomes = sides.judged([(1,), (2,), (3,), (9,)])
    found = {key: one for key, one in outcomes.items() if isinstance(one, Differs)}
    assert {key: one.kind for key, one in found.items()} == {
        (1,): Kind.MISMATCHED, (2,): Kind.MISSING, (9,): Kind.EXTRA,
    }  # fmt: skip
    assert {(one.evidence.certainty, one.evidence.method) for one in found.values()} == {
        (Certainty.PROBABLE, Method.REPEATED)
    }
    # Two ticks of each bracket: one to wait for on the follower, one for the second look at the leader; and another
    # behind that look for the row that only the follower has.
    assert found[(9,)].evidence.positions["follower_low"] == f"tick:{3 * REPEATS - 2}"
    assert outcomes[(3,)] == Equal()


def test_a_commit_that_reaches_the_follower_first_is_not_drift(sides: Sides) -> None:
    """It is in the leader's log, but the leader does not show it yet: the second look waits for a tick behind it."""
    pipeline = sides.pipeline

    def overtake(reads: int) -> None:
        pipeline.carry()
        if reads == 1:
            write(pipeline.follower_path, "update t set v = 'new' where id = 1")

    def catch_up(reads: int) -> None:
        if reads == 2:
            write(pipeline.leader_path, "update t set v = 'new' where id = 1")

    outcomes = sides.judged(
        [(1,)], leader=Happening(sides.leader, catch_up), follower=Happening(sides.follower, overtake)
    )
    assert outcomes == {(1,): Equal()}


def test_ticks_that_others_write_are_waited_for_twice(sides: Sides) -> None:
    """One may have written its commit record before what is shown already; its successor has not."""
    pipeline = sides.pipeline
    pipeline.commit("update t set v = 'z' where id = 1")
    waits: list[int] = []

    def job() -> None:
        waits.append(1)
        pipeline.commit(ADVANCE.format(table=MARK.name))
        pipeline.carry()

    assert sides.judged([(1,)], write=False, idle=job) == {(1,): Equal()}
    assert len(waits) == 2


def test_a_follower_that_never_shows_the_tick_leaves_everything_open(sides: Sides) -> None:
    sides.pipeline.commit("update t set v = 'z' where id = 1")
    outcomes = sides.judged([(1,)], idle=lambda: None)
    assert outcomes == {(1,): Moving("waited for: waiting for the follower to apply")}


def test_a_leader_that_stands_still_proves_nothing_by_ticks(sides: Sides) -> None:
    """Ticks that do not move say nothing of other writers."""
    leader = WatermarkedLeader(sides.leader, Watermark(sides.leader, MARK), ordered=True)
    look = leader.rows(sides.leader.table(ITEMS), [(1,)])
    assert leader.mark() == leader.mark()
    assert not look.view.ended_below(leader.mark())


def test_without_order_row_versions_are_withheld(sides: Sides) -> None:
    class Versioned(Happening):
        def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
            look = super().rows(table, keys)
            told = {key: Row(row.values, row.digest, "7") for key, row in look.value.items()}
            return Look(told, look.low, look.high, look.view)

    write(sides.pipeline.follower_path, "update t set v = 'x' where id = 1", "insert into t values (9, 'i')")
    said = {}
    for ordered in (True, False):
        outcomes = sides.judged(
            [(1,), (9,)], ordered=ordered, leader=Versioned(sides.leader), follower=Versioned(sides.follower)
        )
        said[ordered] = {(one.kind, one.evidence.certainty) for one in outcomes.values() if isinstance(one, Differs)}
    assert said == {
        True: {(Kind.MISMATCHED, Certainty.PROVEN), (Kind.EXTRA, Certainty.PROVEN)},
        False: {(Kind.MISMATCHED, Certainty.PROBABLE), (Kind.EXTRA, Certainty.PROBABLE)},
    }


def test_a_row_that_is_set_back_shows_no_more_than_it_did(sides: Sides) -> None:
    write(sides.pipeline.follower_path, "update trueup_watermark set tick = 5")
    back = Happening(
        sides.follower,
        after=lambda reads: write(sides.pipeline.follower_path, "update trueup_watermark set tick = 2"),
    )
    look = WatermarkedFollower(back, Watermark(back, MARK), ordered=False).rows(sides.follower.table(ITEMS), [(1,)])  # type: ignore[arg-type]
    assert (look.low, look.high) == (Tick(2), Tick(5))


@dataclass
class Carrying(VirtualClock):
    """Whenever somebody waits, everything reaches the follower."""

    pipeline: Pipeline | None = None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        assert self.pipeline is not None
        self.pipeline.carry()


def test_rows_without_a_key_are_counted_behind_the_watermark(sides: Sides) -> None:
    """A row that is late is no drift; one that is gone is found, and is probable."""
    pipeline, bare = sides.pipeline, TableName("main", "bare")
    for path in (pipeline.leader_path, pipeline.follower_path):
        write(path, "create table bare (v text)", "insert into bare values ('a'), ('a'), ('b')")
    ours, theirs = Watermark(sides.leader, MARK), Watermark(sides.follower, MARK)

    def audited() -> MultisetAudit:
        found = comparison(sides.leader.table(bare), sides.follower.table(bare), abroad=True)
        nobody: Any = None
        tools = Tools(
            "g", "run", sides.leader, nobody, Carrying(pipeline=pipeline), in_turn, nobody, Silent(), ScanPolicy(),
            SettlePolicy(give_up_seconds=20.0),
        )  # fmt: skip
        audit = MultisetAudit(
            tools,
            "follower",
            WatermarkedFollower(sides.follower, theirs, ordered=True),
            using(found, Scheme.CLIENT),
            WatermarkedLeader(sides.leader, ours, ordered=True, advancing=pipeline),
        )
        audit.run()
        return audit

    pipeline.commit("insert into bare values ('late')")
    late = audited()
    assert (late.problem, late.tally.kinds) == (None, {"missing": 0, "extra": 0, "mismatched": 0})
    write(pipeline.follower_path, "delete from bare where v = 'b'")
    damaged = audited()
    assert damaged.problem is None
    assert damaged.tally.kinds == {"missing": 1, "extra": 0, "mismatched": 0}
    assert damaged.evidence is not None
    assert (damaged.evidence.certainty, damaged.evidence.method) == (Certainty.PROBABLE, Method.REPEATED)


@pytest.mark.parametrize("made", [GenericWatermark, SqliteWatermark])
def test_counting_up_is_one_short_transaction(pipeline: Pipeline, made: Any) -> None:
    writer = made(f"sqlite:///{pipeline.leader_path}", MARK)
    assert [writer.advance(), writer.advance()] == [Tick(1), Tick(2)]
    with closing(sqlite3.connect(pipeline.leader_path, timeout=0.0)) as hand:
        hand.execute("begin exclusive")  # nobody holds a lock any more
        assert hand.execute("select id, tick from trueup_watermark").fetchall() == [(1, 2)]
    writer.close()


def test_a_locked_file_is_not_waited_for_long(pipeline: Pipeline) -> None:
    writer = SqliteWatermark(f"sqlite:///{pipeline.leader_path}", MARK, Limits(lock_seconds=0.05))
    with closing(sqlite3.connect(pipeline.leader_path)) as hand:
        hand.execute("begin exclusive")
        with pytest.raises(Temporary, match="another connection holds a lock"):
            writer.advance()


@pytest.mark.parametrize("made", [GenericWatermark, SqliteWatermark])
def test_a_row_that_is_not_there_is_told(pipeline: Pipeline, made: Any, tmp_path: Path) -> None:
    write(pipeline.leader_path, "delete from trueup_watermark")
    with pytest.raises(Misconfigured, match=r"the watermark main.trueup_watermark on .* has no row with id 1"):
        made(f"sqlite:///{pipeline.leader_path}", MARK).advance()
    write(tmp_path / "other.db", "create table t (id integer primary key)")
    with pytest.raises(Permanent, match="no such table"):
        made(f"sqlite:///{tmp_path / 'other.db'}", MARK).advance()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("drop table trueup_watermark", "create it on the leader (create table main.trueup_watermark (id integer"),
        ("delete from trueup_watermark", "has no row with id 1 and a tick"),
        ("alter table trueup_watermark rename tick to ticks", "must have the columns id and tick"),
    ],
)
def test_a_follower_without_the_row_is_never_taken_for_one_that_follows_nobody(
    sides: Sides, change: str, said: str
) -> None:
    write(sides.pipeline.follower_path, change, "update t set v = 'x' where id = 1")
    with pytest.raises(Misconfigured) as caught:
        sides.judged([(1,)])
    assert said in str(caught.value)


def test_what_the_operator_says_is_checked() -> None:
    assert WatermarkPolicy("public.mark").excluded == "!public.mark"
    assert WatermarkPolicy("mark").excluded == "!*.mark"
    for wrong in ("", ".mark", "public."):
        with pytest.raises(Misconfigured, match=r"must be schema\.table"):
            WatermarkPolicy(wrong)
