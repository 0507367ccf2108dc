"""Counts of row hashes: packed, held against each other, and what stays different through several looks."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.multiset import HashCounts, Surplus, Suspects

COUNTS = st.dictionaries(st.integers(0, 2**64 - 1), st.integers(1, 9), max_size=20)


@given(COUNTS)
def test_packed_counts_are_the_counts(counts: dict[int, int]) -> None:
    packed = HashCounts.of(counts)
    assert dict(packed) == counts
    assert list(packed) == sorted(counts)
    assert list(packed.items()) == sorted(counts.items())
    assert [packed.get(value, 0) for value in counts] == list(counts.values())


def test_what_is_not_there_is_not_found() -> None:
    packed = HashCounts(struct.pack(">QQQQ", 5, 1, 2**64 - 1, 2))
    assert (packed[5], packed[2**64 - 1], len(packed)) == (1, 2, 2)
    for absent in (0, 6, 2**63):
        assert absent not in packed
        with pytest.raises(KeyError):
            packed[absent]
    assert dict(HashCounts(b"")) == {}


@given(COUNTS, COUNTS)
def test_the_difference_is_what_does_not_occur_equally_often(ours: dict[int, int], theirs: dict[int, int]) -> None:
    suspects = Suspects.between(HashCounts.of(ours), HashCounts.of(theirs))
    everything = ours.keys() | theirs.keys()
    assert {value: (a, b) for value, a, b, _ in suspects} == {
        value: (ours.get(value, 0), theirs.get(value, 0))
        for value in everything
        if ours.get(value, 0) != theirs.get(value, 0)
    }
    assert suspects.surplus() == Surplus(
        sum(max(0, ours.get(value, 0) - theirs.get(value, 0)) for value in everything),
        sum(max(0, theirs.get(value, 0) - ours.get(value, 0)) for value in everything),
    )
    assert bool(suspects.surplus()) is (ours != theirs)
    again = suspects.looked(ours, theirs, 2)
    assert (again.steady(2), len(again)) == (len(suspects), len(suspects))


def test_only_the_very_same_counts_are_steady() -> None:
    suspects = Suspects.between({1: 2, 2: 1, 3: 1}, {1: 1, 4: 1})
    for _ in range(2):
        suspects = suspects.looked({1: 2, 2: 2, 3: 1, 4: 1}, {1: 1, 3: 1, 4: 1}, 2)
    assert list(suspects) == [(1, 2, 1, 3), (2, 2, 0, 2)]  # 3 and 4 were found equal twice
    assert (suspects.steady(2), suspects.steady(3), suspects.steady(4)) == (2, 1, 0)
    assert (suspects.surplus(), suspects.surplus(3)) == (Surplus(3, 0), Surplus(1, 0))


def test_a_count_that_is_equal_once_settles_nothing() -> None:
    suspects = Suspects.between({1: 5}, {1: 4})
    suspects = suspects.looked({1: 6}, {1: 6}, 3)  # by chance, perhaps: one came between the two looks
    assert (list(suspects), suspects.steady(1)) == ([(1, 6, 6, 1)], 0)
    suspects = suspects.looked({1: 6}, {1: 6}, 3)
    suspects = suspects.looked({1: 7}, {1: 7}, 3)
    assert list(suspects) == [(1, 7, 7, 1)]
    suspects = suspects.looked({1: 7}, {1: 7}, 3)
    assert list(suspects.looked({1: 7}, {1: 7}, 3)) == []
