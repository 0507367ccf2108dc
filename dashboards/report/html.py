"""The audit report as one HTML file, by Jinja2: no script, nothing fetched, readable on paper and in the dark.

It shows the JSON report and adds nothing of its own. Everything that comes from a database is hostile text: it is
escaped, and what is invisible in it is spelled out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from dashboards.report.chunkmap import chunk_map
from dashboards.report.values import ABSENT, Shown, pair, plain, single

_OPEN_ROWS = 25

VERDICTS = {
    "match": ("✓", "equal", "Every follower equals its leader"),
    "drift": ("✗", "drift", "Drift found"),
    "unverified": ("?", "unverified", "Not everything could be verified"),
    "holds": ("✓", "holds", ""),
    "violated": ("✗", "violated", ""),
}
METHODS = {
    "visibility": "both reads saw exactly the same transactions of this key",
    "bracketed": "the leader held one and the same row version before and after the follower was read",
    "snapshot": "nothing was written to the leader while both sides were read",
    "repeated": "the difference stayed through several looks; this engine has no row versions to prove it",
}
STANDINGS = {
    "match": "equal",
    "drift": "drift",
    "in_flight": "in flight",
    "unverified": "unverified",
    "unread": "not read",
}


def page(report: dict[str, Any]) -> str:
    """One self-contained page of the report (version 1 of the JSON contract)."""
    tables = report["tables"]
    return _template().render(
        report=report,
        verdict=VERDICTS[report["verdict"]],
        summary=_summary(report),
        duration=_duration(report["started_at"], report["finished_at"]),
        servers=[{"role": "leader", **report["leader"]}, *report.get("followers", ())],
        settings=_settings(report.get("settings", {})),
        excluded=sorted({f"{e['table']}.{c}" for e in tables for c in e["excluded_columns"]}),
        open_rows=_OPEN_ROWS,
        noteworthy=[(place, entry) for place, entry in enumerate(tables, 1) if not _uneventful(entry)],
        equal=[(place, entry) for place, entry in enumerate(tables, 1) if _uneventful(entry)],
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("dashboards.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, plain=plain, seconds=_seconds)
    environment.globals.update(
        verdicts=VERDICTS, methods=METHODS, standings=STANDINGS, chunk_map=chunk_map, cells=row_cells, single=single
    )
    return environment.get_template("audit.html.j2")


def _uneventful(entry: Mapping[str, Any]) -> bool:
    """Equal, and nothing else to be said: such tables share a section."""
    told = (entry["reason"], entry["schema"], entry["excluded_columns"], entry["rows_drifted"])
    return entry["verdict"] == "match" and not any(told)


def row_cells(row: Mapping[str, Any]) -> list[tuple[str, Shown, Shown]]:
    """Column, leader's value, follower's value. On the side that lacks the row every value is absent, not NULL."""
    found: list[tuple[str, Shown, Shown]] = []
    for name, both in row["columns"].items():
        if row["kind"] == "missing":
            found.append((name, single(both["leader"]), ABSENT))
        elif row["kind"] == "extra":
            found.append((name, ABSENT, single(both["follower"])))
        else:
            found.append((name, *pair(both["leader"], both["follower"])))
    return found


def _summary(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The figures on top: number, what it counts, and how it is coloured."""
    tables = report["tables"]
    compared = {e["table"] for e in tables}
    differing = sum(sum(e["drift"].values()) for e in tables)
    doubtful = sum(e["verdict"] == "unverified" or bool(e["reason"]) for e in tables)
    followers = len(report.get("followers", ()))
    figures = [
        (_number(len(compared)), "table" if len(compared) == 1 else "tables", ""),
        (_number(followers), "follower" if followers == 1 else "followers", ""),
        (_number(sum(e["rows"]["leader"] for e in tables)), "rows compared", ""),
        (_number(differing), "row differs" if differing == 1 else "rows differ", "drift" if differing else ""),
        (_number(doubtful), "not fully verified", "unverified" if doubtful else ""),
    ]
    violated = sum(e["verdict"] == "violated" for e in report["invariants"])
    if report["invariants"]:
        words = f"of {len(report['invariants'])} invariants violated"
        figures.append((_number(violated), words, "drift" if violated else ""))
    return figures


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each setting as words; what was left empty is not told."""
    return [(name.replace("_", " "), _words(value)) for name, value in settings.items() if value not in ({}, [], None)]


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_words(inner)}" for name, inner in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)


def _number(value: int) -> str:
    return f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _duration(began: str, ended: str | None) -> str | None:
    if ended is None:
        return None
    return _seconds((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds())
