"""`trueup drift`: the rows known to differ, as many as there are. No database is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.audit.progress import moment
from trueup.cli import options
from trueup.cli.listing import Counted, stream_json, stream_table
from trueup.cli.output import Listing, say, target

if TYPE_CHECKING:
    from connectors.journal.findings import Findings, Wanted
    from reconciler.masking import Masking


def register(app: typer.Typer) -> None:
    app.command(help="Rows known to differ now, or found by one run; exit 1 if there are any.")(drift)


def drift(
    config: options.Config = None,
    group: options.Group = None,
    journal: options.Journal = None,
    how: options.How = Listing.TABLE,
    run: Annotated[str | None, typer.Option(help="What this run found, whatever became of it.")] = None,
    follower: Annotated[str | None, typer.Option(help="Only of this follower.")] = None,
    table: Annotated[str | None, typer.Option(help="Only of this table (schema.table).")] = None,
    kind: Annotated[str | None, typer.Option(help="Only missing, extra or mismatched rows.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 1000,
    after: Annotated[str | None, typer.Option(help="Go on behind this drift, the last of the page before.")] = None,
) -> int:
    """Drift, oldest first, with columns and evidence. Memory does not grow with its number."""
    from connectors.journal.findings import Findings
    from trueup.audit.stored import named, wanted
    from trueup.bootstrap.journal import opened_masked

    chosen = wanted(table, follower, kind)
    with opened_masked(config, group, journal) as (book, masking):
        findings = Findings(book.store)
        run_id = None if run is None else named(run, book.runs).id
        total = findings.count_open(chosen) if run_id is None else findings.count_of_run(run_id, chosen)
        pages = Counted(_entries(findings, masking(), run_id, chosen, after, limit))
        with target(None) as out:
            if how is Listing.JSON:
                head = {"version": 1, "total": total, **({} if run_id is None else {"run": run_id})}
                stream_json(head, "drift", pages, lambda: {"next": pages.last if pages.count == limit else None}, out)
            else:
                stream_table(map(_line, pages), "no drift", out)
    if how is Listing.TABLE and pages.count == limit < total:
        say(f"{pages.count:,} of {total:,} shown; go on with --after {pages.last}, or give a larger --limit")
    return exits.DRIFT if total else exits.EQUAL


def _entries(
    findings: Findings, masking: Masking, run: str | None, wanted: Wanted, after: str | None, limit: int
) -> Iterator[dict[str, Any]]:
    from trueup.audit.report import drift_entry, iso

    if run is not None:
        for drift in findings.of_run(run, wanted, after=after, limit=limit):
            place = {"follower": drift.follower, "table": str(drift.table)}
            yield {**place, **drift_entry(masking.drift(drift), ()), "found_at": iso(drift.found_at)}
        return
    for one in findings.open(wanted, after=after, limit=limit):
        yield {
            "follower": one.drift.follower,
            "table": str(one.drift.table),
            **drift_entry(masking.drift(one.drift), ()),
            "first_found_at": iso(one.first_found_at),
            "last_seen_at": iso(one.last_seen_at),
        }


def _line(entry: dict[str, Any]) -> dict[str, Any]:
    found = entry.get("first_found_at") or entry["found_at"]
    return {
        "id": entry["id"][:12],
        "follower": entry["follower"],
        "table": entry["table"],
        "kind": entry["kind"],
        "key": ", ".join(str(value) for value in entry["key"].values()),
        "columns": ", ".join(entry["columns"]) if entry["kind"] == "mismatched" else "",
        "evidence": f"{entry['evidence']}, {entry['method']}",
        "cause": entry.get("cause", ""),
        "found": moment(found),
    }
