"""Why a row differs: the plain cases, and what takes a possibility away. All histories: tests/simulation."""

from __future__ import annotations

import pytest

from verifier.cause import Chain, Explanation, Known, Step, explain
from verifier.change import Operation
from verifier.drift import DriftCause
from verifier.replay import ABSENT, UNKNOWN, Applying, State

INSERT, UPDATE, DELETE = Operation.INSERT, Operation.UPDATE, Operation.DELETE
LOST, DOUBLED, REORDERED = DriftCause.LOST, DriftCause.DOUBLED, DriftCause.REORDERED
ALTERED, ROGUE = DriftCause.ALTERED, DriftCause.ROGUE
ROWS = [{"id": "1", "status": status, "stock": stock} for status, stock in (("new", "5"), ("paid", "5"), ("sent", "4"))]
FIRST = Chain(State(ROWS[0]), (Step(UPDATE, ROWS[1]),), State(ROWS[1]))
TWO = Chain(State(ROWS[0]), (Step(UPDATE, ROWS[1]), Step(UPDATE, ROWS[2])), State(ROWS[2]))
BORN = Chain(ABSENT, (Step(INSERT, ROWS[0]),), State(ROWS[0]))
GONE = Chain(State(ROWS[0]), (Step(DELETE),), ABSENT)
STRANGE = State({**ROWS[2], "status": "lost"})
PROMPT = Known(seen=0, prompt=True)


def _told(chain: Chain, shown: State, known: Known) -> tuple[DriftCause, int | None, int | None]:
    found = explain(chain, shown, known)
    return found.cause, found.step, found.holds


def test_the_only_change_was_lost() -> None:
    assert _told(FIRST, State(ROWS[0]), Known()) == (LOST, 1, 0)
    assert _told(GONE, State(ROWS[0]), Known()) == (LOST, 1, 0)
    assert _told(BORN, ABSENT, PROMPT) == (LOST, 1, 0)


def test_a_missing_row_may_have_been_deleted_by_somebody_unless_it_was_looked_at_at_once() -> None:
    assert explain(BORN, ABSENT, Known()) == Explanation(DriftCause.UNKNOWN, None, 0, frozenset({LOST, ROGUE}))
    assert _told(BORN, ABSENT, Known(seen=1)) == (ROGUE, None, 0)


def test_an_older_state_has_three_causes_and_what_is_known_takes_them_away() -> None:
    older = State(ROWS[1])
    found = explain(TWO, older, PROMPT)
    assert (found.cause, found.possible, found.holds) == (
        DriftCause.UNKNOWN, frozenset({LOST, DOUBLED, REORDERED}), 1,
    )  # fmt: skip
    assert "never took effect, or the change took effect twice, or the change took effect after" in found.why()
    # The row was written before the second change existed: nobody applied anything after the first one.
    assert _told(TWO, older, Known(existed=1)) == (LOST, 2, 1)
    # Found equal after both: what shows now was applied again.
    assert _told(TWO, older, Known(seen=2)) == (DOUBLED, 1, 1)
    # Found equal after the first, which therefore came in time; written when both had been applied.
    assert _told(TWO, older, Known(seen=1, passed=2)) == (DOUBLED, 1, 1)
    # Written when the first had been applied, so the second was not left out, and not found equal in between.
    assert explain(TWO, older, Known(passed=1)).possible == {DOUBLED, REORDERED}


def test_columns_of_one_change_may_be_lost_under_those_of_a_later_one() -> None:
    wide = Chain(
        State(ROWS[0]),
        (Step(UPDATE, ROWS[1]), Step(UPDATE, {**ROWS[1], "stock": "3"})),
        State({**ROWS[1], "stock": "3"}),
    )
    assert _told(wide, State({**ROWS[0], "stock": "3"}), Known(prompt=True)) == (LOST, 1, None)


def test_a_sum_tells_that_a_change_was_added_twice() -> None:
    assert _told(TWO, State({**ROWS[2], "stock": "3"}), PROMPT) == (DOUBLED, 2, None)


@pytest.mark.parametrize(
    ("chain", "shown", "known", "cause"),
    [
        (TWO, STRANGE, PROMPT, ALTERED),
        (TWO, STRANGE, Known(seen=2), ROGUE),
        (TWO, STRANGE, Known(passed=2), ROGUE),
        (TWO, STRANGE, Known(foreign=True), ROGUE),
        (TWO, STRANGE, Known(seen=1, existed=1), ROGUE),  # older than the second change, and right after the first
        (TWO, State(ROWS[1]), Known(foreign=True), ROGUE),
        (GONE, STRANGE, PROMPT, ROGUE),  # nothing that was deleted can arrive altered
        (Chain(State(ROWS[0]), (), State(ROWS[0])), STRANGE, Known(seen=0), ROGUE),
        (Chain(State(ROWS[0]), (), State(ROWS[0])), STRANGE, Known(passed=0), ROGUE),
    ],
)
def test_a_value_that_was_never_the_leaders(chain: Chain, shown: State, known: Known, cause: DriftCause) -> None:
    assert explain(chain, shown, known).cause is cause
    if shown is STRANGE:
        assert explain(chain, shown, known).holds is None


def test_without_anything_known_a_strange_value_stays_unexplained() -> None:
    assert explain(TWO, STRANGE, Known()).possible == {ALTERED, ROGUE}
    quiet = explain(Chain(State(ROWS[0]), (), State(ROWS[0])), STRANGE, Known(prompt=True))
    assert quiet.cause is DriftCause.UNKNOWN


def test_where_the_first_state_is_not_known_versions_still_tell() -> None:
    """What the row held before the first change that is known was never told: an update that was lost, or altered."""
    chain = Chain(UNKNOWN, FIRST.steps, FIRST.now)
    subscriber = frozenset({Applying.STRICT})
    assert explain(chain, STRANGE, Known(prompt=True, ways=subscriber)).possible == {LOST, ALTERED}
    assert _told(chain, STRANGE, Known(existed=0, prompt=True, ways=subscriber)) == (LOST, 1, None)
    assert _told(chain, STRANGE, Known(passed=0, prompt=True, ways=subscriber)) == (ALTERED, 1, None)


def test_where_the_first_state_is_not_known_a_row_that_was_right_tells_of_a_stranger_unless_followers_may_add() -> None:
    chain = Chain(UNKNOWN, FIRST.steps, FIRST.now)
    shown = State({**ROWS[1], "stock": "1"})
    assert explain(chain, shown, Known(seen=1)).possible == {DOUBLED, ROGUE}  # who adds may have added twice
    replica = frozenset(Applying) - {Applying.ADDING}
    assert _told(chain, shown, Known(seen=1, ways=replica)) == (ROGUE, None, None)


def test_columns_that_an_event_leaves_out_are_those_of_the_state_before() -> None:
    """An update does not tell an unchanged large value; the row that lost the first of two holds its old one."""
    first = {"id": "1", "note": "a", "large": "LARGE"}
    steps = (Step(UPDATE, {**first, "note": "b", "large": "OTHER"}), Step(UPDATE, {"id": "1", "note": "c"}))
    chain = Chain(State(first), steps, State({"id": "1", "note": "c", "large": "OTHER"}))
    assert _told(chain, State({**first, "note": "c"}), Known(prompt=True)) == (LOST, 1, None)
    assert _told(chain, State({**first, "note": "b", "large": "OTHER"}), Known(existed=1)) == (LOST, 2, 1)


def test_only_the_latest_changes_are_tried_and_steps_keep_their_numbers() -> None:
    rows = [{"id": "1", "n": str(n)} for n in range(31)]
    chain = Chain(State(rows[0]), tuple(Step(UPDATE, row) for row in rows[1:]), State(rows[30]))
    assert _told(chain, State(rows[29]), Known(existed=29)) == (LOST, 30, 29)
    assert _told(chain, State(rows[28]), Known(seen=30, passed=30)) == (DOUBLED, 28, 28)
