"""Where two texts differ: exactly, quickly, and readable."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboards.report.marks import common, marks
from dashboards.report.values import pair

TEXTS = st.text(alphabet="ab \u0301é\n", max_size=40)


@pytest.mark.parametrize(
    ("ours", "theirs", "left", "right"),
    [
        ("total 1200.00", "total 1250.00", ["0"], ["5"]),
        ("same", "same", [], []),
        ("", "new", [], ["new"]),
        ("ab", "aXb", [], ["X"]),
        ("3f9c1d2a77b04e11", "9b1e0a44c2d07f35", ["3f9c1d2a77b04e11"], ["9b1e0a44c2d07f35"]),
        ("red " * 60 + "blue", "red " * 60 + "green", ["blue"], ["green"]),
        ("x " + "one two " * 50 + "y", "X " + "one two " * 50 + "Y", ["x", "y"], ["X", "Y"]),
    ],
)
def test_what_differs_is_marked(ours: str, theirs: str, left: list[str], right: list[str]) -> None:
    found = marks(ours, theirs)
    assert [ours[a:b] for a, b in found[0] if a < b] == left
    assert [theirs[a:b] for a, b in found[1] if a < b] == right


@given(TEXTS, TEXTS)
def test_what_is_not_marked_is_the_same_on_both_sides(ours: str, theirs: str) -> None:
    left, right = marks(ours, theirs)
    assert len(left) == len(right)
    assert _rest(ours, left) == _rest(theirs, right)
    assert any(a < b for a, b in (*left, *right)) == (ours != theirs)


@given(TEXTS, TEXTS)
def test_the_common_beginning_is_as_long_as_can_be(one: str, other: str) -> None:
    length = common(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == len(one) == len(other)


def test_huge_texts_take_no_time() -> None:
    began = time.monotonic()
    marks("a b" * 1_000_000 + "x", "a b" * 1_000_000 + "y")
    marks("ab" * 50_000, "ba" * 49_999)
    assert time.monotonic() - began < 30, "minutes, if each piece were compared with each"


def test_a_long_value_shows_the_places_where_it_differs() -> None:
    words = [f"word{i}" for i in range(2_000)]
    other = list(words)
    for place in (1_000, 1_020, 1_060):
        other[place] = "changed"
    left, right = pair(" ".join(words), " ".join(other))
    assert [p.text for p in right.pieces if p.changed] == ["changed"] * 3
    assert "".join(p.text for p in left.pieces).count("…") == 4
    assert sum(len(p.text) for p in left.pieces) < 600


def test_a_long_value_shows_the_place_where_it_lacks_something() -> None:
    ours = "x" * 3_000 + "here" + "y" * 3_000
    left, right = pair(ours, ours.replace("here", "hereinafter"))
    assert "here" in "".join(p.text for p in left.pieces)
    assert [p.text for p in right.pieces if p.changed] == ["inafter"]


def _rest(text: str, ranges: list[tuple[int, int]]) -> str:
    kept, at = "", 0
    for begin, end in ranges:
        kept, at = kept + text[at:begin], end
    return kept + text[at:]
