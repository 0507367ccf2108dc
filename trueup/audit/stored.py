"""Reports of earlier runs, out of the journal; of a run that did not come to its end, as far as it came."""

from __future__ import annotations

import json

from connectors.journal.findings import Findings, Wanted
from reconciler.masking import Masking
from trueup.audit.report import Json, Tally, report, table_entry
from verifier.drift import Kind
from verifier.errors import Misconfigured
from verifier.journal import Run, RunJournal
from verifier.table import TableName

_UNENDED = "the run did not come to its end"
_LISTED = 1_000
_SEARCHED = 10_000


def named(run: str, runs: RunJournal) -> Run:
    """The run of that id, or whose id alone begins so. Misconfigured if there is none."""
    known = runs.find(run)
    if known is not None:
        return known
    alike = [one for one in runs.recent(_SEARCHED) if run and one.id.startswith(run)]
    if len(alike) == 1:
        return alike[0]
    several = f"several runs begin with {run!r}: {', '.join(one.id for one in alike[:5])}"
    raise Misconfigured(several if alike else f"no run {run!r} in this journal (see: trueup runs)")


def wanted(table: str | None, follower: str | None, kind: str | None) -> Wanted:
    """A choice of findings as a user types it. Misconfigured if there is no such kind."""
    kinds = {one.value: one for one in Kind}
    if kind is not None and kind not in kinds:
        raise Misconfigured(f"--kind {kind!r}: must be one of {', '.join(kinds)}")
    return Wanted(TableName.parse(table) if table else None, follower, kinds[kind] if kind else None)


def stored(run: Run, runs: RunJournal, findings: Findings) -> Json:
    """The run's report as it was told; rebuilt from its checkpoints if it was not."""
    if run.report is not None:
        told: Json = json.loads(run.report)
        return told
    finished = runs.finished_tables(run.id)
    entries: list[Json] = []
    differing = (table for table, _ in findings.places(run.id, Wanted()))
    for table in sorted({*finished, *findings.tables(run.id), *differing}):
        entries += json.loads(finished[table]) if table in finished else _begun(run, table, runs)
    followers = dict.fromkeys(entry["follower"] for entry in entries)
    return report(
        run.id,
        started_at=run.started_at,
        finished_at=None,
        leader=_unknown("leader"),
        followers=[_unknown(name) for name in followers],
        tables=entries,
    )


def masked(told: Json, masking: Masking) -> Json:
    """The report with what is masked by now: one that was made before holds values. Changes `told`. Of two sides of an
    invariant it does not say what column they are: both are masked."""
    then = told.get("settings", {}).get("masked_columns", {})
    if all(columns <= {*then.get(str(table), ())} for table, columns in masking.columns.items()):
        return told
    for entry in told["tables"]:
        if (hide := masking.hide(TableName.parse(entry["table"]))) is not None:
            for name, both in (pair for row in entry["rows_drifted"] for pair in row["columns"].items()):
                both |= {side: hide(name, value) for side, value in both.items()}
    if (anywhere := masking.anywhere()) is not None:
        for row in (row for one in told["invariants"] for row in one["sample"]):
            sides = row.keys() & {"left", "right"}
            row |= {
                name: masking.value(value) if name in sides else anywhere(name, value) for name, value in row.items()
            }
    return told


def _begun(run: Run, table: TableName, runs: RunJournal) -> list[Json]:
    """A table that was not finished, on every follower."""
    tallies: dict[str, Tally] = {}
    for result in runs.results(run.id, table):
        tallies.setdefault(result.follower, Tally()).add(result)
    for (follower, kind), count in runs.drift_counts(run.id, table).items():
        tallies.setdefault(follower, Tally()).kinds[kind] = count
    return [
        table_entry(
            table,
            follower,
            tally,
            scheme="unknown",
            drifts=runs.drifts(run.id, table, _LISTED, follower=follower),
            problem=_UNENDED,
        )
        for follower, tally in sorted(tallies.items())
    ]


def _unknown(name: str) -> dict[str, str]:
    """A server of which only the name is left."""
    return {"name": name, "engine": "unknown", "server_version": "unknown", "role": "unknown"}
