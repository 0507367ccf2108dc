"""The chunks of a table as a strip of cells in key order: where in the table the trouble lies.

A table of many thousand chunks is drawn with some hundred cells; a cell shows the worst that happened in it, so no
single bad chunk disappears.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_WORST = ("match", "unread", "in_flight", "unverified", "drift")
_CELLS = 480
_ROW = 60
_STEP = 12


@dataclass(frozen=True, slots=True)
class Cell:
    """One square: its place in the drawing, the worst standing in it, and a title for the pointer."""

    x: int
    y: int
    standing: str
    title: str


@dataclass(frozen=True, slots=True)
class ChunkMap:
    """A drawing of `width` by `height` units; `chunks_per_cell` is 1 unless the table has very many."""

    cells: tuple[Cell, ...]
    width: int
    height: int
    chunks_per_cell: int


def chunk_map(runs: Sequence[Sequence[str | int]]) -> ChunkMap:
    """From the report's run-length list."""
    total = sum(int(length) for _, length in runs)
    per_cell = max(1, -(-total // _CELLS))
    cells = tuple(_cells(runs, per_cell, total))
    rows = -(-len(cells) // _ROW)
    return ChunkMap(cells, min(len(cells), _ROW) * _STEP, rows * _STEP, per_cell)


def _cells(runs: Sequence[Sequence[str | int]], per_cell: int, total: int) -> Iterator[Cell]:
    ends: list[tuple[int, str]] = []
    place = 0
    for standing, length in runs:
        place += int(length)
        ends.append((place, str(standing)))
    at = 0
    for number, first in enumerate(range(0, total, per_cell)):
        last = min(first + per_cell, total)
        while ends[at][0] <= first:
            at += 1
        inside = [ends[at][1]]
        look = at
        while ends[look][0] < last:
            look += 1
            inside.append(ends[look][1])
        worst = max(inside, key=_WORST.index)
        span = f"chunk {first + 1}" if last == first + 1 else f"chunks {first + 1} to {last}"
        yield Cell(number % _ROW * _STEP, number // _ROW * _STEP, worst, f"{span}: {worst.replace('_', ' ')}")
