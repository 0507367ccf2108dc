"""Lists of any length: written while they are read, so that a million rows need the memory of a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, TextIO

from trueup.audit.progress import visible

_BLOCK = 500
PLAIN_WIDTH = 200


def stream_json(
    head: Mapping[str, Any], name: str, items: Iterable[Any], tail: Callable[[], Mapping[str, Any]], out: TextIO
) -> None:
    """One JSON object: `head`, then the list called `name`, then what `tail` tells when all have been read."""
    out.write("{\n")
    for key, value in head.items():
        out.write(f"  {_text(key)}: {_text(value)},\n")
    out.write(f"  {_text(name)}: [")
    comma = ""
    for item in items:
        out.write(f"{comma}\n    {_text(item)}")
        comma = ","
    out.write("\n  ]" if comma else "]")
    for key, value in tail().items():
        out.write(f",\n  {_text(key)}: {_text(value)}")
    out.write("\n}\n")


def stream_table(rows: Iterable[Mapping[str, Any]], nothing: str, out: TextIO) -> None:
    """Rows of the same columns as tables of some hundred lines; `nothing` if there is none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from trueup.audit.render import STYLE

    console = Console(file=out, highlight=False, markup=False, emoji=False, width=None if out.isatty() else PLAIN_WIDTH)
    found, left = False, iter(rows)
    while block := list(islice(left, _BLOCK)):
        found = True
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name, value in block[0].items():
            table.add_column(name, overflow="fold", justify="right" if isinstance(value, int) else "left")
        for row in block:
            cells = ("" if value is None else visible(_cell(value)) for value in row.values())
            table.add_row(*(Text(cell, style=STYLE.get(cell, "")) for cell in cells))
        console.print(table)
    if not found:
        console.print(nothing)


def listed(rows: Iterable[Mapping[str, Any]], nothing: str) -> Callable[[TextIO], None]:
    """`stream_table` of these rows, once it is known where to."""
    return lambda out: stream_table(rows, nothing, out)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
