"""Dirty chunks: which chunk a key falls into, and when one is worth reading."""

from __future__ import annotations

import pytest

from verifier.dirty import ChunkMap, DirtyChunk
from verifier.keyrange import ALL, KeyRange
from verifier.position import Tick
from verifier.table import Key, TableName

T = TableName("public", "t")
PIECES = [KeyRange(None, (10,)), KeyRange((10,), (20,)), KeyRange((20,), None)]


@pytest.mark.parametrize(("key", "piece"), [((-5,), 0), ((9,), 0), ((10,), 1), ((19,), 1), ((20,), 2), ((10**30,), 2)])
def test_a_key_falls_into_the_chunk_that_holds_it(key: Key, piece: int) -> None:
    assert ChunkMap(PIECES).of(key) == PIECES[piece]


def test_composite_keys_of_integers_are_ordered_column_by_column() -> None:
    pieces = [KeyRange(None, (10, 5)), KeyRange((10, 5), None)]
    assert ChunkMap(pieces).of((10, 4)) == pieces[0]
    assert ChunkMap(pieces).of((10, 5)) == pieces[1]
    assert ChunkMap(pieces).of((9, 99)) == pieces[0]


def test_only_the_engine_knows_the_order_of_text() -> None:
    assert ChunkMap([KeyRange(None, ("m",)), KeyRange(("m",), None)]).of(("a",)) == ALL
    assert ChunkMap(PIECES).of((1, "a")) == ALL
    assert ChunkMap([]).of((1,)) == ALL


def test_a_scan_under_way_may_overlap_with_the_one_before() -> None:
    """Its chunks and the older ones cut the table all the same: every key falls into exactly one piece."""
    mixed = ChunkMap([KeyRange(None, (15,)), KeyRange((15,), (30,)), *PIECES[1:]])
    assert mixed.of((12,)) == KeyRange((10,), (15,))
    assert mixed.of((17,)) == KeyRange((15,), (20,))
    assert mixed.of((25,)) == KeyRange((20,), None)


def test_a_chunk_that_is_written_to_is_read_once_for_many_changes_and_not_put_off_for_ever() -> None:
    def chunk(since: float, at: float, within: KeyRange = PIECES[0]) -> DirtyChunk:
        return DirtyChunk(T, within, 1, Tick(1), since, at)

    assert chunk(0.0, 0.0).ripe(1.0)
    assert not chunk(0.0, 0.5).ripe(1.0)
    assert chunk(0.0, 4.9).ripe(5.0)
    assert not chunk(0.0, 0.0, ALL).ripe(4.0)
    assert chunk(0.0, 0.0, ALL).ripe(5.0)
    assert not chunk(0.0, 599.0, ALL).ripe(599.5)
    assert chunk(0.0, 600.0, ALL).ripe(600.0)
