"""A verified repair is taken back: only while the row is what it wrote, by nobody but a person, and not done again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.mending import A, Shop

from reconciler.applying import Step, Taken
from reconciler.ports import RepairRecord
from reconciler.repair import Action, RefusalReason, State, inverse
from reconciler.undoing import FOUND_UNDONE, MOVED
from verifier.drift import Kind
from verifier.errors import Temporary
from verifier.table import Column, Family, Table, TableName
from verifier.tolerance import Tolerance

UPDATED, INSERTED, DELETED = 1, 2, 3


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A changed, a lost and a rogue row, each repaired and verified."""
    made = Shop(tmp_path)
    made.insert(A, [UPDATED, INSERTED])
    damage(made)
    made.repaired()
    assert made.states() == {State.VERIFIED: 3}
    assert rows(made) == {UPDATED: "x", INSERTED: "x"}
    yield made
    made.journal.close()


def damage(shop: Shop) -> None:
    shop.damage(A, [UPDATED, DELETED])
    shop.follower.drop(A, (INSERTED,))
    shop.find(A, [UPDATED])
    shop.find(A, [INSERTED], kind=Kind.MISSING)
    shop.find(A, [DELETED], kind=Kind.EXTRA)


def rows(shop: Shop) -> dict[Any, Any]:
    return {key[0]: values["v"] for key, (values, _) in shop.follower.shelves.tables[A].rows.items()}


def record(shop: Shop, key: int, *states: State) -> RepairRecord:
    (one,) = [one for one in shop.journal.repairs.listed(*states) if one.repair.key == (key,)]
    found = shop.journal.repairs.find(one.repair.id)
    assert found is not None
    return found


def undo(shop: Shop, key: int, *, dry_run: bool = False, state: State = State.VERIFIED) -> Taken:
    return shop.service.undo(record(shop, key, state), dry_run=dry_run, actor="ann", note="it was right")


def test_each_kind_is_undone_once_with_its_audit_line_and_event_and_is_not_planned_again(shop: Shop) -> None:
    leader = shop.leader.shelves.copy().tables[A].rows
    taken = [undo(shop, key) for key in (UPDATED, INSERTED, DELETED)]
    assert [one.step for one in taken] == [Step.APPLIED] * 3
    assert [one.statement.split()[0] for one in taken] == ["update", "delete", "insert"]
    assert rows(shop) == {UPDATED: "wrong", DELETED: "wrong"}
    assert shop.leader.shelves.tables[A].rows == leader
    assert shop.states() == {State.UNDONE: 3}
    lines = [(line.action, line.actor) for line in shop.journal.repairs.audit() if line.action.startswith("und")]
    assert lines == [("undoing", "ann"), ("undone", "ann")] * 3
    assert shop.journal.repairs.audit_broken_at() is None
    kinds = [event.body["type"] for event in shop.journal.outbox.pending(99)]
    assert kinds.count("io.trueup.repair.undone.v1") == 3
    assert shop.journal.stream.touched_count("one") == 3, "they are looked at again: they are drift"

    shop.refused.clear()
    damage(shop)
    shop.turns(2)
    assert (shop.refused, shop.states()) == ({RefusalReason.ALREADY_TRIED: 3}, {State.UNDONE: 3})
    assert undo(shop, UPDATED, state=State.UNDONE).note == "only a verified repair can be undone; it is undone"


def test_a_dry_run_writes_nothing(shop: Shop) -> None:
    before = shop.journal.repairs.audit()
    taken = undo(shop, UPDATED, dry_run=True)
    assert (taken.step, taken.statement) == (Step.PREVIEW, "update public.a (1,)")
    assert rows(shop) == {UPDATED: "x", INSERTED: "x"}
    assert (shop.states(), shop.journal.repairs.audit()) == ({State.VERIFIED: 3}, before)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_row_that_is_no_longer_what_the_repair_wrote_is_left_alone(shop: Shop, dry_run: bool) -> None:
    shop.follower.put(A, (UPDATED,), {"id": "1", "v": "theirs"})
    shop.follower.drop(A, (INSERTED,))
    shop.follower.put(A, (DELETED,), {"id": "3", "v": "theirs"})
    before = rows(shop)
    notes = [undo(shop, key, dry_run=dry_run).note for key in (UPDATED, INSERTED, DELETED)]
    assert notes == [MOVED, FOUND_UNDONE, MOVED]
    assert (rows(shop), shop.states()) == (before, {State.VERIFIED: 3})


def test_a_row_that_the_leader_has_by_now_is_not_put_in_its_way(shop: Shop) -> None:
    shop.follower.held = True  # the leader's insert is on its way
    shop.insert(A, [DELETED])
    taken = undo(shop, DELETED)
    assert (taken.step, taken.note) == (Step.HELD, "the leader has a row of that key by now")
    assert (rows(shop), shop.states()) == ({UPDATED: "x", INSERTED: "x"}, {State.VERIFIED: 3})


def test_only_the_latest_repair_of_a_row_is_undone(shop: Shop) -> None:
    first = record(shop, UPDATED)
    shop.follower.put(A, (UPDATED,), {"id": "1", "v": "wrong again"})
    shop.find(A, [UPDATED], wrong="wrong again")
    shop.repaired()
    of_row = [one.repair.id for one in shop.journal.repairs.of_drifts([first.repair.drift_id])]
    (second,) = [shop.journal.repairs.find(one) for one in of_row if one != first.repair.id]
    assert second is not None
    held = shop.service.undo(first, dry_run=False, actor="ann", note="")
    assert (held.step, held.note) == (
        Step.HELD, f"repair {second.repair.id} has written the row since; undo that one first",
    )  # fmt: skip
    assert shop.service.undo(second, dry_run=False, actor="ann", note="").step is Step.APPLIED
    assert rows(shop)[UPDATED] == "wrong again"
    assert shop.service.undo(first, dry_run=False, actor="ann", note="").note == MOVED, "b is not what it wrote"


@pytest.mark.parametrize("written", [True, False])
def test_killed_on_the_way_it_is_found_and_ended(shop: Shop, written: bool) -> None:
    before = record(shop, UPDATED)
    assert shop.service.casebook().move(before, State.UNDOING, actor="ann", now=shop.clock.at) is not None
    if written:
        shop.damage(A, [UPDATED])
    version = shop.follower.shelves.tables[A].rows[(UPDATED,)]
    taken = undo(shop, UPDATED, state=State.UNDOING)
    assert taken.step is (Step.FOUND_APPLIED if written else Step.APPLIED)
    assert (rows(shop)[UPDATED], record(shop, UPDATED).state) == ("wrong", State.UNDONE)
    if written:
        assert shop.follower.shelves.tables[A].rows[(UPDATED,)] == version, "it is not written again"


def test_killed_and_overtaken_it_stays_as_it_is(shop: Shop) -> None:
    assert shop.service.casebook().move(record(shop, UPDATED), State.UNDOING, actor="ann", now=1.0) is not None
    shop.follower.put(A, (UPDATED,), {"id": "1", "v": "theirs"})
    sent = len(shop.journal.outbox.pending(99))
    assert undo(shop, UPDATED, state=State.UNDOING).note == f"not undone: {MOVED}"
    assert (rows(shop)[UPDATED], record(shop, UPDATED).state) == ("theirs", State.VERIFIED)
    assert len(shop.journal.outbox.pending(99)) == sent, "that it is verified still is no news"


def test_a_server_that_is_away_leaves_it_undoing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shop.service.sink is not None
    with monkeypatch.context() as away:

        def unreachable(*_: object) -> None:
            raise Temporary("away")

        away.setattr(shop.service.sink, "apply", unreachable)
        assert undo(shop, UPDATED).step is Step.WAITING
    assert record(shop, UPDATED).state is State.UNDOING
    shop.find(A, [UPDATED])
    shop.turns(2)
    assert record(shop, UPDATED).state is State.UNDOING, "whose end is not known is not planned anew"
    assert undo(shop, UPDATED, state=State.UNDOING).step is Step.APPLIED


def test_the_inverse_of_the_inverse_is_the_repair_but_for_its_name(shop: Shop) -> None:
    for action in Action:
        (one,) = [record(shop, key).repair for key in (1, 2, 3) if record(shop, key).repair.action is action]
        twice = inverse(inverse(one))
        assert (twice.action, twice.wanted, twice.expected) == (one.action, one.wanted, one.expected)
        assert len({one.id, inverse(one).id, twice.id}) == 3


def test_killed_before_it_was_written_and_led_by_now_it_ends_and_the_row_is_planned_for(shop: Shop) -> None:
    assert shop.service.casebook().move(record(shop, DELETED), State.UNDOING, actor="ann", now=1.0) is not None
    shop.insert(A, [DELETED])
    shop.follower.drop(A, (DELETED,))
    taken = undo(shop, DELETED, state=State.UNDOING)
    assert (taken.step, taken.note) == (Step.HELD, "not undone: the leader has a row of that key by now")
    shop.find(A, [DELETED], kind=Kind.MISSING)
    shop.turns(1)
    assert (shop.states(), rows(shop)[DELETED]) == ({State.VERIFIED: 3, State.APPLIED: 1}, "x")


def test_killed_and_its_table_altered_it_ends(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shop.service.casebook().move(record(shop, UPDATED), State.UNDOING, actor="ann", now=1.0) is not None
    monkeypatch.setattr("reconciler.undoing.plain", lambda table: replace(table, columns=table.columns[:1]))
    assert undo(shop, UPDATED, dry_run=True, state=State.UNDOING).step is Step.HELD
    taken = undo(shop, UPDATED, state=State.UNDOING)
    assert taken.note == "not undone: public.a has other columns by now than when it was repaired"
    assert record(shop, UPDATED).state is State.VERIFIED


def test_killed_before_anybody_is_asked_to_look_again_it_is_still_under_way(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise Temporary("the journal is busy")

    with monkeypatch.context() as patched:
        patched.setattr(type(shop.journal.stream), "touch", busy)
        with pytest.raises(Temporary):
            undo(shop, UPDATED)
    assert rows(shop)[UPDATED] == "wrong"
    assert undo(shop, UPDATED, state=State.UNDOING).step is Step.FOUND_APPLIED
    assert [(one.table, one.key) for one in shop.journal.stream.touched("one", limit=9)] == [(A, (UPDATED,))]


def test_what_a_repair_left_within_its_tolerance_does_not_stand_in_the_way(shop: Shop) -> None:
    """The row is what the repair made of it, and that is not the leader's in every letter."""
    name, rounded = TableName("public", "c"), {"id": "9", "v": "wrong", "note": "a "}
    columns = (Column("id", Family.INTEGER, "bigint", False), Column("v", Family.TEXT, "text"))
    for side in (shop.leader, shop.follower.shelves):
        side.create(Table(name, (*columns, Column("note", Family.TEXT, "text")), ("id",)))
    shop.service.world.book.tolerances = {f"{name}.note": Tolerance(ignore_trailing_spaces=True)}
    writing = shop.leader.begin()
    writing.insert(name, {"id": "9", "v": "x", "note": "a"})
    writing.commit()
    shop.follower.catch_up()
    shop.follower.put(name, (9,), rounded)
    shop.find(name, [9])
    shop.turns(1)
    assert shop.follower.shelves.get(name, (9,)) == {**rounded, "v": "x"}
    shop.clock.at += 1.0
    assert shop.service.judged(name, {(9,): shop.clock.at}, [(9,)], []) == 1
    assert undo(shop, 9).step is Step.APPLIED
    assert shop.follower.shelves.get(name, (9,)) == rounded
