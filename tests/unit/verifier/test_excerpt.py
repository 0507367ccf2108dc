"""What a finding keeps of long values, and how both sides are put together again from it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.change import Operation
from verifier.compare import Comparison, comparison
from verifier.drift import Certainty, Difference, Drift, Evidence, Kind, Method
from verifier.excerpt import characters_kept, excerpt, excerpts
from verifier.look import Row
from verifier.position import Lsn
from verifier.refound import rows_found
from verifier.table import Column, Family, Table, TableName, Value
from verifier.trace import Recalled, Rows, Traced

LONG = "x" * 4_000_000


def test_an_excerpt_is_a_beginning_the_length_and_a_digest() -> None:
    kept = excerpt(LONG, 200)
    assert kept is not None
    assert len(kept) == 200
    assert kept.startswith("x" * 100)
    assert kept.endswith("x… [4,000,000 characters, sha256 b125c9a74229a20076e418798b206738]")


@settings(max_examples=60)
@given(st.text(max_size=400), st.text(max_size=400), st.integers(128, 300))
def test_values_are_as_different_as_their_excerpts(one: str, other: str, most: int) -> None:
    ours, theirs = excerpt(one, most), excerpt(other, most)
    assert (ours == theirs) == (one == other)
    assert ours is not None
    assert len(ours) <= most
    assert excerpt(ours, most) == ours
    assert len(one) > most or ours == one


def test_short_values_are_kept_as_they_are_and_null_and_lone_surrogates_too() -> None:
    columns = {"a": Difference("x" * 16_384, None), "b": Difference(None, "")}
    assert excerpts(columns) is columns
    (both,) = excerpts({"a": Difference(LONG, "\ud800" * 20_000)}).values()
    assert [len(value) for value in (both.leader, both.follower) if value] == [16_384, 16_384]


@pytest.mark.parametrize(("columns", "most"), [(0, 16_384), (4, 16_384), (8, 8_192), (32, 2_048), (1_600, 256)])
def test_a_finding_of_many_columns_keeps_less_of_each(columns: int, most: int) -> None:
    assert characters_kept(columns) == most
    kept = excerpts({f"c{n}": Difference("a" * 20_000, "b" * 20_000) for n in range(columns)})
    assert {len(value) for both in kept.values() for value in (both.leader, both.follower) if value} <= {most}


NAME = TableName("public", "t")
TABLE = Table(NAME, (Column("id", Family.INTEGER, "bigint", nullable=False), Column("v", Family.TEXT, "text")), ("id",))


def found(kind: Kind, **columns: Difference) -> Drift:
    evidence = Evidence(Certainty.PROVEN, Method.VISIBILITY)
    return Drift("d", "g", "f", NAME, (1,), kind, excerpts(columns), evidence, 0.0)


def compared() -> Comparison:
    return comparison(TABLE, TABLE)


def log(*values: str) -> Recalled:
    changes = [
        Traced(Lsn(n), Operation.UPDATE, after={"id": "1", "v": value}) for n, value in enumerate(values, start=1)
    ]
    return Recalled(tuple(changes), Lsn(0))


OURS, THEIRS = LONG + "leader", LONG + "follower"


def test_both_sides_are_whole_again_from_the_row_and_the_log() -> None:
    drift = found(Kind.MISMATCHED, v=Difference(OURS, THEIRS))
    row = Row({"id": "1", "v": THEIRS}, 7, None)
    both = rows_found(drift, compared(), row, log("before", OURS))
    assert both == Rows({"id": "1", "v": OURS}, row.values)
    lost = found(Kind.MISSING, id=Difference("1", None), v=Difference(OURS, None))
    assert rows_found(lost, compared(), None, log(OURS)) == Rows({"id": "1", "v": OURS}, None)
    extra = found(Kind.EXTRA, id=Difference(None, "1"), v=Difference(None, THEIRS))
    assert rows_found(extra, compared(), row, log()) == Rows(None, row.values)


def test_a_row_that_changed_behind_its_excerpt_is_another_row() -> None:
    drift = found(Kind.MISMATCHED, v=Difference(OURS, THEIRS))
    assert rows_found(drift, compared(), Row({"id": "1", "v": THEIRS + "!"}, 7, None), log(OURS)) is None
    assert rows_found(drift, compared(), None, log(OURS)) is None


def test_what_the_log_does_not_tell_stays_an_excerpt() -> None:
    drift = found(Kind.MISMATCHED, v=Difference(OURS, THEIRS))
    both = rows_found(drift, compared(), Row({"id": "1", "v": THEIRS}, 7, None), log("before"))
    assert both is not None
    assert both.leader == {"id": "1", "v": excerpt(OURS, 16_384)}


def test_hidden_values_are_found_again_by_their_masks() -> None:
    def hide(name: str, value: Value) -> Value:
        return value if value is None or name == "id" or value.startswith("#") else f"#{value[::-1]}"

    columns = excerpts({"id": Difference("1", None), "v": Difference("ours", None)}, hide)
    assert columns == {"id": Difference("1", None), "v": Difference("#sruo", None)}
    lost = replace(found(Kind.MISSING), columns=columns)
    assert rows_found(lost, compared(), None, log("before", "ours"), hide) == Rows({"id": "1", "v": "ours"}, None)
    assert rows_found(lost, compared(), None, log("before"), hide) == Rows({"id": "1", "v": "#sruo"}, None)
    drift = found(Kind.MISMATCHED)
    for told in ({"v": Difference("ours", "theirs")}, {"v": Difference("#sruo", "#srieht")}):
        drift = replace(drift, columns=told)
        row = Row({"id": "1", "v": "theirs"}, 7, None)
        assert rows_found(drift, compared(), row, log("ours"), hide) == Rows({"id": "1", "v": "ours"}, row.values)
        assert rows_found(drift, compared(), Row({"id": "1", "v": "moved"}, 7, None), log("ours"), hide) is None
