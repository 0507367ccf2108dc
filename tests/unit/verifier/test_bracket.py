"""The bracket, step by step: what it asks, when it waits, what it concludes."""

from __future__ import annotations

import pytest

from verifier.bracket import Ask, Bracket, Finding, Outcome, Stage
from verifier.drift import Certainty, Kind, Method
from verifier.look import Look, Publishes, Row
from verifier.position import Tick
from verifier.table import Key
from verifier.view import NoView, Snapshot, View

K: Key = (1,)
ENDED = Snapshot(1_000, 1_000)
Rows = dict[Key, Row]


def row(value: str, version: str | None = "1") -> Rows:
    return {K: Row({"id": "1", "v": value}, hash(value) & 0xFF, version)}


def look(rows: Rows, low: int = 10, view: View = ENDED) -> Look[Rows]:
    return Look(rows, Tick(low), Tick(low), view)


def standby() -> Bracket:
    return Bracket(frozenset({K}), Publishes.AFTER_SHOWING)


def finding(first: Rows, follower: Rows, second: Rows, again: Rows | None = None) -> Finding:
    """One pass over a standby in which nothing has to be waited for."""
    bracket = standby().looked(look(first)).stood(Tick(10)).stood(Tick(10)).looked(look(follower))
    if bracket.stage is not Stage.DONE:
        bracket = bracket.marked(50).looked(look(second))
    if bracket.stage is not Stage.DONE:
        assert again is not None
        bracket = bracket.stood(Tick(20)).stood(Tick(20)).looked(look(again, 20))
    return bracket.findings()[K]


def test_equal_rows_are_done_after_one_pair_of_reads() -> None:
    bracket = standby().looked(look(row("a"))).stood(Tick(10)).stood(Tick(10)).looked(look(row("a", "77")))
    assert bracket.stage is Stage.DONE
    assert bracket.findings() == {K: Finding(Outcome.EQUAL)}


def test_the_order_of_questions_on_a_standby_and_on_a_subscriber() -> None:
    for publishes, local in ((Publishes.AFTER_SHOWING, []), (Publishes.BEFORE_SHOWING, [Ask.FOLLOWER_MARK])):
        bracket, asked = Bracket(frozenset({K}), publishes), []
        while bracket.stage is not Stage.DONE:
            asked.append(bracket.ask)
            if bracket.ask in (Ask.LEADER_ROWS, Ask.FOLLOWER_ROWS):
                bracket = bracket.looked(look({} if bracket.ask is Ask.LEADER_ROWS else row("a")))
            elif bracket.ask in (Ask.LEADER_MARK, Ask.FOLLOWER_MARK):
                bracket = bracket.marked(50)
            else:
                bracket = bracket.stood(Tick(10))
        follower = [Ask.LEADER_POSITION, Ask.FOLLOWER_POSITION, *local, Ask.FOLLOWER_ROWS]
        assert asked == [Ask.LEADER_ROWS, *follower, Ask.LEADER_MARK, Ask.LEADER_ROWS, *follower]


def test_a_lasting_leader_row_proves_missing_and_mismatched() -> None:
    missing = finding(row("a"), {}, row("a"))
    assert (missing.outcome, missing.kind) == (Outcome.DRIFT, Kind.MISSING)
    mismatched = finding(row("a"), row("b", "9"), row("a"))
    assert (mismatched.outcome, mismatched.kind) == (Outcome.DRIFT, Kind.MISMATCHED)
    assert mismatched.evidence is not None
    assert (mismatched.evidence.certainty, mismatched.evidence.method) == (Certainty.PROVEN, Method.BRACKETED)
    assert set(mismatched.evidence.positions) == {"leader", "follower_low", "follower_high", "leader_again"}


def test_a_leader_row_that_moved_proves_nothing() -> None:
    assert finding(row("a"), row("b"), row("c", "2")).outcome is Outcome.MOVING
    assert finding(row("a"), row("b"), {}).outcome is Outcome.MOVING
    assert finding({}, {K: row("b")[K]}, row("a")).outcome is Outcome.MOVING
    assert finding(row("a", "1"), row("b"), row("a", "2")).outcome is Outcome.MOVING  # away and back again


def test_a_follower_that_equals_the_second_read_is_equal() -> None:
    assert finding(row("a"), row("b"), row("b", "2")).outcome is Outcome.EQUAL
    assert finding({}, row("b"), row("b")).outcome is Outcome.EQUAL


def test_extra_needs_the_same_follower_row_twice() -> None:
    extra = finding({}, row("b", "9"), {}, row("b", "9"))
    assert (extra.outcome, extra.kind) == (Outcome.DRIFT, Kind.EXTRA)
    assert finding({}, row("b", "9"), {}, row("b", "10")).outcome is Outcome.MOVING
    assert finding({}, row("b", "9"), {}, {}).outcome is Outcome.EQUAL


def test_without_row_versions_nothing_is_proven() -> None:
    for found in (finding(row("a", None), {}, row("a", None)), finding({}, row("b", None), {}, row("b", None))):
        assert found.outcome is Outcome.STEADY
        assert found.evidence is not None
        assert (found.evidence.certainty, found.evidence.method) == (Certainty.PROBABLE, Method.REPEATED)


def test_it_waits_for_the_follower_to_apply() -> None:
    bracket = standby().looked(look(row("a"))).stood(Tick(10))
    assert bracket.stood(Tick(9)) is bracket
    assert bracket.stood(Tick(11)).stage is Stage.F1
    ready = bracket.stood(Tick(10))
    assert ready.looked(look({}, low=9)) is ready  # the follower went back in between


def test_on_a_subscriber_it_waits_for_local_transactions() -> None:
    bracket = Bracket(frozenset({K}), Publishes.BEFORE_SHOWING).looked(look(row("a"))).stood(Tick(10)).stood(Tick(10))
    ready = bracket.marked(7)
    assert ready.looked(look({}, view=Snapshot(6, 6))) is ready
    assert ready.looked(look({}, view=NoView())) is ready
    assert ready.looked(look({}, view=Snapshot(7, 7))).stage is Stage.X


def test_it_waits_for_older_transactions_before_the_second_leader_read_counts() -> None:
    bracket = standby().looked(look(row("a"))).stood(Tick(10)).stood(Tick(10)).looked(look({})).marked(50)
    assert bracket.looked(look(row("a"), view=Snapshot(49, 60, frozenset({49})))) is bracket
    assert bracket.looked(look(row("a"), view=Snapshot(50, 60, frozenset({50})))).stage is Stage.DONE


def test_later_reads_ask_only_for_what_is_open() -> None:
    a, b, c = (1,), (2,), (3,)
    rows = {key: Row({"v": "x"}, 1, "1") for key in (a, b, c)}
    bracket = Bracket(frozenset({a, b, c}), Publishes.AFTER_SHOWING)
    bracket = bracket.looked(look({a: rows[a], b: rows[b]})).stood(Tick(10)).stood(Tick(10))
    assert bracket.wanted == {a, b, c}
    bracket = bracket.looked(look({a: rows[a], c: rows[c]})).marked(50)
    assert bracket.wanted == {b, c}
    bracket = bracket.looked(look({b: rows[b]}))
    assert bracket.stood(Tick(20)).stood(Tick(20)).wanted == {c}


def test_findings_before_the_end_are_refused() -> None:
    with pytest.raises(ValueError, match="not done"):
        standby().findings()
