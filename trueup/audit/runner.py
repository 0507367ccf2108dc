"""A whole audit: which tables, each of them on every follower, and one report.

A table's failure is that table's verdict (`unverified`, with the reason); the others go on. What is finished is in the
journal, so an interrupted run continues with `--resume` and repeats nothing but chunks whose suspects were open.
Several tables are read at a time, each by a thread of its own; the report has them in order all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock

from trueup.audit.crew import work
from trueup.audit.faults import Fault, contained
from trueup.audit.keeping import PatientJournal
from trueup.audit.lineup import Lineup, Side
from trueup.audit.patience import patiently
from trueup.audit.report import Json, Tally, described, how_compared, not_begun, overall, report, table_entry
from trueup.audit.request import Request, continues
from trueup.audit.shown import Shown
from trueup.audit.table import TableAudit
from trueup.audit.tools import RowBudget, Tools
from trueup.audit.walking import Walker, Walking
from verifier.compare import Comparison
from verifier.drift import Verdict
from verifier.errors import Misconfigured, Permanent, Temporary, TrueupError, Unreachable, Unsound
from verifier.journal import Run
from verifier.ports import Identity, Replica
from verifier.table import Scheme, Table, TableName

_IDENTITY_SECONDS = 1.0


@dataclass(slots=True)
class _Turn:
    """One table of the run, while it is read."""

    run: Run
    name: TableName
    entries: list[Json] = field(default_factory=list)
    missed: bool = False
    """Something can be made up for by a resumed run."""
    interrupted: bool = False


@dataclass(slots=True)
class Audit:
    """One run over the servers and tables of `lineup`."""

    tools: Tools
    lineup: Lineup
    invariants: Callable[[], list[Json]] = list
    interrupted: bool = False
    by: Mapping[str, str] = field(default_factory=dict)
    """Who runs it: `trueup.audit.report.ran_by`."""
    walker: Walker = TableAudit
    closing: Callable[[Json], Json] = lambda whole: whole
    """Has the last word on the report, before it is kept (a cutover's checklist)."""
    tables_at_once: int = 1
    _resumable: bool = False
    _identities: dict[str, Identity] = field(default_factory=dict)
    _looked_at: dict[str, tuple[float | None, str | None]] = field(default_factory=dict)
    _remarks: set[str] = field(default_factory=set)
    _budget: RowBudget = field(default_factory=RowBudget)
    _shown: Shown = field(default_factory=Shown)
    _lock: Lock = field(default_factory=Lock)
    _kept: PatientJournal = field(init=False)

    def __post_init__(self) -> None:
        tools = self.tools
        self._kept = PatientJournal(tools.journal, tools.clock, tools.watcher, tools.stop, tools.retry_seconds)
        self.tools = replace(tools, journal=self._kept, changed=self._changed)
        self._budget = RowBudget(self.request.rows_max)
        self._shown = Shown(tools.drifts_shown)

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
        Misconfigured if there is nothing to compare, or the run to resume is unknown, finished or was about something
        else."""
        self._identify()
        if self.tools.brakes is not None:
            self.tools.brakes.try_out()
        fingerprint = self.request.fingerprint(
            self._identities[self.leader.name], {name: self._identities.get(name) for name in self.followers}
        )
        if resume is None:
            self.lineup.names()  # where there are none, no run begins
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
        finished = self.tools.journal.finished_tables(run.id)
        names = self.lineup.names()
        for named in sorted(self.request.named() - set(map(str, names))):
            self.tools.watcher.note(f"note: {named} has options of its own, but is not among the tables")
        for pattern in self.request.idle(names):
            self.tools.watcher.note(f"note: no table on {self.leader.name} matches {pattern}")
        entries: dict[TableName, list[Json]] = {name: json.loads(finished[name]) for name in names if name in finished}
        left = [name for name in names if name not in finished]
        self.tools.watcher.audit_begins(len(left))
        self.lineup.expect(left)

        def one(name: TableName) -> bool:
            if self.tools.stop() or self._budget.spent:
                self.interrupted = True
                return False
            if self.tools.brakes is not None:
                self.tools.brakes.hold(name)
            turn = _Turn(run, name)
            try:
                with contained(self.tools.watcher, name):
                    self._table(turn)
            except Fault as fault:
                self._faulty(turn, fault)
            entries[name] = turn.entries
            return not self.interrupted

        try:
            work(left, one, self.tables_at_once)
        except (Temporary, Permanent, Unsound):
            self._kept.flush()
            raise
        self._kept.flush()
        schemes = {follower: self._scheme(follower) for follower in self.followers}
        return self._report(run, [one for name in names for one in entries.get(name) or not_begun(name, schemes)])

    def _identify(self) -> None:
        self._identities[self.leader.name] = self.leader.identity()
        problems: list[TrueupError] = []
        for name, replica in self.followers.items():
            try:
                self._identities[name] = replica.identity()
            except (Temporary, Permanent) as problem:
                problems.append(problem)
                if isinstance(problem, Unreachable):  # not seen once: no table waits for it
                    self.tools.away.add(name)
        if len(problems) == len(self.followers):
            raise problems[0]

    def _table(self, turn: _Turn) -> None:
        began = self.tools.clock.now()
        try:
            with contained(self.tools.watcher, turn.name):
                table = patiently(self.tools, self.leader.name, lambda: self.lineup.table(turn.name))
        except (Permanent, Temporary) as problem:
            for follower in self.followers:
                self._failed(turn, follower, problem)
            self._finish_table(turn)
            return
        self.tools.watcher.table_begins(turn.name, table.estimated_rows)
        sides = self._sides(turn, table)
        for scheme in Scheme:
            alike = {follower: side for follower, side in sides.items() if side.scheme is scheme}
            if alike and not turn.interrupted:
                audit = self._walk(table, alike)
                turn.interrupted = audit.interrupted
                turn.missed = turn.missed or audit.resumable
                seconds = self.tools.clock.now() - began
                turn.entries += [self._entry(turn.run, table, one, side, audit, seconds) for one, side in alike.items()]
        self._finish_table(turn)
        self.tools.watcher.table_ends(turn.name, overall(turn.entries, ()))

    def _walk(self, table: Table, sides: Mapping[str, Side]) -> Walking:
        """Followers that are read by the same scheme share one walk over the leader's table."""
        pairs = {follower: (side.replica, side.compared) for follower, side in sides.items()}
        audit = self.walker(self.tools, table, pairs, self._budget)
        try:
            with contained(self.tools.watcher, table.name):
                audit.run()
        except (Permanent, Temporary, Unsound) as problem:
            audit.problems.update({name: str(problem) for name in sides if name not in audit.problems})
        return audit

    def _sides(self, turn: _Turn, table: Table) -> dict[str, Side]:
        """Followers on which the table can be compared; the turn has an entry for each where it cannot."""
        sides: dict[str, Side] = {}
        for name in self.followers:
            try:
                with contained(self.tools.watcher, turn.name):
                    side = patiently(self.tools, name, lambda name=name: self._side(table, name))  # type: ignore[misc]
                    if side.compared.keyless:
                        self._counted(turn, name, side)
                        continue
            except (Permanent, Temporary) as problem:
                self._failed(turn, name, problem)
                continue
            if not side.compared.addressable:
                reason = side.compared.problem or "no column can be compared"
                self._failed(turn, name, Permanent(reason), side.compared)
                continue
            if side.why:
                self._remark(f"scheme {side.scheme.value} for {name}: {side.why}")
            sides[name] = side
        return sides

    def _side(self, table: Table, name: str) -> Side:
        if (why := self._changed_lately(name)) is not None:
            raise Permanent(why)
        return self.lineup.side(table, name)

    def _counted(self, turn: _Turn, follower: str, side: Side) -> None:
        """A table without a key is judged at once, as a whole."""
        from trueup.audit.multiset import MultisetAudit

        began = self.tools.clock.now()
        placed = self.tools.placed
        leader, replica = placed(side.replica) if placed is not None else (self.leader, side.replica)
        audit = MultisetAudit(self.tools, follower, replica, side.compared, leader)
        audit.run()
        self._budget.take(audit.tally.leader_rows)
        turn.interrupted, turn.missed = turn.interrupted or audit.interrupted, turn.missed or audit.missed
        turn.entries.append(audit.entry(side.scheme.value, side.why, self.tools.clock.now() - began))

    def _changed_lately(self, follower: str) -> str | None:
        """Asked anew once a second: not before each of thousands of small tables."""
        now = self.tools.clock.now()
        asked_at, why = self._looked_at.get(follower, (None, None))
        if asked_at is None or not 0 <= now - asked_at < _IDENTITY_SECONDS:
            why = self._changed(follower)
            self._looked_at[follower] = (now, why)
        return why

    def _changed(self, follower: str) -> str | None:
        """Why the follower is not what it was when the audit began: promoted, or another server by now. One that did
        not answer then is what it is when it first does."""
        found = self.followers[follower].identity()
        with self._lock:
            known = self._identities.setdefault(follower, found)
        if known.system != found.system:
            return f"{follower} is another server by now (cluster {found.system}; it was {known.system})"
        if known.role is found.role:
            return None
        return f"{follower} was promoted or demoted during the audit: a {known.role.value} became a {found.role.value}"

    def _remark(self, text: str) -> None:
        """Tell it once."""
        with self._lock:
            known = text in self._remarks
            self._remarks.add(text)
        if not known:
            self.tools.watcher.note(f"note: {text}")

    def _entry(self, run: Run, table: Table, follower: str, side: Side, audit: Walking, seconds: float) -> Json:
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
            drifts=self._shown.of(self.tools.journal, run.id, table.name, follower, sum(tally.kinds.values())),
            key=table.key,
            problem=audit.problems.get(follower) or compared.problem or stopped,
            seconds=seconds,
            how=how_compared(compared, side.why),
        )

    def _failed(
        self, turn: _Turn, follower: str, problem: Temporary | Permanent, compared: Comparison | None = None
    ) -> None:
        """A table that was not read on this follower at all."""
        turn.missed = turn.missed or isinstance(problem, Temporary)
        self.tools.watcher.note(f"{turn.name} on {follower}: not verified: {problem}")
        found = compared.findings if compared else ()
        how = how_compared(compared) if compared else None
        scheme = self._scheme(follower)
        turn.entries.append(
            table_entry(turn.name, follower, Tally(), scheme=scheme, findings=found, problem=str(problem), how=how)
        )

    def _faulty(self, turn: _Turn, fault: Fault) -> None:
        """Followers of which nothing was told yet, where the fault met what they share."""
        told = {entry["follower"] for entry in turn.entries}
        for follower in [name for name in self.followers if name not in told]:
            self._failed(turn, follower, fault)
        self._finish_table(turn)

    def _scheme(self, follower: str) -> str:
        """The scheme that a table which was not read would have had, as far as that can be told."""
        return str((Scheme.NATIVE if self.lineup.native(follower) else Scheme.CANONICAL).value)

    def _finish_table(self, turn: _Turn) -> None:
        """Done, unless it was stopped, or a server was away: then a resumed run makes up for what is missing."""
        with self._lock:
            self.interrupted = self.interrupted or turn.interrupted
            self._resumable = self._resumable or turn.missed
        if not turn.missed and not turn.interrupted:
            self.tools.journal.finish_table(turn.run.id, turn.name, json.dumps(turn.entries))

    def _report(self, run: Run, entries: list[Json]) -> Json:
        invariants = [] if self.interrupted else self.invariants()
        now = self.tools.clock.now()
        whole = report(
            run.id,
            started_at=run.started_at,
            finished_at=None if self.unfinished else now,
            leader=described(self.leader.name, self._identities.get(self.leader.name)),
            followers=[described(name, self._identities.get(name)) for name in self.followers],
            tables=entries,
            invariants=invariants,
            settings={
                **self.request.told(),
                "chunk_seconds": self.tools.scan.chunk_seconds,
                "settle_seconds": self.tools.settle.give_up_seconds,
            },
            by=self.by,
        )
        if self.tools.brakes is not None:
            whole["braked_seconds"] = self.tools.brakes.seconds()
        whole = self.closing(whole)
        if not self.unfinished:
            verdict = Verdict(whole["verdict"])
            self.tools.journal.finish(run.id, at=now, verdict=verdict, report=json.dumps(whole))
        return whole
