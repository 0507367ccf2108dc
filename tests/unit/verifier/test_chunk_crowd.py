"""Where drift is dense chunks stay small: what waits to be judged must not grow with drift."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from verifier.chunk import ChunkSize
from verifier.policy import ScanPolicy


def test_a_table_that_differs_everywhere_never_gets_a_large_chunk() -> None:
    size = ChunkSize(ScanPolicy())
    read: list[int] = []
    for _ in range(20):
        read.append(size.rows)
        size.learn(size.rows, 0.001)
        size.crowd(read[-1], read[-1], 10_000)
    assert read == [4_000, 8_000, *[10_000] * 18]


def test_a_chunk_without_suspects_grows_as_ever() -> None:
    size = ChunkSize(ScanPolicy())
    size.learn(4_000, 0.001)
    size.crowd(4_000, 0, 10)
    assert size.rows == 8_000


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.integers(1, 50_000))
def test_the_next_chunk_holds_about_as_many_suspects_as_allowed(rows: int, suspects: int, most: int) -> None:
    policy = ScanPolicy()
    size = ChunkSize(policy, rows=policy.rows_max)
    size.crowd(rows, min(suspects, rows), most)
    density = min(suspects, rows) / rows
    assert size.rows * density <= most + 1e-6 * most or size.rows == policy.rows_min
    assert policy.rows_min <= size.rows <= policy.rows_max
