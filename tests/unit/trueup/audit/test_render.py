"""The report in a terminal: nothing lost, nothing that steers it, and nothing that wraps badly at any width."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from fixtures.reports import drifted_row, entry, report
from fixtures.terminal import Terminal
from rich.cells import cell_len

from trueup.audit.inline import differing
from trueup.audit.render import render

LONG = "lorem ipsum dolor sit amet " * 40


def screen(told: dict[str, Any], width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines as they stand on a terminal."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")
    out = Terminal()
    render(told, out)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in out.getvalue().splitlines()]


def everything() -> dict[str, Any]:
    rows = [
        drifted_row("mismatched", {"id": 1}, {"note": (LONG, LONG.replace("amet", "AMET", 1)), "gone": (None, "")}),
        drifted_row("missing", {"id": 2}, {"note": (LONG, None), "gone": (None, None)}),
    ]
    finding = {"object": "n", "what": "type", "leader": "numeric(12,2) " * 9, "follower": None, "severity": "warning"}
    return report("drift", [
        entry("public.customers", "eu-2", "match", where="at < now()", renamed_columns={"mail": "email"}),
        entry("public.event_log", "eu-2", "unverified", reason="no primary key: rows cannot be addressed " * 4),
        entry("public.orders", "eu-2", "drift", rows={"leader": 98_234_567, "follower": 1}, rows_drifted=rows,
              drift={"missing": 1, "extra": 0, "mismatched": 1_234}, schema=[finding],
              chunks={"total": 5_000, "match": 4_998, "drift": 1, "in_flight": 0, "unverified": 1},
              chunk_map=[["match", 2_000], ["drift", 1], ["match", 2_998], ["unverified", 1]]),
    ])  # fmt: skip


@pytest.mark.parametrize("width", [72, 80, 120, 200])
def test_it_fits_every_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = screen(everything(), width, monkeypatch)
    assert max(map(cell_len, lines)) <= width
    (head,) = [line for line in lines if line.startswith("table ")]
    names = ["rows", "chunks", "missing", "mismatched", "took"] if width >= 100 else ["rows", "differ", "took"]
    assert head.split() == ["table", "follower", "verdict", *names]
    place = lines.index(head)
    assert [line.split()[0] for line in lines[place + 1 : place + 4]] == [
        "public.orders", "public.event_log", "public.customers",
    ]  # fmt: skip
    assert "public.orders on eu-2: drift, 1 missing, 1,234 mismatched" in lines
    assert "         - 4,998 match, X 1 drift, ? 1 unverified" in lines
    (strip,) = [line for line in lines if line.startswith("  chunks [")]
    assert (strip.count("X"), strip.count("?"), strip[-1]) == (1, 1, "]")
    reasons = lines[lines.index("public.event_log on eu-2: unverified") + 1 :]
    assert all(line.startswith("  ") for line in reasons[: 2 if width < 160 else 1])
    assert lines[-1] == "drift: 98,234,573 rows compared, 1,235 rows differ, 1 table not verified"


def test_what_values_may_differ_by_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    tolerances = {"at": "equal less than 1 s apart", "note": "blanks at the end do not count"}
    lines = screen(report("match", [entry("s.t", "f", "match", tolerances=tolerances)]), 120, monkeypatch)
    told = "tolerated: at (equal less than 1 s apart), note (blanks at the end do not count)"
    assert [line for line in lines if told in line]


def test_both_sides_stand_below_each_other_where_they_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = screen(everything(), 80, monkeypatch)
    (place,) = [i for i, line in enumerate(lines) if line.startswith("      note: leader   ")]
    ours, theirs = lines[place], lines[place + 1]
    assert theirs.startswith("            follower ")
    assert ours.index("amet") == theirs.index("AMET")
    assert "      gone: leader NULL, follower ''" in lines


def test_outside_a_terminal_no_line_is_broken() -> None:
    out = io.StringIO()
    render(everything(), out)
    assert "no primary key: rows cannot be addressed " * 4 in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_very_many_equal_tables_are_told_shortly() -> None:
    out = io.StringIO()
    render(report("match", [entry(f"s.t{i}", "f", "match") for i in range(5_000)]), out)
    lines = out.getvalue().splitlines()
    assert len(lines) < 120
    assert "... and 4,900 more tables, all equal" in lines


@pytest.mark.parametrize(
    ("ours", "theirs", "first", "second"),
    [
        (None, "", "NULL", "''"),
        ("a b", "a\u00a0b", "'a b'", "'a\\xa0b'"),
        ("é", "e\u0301", "'é' (U+00E9)", "'e\\u0301'"),
        ("pay", "p\u0430y", "'pay'", "'p\u0430y' (U+0430)"),
        ("x" * 100 + "A", "x" * 100 + "B", "..." + "x" * 47 + "A'", "..." + "x" * 47 + "B'"),
        ("A" + "x" * 100, "B" + "x" * 100, "'A" + "x" * 47 + "...", "'B" + "x" * 47 + "..."),
        ("\x1b[31mred", "red", "'\\x1b[31mred'", "'red'"),
    ],
)
def test_values_that_differ_look_different(ours: str | None, theirs: str, first: str, second: str) -> None:
    left, right = differing(ours, theirs)
    assert (left.plain, right.plain) == (first, second)


def test_what_differs_is_marked_and_not_by_colour_alone() -> None:
    left, _ = differing("total 1200.00", "total 1250.00")
    (span,) = left.spans
    assert left.plain[span.start : span.end] == "0"
    assert "underline" in str(span.style)
