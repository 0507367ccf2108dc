"""The chunks of a table as a strip of cells in key order: where in the table the trouble lies.

A table of many thousand chunks is drawn with some hundred cells; a cell shows the worst that happened in it, so no
single bad chunk disappears. Neighbours of one standing are drawn as one shape filled with a pattern of cells: a strip
is a few hundred characters of SVG, however many chunks it shows. The same is told in words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

WORST = ("match", "unread", "in_flight", "unverified", "drift")
STANDINGS = {
    "match": "equal",
    "drift": "drift",
    "in_flight": "in flight",
    "unverified": "unverified",
    "unread": "not read",
}
STEP = 12
_ROW = 88
_CELLS = 8 * _ROW
_PLACES = 12

Runs = Sequence[Sequence[str | int]]
"""The report's run-length list, `[["match", 12], ["drift", 1]]`."""


@dataclass(frozen=True, slots=True)
class Box:
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """Neighbouring cells of one standing: at most three boxes, and a title for the pointer."""

    standing: str
    title: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class ChunkMap:
    """A drawing of `width` by `height` units; `chunks_per_cell` is 1 unless the table has very many. `words` tells the
    places that are not equal."""

    stretches: tuple[Stretch, ...]
    width: int
    height: int
    chunks_per_cell: int
    words: str


def chunk_map(runs: Runs) -> ChunkMap:
    total = sum(int(length) for _, length in runs)
    per_cell = max(1, -(-total // _CELLS))
    cells = -(-total // per_cell)
    stretches = tuple(_stretches(list(_worst(runs, per_cell, total)), per_cell, total))
    return ChunkMap(stretches, min(cells, _ROW) * STEP, -(-cells // _ROW) * STEP, per_cell, _words(runs))


def _worst(runs: Runs, per_cell: int, total: int) -> Iterator[str]:
    """The worst standing of each cell."""
    ends: list[tuple[int, str]] = []
    place = 0
    for standing, length in runs:
        place += int(length)
        ends.append((place, str(standing)))
    at = 0
    for first in range(0, total, per_cell):
        last = min(first + per_cell, total)
        while ends[at][0] <= first:
            at += 1
        look, worst = at, ends[at][1]
        while ends[look][0] < last:
            look += 1
            worst = max(worst, ends[look][1], key=WORST.index)
        yield worst


def _stretches(cells: list[str], per_cell: int, total: int) -> Iterator[Stretch]:
    begin = 0
    for standing, group in groupby(cells):
        end = begin + len(list(group))
        span = _span(begin * per_cell + 1, min(end * per_cell, total))
        yield Stretch(standing, f"{span}: {STANDINGS[standing]}", tuple(_boxes(begin, end)))
        begin = end


def _boxes(begin: int, end: int) -> Iterator[Box]:
    """Cells from `begin` to before `end`: the rest of a line, whole lines, the beginning of a line."""
    while begin < end:
        line, column = divmod(begin, _ROW)
        lines = (end - begin) // _ROW if column == 0 else 0
        cells = _ROW * lines or min(end - begin, _ROW - column)
        yield Box(column * STEP, line * STEP, min(cells, _ROW) * STEP, max(lines, 1) * STEP)
        begin += cells


def _words(runs: Runs) -> str:
    told: list[str] = []
    place = 0
    for standing, length in runs:
        if standing != "match":
            told.append(f"{_span(place + 1, place + int(length))} {STANDINGS[str(standing)]}")
        place += int(length)
    if not told:
        return "all equal"
    more = f"; and {len(told) - _PLACES:,} more places" if len(told) > _PLACES else ""
    return "; ".join(told[:_PLACES]) + more


def _span(first: int, last: int) -> str:
    return f"chunk {first:,}" if first == last else f"chunks {first:,} to {last:,}"
