"""`trueup runs`: the audits that the journal knows, and the report of each once more. No database is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.listing import listed
from trueup.cli.output import Format, say, write
from trueup.cli.reports import write_report
from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from connectors.journal.findings import Outline


def register(app: typer.Typer) -> None:
    app.command(help="The runs that the journal knows, newest first, or the report of one of them.")(runs)


def runs(
    run: Annotated[str | None, typer.Argument(help="Show the report of this run (its id, or how it begins).")] = None,
    config: options.Config = None,
    group: options.Group = None,
    journal: options.Journal = None,
    how: Annotated[Format, typer.Option("--format", help="table or json; a run also as html or junit.")] = Format.TABLE,
    output: options.Output = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many runs.")] = 20,
) -> int:
    """Audits with their verdicts. With RUN the exit code is that of the run's verdict."""
    from connectors.journal.findings import Findings
    from trueup.audit.stored import masked, named, stored
    from trueup.bootstrap.journal import opened_masked
    from trueup.cli.pause import entries
    from trueup.pausing import said

    with opened_masked(config, group, journal) as (book, masking):
        findings = Findings(book.store)
        if run is not None:
            report = masked(stored(named(run, book.runs), book.runs, findings), masking())
            write_report(report, how, output)
            return exits.of_verdict(report["verdict"])
        if how in (Format.HTML, Format.JUNIT):
            raise Misconfigured(f"--format {how.value} shows one run: trueup runs RUN --format {how.value}")
        found = findings.runs(limit)
        paused = list(book.pauses.paused())
    for pause in paused:
        say(f"note: {said(pause)}")
    told = {"version": 1, "runs": [_entry(one) for one in found], "paused": entries(paused)}
    write(told, how, output, listed(map(_line, found), "no runs"))
    return exits.EQUAL


def _entry(run: Outline) -> dict[str, Any]:
    from trueup.audit.report import iso

    return {
        "run": run.id,
        "kind": run.kind,
        "started_at": iso(run.started_at),
        "finished_at": None if run.finished_at is None else iso(run.finished_at),
        "seconds": None if run.finished_at is None else round(run.finished_at - run.started_at, 3),
        "verdict": None if run.verdict is None else run.verdict.value,
        "tables": run.tables,
        "drift": run.drift,
    }


def _line(run: Outline) -> dict[str, Any]:
    from trueup.audit.progress import duration, moment
    from trueup.audit.report import iso

    return {
        "run": run.id,
        "kind": run.kind,
        "started": moment(iso(run.started_at)),
        "took": "" if run.finished_at is None else duration(run.finished_at - run.started_at),
        "verdict": "unfinished" if run.verdict is None else run.verdict.value,
        "tables": run.tables,
        "rows that differ": run.drift,
    }
