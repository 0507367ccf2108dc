"""A whole audit: which tables, each of them on every follower, and one report.

A table's failure is that table's verdict (`unverified`, with the reason); the others go on. What is finished is in the
journal, so an interrupted run continues with `--resume` and repeats nothing but chunks whose suspects were open.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trueup.audit.lineup import Lineup, Side
from trueup.audit.report import Json, Tally, how_compared, overall, report, table_entry
from trueup.audit.request import Request, continues
from trueup.audit.table import TableAudit, Tools
from verifier.compare import Comparison
from verifier.drift import Drift, Verdict
from verifier.errors import Misconfigured, Permanent, Temporary, TrueupError, Unsound
from verifier.journal import Run
from verifier.ports import Identity, Replica
from verifier.table import Scheme, Table, TableName

_SHOWN_CHARACTERS = 4_000_000


@dataclass(slots=True)
class Audit:
    """One run over the servers and tables of `lineup`."""

    tools: Tools
    lineup: Lineup
    invariants: Callable[[], list[Json]] = list
    interrupted: bool = False
    by: Mapping[str, str] = field(default_factory=dict)
    """Who runs it: `trueup.audit.report.ran_by`."""
    closing: Callable[[Json], Json] = lambda whole: whole
    """Has the last word on the report, before it is kept (a cutover's checklist)."""
    _resumable: bool = False
    _missed: bool = False
    _identities: dict[str, Identity] = field(default_factory=dict)
    _remarks: set[str] = field(default_factory=set)

    @property
    def leader(self) -> Replica:
        return self.lineup.leader

    @property
    def followers(self) -> Mapping[str, Replica]:
        return self.lineup.followers

    @property
    def request(self) -> Request:
        return self.lineup.request

    @property
    def unfinished(self) -> bool:
        """Something can be made up for by resuming the run."""
        return self.interrupted or self._resumable

    def begin(self, resume: str | None) -> Run:
        """Start the run, or find the one to go on with. Unreachable if the leader or every follower does not answer;
        Misconfigured if the run to resume is unknown, finished or was about something else."""
        self._identify()
        fingerprint = self.request.fingerprint(
            self._identities[self.leader.name], {name: self._identities.get(name) for name in self.followers}
        )
        if resume is None:
            run = Run(self.tools.run_id, "audit", self.tools.clock.now(), fingerprint)
            self.tools.journal.begin(run)
            return run
        known = self.tools.journal.find(resume)
        if known is None:
            raise Misconfigured(f"no run {resume!r} in this journal (see: trueup runs)")
        if known.finished_at is not None:
            raise Misconfigured(f"run {resume!r} is finished; start a new audit")
        if not continues(known.settings, fingerprint):
            raise Misconfigured(
                f"run {resume!r} was started with other tables, columns or servers; repeat its options or start anew"
            )
        return known

    def run(self, run: Run) -> Json:
        """The report; also kept in the journal when the run came to its end."""
        entries: list[Json] = []
        finished = self.tools.journal.finished_tables(run.id)
        rows_left = self.request.rows_max
        names = self.leader.tables(self.request.patterns)
        if not names:
            raise Misconfigured(
                f"no table on {self.leader.name} matches {', '.join(self.request.patterns)} (patterns are schema.table "
                "with * and ?, and the login must be allowed to see the tables)"
            )
        for named in sorted(self.request.named() - set(map(str, names))):
            self.tools.watcher.note(f"note: {named} has options of its own, but is not among the tables")
        for name in names:
            if name in finished:
                entries.extend(json.loads(finished[name]))
                continue
            if self.tools.stop() or (rows_left is not None and rows_left <= 0):
                self.interrupted = True
                break
            part, rows_left = self._table(run, name, rows_left)
            entries.extend(part)
            if self.interrupted:
                break
        return self._report(run, entries)

    def _identify(self) -> None:
        self._identities[self.leader.name] = self.leader.identity()
        problems: list[TrueupError] = []
        for name, replica in self.followers.items():
            try:
                self._identities[name] = replica.identity()
            except (Temporary, Permanent) as problem:
                problems.append(problem)
        if len(problems) == len(self.followers):
            raise problems[0]

    def _table(self, run: Run, name: TableName, rows_left: int | None) -> tuple[list[Json], int | None]:
        began = self.tools.clock.now()
        self._missed = False
        try:
            table = self.lineup.table(name)
        except (Permanent, Temporary) as problem:
            entries = [self._failed(name, follower, problem) for follower in self.followers]
            self._finish_table(run, name, entries)
            return entries, rows_left
        self.tools.watcher.table_begins(name, table.estimated_rows)
        sides, entries = self._sides(table)
        interrupted = False
        for scheme in Scheme:
            alike = {follower: side for follower, side in sides.items() if side.scheme is scheme}
            if alike and not interrupted:
                audit = self._walk(table, alike, rows_left)
                rows_left, interrupted = audit.rows_left, audit.interrupted
                self._missed = self._missed or audit.resumable
                seconds = self.tools.clock.now() - began
                entries += [self._entry(run, table, one, side, audit, seconds) for one, side in alike.items()]
        self.interrupted = self.interrupted or interrupted
        if not interrupted:
            self._finish_table(run, name, entries)
        self.tools.watcher.table_ends(name, overall(entries, ()))
        return entries, rows_left

    def _walk(self, table: Table, sides: Mapping[str, Side], rows_left: int | None) -> TableAudit:
        """Followers that are read by the same scheme share one walk over the leader's table."""
        pairs = {follower: (side.replica, side.compared) for follower, side in sides.items()}
        audit = TableAudit(self.tools, table, pairs, rows_left)
        try:
            audit.run()
        except (Permanent, Temporary, Unsound) as problem:
            audit.problems.update({name: str(problem) for name in sides if name not in audit.problems})
        return audit

    def _sides(self, table: Table) -> tuple[dict[str, Side], list[Json]]:
        """Followers on which the table can be compared, and entries for those where it cannot."""
        sides: dict[str, Side] = {}
        entries: list[Json] = []
        for name in self.followers:
            try:
                side = self.lineup.side(table, name)
            except (Permanent, Temporary) as problem:
                entries.append(self._failed(table.name, name, problem))
                continue
            if not side.compared.addressable:
                reason = side.compared.problem or "no column can be compared"
                entries.append(self._failed(table.name, name, Permanent(reason), side.compared))
                continue
            if side.why:
                self._remark(f"scheme {side.scheme.value} for {name}: {side.why}")
            sides[name] = side
        return sides, entries

    def _remark(self, text: str) -> None:
        """Tell it once."""
        if text not in self._remarks:
            self._remarks.add(text)
            self.tools.watcher.note(f"note: {text}")

    def _entry(self, run: Run, table: Table, follower: str, side: Side, audit: TableAudit, seconds: float) -> Json:
        tally, compared = audit.tallies[follower], side.compared
        kinds = self.tools.journal.drift_counts(run.id, table.name)
        tally.kinds.update({kind: found for (one, kind), found in kinds.items() if one == follower})
        stopped = "stopped before the whole table was read" if audit.interrupted else None
        return table_entry(
            table.name,
            follower,
            tally,
            scheme=side.scheme.value,
            excluded=compared.excluded,
            findings=compared.findings,
            drifts=self._shown(run, table.name, follower),
            key=table.key,
            problem=audit.problems.get(follower) or compared.problem or stopped,
            seconds=seconds,
            how=how_compared(compared, side.why),
        )

    def _shown(self, run: Run, table: TableName, follower: str) -> list[Drift]:
        """The first rows that differ: as many as the report lists, fewer if their values are very long."""
        shown: list[Drift] = []
        room = _SHOWN_CHARACTERS
        for drift in self.tools.journal.drifts(run.id, table, self.tools.drifts_shown, follower=follower):
            room -= sum(
                len(value) for both in drift.columns.values() for value in (both.leader, both.follower) if value
            )
            if room < 0 and shown:
                break
            shown.append(drift)
        return shown

    def _failed(
        self, table: TableName, follower: str, problem: Temporary | Permanent, compared: Comparison | None = None
    ) -> Json:
        """A table that was not read on this follower at all."""
        self._missed = self._missed or isinstance(problem, Temporary)
        self.tools.watcher.note(f"{table} on {follower}: not verified: {problem}")
        found = compared.findings if compared else ()
        how = how_compared(compared) if compared else None
        return table_entry(
            table, follower, Tally(), scheme=self._scheme(follower), findings=found, problem=str(problem), how=how
        )

    def _scheme(self, follower: str) -> str:
        """The scheme that a table which was not read would have had, as far as that can be told."""
        scheme = Scheme.NATIVE if self.lineup.native(follower) else Scheme.CANONICAL
        return str(scheme.value)

    def _finish_table(self, run: Run, name: TableName, entries: Sequence[Json]) -> None:
        """Done, unless a server was away: then a resumed run makes up for what is missing."""
        if self._missed:
            self._resumable = True
        else:
            self.tools.journal.finish_table(run.id, name, json.dumps(entries))

    def _report(self, run: Run, entries: list[Json]) -> Json:
        invariants = [] if self.interrupted else self.invariants()
        now = self.tools.clock.now()
        whole = report(
            run.id,
            started_at=run.started_at,
            finished_at=None if self.unfinished else now,
            leader=self._described(self.leader.name),
            followers=[self._described(name) for name in self.followers],
            tables=entries,
            invariants=invariants,
            settings=self._settings(),
            by=self.by,
        )
        whole = self.closing(whole)
        if not self.unfinished:
            verdict = Verdict(whole["verdict"])
            self.tools.journal.finish(run.id, at=now, verdict=verdict, report=json.dumps(whole))
        return whole

    def _described(self, name: str) -> dict[str, str]:
        identity = self._identities.get(name)
        if identity is None:
            return {"name": name, "engine": "unknown", "server_version": "unreachable", "role": "unknown"}
        return {
            "name": name,
            "engine": identity.engine,
            "server_version": identity.version,
            "role": identity.role.value,
        }

    def _settings(self) -> dict[str, Any]:
        return {
            "tables": list(self.request.patterns),
            "excluded_columns": {name: list(columns) for name, columns in self.request.excluded.items()},
            "included_columns": {name: list(columns) for name, columns in self.request.included.items()},
            "keys": {name: list(columns) for name, columns in self.request.keys.items()},
            "where": dict(self.request.conditions),
            "renamed_tables": dict(self.request.table_names),
            "renamed_columns": {name: dict(names) for name, names in self.request.column_names.items()},
            "chunk_seconds": self.tools.scan.chunk_seconds,
            "settle_seconds": self.tools.settle.give_up_seconds,
        }
