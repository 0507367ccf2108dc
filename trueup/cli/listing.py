"""Lists of any length: written while they are read, so that a million rows need the memory of a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from shutil import get_terminal_size
from typing import Any, TextIO

from trueup.audit.progress import visible
from trueup.cli.output import json_text

_BLOCK = 500


def stream_json(
    head: Mapping[str, Any], name: str, items: Iterable[Any], tail: Callable[[], Mapping[str, Any]], out: TextIO
) -> None:
    """One JSON object: `head`, then the list called `name`, then what `tail` tells when all have been read."""
    out.write("{\n")
    for key, value in head.items():
        out.write(f"  {json_text(key)}: {json_text(value)},\n")
    out.write(f"  {json_text(name)}: [")
    comma = ""
    for item in items:
        out.write(f"{comma}\n    {json_text(item)}")
        comma = ","
    out.write("\n  ]" if comma else "]")
    for key, value in tail().items():
        out.write(f",\n  {json_text(key)}: {json_text(value)}")
    out.write("\n}\n")


def stream_table(rows: Iterable[Mapping[str, Any]], nothing: str, out: TextIO) -> None:
    """Rows of the same columns, set out in blocks of some hundred; `nothing` if there is none. Where a block is too
    wide for the terminal its cells are folded; elsewhere lines are as long as they are."""
    found, left = False, iter(rows)
    width = get_terminal_size().columns if out.isatty() else None
    while block := list(islice(left, _BLOCK)):
        found = True
        cells = [[visible(_cell(value)) for value in row.values()] for row in block]
        right = [isinstance(value, int) for value in block[0].values()]
        if width is None or sum(_widths([list(block[0]), *cells])) + 2 * len(right) - 2 <= width:
            _even(list(block[0]), cells, right, out)
        else:
            _folded(list(block[0]), cells, right, out)
    if not found:
        out.write(f"{nothing}\n")


def _widths(lines: list[list[str]]) -> list[int]:
    from rich.cells import cell_len

    return [max(map(cell_len, column)) for column in zip(*lines, strict=True)]


def _even(names: list[str], cells: list[list[str]], right: list[bool], out: TextIO) -> None:
    """Each row a line: many times faster than folding."""
    from rich.cells import cell_len

    widths = _widths([names, *cells])
    for line in (names, *cells):
        told = []
        for text, width, aligned in zip(line, widths, right, strict=True):
            blank = " " * (width - cell_len(text))
            told.append(blank + text if aligned else text + blank)
        out.write("  ".join(told).rstrip() + "\n")


def _folded(names: list[str], cells: list[list[str]], right: list[bool], out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, aligned in zip(names, right, strict=True):
        table.add_column(name, overflow="fold", justify="right" if aligned else "left")
    for line in cells:
        table.add_row(*map(Text, line))
    Console(file=out, highlight=False, markup=False, emoji=False).print(table)


def listed(rows: Iterable[Mapping[str, Any]], nothing: str) -> Callable[[TextIO], None]:
    """`stream_table` of these rows, once it is known where to."""
    return lambda out: stream_table(rows, nothing, out)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)
