"""Packed digests find exactly what dictionaries find, in whatever order either side sent its rows; and where rows share
their key, which no dictionary could hold, exactly the keys whose rows are not the same ones on both sides."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.digest import Digest
from verifier.drift import Kind, differing, told_apart
from verifier.errors import Permanent, Unsound
from verifier.packed import PackedDigests
from verifier.table import Key

int64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
uint64 = st.integers(0, 2**64 - 1) | st.integers(0, 2)
chunks = st.dictionaries(int64, uint64, max_size=12)


def packed(rows: dict[int, int]) -> PackedDigests:
    return listed(rows.items())


def listed(rows: Iterable[tuple[int, int]]) -> PackedDigests:
    return PackedDigests.whole(b"".join(struct.pack(">qQ", key, value) for key, value in rows))


def plain(rows: dict[int, int]) -> dict[Key, int]:
    return {(key,): value for key, value in rows.items()}


@given(chunks, chunks)
def test_packed_and_plain_find_the_same(left: dict[int, int], right: dict[int, int]) -> None:
    mostly_left = {key: right.get(key, value) for key, value in left.items()}
    for other in (right, mostly_left, left, dict(reversed(left.items()))):
        expected = set(differing(plain(left), plain(other)))
        assert set(differing(packed(left), packed(other))) == expected
        assert set(differing(packed(left), plain(other))) == expected
        assert set(differing(plain(left), packed(other))) == expected


places = st.sets(st.integers(0, 1_000), max_size=30)


@settings(max_examples=50)
@given(st.integers(0, 1_000), places, places, places)
def test_long_chunks_in_key_order(length: int, gone: set[int], changed: set[int], added: set[int]) -> None:
    """Long enough for equal stretches to be skipped."""
    left = {key: 7 + key for key in range(-3, length)}
    right = left | dict.fromkeys(changed, 1) | dict.fromkeys((key + length for key in added), 2)
    right = {key: right[key] for key in sorted(right.keys() - gone)}
    assert set(differing(packed(left), packed(right))) == set(differing(plain(left), plain(right)))
    assert set(differing(packed(right), packed(left))) == set(differing(plain(right), plain(left)))


@given(chunks)
def test_the_digest_of_packed_rows(rows: dict[int, int]) -> None:
    assert packed(rows).digest() == Digest.of(rows.values())
    columns = [[str(key) for key in rows]]
    beside = PackedDigests.beside(columns, b"".join(struct.pack(">Q", value) for value in rows.values()))
    assert beside.digest() == Digest.of(rows.values())


@given(chunks)
def test_packed_is_the_mapping_that_it_stands_for(rows: dict[int, int]) -> None:
    assert len(packed(rows)) == len(rows)
    assert dict(packed(rows)) == plain(rows)
    assert packed(rows) == plain(rows)
    assert Digest.of(packed(rows).values()) == Digest.of(rows.values())


@given(st.lists(st.tuples(st.text(), int64, uint64), max_size=12, unique_by=lambda row: row[:2]))
def test_keys_beside_their_hashes(rows: list[tuple[str, int, int]]) -> None:
    columns = [[text for text, _, _ in rows], [number for _, number, _ in rows]]
    made = PackedDigests.beside(columns, b"".join(struct.pack(">Q", value) for _, _, value in rows))
    assert dict(made) == {(text, number): value for text, number, value in rows}
    assert PackedDigests.beside([None, None], b"") == {}


shared = st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 2)), max_size=8)
"""Rows that mostly share their keys."""


@settings(max_examples=150)
@given(shared, st.data(), st.booleans())
def test_no_row_hides_behind_another_one_of_its_key(rows: list[tuple[int, int]], data: st.DataObject, by: bool) -> None:
    """Both sides doubled, the follower an altered and reordered copy; as an index walks them, or as they lie."""
    by_id = itemgetter(0)
    altered = data.draw(st.permutations(rows)) + data.draw(shared)
    other = altered[data.draw(st.integers(0, 2)) :]
    left, right = (sorted(rows, key=by_id), sorted(other, key=by_id)) if by else (rows, other)
    expected: dict[Key, Kind] = {}
    for key in {key for key, _ in left + right}:
        ours, theirs = (Counter(value for k, value in side if k == key) for side in (left, right))
        ahead = ours.total() - theirs.total()
        if ours != theirs:
            expected[key,] = Kind.MISMATCHED if ahead == 0 else Kind.MISSING if ahead > 0 else Kind.EXTRA
    assert told_apart(listed(left), listed(right)) == expected
    assert (listed(left).digest() == listed(right).digest()) or expected
    backwards = {Kind.MISSING: Kind.EXTRA, Kind.EXTRA: Kind.MISSING, Kind.MISMATCHED: Kind.MISMATCHED}
    assert told_apart(listed(right), listed(left)) == {key: backwards[kind] for key, kind in expected.items()}


@given(shared, st.dictionaries(st.integers(-2, 2), st.integers(0, 2)))
def test_a_mapping_of_rows_that_share_a_key_is_refused(rows: list[tuple[int, int]], other: dict[int, int]) -> None:
    made, doubled = listed(rows), len({key for key, _ in rows}) != len(rows)
    sides: list[tuple[Mapping[Key, int], Mapping[Key, int]]] = [(made, plain(other)), (plain(other), made)]
    for left, right in sides:
        if not doubled:
            assert told_apart(left, right) == dict(differing(dict(left), dict(right)))
            continue
        with pytest.raises(Permanent, match="share their key"):
            told_apart(left, right)
    if doubled:
        keys = [[str(key) for key, _ in rows]]
        with pytest.raises(Permanent, match="share their key"):
            PackedDigests.beside(keys, b"".join(struct.pack(">Q", value) for _, value in rows))


class _Lossy(dict[Key, int]):
    """A mapping whose values tell of a row that its keys do not."""

    def values(self) -> list[int]:  # type: ignore[override]
        return [*super().values(), 7]


def test_no_key_that_differs_proves_nothing_where_the_digests_of_the_rows_differ() -> None:
    rows: dict[Key, int] = {(1,): 5}
    assert told_apart(rows, dict(rows)) == {}
    for left, right in ((rows, _Lossy(rows)), (_Lossy(rows), rows)):
        with pytest.raises(Unsound, match="no key differs"):
            told_apart(left, right)
