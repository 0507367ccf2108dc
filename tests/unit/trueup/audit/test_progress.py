"""What an audit shows while it runs: rate and time left, as a bar on a terminal and as lines elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from connectors.memory.clock import VirtualClock
from trueup.audit.progress import Bar, Lines
from verifier.table import TableName

ORDERS, ITEMS = TableName("public", "orders"), TableName("public", "items")


def test_a_bar_tells_what_is_done_rows_a_second_and_time_left() -> None:
    clock, out = VirtualClock(), io.StringIO()
    console = Console(file=out, width=140, force_terminal=True, color_system=None, markup=False, highlight=False)
    bar = Bar(console, clock.now)

    def drawn() -> list[str]:
        """The bars as they are now, a line each."""
        page = Console(file=io.StringIO(), width=140, color_system=None)
        with page.capture() as seen:
            page.print(bar._progress.get_renderable())
        return [" ".join(line.split()) for line in seen.get().splitlines()]

    try:
        bar.audit_begins(2)
        bar.table_begins(ORDERS, 100_000)
        bar.table_begins(ITEMS, None)
        for _ in range(5):
            clock.at += 2.0
            bar.rows_read(ORDERS, 5_000, suspects=3, drifted=0)
            bar.rows_read(ITEMS, 10, suspects=0, drifted=1)
        orders, items = drawn()
        # 25,000 of 100,000 rows in steps of 5,000 every 2 s: 2,500 rows/s, and 75,000 to go.
        assert "25% 25000/100000 2,500 rows/s 0:00:30 3 settling" in orders
        assert items.endswith("50/? 5 rows/s 1 drifted"), "of an unknown number no time is left"
        bar.rows_read(ORDERS, 100_000, suspects=0, drifted=0)  # the planner's estimate was too low
        assert "100% 125000/125000" in drawn()[0]
        bar.table_ends(ORDERS, "match")
        assert "public.orders: match (1 of 2)" in out.getvalue()
        assert len(drawn()) == 1
    finally:
        bar.close()


def test_lines_tell_the_same_every_ten_seconds() -> None:
    clock, out = VirtualClock(), io.StringIO()
    lines = Lines(clock.now(), clock, out)
    lines.audit_begins(1)
    lines.table_begins(ORDERS, 100_000)
    for _ in range(5):
        clock.at += 2.5
        lines.rows_read(ORDERS, 5_000, suspects=3, drifted=1)
    lines.table_ends(ORDERS, "drift")
    assert out.getvalue().splitlines() == [
        "public.orders: 20,000 rows, 2,000/s, about 40s left; 3 settling, 1 drifted",
        "public.orders: drift, 25,000 rows in 12.5 s",
    ]
