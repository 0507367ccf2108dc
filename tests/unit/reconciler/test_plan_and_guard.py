"""What is proposed, what is refused and why, what the guard holds back, and in which order repairs are written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.guard import Admitted, Brake, Held, Spent, admit
from reconciler.order import ordered, ranks
from reconciler.plan import propose, repair_id
from reconciler.policy import Mode, RepairPolicy
from reconciler.repair import Action, Refusal, RefusalReason, Repair
from reconciler.rows import changed_columns
from verifier.drift import Certainty, Difference, Drift, Evidence, Kind, Method
from verifier.look import Role, Row
from verifier.table import Column, Family, Table, TableName, Value
from verifier.tolerance import Tolerance

NAME = TableName("public", "orders")
TABLE = Table(
    NAME,
    (
        Column("id", Family.INTEGER, "bigint", nullable=False),
        Column("amount", Family.DECIMAL, "numeric(12,2)"),
        Column("note", Family.TEXT, "text"),
        Column("twice", Family.DECIMAL, "numeric", generated=True),
    ),
    ("id",),
    estimated_rows=1_000_000,
)
POLICY = RepairPolicy()


def row(amount: str = "1.00", note: Value = "x", twice: str = "2.00") -> Row:
    return Row({"id": "7", "amount": amount, "note": note, "twice": twice}, 0, "1:(0,1)")


def drift(leader: Row | None, follower: Row | None, certainty: Certainty = Certainty.PROVEN) -> Drift:
    kind = Kind.MISSING if follower is None else Kind.EXTRA if leader is None else Kind.MISMATCHED
    columns = {
        name: Difference(leader.values[name] if leader else None, follower.values[name] if follower else None)
        for name in ("id", "amount", "note", "twice")
        if not (leader and follower and leader.values[name] == follower.values[name])
    }
    return Drift("d" * 32, "g", "sub", NAME, (7,), kind, columns, Evidence(certainty, Method.VISIBILITY), 5.0)


def proposed(found: Drift, leader: Row | None, follower: Row | None, **changes: object) -> Repair | Refusal:
    arguments: dict[str, object] = {"table": TABLE, "follower_role": Role.SUBSCRIBER, "policy": POLICY, "now": 9.0}
    return propose(found, leader, follower, **(arguments | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("leader", "follower", "action"),
    [(row(), None, Action.INSERT), (row(), row("3.00"), Action.UPDATE), (None, row(), Action.DELETE)],
)
def test_the_leader_wins_and_generated_columns_stay_out(
    leader: Row | None, follower: Row | None, action: Action
) -> None:
    repair = proposed(drift(leader, follower), leader, follower)
    assert isinstance(repair, Repair)
    assert (repair.action, repair.planned_at, repair.key) == (action, 9.0, (7,))
    assert repair.wanted == (None if leader is None else {"id": "7", "amount": "1.00", "note": "x"})
    assert repair.expected == (
        None if follower is None else {"id": "7", "amount": follower.values["amount"], "note": "x"}
    )


def test_planning_twice_gives_the_same_id_and_other_rows_another_one() -> None:
    found = drift(row(), row("3.00"))
    first = proposed(found, row(), row("3.00"))
    again = proposed(found, row(), row("3.00"), now=100.0)
    other = proposed(drift(row(), row("4.00")), row(), row("4.00"))
    assert isinstance(first, Repair)
    assert isinstance(again, Repair)
    assert isinstance(other, Repair)
    assert first.id == again.id == repair_id(found.id, first.wanted, first.expected)
    assert len({first.id, other.id, repair_id(found.id, first.wanted, first.expected, attempt=1)}) == 3


def test_a_text_null_and_a_null_give_different_repairs() -> None:
    ids = {repair_id("d", {"a": value}, None) for value in (None, "null", "", "NULL")}
    assert len(ids) == 4


def test_only_differing_columns_are_set() -> None:
    repair = proposed(drift(row(), row(note=None)), row(), row(note=None))
    assert isinstance(repair, Repair)
    assert [column.name for column in changed_columns(TABLE, repair)] == ["note"]


def test_what_is_within_its_tolerance_is_not_written_and_the_guard_stays_exact() -> None:
    blanks = Tolerance(ignore_trailing_spaces=True)
    columns = tuple(replace(one, tolerance=blanks) if one.name == "note" else one for one in TABLE.columns)
    tolerant = replace(TABLE, columns=columns)
    near, far = row(note="x  "), row("3.00", note="x  ")
    refusal = proposed(drift(row(), near), row(), near, table=tolerant)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.NO_LONGER_DIFFERENT
    repair = proposed(drift(row(), far), row(), far, table=tolerant)
    assert isinstance(repair, Repair)
    assert [column.name for column in changed_columns(tolerant, repair)] == ["amount"]
    assert repair.expected == {"id": "7", "amount": "3.00", "note": "x  "}


@pytest.mark.parametrize(
    ("leader", "follower", "reason"),
    [
        (row(), row(), RefusalReason.NO_LONGER_DIFFERENT),
        (None, None, RefusalReason.NO_LONGER_DIFFERENT),
        (row("8.00"), row("3.00"), RefusalReason.LEADER_MOVED),
        (None, row("3.00"), RefusalReason.LEADER_MOVED),
        (row(), row("4.00"), RefusalReason.FOLLOWER_MOVED),
        (row(), None, RefusalReason.FOLLOWER_MOVED),
        (row(note="new"), row("3.00"), RefusalReason.LEADER_MOVED),
    ],
)
def test_rows_that_the_evidence_did_not_speak_of_are_not_repaired(
    leader: Row | None, follower: Row | None, reason: RefusalReason
) -> None:
    refusal = proposed(drift(row(), row("3.00")), leader, follower)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason


def test_a_missing_row_that_came_and_an_extra_one_that_the_leader_got_are_left_alone() -> None:
    came = proposed(drift(row(), None), row(), row("3.00"))
    got = proposed(drift(None, row()), row("3.00"), row())
    assert isinstance(came, Refusal)
    assert isinstance(got, Refusal)
    assert (came.reason, got.reason) == (RefusalReason.FOLLOWER_MOVED, RefusalReason.LEADER_MOVED)


@pytest.mark.parametrize(
    ("changes", "reason", "words"),
    [
        ({"follower_role": Role.STANDBY}, RefusalReason.STANDBY, "pg_basebackup"),
        ({"follower_role": Role.LEADER}, RefusalReason.POLICY, "never written"),
        ({"policy": RepairPolicy(mode=Mode.OFF)}, RefusalReason.POLICY, "set the mode"),
        ({"table": replace(TABLE, key=())}, RefusalReason.NO_KEY, "primary key"),
    ],
)
def test_refusals_say_what_to_do(changes: dict[str, object], reason: RefusalReason, words: str) -> None:
    refusal = proposed(drift(row(), None), row(), None, **changes)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert words in refusal.advice
    assert "public.orders" in refusal.advice


def test_probable_drift_and_generated_columns_are_refused() -> None:
    probable = proposed(drift(row(), None, Certainty.PROBABLE), row(), None)
    computed = proposed(drift(row(), row(twice="5")), row(), row(twice="5"))
    assert isinstance(probable, Refusal)
    assert isinstance(computed, Refusal)
    assert (probable.reason, computed.reason) == (RefusalReason.NOT_PROVEN, RefusalReason.GENERATED)


WRITES = RepairPolicy(mode=Mode.APPLY, dry_run=False)
IDLE = Spent(0, 0, 0)


@pytest.mark.parametrize(
    ("policy", "spent", "brake"),
    [
        (RepairPolicy(), IDLE, Brake.MODE),
        (replace(WRITES, mode=Mode.OFF), IDLE, Brake.MODE),
        (replace(WRITES, dry_run=True), IDLE, Brake.DRY_RUN),
        (WRITES, Spent(99, 999, 10_000), None),
        (WRITES, Spent(100, 100, 0), Brake.RUN_BUDGET),
        (WRITES, Spent(0, 1000, 0), Brake.HOUR_BUDGET),
        (WRITES, Spent(0, 0, 10_001), Brake.TABLE_SHARE),
    ],
)
def test_the_guard(policy: RepairPolicy, spent: Spent, brake: Brake | None) -> None:
    admission = admit(TABLE, spent, policy)
    assert (admission.brake if isinstance(admission, Held) else None) is brake
    assert isinstance(admission, Admitted) == (brake is None)


def test_a_small_or_unmeasured_table_may_always_have_a_few_rows_repaired() -> None:
    for rows in (None, -1, 0, 50):
        table = replace(TABLE, estimated_rows=rows)
        assert isinstance(admit(table, Spent(0, 0, 100), WRITES), Admitted)
        assert isinstance(admit(table, Spent(0, 0, 101), WRITES), Held)


def named(name: str) -> TableName:
    return TableName("public", name)


def test_children_go_before_parents_when_deleted_and_after_them_when_inserted() -> None:
    parents = {named("item"): {named("order")}, named("order"): {named("customer")}}
    base = proposed(drift(row(), None), row(), None)
    assert isinstance(base, Repair)
    shuffled = [
        replace(base, table=named(table), action=action)
        for table in ("order", "customer", "item")
        for action in (Action.INSERT, Action.DELETE, Action.UPDATE)
    ]
    order = [(r.action.value, r.table.name) for r in ordered(shuffled, parents)]
    assert order == [
        *(("delete", table) for table in ("item", "order", "customer")),
        *(("update", table) for table in ("customer", "order", "item")),
        *(("insert", table) for table in ("customer", "order", "item")),
    ]


def test_order_reaches_through_tables_without_repairs_and_survives_cycles() -> None:
    through = ranks([named("a"), named("c")], {named("a"): {named("b")}, named("b"): {named("c")}})
    assert through[named("c")] < through[named("a")]
    cycle = {named("a"): {named("b")}, named("b"): {named("a"), named("b")}, named("z"): {named("b")}}
    found = ranks([named("z"), named("b"), named("a")], cycle)
    assert sorted(found, key=lambda table: found[table]) == [named("a"), named("b"), named("z")]
