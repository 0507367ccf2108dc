"""`trueup recheck`: look at drifted rows again, now."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trueup import exits
from trueup.cli import options
from trueup.cli.asking import Words, planned
from trueup.cli.audit_words import Narrowing
from trueup.cli.discretion import hide_arguments
from trueup.cli.listing import stream_json, stream_table
from trueup.cli.output import Listing, say, target
from trueup.cli.watermark_words import OrderedOption, TableOption, Watermarking, WriteOption
from verifier.errors import Misconfigured

if TYPE_CHECKING:
    from connectors.journal.findings import Findings
    from trueup.audit.recheck import Recheck
    from verifier.journal import Run

_NOW = {"drift": "still differs", "equal": "equal now", "in_flight": "in flight", "unverified": "unverified"}


def register(app: typer.Typer) -> None:
    app.command(help="Look at drifted rows again; exit 0 all equal now, 1 some still differ, 4 some are in doubt.")(
        recheck
    )


def recheck(
    drift: Annotated[list[str] | None, typer.Argument(help="Drift by id, or how the id begins.")] = None,
    run: Annotated[str | None, typer.Option(help="All that this run found.")] = None,
    table: Annotated[str | None, typer.Option(help="With --run: only of this table (schema.table).")] = None,
    config: options.Config = None,
    group: options.Group = None,
    leader: options.Leader = None,
    follower: options.Followers = None,
    exclude: options.Exclude = None,
    mask: options.Mask = None,
    key: options.Key = None,
    columns: options.Columns = None,
    where: options.Where = None,
    map_table: options.MapTable = None,
    map_column: options.MapColumn = None,
    tolerate: options.Tolerate = None,
    watermark: TableOption = None,
    watermark_write: WriteOption = False,
    watermark_ordered: OrderedOption = False,
    journal: Annotated[str | None, typer.Option(help="Journal path or URL (default: ./trueup.db).")] = None,
    settle: Annotated[float | None, typer.Option(min=0.1, help="Seconds a row may stay in flight.")] = None,
    how: options.How = Listing.TABLE,
    output: options.Output = None,
) -> int:
    """By the rules of evidence, as an audit looks; the journal is told what became of each."""
    from connectors.journal.findings import Findings
    from trueup.audit.progress import Silent
    from trueup.audit.recheck import Recheck, as_in, check_masks
    from trueup.audit.stored import named, wanted
    from trueup.bootstrap.auditing import open_audit
    from trueup.bootstrap.journal import existing, opened

    if bool(drift) == (run is not None):
        raise typer.BadParameter("name drift by its id, or a run with --run")
    hide_arguments()
    narrowing = Narrowing(where or [], columns or [], map_table or [], map_column or [], tolerate or [])
    words = Words(config, group, leader, follower or [], [], exclude or [], key or [], journal, narrowing=narrowing)
    words = replace(words, masked=mask or [])
    plan = Watermarking(watermark, watermark_write, watermark_ordered).applied(planned(words))
    existing(plan.journal)
    if settle is not None:
        plan = replace(plan, settle=replace(plan.settle, give_up_seconds=settle))
    with opened(None, plan.group, str(plan.journal)) as book:  # what is asked for exists, before a server is asked
        known = None if run is None else named(run, book.runs)
        findings = Findings(book.store)
        found = [findings.named(one) for one in drift or ()]
        check_masks(found, plan.request)
        if known is not None and known.report is None:  # only its findings say what it masked
            check_masks(findings.of_run(known.id, wanted(None, None, None)), plan.request)
    if known is not None and known.report is not None:
        report = json.loads(known.report)
        if "restore" in report:
            raise Misconfigured(
                f"run {known.id} held a backup against its leader of then; repeat it with --restored-at"
            )
        plan = replace(plan, request=as_in(report.get("settings", {}), plan.request))
    audit = open_audit(replace(plan, checked=None), run=None, watcher=Silent(), stop=lambda: False)
    try:
        looking = Recheck(audit.audit.tools, audit.audit.lineup, audit.journal.drifts)
        results = _results(looking, Findings(audit.journal.store), known, [one.id for one in found], table)
        with target(output) as out:
            if how is Listing.JSON:
                head = {"version": 1, "run": None if known is None else known.id}
                stream_json(head, "rechecked", results, lambda: _tail(looking), out)
            else:
                stream_table(map(_line, results), "nothing to look at again: no drift was found", out)
                out.write(_summary(looking))
        audit.tell(say)
    finally:
        audit.close()
    return exits.of_verdict(looking.verdict().value)


def _results(
    looking: Recheck, findings: Findings, run: Run | None, names: list[str], table: str | None
) -> Iterator[dict[str, Any]]:
    from trueup.audit.stored import wanted

    if run is None:
        for name in names:
            drift = findings.named(name)
            yield from (one.entry() for one in looking.look(drift.table, drift.follower, [drift]))
        return
    for place, follower in findings.places(run.id, wanted(table, None, None)):
        drifts = findings.of_run(run.id, wanted(str(place), follower, None))
        yield from (one.entry() for one in looking.look(place, follower, drifts))


def _tail(looking: Recheck) -> dict[str, Any]:
    counts = {state.value: count for state, count in looking.counts.items()}
    return {"counts": counts, "verdict": looking.verdict().value}


def _line(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": entry["id"][:12],
        "follower": entry["follower"],
        "table": entry["table"],
        "key": ", ".join(str(value) for value in entry["key"].values()),
        "now": _NOW[entry["state"]],
        "kind": entry["kind"] if entry["state"] == "drift" else "",
        "columns": ", ".join(entry["columns"]) if (entry["state"], entry["kind"]) == ("drift", "mismatched") else "",
        "evidence": f"{entry['evidence']}, {entry['method']}" if entry["state"] == "drift" else "",
        "why": entry["reason"],
    }


def _summary(looking: Recheck) -> str:
    told = [
        f"{count:,} {'still differ' if state.value == 'drift' and count > 1 else _NOW[state.value]}"
        for state, count in looking.counts.items()
        if count
    ]
    return f"{looking.verdict().value}: {', '.join(told)}\n" if told else ""
