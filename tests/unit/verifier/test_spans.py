"""Where the keys of a large transaction lie: never fewer keys than were touched, in little memory."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.spans import Gathered
from verifier.table import Key

_KEYS = st.tuples(st.integers(-(2**63), 2**63), st.integers(0, 3))


def gathered(keys: list[Key], most: int = 3) -> Gathered:
    found = Gathered(most)
    found.add(keys)
    return found


@given(st.lists(st.lists(_KEYS, max_size=20), max_size=5), st.integers(1, 4))
def test_every_key_lies_in_one_of_few_stretches(batches: list[list[Key]], most: int) -> None:
    found = Gathered(most)
    for batch in batches:
        found.add(batch)
        found.told()
    spans = found.told()
    assert len(spans) <= most
    assert all(below[1] < above[0] for below, above in pairwise(spans))
    keys = {key for batch in batches for key in batch}
    assert all(any(lowest <= key <= highest for lowest, highest in spans) for key in keys)
    assert {key for span in spans for key in span} <= keys


@pytest.mark.parametrize(
    ("numbers", "stretches"),
    [
        ([], []),
        ([5, 5, 5], [(5, 5)]),
        ([1, 2, 3, 900, 901, 5000], [(1, 3), (900, 901), (5000, 5000)]),
        ([7, 1, 100, 102, 50], [(1, 7), (50, 50), (100, 102)]),
    ],
)
def test_the_nearest_become_one_first(numbers: list[int], stretches: list[tuple[int, int]]) -> None:
    assert gathered([(number,) for number in numbers]).told() == tuple(((low,), (high,)) for low, high in stretches)


def test_keys_that_only_the_engine_can_order_lie_anywhere() -> None:
    assert gathered([(1,), ("a",)]).told() == ()
    found = gathered([(1,)])
    found.anywhere()
    found.add([(2,)])
    assert found.told() == ()


def test_of_keys_that_lie_anywhere_none_is_held() -> None:
    found = gathered([("a",)])
    assert not found._loose
    assert found.told() == ()


def test_a_million_keys_take_no_more_room_than_some_thousand() -> None:
    found = Gathered(8)
    for start in range(0, 1_000_000, 2_000):
        found.add([(number * 3,) for number in range(start, start + 2_000)])
    assert len(found.told()) == 8
    assert (found.told()[0][0], found.told()[-1][1]) == ((0,), (2_999_997,))
