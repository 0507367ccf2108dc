"""What is held at once is bounded by bytes: rows of an answer, text of keys in a piece, rows of a batch of keys."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verifier.canonical import canonical
from verifier.chunk import ChunkSize
from verifier.errors import Oversized
from verifier.outcome import Again, Equal, Outcome
from verifier.packed import PackedDigests
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.settle import Room
from verifier.table import Family, Key
from verifier.weight import Batch, Pieces, bounded, key_bytes, mean_key_bytes, text_bytes

WIDTHS = st.lists(st.integers(0, 50), max_size=60)


@settings(max_examples=50)
@given(WIDTHS, st.integers(1, 200))
def test_no_more_is_held_than_may_be_but_for_a_row_that_is_larger_alone(widths: list[int], most: int) -> None:
    taken: list[int] = []

    def read() -> Iterator[int]:
        for width in widths:
            taken.append(width)
            yield width

    if sum(widths) <= most or len(widths) <= 1:
        assert list(bounded(read(), lambda width: width, "rows", most)) == widths
        return
    with pytest.raises(Oversized) as refused:
        list(bounded(read(), lambda width: width, "rows", most))
    assert refused.value.rows == len(taken) - 1 >= 1
    assert sum(taken) > most
    assert sum(taken[:-1]) <= max(most, taken[0])


def test_one_row_that_was_asked_for_is_not_measured() -> None:
    assert list(bounded(["x" * 100], len, "rows", 1, asked=1)) == ["x" * 100]


def test_what_is_counted() -> None:
    assert (text_bytes(["abc", None, "", "de"]), key_bytes((7, "abc")), key_bytes((-(2**63),))) == (5, 11, 8)
    assert (mean_key_bytes({}), mean_key_bytes({("abcd",): 1, ("ab",): 2})) == (0.0, 3.0)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=900))
def test_a_packed_answer_tells_how_long_its_keys_are(lengths: list[int]) -> None:
    """By a sample, which is all of them where they are few."""
    keys = [f"{n:03}" + "k" * length for n, length in enumerate(lengths)]
    rows = PackedDigests.beside([keys, list(range(len(keys)))], b"\0" * 8 * len(keys))
    mean = sum(map(len, keys)) / len(keys) + 8
    if len(keys) <= 256:
        assert rows.key_bytes == pytest.approx(mean)
    assert min(map(len, keys)) + 8 <= mean_key_bytes(rows) <= max(map(len, keys)) + 8


def test_integers_are_eight_bytes_and_no_rows_none() -> None:
    assert PackedDigests.whole(b"\0" * 32).key_bytes == 8
    assert (PackedDigests.whole(b"").key_bytes, PackedDigests.beside([None, None], b"").key_bytes) == (0, 0)


SHORT = st.integers(1, 83)


@settings(max_examples=30)
@given(SHORT, SHORT)
def test_short_keys_change_no_piece(learned: int, end: int) -> None:
    policy = ScanPolicy()
    size = ChunkSize(policy)
    size.weigh(float(learned))
    assert size.packed(("k" * end,), None) == policy.rows_packed
    size.calm_down()
    assert (size.rows, size.suspects_max) == (policy.rows_first, policy.suspects_max)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5_000_000), st.integers(0, 5_000_000))
def test_a_piece_holds_no_more_text_of_keys_than_it_may(learned: int, end: int) -> None:
    size = ChunkSize(ScanPolicy(), rows=400_000)
    size.weigh(float(learned))
    rows = size.packed(("k" * end,), (1,))
    assert 1 <= rows <= 100_000
    assert rows == 1 or rows * max(learned, end, 8) <= 8 << 20
    size.calm_down()
    assert size.rows <= size.packed() <= max(1, (8 << 20) // learned)
    assert size.suspects_max * learned <= 16 << 20 or size.suspects_max <= 2


def test_what_did_not_fit_is_not_asked_for_again_at_once() -> None:
    size = ChunkSize(ScanPolicy())
    size.overfull(40)
    assert size.packed() == 40
    size.weigh(20.0)
    assert size.packed() == 60
    for _ in range(30):
        size.weigh(20.0)
    assert size.packed() == 100_000
    size.overfull(0)
    assert size.packed() == 1
    size.weigh(20.0)
    assert size.packed() == 2


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=80), st.integers(1, 60), st.integers(1, 30))
def test_every_key_is_asked_for_once_in_order_and_no_answer_is_too_large(
    widths: list[int], most: int, at_once: int
) -> None:
    batch = Batch(at_once)

    def ask(part: Sequence[Key]) -> list[Key]:
        assert 1 <= len(part) <= at_once
        return list(bounded(part, lambda key: widths[int(key[0])], "rows", most))

    keys: list[Key] = [(n,) for n in range(len(widths))]
    answers = list(batch.parts(keys, ask))
    assert [key for answer in answers for key in answer] == keys
    assert all(sum(widths[int(key[0])] for key in answer) <= most or len(answer) == 1 for answer in answers)


def test_a_batch_grows_again_and_more_seldom_the_more_often_it_was_too_soon() -> None:
    batch = Batch(100)
    assert batch.refused(100, 10)
    assert (batch.keys, batch.smaller) == (10, True)
    for _ in range(8):
        batch.fitted(10)
    assert batch.keys == 20
    assert batch.refused(20, 10)
    for _ in range(15):
        batch.fitted(10)
    assert batch.keys == 10
    batch.fitted(9)  # says nothing of ten
    assert batch.keys == 10
    batch.fitted(10)
    assert batch.keys == 20
    assert not batch.refused(1, 1)


@dataclass
class Wide:
    """Rows of which `fits` may be held at once; an attempt at more is refused."""

    fits: int
    asked: list[int] = field(default_factory=list)
    left: int = 0

    def __call__(self, keys: list[Key]) -> _Attempt:
        self.asked.append(len(keys))
        return _Attempt(self, keys)


@dataclass
class _Attempt:
    wide: Wide
    keys: list[Key]

    def advance(self, now: float) -> Again | Mapping[Key, Outcome]:
        if len(self.keys) > self.wide.fits:
            raise Oversized("rows", rows=self.wide.fits)
        return dict.fromkeys(self.keys, Equal())

    def abandon(self) -> None:
        self.wide.left += 1


def test_a_room_asks_for_fewer_rows_where_they_are_wide_and_nobody_waits_longer_for_it() -> None:
    wide = Wide(fits=3)
    room: Room[int] = Room(wide, SettlePolicy(batch_keys=10))
    room.admit([(n,) for n in range(12)], 1, 0.0, delay=0.0)
    left: list[Any] = []
    for _ in range(20):
        left += [one.key for one in room.advance(0.0)]
    assert sorted(left) == [(n,) for n in range(12)]
    assert (wide.asked, wide.left, len(room)) == ([10, 3, 3, 3, 3], 1, 0)


def test_a_row_that_is_too_large_alone_is_given_up_in_words() -> None:
    wide = Wide(fits=0)
    room: Room[int] = Room(wide, SettlePolicy(give_up_seconds=0.0))
    room.admit([(1,)], 1, 0.0, delay=0.0)
    (left,) = room.advance(0.0)
    assert (left.key, getattr(left.outcome, "why", None)) == ((1,), "rows")


def test_a_driver_hands_over_few_rows_at_a_time_of_a_statement_whose_rows_are_wide() -> None:
    pieces = Pieces()
    assert pieces.rows(1) == 1
    assert list(pieces.measured(1, [("abc", None, 7)] * 20)) == [("abc", None, 7)] * 20
    assert (pieces.rows(1), pieces.narrow(1), pieces.rows(2), pieces.narrow(2)) == (64, True, 1, False)
    list(pieces.measured(1, [("w" * 200_000,)] * 3))
    assert (pieces.rows(1), pieces.narrow(1)) == (5, False)
    list(pieces.measured(1, [(b"w" * 4_000_000,)]))
    assert pieces.rows(1) == 1
    next(iter(pieces.measured(1, [("abc",)] * 3)))  # stopped before the end: says nothing
    assert pieces.rows(1) == 1
    for statement in range(3_000):
        list(pieces.measured(statement, []))
    assert len(pieces._known) <= 1_000


@pytest.mark.parametrize(
    ("family", "value"), [(Family.BYTES, "\\x" + "AB" * 200_000), (Family.GEOMETRY, "AB" * 200_000)]
)
def test_a_long_value_is_brought_into_its_canonical_form_in_memory_of_its_own_size(family: Family, value: str) -> None:
    """A pattern that could give back what it matched would note every byte of it."""
    tracemalloc.start()
    try:
        assert canonical(family, value) == value.lower()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * len(value)
