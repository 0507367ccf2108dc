"""The report for a terminal: one line per table and follower, then the rows that differ, then what it means.

Everything shown comes from the report's data (`trueup.audit.report`), so what people see and what programs read agree.
Lines that do not fit go on under their own beginning; outside a terminal nothing is wrapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trueup.audit.checklist import checklist
from trueup.audit.inline import WIDTH, differing, shown
from trueup.audit.progress import duration, moment, visible
from verifier.checklist import several

STYLE = {"match": "green", "drift": "bold red", "unverified": "yellow", "holds": "green", "violated": "bold red"}
_GRAVE = ("drift", "unverified", "match")
_STRIP = {"match": ("-", "green"), "drift": ("X", "bold red"), "in_flight": ("~", "yellow"),
          "unverified": ("?", "yellow"), "unread": (" ", "")}  # fmt: skip
_WORST = ("match", "unread", "in_flight", "unverified", "drift")
_KINDS = ("missing", "extra", "mismatched")
_ROWS_SHOWN = 20
_WIDE = 100
_EQUAL_SHOWN = 100
_STRIP_WIDTH = 60
_PLAIN_WIDTH = 160


def render(report: dict[str, Any], out: TextIO, *, rows_shown: int = _ROWS_SHOWN) -> None:
    """Write the report as text; colours only where `out` is a terminal."""
    console = _console(out)
    _head(report, console)
    _tables(report, console)
    for entry in _gravest(report["tables"]):
        if _eventful(entry):
            _table(entry, console, rows_shown)
    if report["invariants"]:
        console.print()
        _invariants(report, console)
    checklist(report, console)
    console.print()
    _next(report, console)
    console.print(_summary(report))


def render_invariants(result: dict[str, Any], out: TextIO) -> None:
    """The invariants alone, for `trueup check`."""
    console = _console(out)
    _invariants(result, console)
    verdict = result["verdict"]
    said = {"match": "all hold", "drift": "violated"}.get(verdict, verdict)
    console.print(Text(said, style=STYLE[verdict]))


def _console(out: TextIO) -> Console:
    return Console(file=out, highlight=False, markup=False, emoji=False, width=None if out.isatty() else _PLAIN_WIDTH)


def _put(console: Console, line: str | Text, indent: int = 0, style: str = "") -> None:
    """One line; what does not fit on a terminal goes on below, indented as it began."""
    text = Text(visible(line), style=style) if isinstance(line, str) else line
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent)))
    else:
        console.print(Text(" " * indent).append_text(text), soft_wrap=True)


def _head(report: dict[str, Any], console: Console) -> None:
    began, ended = report["started_at"], report["finished_at"]
    until = f"to {moment(ended)}" if ended else "and not finished"
    _put(console, f"run {report['run']}  {moment(began)} {until}")
    leader = report["leader"]
    name = "" if leader["name"] == "leader" else f" {leader['name']}"
    _put(console, f"leader{name}: {leader['engine']} {leader['server_version']}", 2)
    for one in report.get("followers", ()):
        _put(console, f"follower {one['name']}: {one['role']}, {one['engine']} {one['server_version']}", 2)
    if since := report.get("since"):
        _put(console, f"since run {since['run']}: {since_words(since)}", 2)
        for unseen in since["cannot_see"]:
            _put(console, f"not seen: {unseen}", 4)
    console.print()


def since_words(since: dict[str, Any]) -> str:
    """What an audit of what was touched looked at."""
    told = []
    if touched := since["tables"]["touched"]:
        told.append(f"only touched keys ({since['keys']:,}) of {several(touched, 'table')} were looked at")
    if whole := since["tables"]["whole"]:
        told.append(f"{several(whole, 'table')} as a whole")
    return ", ".join(told) or "no table was looked at"


def _gravest(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drift first, then doubt, each as they came."""
    return sorted(entries, key=lambda entry: _GRAVE.index(entry["verdict"]))


def _tables(report: dict[str, Any], console: Console) -> None:
    entries = _gravest(report["tables"])
    if not entries:
        return
    wide = console.width >= _WIDE
    kinds = [kind for kind in _KINDS if any(entry["drift"][kind] for entry in entries)]
    counted = kinds if wide else ["differ"][: len(kinds)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("table", overflow="fold")
    table.add_column("follower", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for name in ("rows", *(["chunks"] if wide else []), *counted, "took"):
        table.add_column(name, justify="right", no_wrap=True)
    equal = sum(entry["verdict"] == "match" for entry in entries)
    listed = entries[: len(entries) - max(0, equal - _EQUAL_SHOWN)]
    for entry in listed:
        drift = entry["drift"] | {"differ": sum(entry["drift"].values())}
        table.add_row(
            visible(entry["table"]),
            visible(entry["follower"]),
            Text(entry["verdict"], style=STYLE[entry["verdict"]]),
            f"{entry['rows']['leader']:,}",
            *([f"{entry['chunks']['total']:,}"] if wide else []),
            *(Text(f"{drift[kind]:,}" if drift[kind] else "", style="red") for kind in counted),
            duration(entry["seconds"]),
        )
    console.print(table)
    if len(listed) < len(entries):
        _put(console, f"... and {several(len(entries) - len(listed), 'more table')}, all equal")


def _eventful(entry: dict[str, Any]) -> bool:
    """Something is to be said of it beside its line."""
    return entry["verdict"] != "match" or bool(entry["reason"] or entry["schema"] or list(_how(entry)))


def _table(entry: dict[str, Any], console: Console, rows_shown: int) -> None:
    console.print()
    title = Text(visible(f"{entry['table']} on {entry['follower']}"), style="bold")
    title.append(": ").append(entry["verdict"], style=STYLE[entry["verdict"]])
    counts = [f"{entry['drift'][kind]:,} {kind}" for kind in _KINDS if entry["drift"][kind]]
    _put(console, title.append("".join(f", {count}" for count in counts), style="not bold"))
    if entry["reason"]:
        _put(console, entry["reason"], 2, "yellow")
    if entry["verdict"] != "match" and entry["chunks"]["total"] > 1:
        _strip(entry, console)
    for line in _how(entry):
        _put(console, line, 2)
    for finding in entry["schema"]:
        told = finding.get("note") or (
            f"leader {finding['leader'] or 'absent'}, follower {finding['follower'] or 'absent'}"
        )
        style = "yellow" if finding.get("severity") == "warning" else ""
        _put(console, f"{finding['what']} of {finding['object']}: {told}", 2, style)
    _rows(entry, console, rows_shown)


def _strip(entry: dict[str, Any], console: Console) -> None:
    """The chunks in key order, in a line: each sign the worst of some."""
    standings = [standing for standing, length in entry.get("chunk_map", ()) for _ in range(length)]
    per_sign = max(1, -(-len(standings) // max(1, min(_STRIP_WIDTH, console.width - 12))))
    text = Text("chunks [")
    for first in range(0, len(standings), per_sign):
        sign, style = _STRIP[max(standings[first : first + per_sign], key=_WORST.index)]
        text.append(sign, style=style)
    _put(console, text.append("]"), 2)
    counts = {name: entry["chunks"][name] for name in ("match", "drift", "in_flight", "unverified")}
    told = (f"{_STRIP[name][0]} {count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)
    _put(console, ", ".join(told), 9)


def _how(entry: dict[str, Any]) -> list[str]:
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
    if entry.get("tolerances"):
        lines.append("tolerated: " + ", ".join(f"{name} ({what})" for name, what in entry["tolerances"].items()))
    if entry.get("multiset") and not entry["multiset"]["exact"]:
        lines.append("too many rows to count each: at least so many differ")
    return [*lines, *entry.get("remarks", ())]


def _rows(entry: dict[str, Any], console: Console, rows_shown: int) -> None:
    rows = entry["rows_drifted"]
    for row in rows[:rows_shown]:
        key = visible(", ".join(f"{name}={value}" for name, value in row["key"].items()))
        line = Text().append(f"{row['kind']:<10}", style="red").append(f" {key}", style="bold")
        cause = f", {row['cause']}" if row.get("cause") else ""
        _put(console, line.append(f"  [{row['evidence']}, {row['method']}{cause}]"), 2)
        if row["kind"] == "mismatched":
            for name, both in row["columns"].items():
                _column(console, name, both)
        elif row["columns"]:
            side = "leader" if row["kind"] == "missing" else "follower"
            values = ", ".join(f"{visible(name)}={shown(both[side])}" for name, both in row["columns"].items())
            _put(console, Text(values), 6)
    more = sum(entry["drift"].values()) - min(len(rows), rows_shown)
    if rows and more > 0:
        _put(console, f"... {more:,} more (--format json has up to {len(rows):,})", 2)


def _column(console: Console, name: str, both: dict[str, str | None]) -> None:
    """One line where it fits, else a line for each side, so that what differs stands below each other."""
    width = max(WIDTH, console.width - len(name) - 24)
    ours, theirs = differing(both["leader"], both["follower"], WIDTH)
    head = Text(f"{visible(name)}: ")
    line = Text.assemble(head, "leader ", ours, ", follower ", theirs)
    if line.cell_len + 6 <= console.width:
        _put(console, line, 6)
        return
    ours, theirs = differing(both["leader"], both["follower"], width)
    _put(console, Text.assemble(head, "leader   ", ours), 6)
    _put(console, Text.assemble(" " * head.cell_len, "follower ", theirs), 6)


def _invariants(report: dict[str, Any], console: Console) -> None:
    for entry in report["invariants"]:
        line = Text("invariant ").append(visible(entry["name"])).append(": ")
        line.append(entry["verdict"], style=STYLE[entry["verdict"]])
        if entry["violations"]:
            more = "+" if entry.get("more") else ""
            one = entry["violations"] == 1 and not more
            what = f"violation{'' if one else 's'}" if entry["verdict"] == "violated" else "suspected"
            line.append(f", {entry['violations']:,}{more} {what}")
        if entry.get("reason"):
            line.append(visible(f" ({entry['reason']})"))
        _put(console, line)
        for row in entry["sample"][:5]:
            _put(console, Text(", ".join(f"{visible(name)}={shown(value)}" for name, value in row.items())), 6)


def _next(report: dict[str, Any], console: Console) -> None:
    """What a reader does with drift."""
    if any(sum(entry["drift"].values()) for entry in report["tables"]):
        _put(console, f"look again later with: trueup recheck --run {report['run']} (and this audit's servers)")


def _summary(report: dict[str, Any]) -> Text:
    tables = report["tables"]
    drifted = sum(sum(entry["drift"].values()) for entry in tables)
    doubtful = sum(entry["verdict"] == "unverified" for entry in tables)
    rows = sum(entry["rows"]["leader"] for entry in tables)
    parts = [f"{rows:,} rows compared"]
    if drifted:
        parts.append(f"{drifted:,} rows differ" if drifted > 1 else "1 row differs")
    if doubtful:
        parts.append(f"{several(doubtful, 'table')} not verified")
    text = Text(report["verdict"], style=STYLE[report["verdict"]])
    return text.append(": " + ", ".join(parts), style="default")
