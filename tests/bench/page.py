"""Writes the measured tables into docs/benchmarks.md, between markers; the words around them stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.machine import Series

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


_TITLES = {
    "mariadb": "Speed on MariaDB",
    "cross": "Speed across PostgreSQL and MariaDB",
    "scale": "Scale",
    "decode": "The change stream",
    "since": "What was touched since",
    "servers": "What the servers pay for it",
    "causes": "Why rows drifted",
    "stack": "The stack's start",
    "commands": "What commands take",
    "truth-kafka": "Truth, the stream through Kafka",
    "truth-sink": "Truth on a follower that a sink feeds",
    "truth-binlog": "Truth on replicas of MariaDB and MySQL",
    "truth-binlog-kafka": "Truth on replicas of MariaDB and MySQL, the stream through Kafka",
}
"""Sections that are written when they are first measured."""


def replace(section: str, text: str) -> None:
    """Put `text` between the markers of `section`; ValueError if the page has none, and the section no title here."""
    opening, closing = f"<!-- {section}: measured -->", f"<!-- {section}: end -->"
    page = PAGE.read_text()
    if opening not in page and section in _TITLES:
        page = f"{page.rstrip()}\n\n## {_TITLES[section]}\n\n{opening}\n{closing}\n"
    before, found, rest = page.partition(opening)
    _, also, after = rest.partition(closing)
    if not found or not also:
        raise ValueError(f"{PAGE.name} has no markers for {section!r}")
    PAGE.write_text(f"{before}{opening}\n{text.strip()}\n{closing}{after}")


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def series_table(found: Sequence[Series], rival: str) -> str:
    """Medians. Two columns say how many times the floor each takes, and how many times faster than the rival it is."""
    slowest = next(series for series in found if series.name.startswith(rival)).median("seconds")
    floor = found[0].median("seconds")
    rows = []
    for one in found:
        memory = one.median("peak_mib")
        rows.append([
            one.name, f"{one.median('seconds'):.1f}", one.span(), f"{one.median('cpu'):.1f}",
            f"{one.median('servers'):.1f}", f"{memory:.0f}" if memory else "", str(len(one.runs)),
            f"{one.median('seconds') / floor:.2f} x", f"{slowest / one.median('seconds'):.1f} x",
        ])  # fmt: skip
    header = [
        "",
        "wall s",
        "least-most",
        "its CPU s",
        "servers' CPU s",
        "peak MiB",
        "runs",
        "this / floor",
        f"{rival} / this",
    ]
    return table(header, rows)
