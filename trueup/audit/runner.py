"""A whole audit: which tables, each of them on every follower, and one report.

A table's failure is that table's verdict (`unverified`, with the reason); the others go on. What is finished is in the
journal, so an interrupted run continues with `--resume` and repeats nothing but chunks whose suspects were open.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trueup.audit.report import Json, Tally, overall, report, table_entry
from trueup.audit.table import TableAudit, Tools
from verifier.compare import Comparison, comparison
from verifier.drift import Drift, Verdict
from verifier.errors import Misconfigured, Permanent, Temporary, TrueupError, Unsound
from verifier.identity import stable_id
from verifier.journal import Run
from verifier.ports import Identity, Replica
from verifier.table import Table, TableName

_SHOWN_CHARACTERS = 4_000_000


@dataclass(frozen=True, slots=True)
class Request:
    """What the user asked for. `patterns` select tables on the leader; `excluded` columns by table pattern text;
    `keys` names key columns of tables that have none; `rows_max` ends the audit early (None: whole tables)."""

    patterns: tuple[str, ...] = ("*",)
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows_max: int | None = None

    def fingerprint(self, leader: Identity, followers: Mapping[str, Identity | None]) -> str:
        """What runs that continue each other share: the request and the servers (None: it did not answer)."""
        wanted = {
            "patterns": list(self.patterns),
            "excluded": {name: list(columns) for name, columns in sorted(self.excluded.items())},
            "keys": {name: list(columns) for name, columns in sorted(self.keys.items())},
            "leader": leader.system,
        }
        systems = {name: identity.system if identity else None for name, identity in sorted(followers.items())}
        return json.dumps({"request": stable_id(json.dumps(wanted, sort_keys=True)), "followers": systems})


def continues(earlier: str, later: str) -> bool:
    """May a run with the fingerprint `later` go on with one that has `earlier`? A server that did not answer once may
    be any server; one that did must be the same."""
    one, other = json.loads(earlier), json.loads(later)
    if one["request"] != other["request"] or one["followers"].keys() != other["followers"].keys():
        return False
    pairs = ((system, other["followers"][name]) for name, system in one["followers"].items())
    return all(before == now or before is None or now is None for before, now in pairs)


@dataclass(slots=True)
class Audit:
    """One run over `leader` and `followers` (by name). `schemes`: the digest scheme that each follower is read with."""

    tools: Tools
    leader: Replica
    followers: Mapping[str, Replica]
    request: Request
    schemes: Mapping[str, str]
    invariants: Callable[[], list[Json]] = list
    interrupted: bool = False
    _resumable: bool = False
    _missed: bool = False
    _identities: dict[str, Identity] = field(default_factory=dict)

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
        for named in sorted({*self.request.excluded, *self.request.keys} - set(map(str, names))):
            self.tools.watcher.note(f"note: {named} has excluded columns or a named key, but is not among the tables")
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
            table = self._keyed(self.leader.table(name))
        except (Permanent, Temporary) as problem:
            entries = [self._failed(name, follower, problem) for follower in self.followers]
            self._finish_table(run, name, entries)
            return entries, rows_left
        self.tools.watcher.table_begins(name, table.estimated_rows)
        sides, entries = self._sides(table)
        audit = TableAudit(self.tools, table, sides, rows_left)
        problem_text: str | None = None
        if sides:
            try:
                audit.run()
            except (Permanent, Temporary, Unsound) as problem:
                problem_text = str(problem)
        seconds = self.tools.clock.now() - began
        kinds = self.tools.journal.drift_counts(run.id, name)
        for follower, (_, compared) in sides.items():
            tally = audit.tallies[follower]
            tally.kinds.update({kind: found for (one, kind), found in kinds.items() if one == follower})
            trouble = audit.problems.get(follower) or problem_text
            entries.append(self._entry(run, table, follower, compared, tally, trouble, audit.interrupted, seconds))
        self.interrupted = self.interrupted or audit.interrupted
        self._missed = self._missed or audit.resumable
        if not audit.interrupted:
            self._finish_table(run, name, entries)
        self.tools.watcher.table_ends(name, overall(entries, ()))
        return entries, audit.rows_left

    def _keyed(self, table: Table) -> Table:
        """The table with the key that the user named for it, where it has none of its own."""
        named = self.request.keys.get(str(table.name))
        if not named or table.key:
            return table
        known = {column.name for column in table.columns}
        for name in named:
            if name not in known:
                raise Permanent(f"{table.name} has no column {name!r}, which was named as its key; check --key")
        return replace(table, key=named)

    def _sides(self, table: Table) -> tuple[dict[str, tuple[Replica, Comparison]], list[Json]]:
        """Followers on which the table can be compared, and entries for those where it cannot."""
        sides: dict[str, tuple[Replica, Comparison]] = {}
        entries: list[Json] = []
        excluded = frozenset(self.request.excluded.get(str(table.name), ()))
        for name, replica in self.followers.items():
            try:
                compared = comparison(table, self._keyed(replica.table(table.name)), excluded)
            except (Permanent, Temporary) as problem:
                entries.append(self._failed(table.name, name, problem))
                continue
            if not compared.addressable:
                reason = compared.problem or "no column can be compared"
                entries.append(self._failed(table.name, name, Permanent(reason), compared))
                continue
            sides[name] = (replica, compared)
        return sides, entries

    def _entry(
        self,
        run: Run,
        table: Table,
        follower: str,
        compared: Comparison,
        tally: Tally,
        problem: str | None,
        interrupted: bool,
        seconds: float,
    ) -> Json:
        stopped = "stopped before the whole table was read" if interrupted else None
        return table_entry(
            table.name,
            follower,
            tally,
            scheme=self.schemes[follower],
            excluded=compared.excluded,
            findings=compared.findings,
            drifts=self._shown(run, table.name, follower),
            key=table.key,
            problem=problem or compared.problem or stopped,
            seconds=seconds,
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
        return table_entry(
            table, follower, Tally(), scheme=self.schemes[follower], findings=found, problem=str(problem)
        )

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
        )
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
            "keys": {name: list(columns) for name, columns in self.request.keys.items()},
            "chunk_seconds": self.tools.scan.chunk_seconds,
            "settle_seconds": self.tools.settle.give_up_seconds,
        }
