"""A connection lost at commit: the server may end the write later, also between the next read and the next write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.mending import A, Shop

from connectors.memory.follower import Follower
from connectors.memory.writing import MemoryRepairSink
from reconciler.applying import Step
from reconciler.policy import Mode, RepairPolicy
from reconciler.ports import Applied, RepairRecord
from reconciler.repair import Outline, Repair, State
from trueup.bootstrap import repairing
from verifier.errors import Forbidden, Temporary
from verifier.table import Table


class LostAtCommit(MemoryRepairSink):
    """The first write is ended by the server when the second one begins."""

    lost: tuple[Table, Repair] | None = None
    lose = True

    def apply(self, table: Table, repair: Repair) -> Applied:
        if self.lose:
            self.lose, self.lost = False, (table, repair)
            raise Temporary("the connection was lost at commit")
        if self.lost is not None:
            ended, self.lost = self.lost, None
            super().apply(*ended)
        return super().apply(table, repair)


class MayNotWrite(MemoryRepairSink):
    """Its login lacks a right by the time of that repair."""

    def __init__(self, follower: Follower, refused: Outline) -> None:
        super().__init__(follower)
        self._refused = refused

    def apply(self, table: Table, repair: Repair) -> Applied:
        if repair.key == self._refused.key:
            raise Forbidden("grant update on public.a")
        return super().apply(table, repair)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    made.insert(A, [1])
    made.damage(A, [1])
    made.find(A, [1])
    yield made
    made.journal.close()


def only(shop: Shop) -> RepairRecord:
    (one,) = shop.journal.repairs.listed()
    record = shop.journal.repairs.find(one.repair.id)
    assert record is not None
    return record


def test_a_repair_that_is_written_while_it_is_written_again_was_applied(shop: Shop) -> None:
    shop.service.sink = LostAtCommit(shop.follower)
    shop.turns(1)
    assert (shop.states(), shop.right(A, 1)) == ({State.APPLYING: 1}, False)
    shop.turns(1)
    assert (shop.states(), shop.right(A, 1)) == ({State.APPLIED: 1}, True)
    assert shop.journal.repairs.applied_since(0.0) == 1, "it counts against the budgets, and can be undone"


def test_a_repair_that_somebody_else_overtakes_is_superseded(shop: Shop) -> None:
    class Overtaken(MemoryRepairSink):
        def apply(self, table: Table, repair: Repair) -> Applied:
            shop.follower.put(A, (1,), {"id": "1", "v": "theirs"})
            return super().apply(table, repair)

    shop.service.sink = Overtaken(shop.follower)
    shop.turns(1)
    assert (shop.states(), shop.right(A, 1)) == ({State.SUPERSEDED: 1}, False)


def test_a_repair_that_is_undone_while_it_is_undone_again_was_undone(shop: Shop) -> None:
    shop.repaired()
    shop.service.sink = LostAtCommit(shop.follower)
    for step, state in ((Step.WAITING, State.UNDOING), (Step.FOUND_APPLIED, State.UNDONE)):
        assert shop.service.undo(only(shop), dry_run=False, actor="ann", note="").step is step
        assert only(shop).state is state
    assert not shop.right(A, 1)
    shop.find(A, [1])
    shop.turns(2)
    assert (shop.states(), shop.right(A, 1)) == ({State.UNDONE: 1}, False), "trueup does not insist"


def test_what_was_undone_by_hand_is_told_whatever_fails_behind_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.insert(A, [2])
    shop.damage(A, [2])
    shop.find(A, [2])
    shop.repaired()
    monkeypatch.setattr(repairing, "repair_policy", lambda group: RepairPolicy(mode=Mode.APPLY))
    first, second = [record.repair for record in shop.journal.repairs.listed()]
    shop.service.sink = MayNotWrite(shop.follower, second)
    taken = shop.by_hand().undo([first.id, second.id], dry_run=False, actor="ann", note="")
    assert [(one.step, one.note) for one in taken] == [(Step.APPLIED, ""), (Step.FAILED, "grant update on public.a")]
    assert shop.states() == {State.UNDONE: 1, State.UNDOING: 1}
    with pytest.raises(Forbidden):
        shop.by_hand().undo([second.id], dry_run=False, actor="ann", note="")
