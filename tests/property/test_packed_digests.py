"""Packed digests find exactly what dictionaries find, in whatever order either side sent its rows."""

from __future__ import annotations

import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.digest import Digest
from verifier.drift import differing
from verifier.packed import PackedDigests
from verifier.table import Key

int64 = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
uint64 = st.integers(0, 2**64 - 1) | st.integers(0, 2)
chunks = st.dictionaries(int64, uint64, max_size=12)


def packed(rows: dict[int, int]) -> PackedDigests:
    return PackedDigests.whole(b"".join(struct.pack(">qQ", key, value) for key, value in rows.items()))


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
