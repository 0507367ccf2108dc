"""The audit report as one HTML file, by Jinja2: no script, nothing fetched, readable on paper and in the dark.

It shows the JSON report and adds nothing of its own. Everything that comes from a database is hostile text: it is
escaped, and what is invisible in it is spelled out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from dashboards.report import facts, words
from dashboards.report.chunkmap import STANDINGS, STEP, chunk_map
from dashboards.report.cutover import by_server, headline
from dashboards.report.values import Shown, pair, plain, single

_OPEN_ROWS = 25
_PAGE_ROWS = 3_000
_EQUAL_LISTED = 40
_EQUAL_DRAWN = 300
_GRAVE = ("drift", "unverified", "match")

Cell = tuple[str, Shown, Shown | None]


def page(report: dict[str, Any]) -> str:
    """One self-contained page of the report (version 1 of the JSON contract)."""
    tables = [(place, entry) for place, entry in enumerate(report["tables"], 1)]
    grave = sorted(tables, key=lambda one: _GRAVE.index(one[1]["verdict"]))
    noteworthy = [one for one in grave if not _uneventful(one[1])]
    equal = [one for one in grave if _uneventful(one[1])]
    rows = [row for entry in report["tables"] for row in entry["rows_drifted"]]
    return _template().render(
        report=report,
        verdict=headline(report, words.VERDICTS[report["verdict"]]),
        figures=facts.figures(report),
        duration=facts.duration(report["started_at"], report["finished_at"]),
        settings=facts.settings(report.get("settings", {})),
        left_out=facts.left_out(report),
        again=list(facts.again(report)),
        overview=noteworthy if len(equal) > _EQUAL_LISTED else grave,
        noteworthy=[(*one, shown) for one, shown in zip(noteworthy, _shares(noteworthy), strict=True)],
        equal=equal,
        equal_listed=_EQUAL_LISTED,
        drawn=len(equal) <= _EQUAL_DRAWN,
        open_rows=_OPEN_ROWS,
        found_methods=sorted({row["method"] for row in rows}),
        found_causes=[name for name in words.CAUSES if any(row.get("cause") == name for row in rows)],
        found_positions=[name for name in words.POSITIONS if any(name in row.get("positions", {}) for row in rows)],
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
    environment.filters.update(number=facts.number, plain=plain, seconds=facts.seconds, moment=facts.moment)
    environment.globals.update(
        by_server=by_server,
        verdicts=words.VERDICTS,
        methods=words.METHODS,
        positions=words.POSITIONS,
        certainties=words.CERTAINTIES,
        causes=words.CAUSES,
        standings=STANDINGS,
        step=STEP,
        chunk_map=chunk_map,
        about=facts.about_table,
        cells=row_cells,
        single=single,
    )
    return environment.get_template("audit.html.j2")


def row_cells(row: Mapping[str, Any]) -> list[Cell]:
    """Column, leader's value, follower's value. Where one side lacks the row there is one value alone."""
    found: list[Cell] = []
    for name, both in row["columns"].items():
        if row["kind"] == "mismatched":
            found.append((name, *pair(both["leader"], both["follower"])))
        else:
            found.append((name, single(both["leader" if row["kind"] == "missing" else "follower"]), None))
    return found


def _uneventful(entry: Mapping[str, Any]) -> bool:
    """Equal, and nothing else to be said: such tables share a section."""
    told = (entry["reason"], entry["schema"], entry["excluded_columns"], entry["rows_drifted"])
    also = (
        "scheme_why",
        "tolerances",
        "where",
        "table_on_follower",
        "renamed_columns",
        "remarks",
        "multiset",
        "restore",
    )
    return entry["verdict"] == "match" and not any(told) and not any(entry.get(name) for name in also)


def _shares(tables: Sequence[tuple[int, Mapping[str, Any]]]) -> list[int]:
    """How many rows of each table the page lists, so that it stays one that a browser can open: some of every table,
    and the first tables' others as long as there is room."""
    shares = [min(len(entry["rows_drifted"]), _OPEN_ROWS) for _, entry in tables]
    room = _PAGE_ROWS - sum(shares)
    for place, (_, entry) in enumerate(tables):
        more = max(0, min(room, len(entry["rows_drifted"]) - shares[place]))
        shares[place] += more
        room -= more
    return shares
