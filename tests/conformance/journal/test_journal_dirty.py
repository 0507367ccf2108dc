"""Crowded tables and their dirty chunks: on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
from fixtures.journal_samples import ITEMS, ORDERS, a_chunk

from connectors.journal.opening import Journal
from verifier.dirty import DirtyChunk, DirtyJournal
from verifier.journal import Run, StreamState
from verifier.keyrange import ALL, Chunk, KeyRange
from verifier.marks import LEADER
from verifier.position import Lsn
from verifier.spans import Spans
from verifier.table import TableName

PIECES = [KeyRange(None, (10,)), KeyRange((10,), (20,)), KeyRange((20,), None)]


@pytest.fixture
def crowded(journal: Journal) -> Journal:
    """More than five waiting keys are a crowd, and ORDERS has been scanned in three pieces."""
    journal.stream.crowds.limit = 5
    chunks = [Chunk(ORDERS, piece, index) for index, piece in enumerate(PIECES)]
    journal.scans.replace(ORDERS, [a_chunk(chunk.index, chunk=chunk) for chunk in chunks])
    return journal


def _advance(journal: Journal, *keys: int, at: float = 1.0, table: TableName = ORDERS) -> None:
    touched = {(table, (key,)): Lsn(100 + key) for key in keys}
    journal.stream.advance(StreamState({"p": 1}, Lsn(9)), touched, [], followers=["eu", "us"], at=at)


def _waiting(journal: Journal) -> list[tuple[TableName, object]]:
    return [(one.table, one.key) for one in journal.stream.touched("eu", limit=99)]


def _ranges(journal: Journal) -> list[KeyRange]:
    return [chunk.range for chunk in journal.dirty.dirty(9)]


def test_below_the_limit_keys_wait_as_keys(crowded: Journal) -> None:
    dirty: DirtyJournal = crowded.dirty
    _advance(crowded, 1, 2, 3, 4, 5)
    for _ in range(5):
        _advance(crowded, 1, 2)  # the same keys wait once
    assert len(_waiting(crowded)) == 5
    assert dirty.dirty(9) == []


def test_a_crowded_table_marks_chunks_and_leaves_the_others_their_keys(crowded: Journal) -> None:
    _advance(crowded, 1, 2, 3, 4, 5, 11)
    _advance(crowded, 6, 12, 13, at=2.0)
    _advance(crowded, 7, at=3.0)
    _advance(crowded, 8, table=ITEMS)
    assert _waiting(crowded) == [(ORDERS, (key,)) for key in (1, 2, 3, 4, 5, 11)] + [(ITEMS, (8,))]
    first, second = crowded.dirty.dirty(9)
    assert (second.range, second.commit, second.since, second.at) == (PIECES[1], Lsn(113), 2.0, 2.0)
    assert (first.range, first.commit, first.since, first.at) == (PIECES[0], Lsn(107), 2.0, 3.0)
    assert first.generation > second.generation
    assert crowded.dirty.counts() == {ORDERS: 2}


def test_a_mark_goes_only_if_nothing_was_noted_since(crowded: Journal) -> None:
    _advance(crowded, *range(1, 8))
    _advance(crowded, 8)
    (before,) = crowded.dirty.dirty(9)
    _advance(crowded, 9, at=2.0)
    assert not crowded.dirty.clean(before)
    (after,) = crowded.dirty.dirty(9)
    assert isinstance(after, DirtyChunk)
    assert crowded.dirty.clean(after)
    assert crowded.dirty.dirty(9) == []
    assert not crowded.dirty.clean(after)


def test_a_table_that_was_never_scanned_is_one_chunk(crowded: Journal) -> None:
    _advance(crowded, *range(1, 8), table=ITEMS)
    _advance(crowded, 8, table=ITEMS)
    assert _ranges(crowded) == [ALL]
    assert crowded.dirty.clean(crowded.dirty.dirty(1)[0])


def test_a_table_that_has_calmed_down_has_keys_again(crowded: Journal) -> None:
    _advance(crowded, *range(1, 8))
    _advance(crowded, 8)
    crowded.stream.settle("eu", crowded.stream.touched("eu", limit=9), [], at=2.0)
    crowded.stream.settle("us", crowded.stream.touched("us", limit=9), [], at=2.0)
    _advance(crowded, 1, at=11.5)  # one in ten seconds, and that is more than a tenth of five
    assert _waiting(crowded) == []
    crowded.stream.crowds.limit = 50
    _advance(crowded, 2, at=22.0)
    assert _waiting(crowded) == [(ORDERS, (2,))]


def test_what_waits_in_chunks_is_not_known_key_by_key(crowded: Journal) -> None:
    _advance(crowded, 1)
    crowded.runs.begin(Run("run", "audit", 1.0, "{}"))
    crowded.marks.note("run", {LEADER: {}})
    base = crowded.marks.baselines("run")[LEADER].sequence
    _advance(crowded, *range(1, 8))
    assert crowded.marks.whole(LEADER, base) == frozenset()
    _advance(crowded, 8)
    assert crowded.marks.whole(LEADER, base) == {ORDERS}
    assert crowded.marks.whole(LEADER, base + 1_000) == {ORDERS}  # still to be read
    assert crowded.dirty.clean(crowded.dirty.dirty(1)[0])
    assert crowded.marks.whole(LEADER, base + 1_000) == frozenset()


@pytest.mark.parametrize(
    ("spans", "pieces"),
    [
        ((((3,), (10,)),), PIECES[:2]),
        ((((1,), (2,)), ((25,), (99,))), [PIECES[0], PIECES[2]]),
        ((((-4,), (20,)),), PIECES),
        ((), [ALL]),
        (((("a",), ("b",)),), [ALL]),
    ],
)
def test_a_transaction_too_large_to_tell_marks_the_chunks_that_it_touched(
    crowded: Journal, spans: Spans, pieces: list[KeyRange]
) -> None:
    crowded.stream.advance(StreamState({"p": 1}, Lsn(8)), {}, [], followers=["eu"], at=3.0)
    crowded.runs.begin(Run("run", "audit", 1.0, "{}"))
    crowded.marks.note("run", {LEADER: {}})
    base = crowded.marks.baselines("run")[LEADER].sequence
    state, bulks = StreamState({"p": 1}, Lsn(9)), [(ORDERS, spans, Lsn(150))]
    crowded.stream.advance(state, {(ORDERS, (2,)): Lsn(100)}, [], followers=["eu"], at=4.0, bulks=bulks)
    found = sorted(crowded.dirty.dirty(9), key=lambda chunk: chunk.range.lower or (-9,))
    assert [(one.range, one.commit, one.at) for one in found] == [(piece, Lsn(150), 4.0) for piece in pieces]
    assert _waiting(crowded) == [(ORDERS, (2,))]
    assert crowded.stream.blind() == {}
    assert crowded.marks.whole(LEADER, base) == {ORDERS}


def test_the_latest_commit_of_a_chunk_is_waited_for(crowded: Journal) -> None:
    _advance(crowded, *range(1, 8))
    bulks = [(ORDERS, (((1,), (12,)),), Lsn(105))]
    touched = {(ORDERS, (9,)): Lsn(109)}
    crowded.stream.advance(StreamState({"p": 1}, Lsn(9)), touched, [], followers=["eu"], at=4.0, bulks=bulks)
    found = {chunk.range: chunk.commit for chunk in crowded.dirty.dirty(9)}
    assert found == {PIECES[0]: Lsn(109), PIECES[1]: Lsn(105)}
