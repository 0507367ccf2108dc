"""Which columns have which tolerance, what is refused, and what every rule of evidence makes of near rows."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, pairwise

import pytest
from worlds.memory import MemoryWorld

from connectors.client.hashing import joinable
from connectors.memory.replica import MemoryReplica
from connectors.memory.rows import row_hash
from verifier.bracketing import BracketJudging, compared
from verifier.canonical import same
from verifier.cause import Known
from verifier.change import Operation
from verifier.compare import Comparison, comparison, using
from verifier.drift import Certainty, Difference, DriftCause, Evidence, Kind, Method, told_apart
from verifier.errors import Misconfigured
from verifier.images import Image, States, judge_image
from verifier.look import Role, Row
from verifier.outcome import Again, Differs, Equal, Outcome
from verifier.position import Tick
from verifier.scheme import chosen
from verifier.table import Column, Family, Key, Scheme, Table, TableName, Value
from verifier.tolerance import Tolerance
from verifier.tolerated import named_tables, tolerating, words
from verifier.trace import Recalled, Rows, Traced, explained

T = TableName("public", "t")
COLUMNS = (
    ("id", Family.INTEGER), ("ratio", Family.FLOAT), ("at", Family.TIMESTAMP), ("note", Family.TEXT),
    ("price", Family.DECIMAL), ("code", Family.CHAR),
)  # fmt: skip
TABLE = Table(T, tuple(Column(name, family, family.value) for name, family in COLUMNS), ("id",))
PROVEN = Evidence(Certainty.PROVEN, Method.VISIBILITY)
FIRST = {"id": "1", "ratio": "1.5", "at": "2024-01-01 10:00:00.7", "note": "a", "price": "1.0", "code": "x"}
NEAR = FIRST | {"ratio": "1.5000001", "at": "2024-01-01 10:00:01", "note": "a  "}
FAR = FIRST | {"ratio": "1.5001"}
WANTED = {"*": Tolerance(float_relative=1e-6, time_digits=0, ignore_trailing_spaces=True)}


def made(wanted: dict[str, Tolerance], table: Table = TABLE) -> Comparison:
    return tolerating(comparison(table, table), wanted)


def tolerances(found: Comparison) -> dict[str, dict[str, object]]:
    assert [c.tolerance for c in found.leader.columns] == [c.tolerance for c in found.follower.columns]
    return {column.name: column.tolerance.told() for column in found.leader.columns if column.tolerance}


def test_a_columns_own_setting_wins_over_its_tables_and_that_over_all() -> None:
    wanted = {
        "*": Tolerance(time_digits=3, float_relative=1e-3, ignore_trailing_spaces=True),
        "public.t": Tolerance(time_digits=0, strict_scale=True),
        "public.t.ratio": Tolerance(float_relative=1e-9),
        "public.t.note": Tolerance(ignore_trailing_spaces=False),
        "public.other": Tolerance(time_digits=6),
    }
    assert tolerances(made(wanted)) == {
        "ratio": {"float_relative": 1e-9},
        "at": {"time_digits": 0},
        "price": {"strict_scale": True},
    }
    assert words(made(wanted)) == {
        "ratio": "equal within 1e-09 of the larger value",
        "at": "equal less than 1 s apart",
        "price": "1.0 is not 1.00",
    }
    assert named_tables(wanted) == {"public.t", "public.other"}
    assert made({"public.other": Tolerance(time_digits=6)}) == comparison(TABLE, TABLE)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"public.t.id": Tolerance(strict_scale=True)}, "public.t.id is part of the key"),
        ({"public.t.rato": Tolerance(float_relative=0.1)}, "has no column 'rato'"),
        ({"public.t.note": Tolerance(time_digits=3)}, "note is compared as text, of which time_digits does not speak"),
        (
            {"public.t.at": Tolerance(time_digits=3, strict_scale=True)},
            "of which strict_scale does not speak; time_dig",
        ),
    ],
)
def test_what_cannot_be_kept_to_is_refused(wanted: dict[str, Tolerance], said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        made(wanted)


def test_a_key_of_a_tolerant_kind_has_none_and_an_excluded_column_may_be_named() -> None:
    dated = replace(TABLE, key=("id", "at"))
    assert "at" not in tolerances(made(WANTED, dated))
    without = comparison(TABLE, TABLE, frozenset({"ratio"}))
    assert "ratio" not in tolerances(tolerating(without, {"public.t.ratio": Tolerance(float_relative=0.1)}))


def test_rows_that_are_counted_cannot_be_near() -> None:
    keyless = replace(TABLE, key=())
    with pytest.raises(Misconfigured, match=r"public\.t has no key.*whether ratio, at is near"):
        made(WANTED, keyless)
    assert tolerances(made({"*": Tolerance(ignore_trailing_spaces=True)}, keyless)) == {
        "note": {"ignore_trailing_spaces": True}
    }


def test_columns_that_meet_in_another_form_are_told_by_it() -> None:
    """A number of both kinds is a decimal abroad; a text beside a char never counts blanks."""
    there = tuple(
        replace(column, family={"price": Family.INTEGER, "note": Family.CHAR}.get(column.name, column.family))
        for column in TABLE.columns
    )
    found = comparison(TABLE, replace(TABLE, columns=there), abroad=True)
    wanted = {"*": Tolerance(strict_scale=True, ignore_trailing_spaces=True)}
    assert tolerances(tolerating(found, wanted)) == {"price": {"strict_scale": True}}


def test_a_tolerant_table_is_hashed_here_and_says_why() -> None:
    world = MemoryWorld(Role.STANDBY)
    choice = chosen(made(WANTED), world.leader, world.follower, native=True)
    assert choice.scheme is Scheme.CLIENT
    assert choice.why == "trueup itself keeps to the tolerances of ratio, at, note, no SQL does"
    assert chosen(made({}), world.leader, world.follower, native=True).scheme is Scheme.NATIVE
    both = using(made(WANTED), Scheme.CLIENT).leader
    assert not joinable(both, lambda column: True)
    assert joinable(
        using(made({"*": Tolerance(ignore_trailing_spaces=True)}), Scheme.CLIENT).leader, lambda column: True
    )


def row(values: dict[str, Value], table: Table) -> Row:
    return Row(values, row_hash(table, values), "v")


def test_near_rows_have_two_digests_and_are_equal() -> None:
    table = made(WANTED).leader
    ours, near, far = row(FIRST, table), row(NEAR, table), row(FAR, table)
    assert told_apart({(1,): ours.digest}, {(1,): near.digest}) == {(1,): Kind.MISMATCHED}
    assert compared(table, ours, near, PROVEN) == Equal()
    assert compared(table, ours, far, PROVEN) == Differs(
        Kind.MISMATCHED, {"ratio": Difference("1.5", "1.5001")}, PROVEN
    )


@pytest.mark.parametrize(("theirs", "equal"), [(NEAR, True), (FAR, False)])
def test_a_hot_key_is_held_against_what_the_stream_told_within_the_tolerance(
    theirs: dict[str, Value], equal: bool
) -> None:
    table = made(WANTED).leader
    states = States((Image(Tick(1), FIRST | {"note": "before"}), Image(Tick(2), FIRST)), ())
    outcome = judge_image(table, states, row(FIRST, table), row(theirs, table), PROVEN)
    if equal:
        assert outcome == Equal()
    else:
        assert outcome == Differs(Kind.MISMATCHED, {"ratio": Difference("1.5", "1.5001")}, PROVEN)


@pytest.mark.parametrize("role", [Role.STANDBY, Role.SUBSCRIBER])
def test_brackets_find_near_rows_equal_and_far_ones_drifted(role: Role) -> None:
    """While others write, so that nothing stands still."""
    world, numbers = MemoryWorld(role), count(10)
    name = world.create("t", COLUMNS, ("id",))
    busy = world.create("busy", (("id", Family.INTEGER),), ("id",))
    world.insert(name, [FIRST | {"id": str(i)} for i in range(3)])
    world.applied()
    world._target.put(name, (1,), NEAR)
    world._target.put(name, (2,), FAR | {"id": "2"})
    found = using(tolerating(comparison(world.leader.table(name), world.follower.table(name)), WANTED), Scheme.CLIENT)
    leader = MemoryReplica("leader", world._source, happen=lambda: world.insert(busy, [{"id": str(next(numbers))}]))
    judging = BracketJudging(leader, world.follower, found, [(0,), (1,), (2,)])
    outcomes = settled(judging)
    assert (outcomes[(0,)], outcomes[(1,)]) == (Equal(), Equal())
    drifted = outcomes[(2,)]
    assert isinstance(drifted, Differs)
    assert (drifted.evidence.method, drifted.columns) == (Method.BRACKETED, {"ratio": Difference("1.5", "1.5001")})


def settled(judging: BracketJudging) -> dict[Key, Outcome]:
    now = 0.0
    for _ in range(50):
        answer = judging.advance(now)
        if not isinstance(answer, Again):
            return dict(answer)
        now = answer.at
    raise AssertionError("it never settles")


def test_a_lost_change_is_told_although_the_follower_rounds() -> None:
    """Before the lost change the follower's row was near to the leader's, and it is near to that state still."""
    table = made(WANTED).leader
    before, after = FIRST | {"price": "1"}, FIRST | {"price": "2", "at": "2024-01-01 10:00:05.2"}
    changes = (
        Traced(Tick(1), Operation.INSERT, before), Traced(Tick(2), Operation.UPDATE, after, before),
    )  # fmt: skip
    theirs = before | {"at": "2024-01-01 10:00:01", "ratio": "1.5000001"}
    found = explained(table, Recalled(changes, Tick(0)), Rows(after, theirs), Known())
    exact = explained(TABLE, Recalled(changes, Tick(0)), Rows(after, theirs), Known())
    assert (found.holds, exact.holds) == (1, None)
    assert DriftCause.LOST in {found.cause, *found.possible}
    assert DriftCause.LOST not in {exact.cause, *exact.possible}


def test_a_row_that_changed_thousands_of_times_is_not_held_against_all_it_ever_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each change of one is another moment: to hold each against each takes minutes."""
    asked = count()
    monkeypatch.setattr("verifier.trace.same", lambda *said: (next(asked), same(*said))[1])
    states = [FIRST | {"price": str(n), "at": f"2024-01-01 10:{n // 60:02}:{n % 60:02}.7"} for n in range(0, 300, 3)]
    changes = [
        Traced(Tick(n), Operation.UPDATE, after, before) for n, (before, after) in enumerate(pairwise(states), 1)
    ]
    theirs = states[95] | {"at": "2024-01-01 10:04:46"}
    found = explained(made(WANTED).leader, Recalled(tuple(changes), Tick(0)), Rows(states[-1], theirs), Known())
    assert found.holds == 95
    assert next(asked) <= 2 * 2 * 3 * len(changes)
