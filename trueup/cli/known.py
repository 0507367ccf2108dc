"""`trueup runs`, `trueup drift`, `trueup repairs`: what the journal knows. No database is asked."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from trueup import exits
from trueup.cli.output import Listing, write

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Configuration file.")]
GroupOption = Annotated[str | None, typer.Option(help="Group of the configuration (default: its only one).")]
JournalOption = Annotated[str | None, typer.Option(help="Journal path or URL, instead of a configuration.")]
FormatOption = Annotated[Listing, typer.Option("--format", help="table or json.")]
LimitOption = Annotated[int, typer.Option(min=1, help="At most this many.")]


def register(app: typer.Typer) -> None:
    app.command(help="The runs that the journal knows, newest first.")(runs)
    app.command(help="Rows known to differ now; exit 1 if there are any.")(drift)
    app.command(help="Repairs and their states.")(repairs)


def runs(
    config: ConfigOption = None,
    group: GroupOption = None,
    journal: JournalOption = None,
    how: FormatOption = Listing.TABLE,
    limit: LimitOption = 20,
) -> int:
    """Audits and whether they came to their end."""
    from trueup.audit.report import iso
    from trueup.bootstrap.journal import opened

    with opened(config, group, journal) as book:
        found = [
            {
                "run": run.id,
                "kind": run.kind,
                "started_at": iso(run.started_at),
                "finished_at": None if run.finished_at is None else iso(run.finished_at),
                "verdict": None if run.verdict is None else run.verdict.value,
            }
            for run in book.runs.recent(limit)
        ]
    write({"version": 1, "runs": found}, how, None, partial(_listed, found, "no runs"))
    return exits.EQUAL


def drift(
    config: ConfigOption = None,
    group: GroupOption = None,
    journal: JournalOption = None,
    how: FormatOption = Listing.TABLE,
    follower: Annotated[str | None, typer.Option(help="Only of this follower.")] = None,
    table: Annotated[str | None, typer.Option(help="Only of this table (schema.table).")] = None,
    limit: LimitOption = 1000,
) -> int:
    """Open drift, oldest first, with columns and evidence."""
    from trueup.audit.report import drift_entry, iso
    from trueup.bootstrap.journal import opened
    from verifier.table import TableName

    name = TableName.parse(table) if table else None
    with opened(config, group, journal) as book:
        known = book.drifts.open(table=name, follower=follower, limit=limit)
        total = sum(book.drifts.counts().values())
    found = [
        {
            "follower": one.drift.follower,
            "table": str(one.drift.table),
            **drift_entry(one.drift, ()),
            "first_found_at": iso(one.first_found_at),
            "last_seen_at": iso(one.last_seen_at),
        }
        for one in known
    ]
    brief = [
        {
            "id": entry["id"][:12],
            "follower": entry["follower"],
            "table": entry["table"],
            "kind": entry["kind"],
            "key": ", ".join(str(value) for value in entry["key"].values()),
            "columns": ", ".join(entry["columns"]) if entry["kind"] == "mismatched" else "",
            "evidence": f"{entry['evidence']}, {entry['method']}",
            "first_found_at": entry["first_found_at"],
        }
        for entry in found
    ]
    write({"version": 1, "total": total, "drift": found}, how, None, partial(_listed, brief, "no drift"))
    return exits.DRIFT if found else exits.EQUAL


def repairs(
    config: ConfigOption = None,
    group: GroupOption = None,
    journal: JournalOption = None,
    how: FormatOption = Listing.TABLE,
    state: Annotated[list[str] | None, typer.Option(help="Only in this state; repeatable.")] = None,
    limit: LimitOption = 1000,
) -> int:
    """Repairs, oldest first."""
    from reconciler.repair import State
    from trueup.audit.report import iso
    from trueup.bootstrap.journal import opened

    try:
        states = [State(one) for one in state or ()]
    except ValueError:
        raise typer.BadParameter(f"--state must be one of {', '.join(one.value for one in State)}") from None
    with opened(config, group, journal) as book:
        found = [
            {
                "id": record.repair.id,
                "state": record.state.value,
                "follower": record.repair.follower,
                "table": str(record.repair.table),
                "key": ", ".join(map(str, record.repair.key)),
                "action": record.repair.action.value,
                "changed_at": iso(record.changed_at),
                "actor": record.actor,
                "note": record.note,
            }
            for record in book.repairs.listed(*states, limit=limit)
        ]
        broken = book.repairs.audit_broken_at()
    write({"version": 1, "repairs": found, "audit_broken_at": broken}, how, None, partial(_listed, found, "no repairs"))
    if broken is not None:
        from trueup.cli.output import say

        say(f"the audit chain does not hold from line {broken} on: somebody changed it")
        return exits.UNVERIFIED
    return exits.EQUAL


def _listed(rows: list[dict[str, Any]], nothing: str, out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(file=out, highlight=False, width=None if out.isatty() else 200)
    if not rows:
        console.print(nothing)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console.print(table)
