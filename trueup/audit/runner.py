"""A whole audit: which tables, each of them on every follower, and one report.

A table's failure is that table's verdict (`unverified`, with the reason); the others go on. What is finished is in the
journal, so an interrupted run continues with `--resume` and repeats nothing but chunks whose suspects were open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trueup.audit.report import Json, Tally, overall, report, table_entry
from trueup.audit.table import TableAudit, Tools
from verifier.compare import Comparison, comparison
from verifier.drift import Verdict
from verifier.errors import Misconfigured, Permanent, Temporary, Unreachable
from verifier.identity import stable_id
from verifier.journal import Run
from verifier.ports import Identity, Replica
from verifier.table import Table, TableName


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for. `patterns` select tables on the leader; `excluded` columns by table pattern text;
    `keys` names key columns of tables that have none; `rows_max` ends the audit early (None: whole tables)."""

    patterns: tuple[str, ...] = ("*",)
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows_max: int | None = None

    def fingerprint(self, leader: Identity, followers: Mapping[str, Identity]) -> str:
        """Equal for runs that may continue each other: same request, same servers."""
        wanted = {
            "patterns": list(self.patterns),
            "excluded": {name: list(columns) for name, columns in sorted(self.excluded.items())},
            "keys": {name: list(columns) for name, columns in sorted(self.keys.items())},
            "leader": leader.system,
            "followers": {name: identity.system for name, identity in sorted(followers.items())},
        }
        return stable_id(json.dumps(wanted, sort_keys=True))


@dataclass(slots=True)
class Audit:
    """One run over `leader` and `followers` (by name). `schemes`: the digest scheme that each follower is read with."""

    tools: Tools
    leader: Replica
    followers: Mapping[str, Replica]
    request: Request
    schemes: Mapping[str, str]
    interrupted: bool = False
    _identities: dict[str, Identity] = field(default_factory=dict)

    def begin(self, resume: str | None) -> Run:
        """Start the run, or find the one to go on with. Unreachable if the leader or every follower does not answer;
        Misconfigured if the run to resume is unknown, finished or was about something else."""
        self._identify()
        fingerprint = self.request.fingerprint(
            self._identities[self.leader.name],
            {name: self._identities[name] for name in self.followers if name in self._identities},
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
        if known.settings != fingerprint:
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
        problems: list[Unreachable] = []
        for name, replica in self.followers.items():
            try:
                self._identities[name] = replica.identity()
            except Unreachable as problem:
                problems.append(problem)
        if len(problems) == len(self.followers):
            raise problems[0]

    def _table(self, run: Run, name: TableName, rows_left: int | None) -> tuple[list[Json], int | None]:
        began = self.tools.clock.now()
        try:
            table = self._keyed(self.leader.table(name))
        except (Permanent, Temporary) as problem:
            entries = [self._failed(name, follower, str(problem)) for follower in self.followers]
            self._finish_table(run, name, entries)
            return entries, rows_left
        self.tools.watcher.table_begins(name, table.estimated_rows)
        sides, entries = self._sides(table)
        audit = TableAudit(self.tools, table, sides, rows_left)
        problem_text: str | None = None
        if sides:
            try:
                audit.run()
            except (Permanent, Temporary) as problem:
                problem_text = str(problem)
        seconds = self.tools.clock.now() - began
        for follower, (_, compared) in sides.items():
            entries.append(self._entry(table, follower, compared, audit, problem_text, seconds))
        if audit.interrupted:
            self.interrupted = True
        else:
            self._finish_table(run, name, entries)
        self.tools.watcher.table_ends(name, overall(entries, ()))
        return entries, audit.rows_left

    def _keyed(self, table: Table) -> Table:
        """The table with the key that the user named for it, where it has none of its own."""
        named = self.request.keys.get(str(table.name))
        return replace(table, key=named) if named and not table.key else table

    def _sides(self, table: Table) -> tuple[dict[str, tuple[Replica, Comparison]], list[Json]]:
        """Followers on which the table can be compared, and entries for those where it cannot."""
        sides: dict[str, tuple[Replica, Comparison]] = {}
        entries: list[Json] = []
        excluded = frozenset(self.request.excluded.get(str(table.name), ()))
        for name, replica in self.followers.items():
            try:
                compared = comparison(table, self._keyed(replica.table(table.name)), excluded)
            except (Permanent, Temporary) as problem:
                entries.append(self._failed(table.name, name, str(problem)))
                continue
            if not table.key or not compared.leader.columns:
                entries.append(self._failed(table.name, name, compared.problem or "no column can be compared"))
                continue
            sides[name] = (replica, compared)
        return sides, entries

    def _entry(
        self, table: Table, follower: str, compared: Comparison, audit: TableAudit, problem: str | None, seconds: float
    ) -> Json:
        stopped = "stopped before the whole table was read" if audit.interrupted else None
        return table_entry(
            table.name,
            follower,
            audit.tallies.get(follower, Tally()),
            scheme=self.schemes[follower],
            excluded=compared.excluded,
            findings=compared.findings,
            drifts=audit.drifts.get(follower, ()),
            key=table.key,
            problem=problem or compared.problem or stopped,
            seconds=seconds,
        )

    def _failed(self, table: TableName, follower: str, reason: str) -> Json:
        return table_entry(table, follower, Tally(), scheme=self.schemes[follower], problem=reason)

    def _finish_table(self, run: Run, name: TableName, entries: Sequence[Json]) -> None:
        self.tools.journal.finish_table(run.id, name, json.dumps(entries))

    def _report(self, run: Run, entries: list[Json]) -> Json:
        now = self.tools.clock.now()
        whole = report(
            run.id,
            started_at=run.started_at,
            finished_at=None if self.interrupted else now,
            leader=self._described(self.leader.name),
            followers=[self._described(name) for name in self.followers],
            tables=entries,
            settings=self._settings(),
        )
        if not self.interrupted:
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
            "keys": {name: list(columns) for name, columns in self.request.keys.items()},
            "chunk_seconds": self.tools.scan.chunk_seconds,
            "settle_seconds": self.tools.settle.give_up_seconds,
        }
