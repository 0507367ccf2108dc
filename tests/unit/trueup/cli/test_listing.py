"""Lists as they are written: whole, harmless, and never all in memory."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest
from fixtures.terminal import Terminal

from trueup.cli import listing
from trueup.cli.listing import stream_json, stream_table

HOSTILE = "a\x1b[2J\u202eb[/red]:smile:"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_object_whatever_its_length(count: int) -> None:
    out = io.StringIO()
    items = [{"id": i, "text": HOSTILE, "half": "\ud800", "whole": "é"} for i in range(count)]
    stream_json({"version": 1, "total": count}, "drift", iter(items), lambda: {"next": None}, out)
    assert json.loads(out.getvalue().encode()) == {"version": 1, "total": count, "drift": items, "next": None}


def test_the_tail_is_told_after_the_last_item() -> None:
    seen: list[int] = []

    def items() -> Iterator[int]:
        for one in range(3):
            seen.append(one)
            yield one

    out = io.StringIO()
    stream_json({}, "list", items(), lambda: {"count": len(seen)}, out)
    assert json.loads(out.getvalue())["count"] == 3


def test_rows_are_written_while_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_BLOCK", 10)
    out = io.StringIO()
    written: list[int] = []

    def rows() -> Iterator[dict[str, Any]]:
        for one in range(95):
            written.append(len(out.getvalue().splitlines()))
            yield {"id": one}

    stream_table(rows(), "nothing", out)
    assert written[50] == 5 * 11  # ten rows and a head for each block
    assert out.getvalue().splitlines()[:3] == ["id", " 0", " 1"]


def test_columns_stand_below_each_other_and_names_do_not_steer() -> None:
    out = io.StringIO()
    stream_table([{"name": "日本", "rows": 1_234, "why": None}, {"name": HOSTILE, "rows": 5, "why": "x"}], "none", out)
    head, first, second = out.getvalue().splitlines()
    hostile = "a\\x1b[2J\\u202eb[/red]:smile:"
    assert head == f"{'name':<{len(hostile)}}   rows  why"
    assert first == f"日本{' ' * (len(hostile) - 4)}  1,234"
    assert second == f"{hostile}      5  x"


def test_what_is_too_wide_for_a_terminal_is_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "get_terminal_size", lambda: os.terminal_size((40, 20)))
    monkeypatch.setenv("COLUMNS", "40")
    out = Terminal()
    stream_table([{"id": "x" * 20, "said": "yyyy " * 6, "why": ""}], "none", out)
    told = re.sub(r"\x1b\[\d*m", "", out.getvalue())
    assert [line.rstrip() for line in told.splitlines()] == [
        "id                    said           why",
        "xxxxxxxxxxxxxxxxxxxx  yyyy yyyy",
        "                      yyyy yyyy",
        "                      yyyy yyyy",
    ]


def test_where_not_even_words_fit_each_row_stands_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "get_terminal_size", lambda: os.terminal_size((40, 20)))
    out = Terminal()
    rows = [
        {"id": "x" * 30, "name": "y" * 30, "rows": 1_234, "why": None},
        {"id": "z", "name": "", "rows": 0, "why": ""},
    ]
    stream_table(rows, "none", out)
    assert out.getvalue() == f"id    {'x' * 30}\nname  {'y' * 30}\nrows  1,234\n\nid    z\nrows  0\n\n"


def test_nothing_is_said() -> None:
    out = io.StringIO()
    stream_table([], "no drift", out)
    assert out.getvalue() == "no drift\n"
