"""Counts of row hashes: packed, held against each other, and what stays different through several looks."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifier.multiset import Apart, HashCounts, Surplus

COUNTS = st.dictionaries(st.integers(0, 2**64 - 1), st.integers(1, 9), max_size=20)


@given(COUNTS)
def test_packed_counts_are_the_counts(counts: dict[int, int]) -> None:
    packed = HashCounts.of(counts)
    assert dict(packed) == counts
    assert list(packed) == sorted(counts)
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
    apart = Apart.between(HashCounts.of(ours), HashCounts.of(theirs))
    everything = ours.keys() | theirs.keys()
    assert {value: (a, b) for value, a, b in apart} == {
        value: (ours.get(value, 0), theirs.get(value, 0))
        for value in everything
        if ours.get(value, 0) != theirs.get(value, 0)
    }
    assert apart.surplus() == Surplus(
        sum(max(0, ours.get(value, 0) - theirs.get(value, 0)) for value in everything),
        sum(max(0, theirs.get(value, 0) - ours.get(value, 0)) for value in everything),
    )
    assert bool(apart.surplus()) is (ours != theirs)
    assert len(apart.steady(ours, theirs)) == len(apart)


def test_only_the_very_same_counts_are_steady() -> None:
    apart = Apart.between({1: 2, 2: 1, 3: 1}, {1: 1, 4: 1})
    assert list(apart.steady({1: 2, 2: 2, 3: 1, 4: 1}, {1: 1, 3: 1, 4: 1})) == [(1, 2, 1)]
