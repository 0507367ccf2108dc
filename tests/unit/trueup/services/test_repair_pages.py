"""Repairs are planned and written for all drift that is open, whatever refuses or holds what comes before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from fixtures.mending import GONE, A, B, Shop

from connectors.memory.writing import MemoryRepairSink
from reconciler import applying
from reconciler.applying import UNTOLD, Step
from reconciler.policy import Mode, RepairPolicy
from reconciler.ports import Applied
from reconciler.repair import Outline, RefusalReason, Repair, State
from trueup.bootstrap import repairing
from trueup.services.sweep import PAGE_DRIFTS, DriftSweep
from verifier import weight
from verifier.drift import Certainty
from verifier.errors import Forbidden, Misconfigured
from verifier.identity import drift_id
from verifier.table import Table


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.journal.close()


def test_what_is_refused_does_not_stand_before_what_can_be_repaired(shop: Shop) -> None:
    shop.insert(A, [1])
    shop.damage(A, [1])
    shop.find(A, range(1000, 1000 + PAGE_DRIFTS + 100), Certainty.PROBABLE)
    shop.find(A, [1])
    shop.turns(1)
    assert shop.states() == {}, "a page is all that one turn takes"
    shop.turns(1)
    assert shop.states() == {State.APPLIED: 1}
    assert shop.right(A, 1)
    assert shop.refused == {RefusalReason.NOT_PROVEN: PAGE_DRIFTS + 100}


def test_while_nothing_is_found_nothing_is_read(shop: Shop) -> None:
    shop.insert(A, [1, 2])
    shop.find(A, range(2000, 2100), Certainty.PROBABLE)
    shop.turns(2)
    before, refused = shop.asked, sum(shop.refused.values())
    shop.turns(50)
    assert (shop.asked, sum(shop.refused.values())) == (before, refused) == (before, 100)
    shop.damage(A, [2])
    shop.find(A, [2])
    shop.turns(1)
    assert (shop.right(A, 2), sum(shop.refused.values())) == (True, 100), "what was refused is not asked about again"
    shop.find(A, [2000], Certainty.PROBABLE)
    shop.turns(2)
    assert sum(shop.refused.values()) == 101, "but for what was found again"


def test_drift_found_again_at_every_turn_does_not_keep_a_sweep_from_its_end(shop: Shop) -> None:
    sweep = DriftSweep(shop.journal.drifts, "one", size=10)
    shop.find(A, range(30))
    seen: list[object] = []
    for _ in range(4):
        page = sweep.page()
        seen += [one.drift.key for one in page]
        sweep.done(page)
        shop.find(A, range(10))
    assert seen == [(key,) for key in sorted(range(30), key=lambda key: drift_id("shop", "one", A, (key,)))]
    assert sorted(one.drift.key for one in sweep.page()) == [(key,) for key in range(10)], "the next sweep: they alone"


def test_a_page_that_was_not_dealt_with_comes_again(shop: Shop) -> None:
    sweep = DriftSweep(shop.journal.drifts, "one", size=2)
    shop.find(A, range(3))
    first = sweep.page()
    assert (len(first), sweep.page()) == (2, first)
    sweep.done(first)
    last = sweep.page()
    assert len(last) == 1
    sweep.done(last)
    assert sweep.page() == ()
    assert len(DriftSweep(shop.journal.drifts, "one").page()) == 3, "a new process begins anew"


def test_a_sweep_of_large_findings_goes_on_behind_a_short_page(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.find(A, range(5), wrong="w" * 1_000)
    monkeypatch.setattr(weight, "ROWS_BYTES", 2_500)
    sweep, pages = DriftSweep(shop.journal.drifts, "one"), []
    while page := sweep.page():
        pages.append(len(page))
        sweep.done(page)
    assert (pages, sweep.under_way) == ([2, 2, 1], False)


def test_a_table_that_cannot_be_compared_is_refused_and_stands_in_nobodys_way(shop: Shop) -> None:
    shop.insert(A, [1])
    shop.damage(A, [1])
    shop.find(GONE, [1])
    shop.find(A, [1])
    shop.turns(1)
    assert (shop.right(A, 1), shop.refused) == (True, {RefusalReason.NOT_COMPARED: 1})


def test_a_table_of_which_too_much_differs_holds_its_own_repairs_alone(shop: Shop) -> None:
    policy = RepairPolicy(mode=Mode.APPLY, dry_run=False, share_floor=5)
    shop.service = shop.made(policy)
    shop.insert(A, range(150))
    shop.insert(B, [1])
    shop.damage(A, range(150))
    shop.damage(B, [1])
    shop.find(A, range(150))
    shop.find(B, [1])
    shop.turns(1)
    assert shop.states() == {State.APPROVED: 150, State.APPLIED: 1}
    assert shop.right(B, 1)
    before = shop.asked
    taken = shop.service.apply(shop.clock.now())
    assert {one.step for one in taken} == {Step.HELD}
    assert shop.refused == {RefusalReason.OVER_BUDGET: 100}, "those that are spoken of, once"
    assert taken[0].note.startswith("public.a: 150 rows differ, at most 5 are repaired row by row")
    assert shop.asked == before, "what is held anyway costs nobody a read"
    (held, *_) = shop.service.apply(shop.clock.now(), policy=RepairPolicy(mode=Mode.APPROVE, share_floor=5))
    assert (held.step, held.statement.startswith("update public.a")) == (Step.HELD, True), "a dry run tells it as well"


class MayNotWriteA(MemoryRepairSink):
    """Its login lacks a right on one table."""

    tried = 0

    def apply(self, table: Table, repair: Repair) -> Applied:
        if table.name == A:
            self.tried += 1
            raise Forbidden("grant insert on public.a")
        return super().apply(table, repair)


def test_a_table_that_may_not_be_written_holds_its_own_repairs_alone(shop: Shop) -> None:
    sink = MayNotWriteA(shop.follower)
    shop.service.sink = sink
    for table in (A, B):
        shop.insert(table, range(3))
        shop.damage(table, range(3))
        shop.find(table, range(3))
    shop.turns(1)
    assert shop.states() == {State.APPLYING: 1, State.APPROVED: 2, State.APPLIED: 3}
    assert [shop.right(B, key) for key in range(3)] == [True] * 3
    with pytest.raises(Forbidden, match="grant insert on public\\.a"):  # once nothing else is left it is said aloud
        shop.turns(1)
    assert sink.tried == 2, "once in a turn"
    shop.service.sink = MemoryRepairSink(shop.follower)
    shop.turns(1)
    assert shop.states() == {State.APPLIED: 6}


@pytest.mark.parametrize("state", [State.PLANNED, State.APPROVED])
def test_what_was_found_equal_waits_for_nobody(shop: Shop, state: State) -> None:
    shop.service = shop.made(RepairPolicy(mode=Mode.PROPOSE))
    shop.insert(A, [1, 2])
    shop.damage(A, [1, 2])
    shop.find(A, [1, 2])
    shop.turns(1)
    if state is State.APPROVED:
        shop.by_hand().decide(state, None, actor="ann", note="", now=shop.clock.at)
    assert shop.states() == {state: 2}
    shop.clock.at += 1.0
    assert shop.journal.drifts.clear("one", A, [(1,)], shop.clock.at) == 1, "it mended itself"
    shop.turns(16)
    assert shop.states() == {state: 1, State.SUPERSEDED: 1}
    (left,) = shop.journal.repairs.listed(state)
    assert left.repair.key == (2,)


def test_a_spent_hour_is_counted_as_long_as_it_lasts(shop: Shop) -> None:
    shop.service = shop.made(RepairPolicy(mode=Mode.APPLY, dry_run=False, per_hour=2))
    shop.insert(A, range(5))
    shop.damage(A, range(5))
    shop.find(A, range(5))
    shop.turns(1)
    assert shop.states() == {State.APPLIED: 2, State.APPROVED: 3}
    assert shop.refused == {RefusalReason.OVER_BUDGET: 3}
    shop.turns(20)
    assert shop.refused == {RefusalReason.OVER_BUDGET: 3}
    shop.clock.at += 900.0
    shop.turns(1)
    assert shop.refused == {RefusalReason.OVER_BUDGET: 4}
    shop.clock.at += 3000.0
    shop.turns(1)
    assert shop.states() == {State.APPLIED: 4, State.APPROVED: 1}


def test_all_that_is_planned_is_decided_by_hand(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repairing, "_PAGE", 3)
    shop.service = shop.made(RepairPolicy(mode=Mode.PROPOSE, share_floor=100))
    shop.insert(A, range(10))
    shop.damage(A, range(10))
    shop.find(A, range(10))
    shop.turns(1)
    stray = next(iter(shop.journal.repairs.listed(limit=1))).repair
    whole = shop.journal.repairs.find(stray.id)
    assert whole is not None
    lost = replace(whole.repair, id="lost", table=GONE, drift_id="gone")
    shop.journal.repairs.record([lost], actor="test", at=shop.clock.at)
    by_hand = shop.by_hand()
    assert by_hand.decide(State.APPROVED, None, actor="ann", note="seen", now=shop.clock.at) == (10, 1)
    assert shop.states() == {State.APPROVED: 10, State.PLANNED: 1}
    assert by_hand.decide(State.REJECTED, [stray.id, stray.id], actor="bob", note="no", now=shop.clock.at) == (1, 0)
    with pytest.raises(Misconfigured, match="no repair 'nope'"):
        by_hand.decide(State.REJECTED, [next(reversed(shop.open_ids())), "nope"], actor="bob", note="", now=1.0)
    assert shop.states() == {State.APPROVED: 9, State.REJECTED: 1, State.PLANNED: 1}, "nothing of it was decided"


def test_plans_by_hand_are_told_page_by_page(shop: Shop) -> None:
    shop.find(A, range(PAGE_DRIFTS + 1), Certainty.PROBABLE)
    told = [len(planned.refusals) for planned in shop.by_hand().plan("one", actor="ann")]
    assert told == [PAGE_DRIFTS, 1]


def test_plans_by_hand_end_while_drift_is_found_again_and_again(shop: Shop) -> None:
    shop.find(A, range(PAGE_DRIFTS + 1), Certainty.PROBABLE)
    told = 0
    for planned in islice(shop.by_hand().plan("one", actor="ann"), 9):
        told += len(planned.refusals)
        shop.find(A, [1], Certainty.PROBABLE)  # a daemon goes on looking at what is written all the time
    assert told == PAGE_DRIFTS + 1, "each once"


def test_of_many_repairs_only_one_at_a_time_is_held_with_its_rows(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.service = shop.made(RepairPolicy(mode=Mode.PROPOSE, share_floor=100))
    shop.insert(A, range(4))
    shop.damage(A, range(4))
    shop.find(A, range(4))
    planned = shop.service.plan(shop.clock.now())
    assert planned is not None
    assert {type(one) for one in (*planned.repairs, *(one.repair for one in shop.journal.repairs.listed()))} == {
        Outline
    }
    shop.by_hand().decide(State.APPROVED, None, actor="ann", note="", now=shop.clock.at)
    monkeypatch.setattr(applying, "ROWS_BYTES", 30)
    policy = RepairPolicy(mode=Mode.APPROVE, share_floor=100)
    told = shop.service.apply(shop.clock.now(), policy=policy)
    assert [one.statement.partition(" (")[0] for one in told] == ["update public.a"] * 2 + [UNTOLD] * 2
    told = shop.service.apply(shop.clock.now(), policy=replace(policy, dry_run=False), shown=False)
    assert [(one.step, one.statement, type(one.repair)) for one in told] == [(Step.APPLIED, "", Outline)] * 4
    shop.clock.at += 1.0
    keys = [(n,) for n in range(4)]
    assert shop.service.judged(A, dict.fromkeys(keys, shop.clock.at), keys, []) == 4
