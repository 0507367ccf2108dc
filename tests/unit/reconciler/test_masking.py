"""Masked columns: what is told in place of their values, what is refused, and that repairs are planned all the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors.postgres.apply import PostgresRepairSink
from reconciler.casebook import Casebook
from reconciler.events import Announcer, violation_event
from reconciler.masking import NOTHING_MASKED, Masking, is_mask
from reconciler.plan import propose, repair_id
from reconciler.policy import RepairPolicy
from reconciler.repair import Action, Refusal, RefusalReason, Repair, inverse
from verifier.drift import Certainty, Difference, Drift, Evidence, Kind, Method
from verifier.errors import Misconfigured
from verifier.excerpt import excerpts
from verifier.invariant import Finding, Standing, sample_of, shown_row
from verifier.look import Role, Row
from verifier.table import Column, Family, Table, TableName

NAME = TableName("public", "customers")
TABLE = Table(
    NAME,
    (
        Column("id", Family.INTEGER, "bigint", nullable=False),
        Column("email", Family.TEXT, "text"),
        Column("born", Family.TIMESTAMP, "timestamp"),
        Column("note", Family.TEXT, "text"),
    ),
    ("id",),
    estimated_rows=1_000_000,
)
MASKING = Masking({NAME: frozenset({"email", "born"})}, b"salt")
OURS = {"id": "7", "email": "anna@example.org", "born": "1970-01-02 00:00:00", "note": "n"}
THEIRS = {"id": "7", "email": "b" * 100_000, "born": "1970-01-02 00:00:00.000", "note": "n"}
SECRETS = ("anna", "bbb", "1970")


def drift(masking: Masking, kind: Kind = Kind.MISMATCHED) -> Drift:
    whole = {name: Difference(OURS[name], None) for name in OURS}
    told = {"email": Difference(OURS["email"], THEIRS["email"])} if kind is Kind.MISMATCHED else whole
    columns = excerpts(told, masking.hide(NAME))
    return Drift("d" * 32, "g", "sub", NAME, (7,), kind, columns, Evidence(Certainty.PROVEN, Method.VISIBILITY), 5.0)


def proposed(found: Drift, theirs: dict[str, str] | None, masking: Masking = MASKING) -> Repair | Refusal:
    rows = [None if row is None else Row(row, 0, "1") for row in (OURS, theirs)]
    more: dict[str, Any] = {"table": TABLE, "follower_role": Role.SUBSCRIBER, "policy": RepairPolicy(), "now": 9.0}
    return propose(found, *rows, **more, hide=masking.hide(NAME))


def test_a_mask_is_its_own_mask_and_tells_only_what_is_equal() -> None:
    mask = MASKING.value("anna@example.org")
    assert is_mask(mask)
    assert MASKING.value(mask) == mask != MASKING.value("Anna@example.org")
    assert (MASKING.value(None), MASKING.value("") == "") == (None, False)
    assert is_mask(MASKING.value("\ud800"))
    assert not any(map(is_mask, (None, "", "masked:", "masked:0123456789ab ", "masked:0123456789AB")))
    assert (NOTHING_MASKED.hide(NAME), NOTHING_MASKED.anywhere()) == (None, None)
    assert MASKING.hide(TableName("public", "others")) is None


def test_findings_hold_masks_and_those_of_the_time_before_are_told_so() -> None:
    now, before = drift(MASKING), drift(NOTHING_MASKED)
    assert MASKING.drift(now) == now
    assert not any(secret in repr(one) for secret in SECRETS for one in (now, MASKING.drift(before)))
    lost = MASKING.drift(drift(NOTHING_MASKED, Kind.MISSING)).columns
    assert (lost["id"], lost["note"], lost["email"].follower) == (Difference("7", None), Difference("n", None), None)
    assert NOTHING_MASKED.drift(before) is before


@pytest.mark.parametrize("found_with", [MASKING, NOTHING_MASKED], ids=["masked", "before"])
@pytest.mark.parametrize("kind", [Kind.MISMATCHED, Kind.MISSING])
def test_fresh_rows_are_compared_by_their_masks(found_with: Masking, kind: Kind) -> None:
    theirs = {**THEIRS, "email": "bert"} if kind is Kind.MISMATCHED else None
    found = drift(found_with, kind)
    if theirs is not None:
        columns = excerpts({"email": Difference(OURS["email"], "bert")}, found_with.hide(NAME))
        found = replace(found, columns=columns)
    repair = proposed(found, theirs)
    assert isinstance(repair, Repair)
    assert repair.wanted == OURS, "what is written is whole"
    moved = proposed(found, {**OURS, "email": "carl"})
    assert isinstance(moved, Refusal)
    assert moved.reason is RefusalReason.FOLLOWER_MOVED


def test_nobody_can_try_values_until_the_id_of_a_repair_fits() -> None:
    repair = proposed(drift(MASKING), THEIRS)
    assert isinstance(repair, Repair)
    assert repair.id != repair_id(repair.drift_id, repair.wanted, repair.expected)
    assert repair.id == repair_id(repair.drift_id, repair.wanted, repair.expected, hide=MASKING.hide(NAME))
    other = replace(MASKING, salt=b"pepper")
    assert repair.id != repair_id(repair.drift_id, repair.wanted, repair.expected, hide=other.hide(NAME))


@pytest.mark.parametrize("masking", [MASKING, NOTHING_MASKED], ids=["masked", "plain"])
def test_a_previewed_statement_of_masked_rows_is_a_comment(masking: Masking) -> None:
    nothing: Any = None
    book = Casebook(nothing, Announcer("i", "g", masking), {})
    sink = PostgresRepairSink("postgresql://t@nowhere/shop", leader_system="1")
    update = proposed(drift(masking), THEIRS, masking)
    assert isinstance(update, Repair)
    for repair in (update, inverse(update), replace(update, action=Action.INSERT, expected=None)):
        shown = book.statement(sink, TABLE, repair)
        hidden = masking is MASKING
        assert any(secret in shown for secret in SECRETS) is not hidden
        assert all(line.startswith("-- ") for line in shown.split("\n")) is hidden
        assert '"born" = ' not in shown, "it is equal, and not set"
        assert shown == sink.statement(TABLE, repair) or shown.startswith("-- masked: born, email\n-- ")
    sink.close()


def test_no_value_ends_the_comment_of_a_previewed_statement() -> None:
    """A carriage return ends a line, too, and with it a comment."""
    nothing: Any = None
    sink = PostgresRepairSink("postgresql://t@nowhere/shop", leader_system="1")
    update = proposed(drift(MASKING), {**THEIRS, "note": "n"})
    assert isinstance(update, Repair)
    assert update.expected is not None
    odd = replace(update, expected={**update.expected, "note": "n\rdelete from t;\r\n\n--"})
    shown = Casebook(nothing, Announcer("i", "g", MASKING), {}).statement(sink, TABLE, odd)
    assert "delete from t;" in shown
    assert all(line.startswith("-- ") for line in shown.splitlines())
    sink.close()


def test_a_column_of_the_key_or_of_nobody_is_refused() -> None:
    MASKING.check(TABLE)
    MASKING.check(replace(TABLE, name=TableName("public", "others"), columns=()))
    with pytest.raises(Misconfigured, match=r"customers has no column 'emial', which --mask or tables\.mask_columns"):
        Masking({NAME: frozenset({"emial"})}).check(TABLE)
    with pytest.raises(Misconfigured, match=r"column 'id' of public\.customers is to be masked and is part of its key"):
        Masking({NAME: frozenset({"id", "note"})}).check(TABLE)


def test_samples_are_masked_by_the_name_that_the_answer_gives_a_column() -> None:
    hide = MASKING.anywhere()
    assert hide is not None
    mask = MASKING.value("anna")
    assert shown_row(("ID", "EMail", "who"), ("7", "anna", "anna"), hide) == {"ID": "7", "EMail": mask, "who": "anna"}
    (row,) = sample_of(("id", "email"), [("7",)], {("7",): "anna"}, {}, hide)
    assert row == {"id": "7", "left": mask, "right": None}
    (row,) = sample_of(("email", "n"), [("anna",)], {("anna",): "1"}, {("anna",): "2"}, hide)
    assert row == {"email": mask, "left": "1", "right": "2"}
    (here,) = sample_of(("who", "n"), [("anna",)], {("anna",): "1"}, {("anna",): "2"}, hide, ("email", "born"))
    assert here == {"who": mask, "left": MASKING.value("1"), "right": MASKING.value("2")}, "by the other side's names"
    finding = Finding("rule", Standing.VIOLATED, 5.0, 1, (row,))
    event = violation_event(Announcer("i", "g", MASKING), finding, since=4.0, now=6.0)
    assert event.body["data"]["masked"] == ["email"]  # type: ignore[index]
