"""The report for a terminal: one line per table and follower, then the rows that differ, then what it means.

Everything shown comes from the report's data (`trueup.audit.report`), so what people see and what programs read agree.
"""

from __future__ import annotations

from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trueup.audit.checklist import checklist
from trueup.audit.progress import visible

STYLE = {"match": "green", "drift": "bold red", "unverified": "yellow", "holds": "green", "violated": "bold red"}
_ROWS_SHOWN = 20
_VALUE_WIDTH = 48


def render(report: dict[str, Any], out: TextIO, *, rows_shown: int = _ROWS_SHOWN) -> None:
    """Write the report as text; colours only where `out` is a terminal."""
    console = Console(file=out, highlight=False, markup=False, emoji=False, width=None if out.isatty() else 160)
    _head(report, console)
    _tables(report, console)
    for entry in report["tables"]:
        _how(entry, console)
        _schema(entry, console)
        _rows(entry, console, rows_shown)
    _invariants(report, console)
    checklist(report, console)
    console.print(_summary(report))


def render_invariants(result: dict[str, Any], out: TextIO) -> None:
    """The invariants alone, for `trueup check`."""
    console = Console(file=out, highlight=False, markup=False, emoji=False, width=None if out.isatty() else 160)
    _invariants(result, console)
    console.print(Text(result["verdict"], style=STYLE[result["verdict"]]))


def _head(report: dict[str, Any], console: Console) -> None:
    leader = report["leader"]
    console.print(f"run {report['run']}  leader {leader['name']} ({leader['engine']} {leader['server_version']})")
    for follower in report.get("followers", ()):
        console.print(f"  follower {follower['name']}: {follower['role']}, {follower['server_version']}")


def _tables(report: dict[str, Any], console: Console) -> None:
    if not report["tables"]:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("table", "follower", "verdict"):
        table.add_column(name, overflow="fold")
    for name in ("rows", "chunks", "missing", "extra", "mismatched", "seconds"):
        table.add_column(name, justify="right")
    for entry in report["tables"]:
        drift = entry["drift"]
        table.add_row(
            visible(entry["table"]),
            visible(entry["follower"]),
            Text(entry["verdict"], style=STYLE[entry["verdict"]]),
            f"{entry['rows']['leader']:,}",
            str(entry["chunks"]["total"]),
            *(str(drift[kind] or "") for kind in ("missing", "extra", "mismatched")),
            f"{entry['seconds']:.1f}",
        )
    console.print(table)
    for entry in report["tables"]:
        if entry["reason"]:
            line = f"  {entry['table']} on {entry['follower']}: {entry['reason']}"
            console.print(visible(line), style="yellow")


def _how(entry: dict[str, Any], console: Console) -> None:
    """What was mapped, filtered or left out, and what else must be known of how the table was compared."""
    lines: list[str] = []
    if entry.get("table_on_follower"):
        lines.append(f"is {entry['table_on_follower']} there")
    if entry.get("renamed_columns"):
        lines.append("columns there: " + ", ".join(f"{a} is {b}" for a, b in entry["renamed_columns"].items()))
    if entry.get("where"):
        lines.append(f"only rows where {entry['where']}")
    why = entry.get("excluded_why", {})
    if entry["excluded_columns"]:
        told = (f"{name} ({why[name]})" if name in why else name for name in entry["excluded_columns"])
        lines.append(f"not compared: {', '.join(told)}")
    if entry.get("multiset") and not entry["multiset"]["exact"]:
        lines.append("too many rows to count each: at least so many differ")
    for line in (*lines, *entry.get("remarks", ())):
        console.print(visible(f"  {entry['table']} on {entry['follower']}: {line}"))


def _schema(entry: dict[str, Any], console: Console) -> None:
    for finding in entry["schema"]:
        told = finding.get("note") or (
            f"leader {finding['leader'] or 'absent'}, follower {finding['follower'] or 'absent'}"
        )
        line = f"  {entry['table']} on {entry['follower']}: {finding['what']} of {finding['object']}: {told}"
        console.print(visible(line))


def _rows(entry: dict[str, Any], console: Console, rows_shown: int) -> None:
    rows = entry["rows_drifted"]
    if not rows:
        return
    console.print(Text(visible(f"{entry['table']} on {entry['follower']}"), style="bold"))
    for row in rows[:rows_shown]:
        key = visible(", ".join(f"{name}={value}" for name, value in row["key"].items()))
        line = Text("  ").append(row["kind"], style="red").append(f" {key}  [{row['evidence']}, {row['method']}]")
        console.print(line)
        for name, both in row["columns"].items():
            if row["kind"] == "mismatched":
                console.print(
                    Text(f"      {visible(name)}: leader {shown(both['leader'])}, follower {shown(both['follower'])}")
                )
    counted = sum(entry["drift"].values())
    if counted > min(len(rows), rows_shown):
        console.print(f"  ... {counted - min(len(rows), rows_shown)} more (--format json has up to {len(rows)})")


def _invariants(report: dict[str, Any], console: Console) -> None:
    for entry in report["invariants"]:
        line = Text("invariant ").append(entry["name"]).append(": ")
        line.append(entry["verdict"], style=STYLE[entry["verdict"]])
        if entry["violations"]:
            line.append(f", {entry['violations']}{'+' if entry.get('more') else ''} violations")
        if entry.get("reason"):
            line.append(f" ({entry['reason']})")
        console.print(line)
        for row in entry["sample"][:5]:
            console.print(Text("      " + ", ".join(f"{name}={shown(value)}" for name, value in row.items())))


def _summary(report: dict[str, Any]) -> Text:
    tables = report["tables"]
    drifted = sum(sum(entry["drift"].values()) for entry in tables)
    doubtful = sum(entry["verdict"] == "unverified" for entry in tables)
    rows = sum(entry["rows"]["leader"] for entry in tables)
    parts = [f"{rows:,} rows compared"]
    if drifted:
        parts.append(f"{drifted:,} rows differ")
    if doubtful:
        parts.append(f"{doubtful} table(s) not verified")
    text = Text(report["verdict"], style=STYLE[report["verdict"]])
    return text.append(": " + ", ".join(parts), style="default")


def shown(value: str | None) -> str:
    """A value for people: NULL without quotes, text in quotes, long values cut in the middle."""
    if value is None:
        return "NULL"
    if len(value) > _VALUE_WIDTH:
        half = (_VALUE_WIDTH - 3) // 2
        value = f"{value[:half]}...{value[-half:]}"
    return repr(value)
