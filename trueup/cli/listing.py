"""Lists of any length: written while they are read, so that a million rows need the memory of a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from shutil import get_terminal_size
from typing import Any, TextIO

from trueup.audit.progress import visible
from trueup.cli.output import json_text

_BLOCK = 500


class Counted:
    """Entries, counted as they pass; `last` is the id of the latest."""

    def __init__(self, entries: Iterator[dict[str, Any]]) -> None:
        self._entries = entries
        self.count = 0
        self.last: str | None = None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for entry in self._entries:
            self.count, self.last = self.count + 1, entry["id"]
            yield entry


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
    wide for the terminal its cells are folded between words, and where not even the words fit each row is set out
    by itself, a line for each column that says something; elsewhere lines are as long as they are."""
    found, left = False, iter(rows)
    width = get_terminal_size().columns if out.isatty() else None
    while block := list(islice(left, _BLOCK)):
        found = True
        cells = [[visible(_cell(value)) for value in row.values()] for row in block]
        right = [isinstance(value, int) for value in block[0].values()]
        if width is None or sum(_widths([list(block[0]), *cells])) + 2 * len(right) - 2 <= width:
            _even(list(block[0]), cells, right, out)
        elif (spare := width - sum(_widths([list(block[0]), *cells], _longest_word)) - 2 * len(right) + 2) < 0:
            _apart(list(block[0]), cells, out)
        else:
            _folded(list(block[0]), cells, right, spare, out)
    if not found:
        out.write(f"{nothing}\n")


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _longest_word(text: str) -> int:
    return max(map(_cells, text.split(" ")))


def _widths(lines: list[list[str]], wide: Callable[[str], int] = _cells) -> list[int]:
    return [max(map(wide, column)) for column in zip(*lines, strict=True)]


def _even(names: list[str], cells: list[list[str]], right: list[bool], out: TextIO) -> None:
    """Each row a line: many times faster than folding."""
    widths = _widths([names, *cells])
    for line in (names, *cells):
        told = []
        for text, width, aligned in zip(line, widths, right, strict=True):
            blank = " " * (width - _cells(text))
            told.append(blank + text if aligned else text + blank)
        out.write("  ".join(told).rstrip() + "\n")


def _folded(names: list[str], cells: list[list[str]], right: list[bool], spare: int, out: TextIO) -> None:
    """Every column as wide as its longest word, and what is to spare given to those that need it, in turn."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    widths, whole = _widths([names, *cells], _longest_word), _widths([names, *cells])
    while spare and (narrow := [place for place, width in enumerate(widths) if width < whole[place]]):
        for place in narrow[:spare]:
            widths[place] += 1
        spare -= min(spare, len(narrow))
    table = Table(box=None, pad_edge=False, padding=(0, 1), header_style="bold")
    for name, aligned, width in zip(names, right, widths, strict=True):
        table.add_column(name, overflow="fold", justify="right" if aligned else "left", width=width)
    for line in cells:
        table.add_row(*map(Text, line))
    Console(file=out, highlight=False, markup=False, emoji=False).print(table)


def _apart(names: list[str], cells: list[list[str]], out: TextIO) -> None:
    """Each row by itself, for nobody can copy an id out of pieces."""
    width = max(map(_cells, names))
    for line in cells:
        for name, text in zip(names, line, strict=True):
            if text:
                out.write(f"{name}{' ' * (width - _cells(name))}  {text}\n")
        out.write("\n")


def listed(rows: Iterable[Mapping[str, Any]], nothing: str) -> Callable[[TextIO], None]:
    """`stream_table` of these rows, once it is known where to."""
    return lambda out: stream_table(rows, nothing, out)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)
