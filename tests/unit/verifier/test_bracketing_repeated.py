"""A leader that tells neither a position nor whether it stood still: three equal brackets are probable, not proven."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from worlds.memory import MemoryWorld

from verifier.bracketing import REPEATS, BracketJudging
from verifier.compare import Comparison, comparison
from verifier.drift import Certainty, Kind, Method
from verifier.errors import Permanent
from verifier.look import Look, Role, Row
from verifier.outcome import Again, Differs, Equal, Moving, Outcome
from verifier.ports import Replica
from verifier.position import NOWHERE, Lsn, Position
from verifier.table import Family, Key, Table, TableName
from verifier.view import NoView

NAME = TableName("public", "items")


@dataclass
class Blind:
    """A replica of an engine without a log. `after` happens once each read of rows has been answered."""

    inner: Replica
    after: Callable[[int], None] = lambda reads: None
    reads: int = 0

    def position(self) -> Position:
        raise Permanent("tells no position; compare it at rest")

    def mark(self, shown: Position | None = None) -> int:
        return 0

    def rows(self, table: Table, keys: Collection[Key]) -> Look[Mapping[Key, Row]]:
        look = self.inner.rows(table, keys)
        self.reads += 1
        self.after(self.reads)
        bare = {key: replace(row, version=None) for key, row in look.value.items()}
        return Look(bare, NOWHERE, NOWHERE, NoView())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class Foreign(Blind):
    """It follows, but not this leader: its positions are of another log."""

    def position(self) -> Position:
        return Lsn(10**9)


@pytest.fixture
def shop() -> MemoryWorld:
    """Five rows on both sides; the follower lacks what comes later."""
    world = MemoryWorld(Role.SUBSCRIBER)
    world.create("items", (("id", Family.INTEGER), ("name", Family.TEXT)), ["id"])
    world.insert(NAME, [{"id": str(n), "name": "same"} for n in range(5)])
    world.applied()
    world.hold()
    return world


def judged(world: MemoryWorld, leader: Any, follower: Any, keys: list[Key]) -> tuple[Mapping[Key, Outcome], int]:
    """The outcomes, and how often the judge wanted to be asked again."""
    compared: Comparison = comparison(world.leader.table(NAME), world.follower.table(NAME))
    judging = BracketJudging(leader, follower, compared, keys)
    now, again = 0.0, 0
    while True:
        answer = judging.advance(now)
        if not isinstance(answer, Again):
            return answer, again
        now, again = answer.at, again + 1
        assert again < 20, "the judge never ends"


def test_the_same_difference_three_times_is_probable(shop: MemoryWorld) -> None:
    shop.update(NAME, {"id": "1"}, {"name": "other"})
    shop.delete(NAME, {"id": "2"})
    shop.insert(NAME, [{"id": "9", "name": "new"}])
    leader = Blind(shop.leader)
    outcomes, again = judged(shop, leader, Blind(shop.follower), [(0,), (1,), (2,), (9,)])
    assert outcomes[(0,)] == Equal()
    kinds = {key: one.kind for key, one in outcomes.items() if isinstance(one, Differs)}
    assert kinds == {(1,): Kind.MISMATCHED, (2,): Kind.EXTRA, (9,): Kind.MISSING}
    assert {(one.evidence.certainty, one.evidence.method) for one in outcomes.values() if isinstance(one, Differs)} == {
        (Certainty.PROBABLE, Method.REPEATED)
    }
    assert again == REPEATS - 1
    assert leader.reads == 2 * REPEATS


def test_a_row_that_changes_between_two_leader_reads_moves(shop: MemoryWorld) -> None:
    shop.update(NAME, {"id": "1"}, {"name": "other"})
    leader = Blind(shop.leader, lambda reads: shop.update(NAME, {"id": "1"}, {"name": f"again {reads}"}))
    outcomes, _ = judged(shop, leader, Blind(shop.follower), [(1,)])
    assert isinstance(outcomes[(1,)], Moving)


def test_a_follower_that_comes_to_equal_the_leader_is_equal(shop: MemoryWorld) -> None:
    shop.update(NAME, {"id": "1"}, {"name": "other"})

    def late(reads: int) -> None:
        if reads == REPEATS - 1:
            shop.release()
            shop.applied()

    outcomes, _ = judged(shop, Blind(shop.leader), Blind(shop.follower, late), [(1,)])
    assert outcomes == {(1,): Equal()}


def test_other_contents_begin_the_count_anew(shop: MemoryWorld) -> None:
    shop.update(NAME, {"id": "1"}, {"name": "other"})

    def change(reads: int) -> None:
        if reads == 4:  # after the second bracket
            shop.update(NAME, {"id": "1"}, {"name": "yet another"})

    leader = Blind(shop.leader, change)
    outcomes, again = judged(shop, leader, Blind(shop.follower), [(1,)])
    assert isinstance(outcomes[(1,)], Differs)
    assert again == 2 + REPEATS - 1


def test_a_leader_that_can_tell_and_moved_is_not_called_probable(shop: MemoryWorld) -> None:
    shop.update(NAME, {"id": "1"}, {"name": "other"})
    busy = Blind(shop.follower, lambda reads: shop.update(NAME, {"id": "4"}, {"name": f"busy {reads}"}))
    outcomes, _ = judged(shop, shop.leader, busy, [(1,)])
    assert outcomes[(1,)] == Moving(
        "the follower follows nobody, and the leader was written to while they were read; compare at rest"
    )


@pytest.mark.parametrize("follower", [Blind, Foreign])
def test_beside_a_leader_that_stood_still_it_is_proven(shop: MemoryWorld, follower: type[Blind]) -> None:
    shop.update(NAME, {"id": "1"}, {"name": "other"})
    outcomes, _ = judged(shop, shop.leader, follower(shop.follower), [(0,), (1,)])
    assert outcomes[(0,)] == Equal()
    found = outcomes[(1,)]
    assert isinstance(found, Differs)
    assert (found.evidence.certainty, found.evidence.method) == (Certainty.PROVEN, Method.SNAPSHOT)
