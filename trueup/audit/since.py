"""An audit of what was touched since an earlier one, where that is known; a whole look everywhere else.

A table's rows are as they were at the earlier run, but for those that the change streams named since, if every stream
that could tell of a change was followed without a gap: the leader's, and the follower's own where the follower can be
written to. A standby cannot. Whatever is not certain makes the table be looked at as a whole, and the report says why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from trueup.audit.progress import Watcher
from trueup.audit.report import Json, Tally
from trueup.audit.table import TableAudit
from trueup.audit.tools import RowBudget, Tools
from trueup.audit.touched import PAGE, TouchedWalk
from verifier.compare import Comparison
from verifier.drift import Verdict
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.journal import Run, StreamState
from verifier.marks import LEADER, Baseline, MarkJournal
from verifier.ports import Clock, Gather, Replica, in_turn
from verifier.position import Position
from verifier.table import Table, TableName

CAUGHT_UP_SECONDS = 5.0
"""How long the journal may take to hold what its streams' servers had written when the audit began."""

CANNOT_SEE = (
    "damage that no log recorded (a file altered below the server, a write with logging off: SET sql_log_bin = 0)",
    "rows that a follower's own triggers wrote while it applied the leader's changes",
)
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Source:
    """A change stream that a daemon follows: the end of its server's log, in each way in which it can be told, and how
    its tables are told, both now. `otherwise`: what it means that a table is told otherwise than before."""

    written: Callable[[], Sequence[Position]]
    told: Callable[[], Mapping[TableName, str]]
    otherwise: str = "it was altered, rewritten, or left the change stream's publication since then"


@dataclass(slots=True)
class _Standing:
    """What is known of one source since the run began, or why nothing is."""

    base: Baseline = field(default_factory=lambda: Baseline(0))
    told: Mapping[TableName, str] = field(default_factory=dict)
    whole: frozenset[TableName | None] = frozenset()
    problem: str | None = None
    otherwise: str = ""

    def problem_of(self, table: TableName) -> str | None:
        if self.problem is not None:
            return self.problem
        if None in self.whole:
            return "the change stream has a gap since then"
        if table in self.whole:
            return (
                "the change stream did not tell its changes key by key since then, or told of more keys than are kept"
            )
        now, then = self.told.get(table), self.base.told.get(table)
        if now is None:
            return "the change stream does not tell of it"
        return None if now == then else self.otherwise


@dataclass(slots=True)
class Since:
    """One such audit. `begin` before the audit runs, `walk` is its walker, `close` has the last word on its report.

    `sources` by name (`verifier.marks`); `followed_by` names, by follower, the sources that tell of all its changes,
    or says why they are not known.
    """

    run: Run
    marks: MarkJournal
    sources: Mapping[str, Source]
    followed_by: Mapping[str, tuple[str, ...] | str]
    clock: Clock
    gather: Gather[_Standing] = in_turn
    _other: str | None = None
    """Why the run tells nothing about any table."""
    _standings: dict[str, _Standing] = field(default_factory=dict)
    _entries: dict[tuple[str, str], Json] = field(default_factory=dict)
    _told: dict[tuple[str, str], Json] = field(default_factory=dict)

    def begin(self, same: Callable[[str], bool]) -> None:
        """`same`: is a run with these settings about the same tables, columns and servers? Misconfigured if the run
        cannot be gone on from."""
        if self.run.kind != "audit" or self.run.finished_at is None or self.run.report is None:
            raise Misconfigured(f"run {self.run.id} is no finished audit; audit once more without --since")
        report = json.loads(self.run.report)
        if "restore" in report:
            raise Misconfigured(f"run {self.run.id} held a backup against its leader of then; audit without --since")
        if not same(self.run.settings):
            self._other = "that run was about other tables, columns or servers (or one was promoted since)"
            return
        self._entries = {(entry["table"], entry["follower"]): entry for entry in report["tables"]}
        bases = self.marks.baselines(self.run.id)
        until = self.clock.now() + CAUGHT_UP_SECONDS
        sources = list(self.sources.items())
        asking = [partial(self._standing, name, source, bases.get(name), until) for name, source in sources]
        self._standings = {name: one for (name, _), one in zip(sources, self.gather(asking), strict=True)}

    def noted(self, watcher: Watcher) -> None:
        """Tell at once what will be looked at as a whole, and why."""
        for follower, sources in self.followed_by.items():
            problem = self._other or (sources if isinstance(sources, str) else self._common(sources))
            if problem is not None:
                watcher.note(f"note: {follower}: everything is looked at: {problem}")

    def _common(self, sources: tuple[str, ...]) -> str | None:
        return next((self._standings[name].problem for name in sources if self._standings[name].problem), None)

    def walk(
        self, tools: Tools, table: Table, sides: dict[str, tuple[Replica, Comparison]], budget: RowBudget
    ) -> SinceWalk:
        return SinceWalk(self, tools, table, sides, budget)

    def problem_of(self, compared: Comparison, follower: str) -> str | None:
        """Why the table must be looked at as a whole on this follower; None: only what was touched."""
        if self._other is not None:
            return self._other
        table = compared.leader.name
        entry = self._entries.get((str(table), follower))
        if entry is None:
            return "that run did not look at it"
        chunks = entry["chunks"]
        doubtful = entry["verdict"] == Verdict.UNVERIFIED.value or chunks["in_flight"] or chunks["unverified"]
        if doubtful or entry["reason"] is not None or entry.get("key") != list(compared.leader.key):
            return "that run did not verify it as it is compared now"
        sources = self.followed_by.get(follower, "nobody follows its changes")
        if isinstance(sources, str):
            return sources
        for name in sources:
            problem = self._standings[name].problem_of(table)
            if problem is not None:
                return problem if name == LEADER else f"{problem} ({name}'s own)"
        return None

    def keys(self, table: TableName, follower: str) -> Callable[[str], list[str]]:
        sources = self.followed_by[follower]
        assert not isinstance(sources, str)
        since = {name: self._standings[name].base.sequence for name in sources}

        def page(after: str) -> list[str]:
            return list(self.marks.keys(table, follower, self.run.id, since, after=after, limit=PAGE))

        return page

    def tell(self, table: TableName, follower: str, told: Json) -> None:
        self._told[str(table), follower] = told

    def close(self, report: Json) -> Json:
        """The report with what was looked at, and what such a look cannot see."""
        touched = whole = keys = 0
        for entry in report["tables"]:
            told = self._told.get((entry["table"], entry["follower"]))
            if told is None:
                continue
            entry["since"] = told
            if told["keys"] is None:
                whole += 1
                entry["remarks"] = [*entry.get("remarks", ()), f"looked at as a whole: {told['why']}"]
            else:
                touched, keys = touched + 1, keys + told["keys"]
        report["since"] = {
            "run": self.run.id,
            "keys": keys,
            "tables": {"touched": touched, "whole": whole},
            "cannot_see": list(CANNOT_SEE) if touched else [],
        }
        return report

    def _standing(self, name: str, source: Source, base: Baseline | None, until: float) -> _Standing:
        if base is None:
            return _Standing(problem="no daemon followed its change stream into this journal when that run began")
        try:
            written = source.written()
            told = source.told()
        except (Temporary, Permanent) as problem:
            return _Standing(problem=str(problem))
        state = self._caught_up(name, written, until)
        missing = _missing(state, written)
        if missing:
            through = "nothing" if state.read_through is None else state.read_through.text()
            why = f"its change stream was read through {through} only, and {missing} is written (does trueup run?)"
            return _Standing(problem=why)
        return _Standing(base, told, self.marks.whole(name, base.sequence), otherwise=source.otherwise)

    def _caught_up(self, name: str, written: Sequence[Position], until: float) -> StreamState:
        while True:
            state = self.marks.state(name)
            if not _missing(state, written) or self.clock.now() >= until:
                return state
            self.clock.sleep(_POLL_SECONDS)


def _missing(state: StreamState, written: Sequence[Position]) -> str:
    """What was written and not read; empty if nothing."""
    through = state.read_through
    return ", ".join(one.text() for one in written if through is None or not through.covers(one))


class SinceWalk:
    """One table: followers of which it is known what was touched look at that, the others at all of it."""

    def __init__(
        self,
        since: Since,
        tools: Tools,
        table: Table,
        sides: dict[str, tuple[Replica, Comparison]],
        budget: RowBudget,
    ) -> None:
        self._since = since
        self._table = table
        why = {name: since.problem_of(compared, name) for name, (_, compared) in sides.items()}
        self._why = {name: problem for name, problem in why.items() if problem is not None}
        known = {name: side for name, side in sides.items() if name not in self._why}
        pages = {name: since.keys(table.name, name) for name in known}
        self._touched = TouchedWalk(tools, table, known, lambda name, after: pages[name](after))
        self._whole = TableAudit(tools, table, {n: s for n, s in sides.items() if n in self._why}, budget)
        self.problems: dict[str, str] = {}

    def run(self) -> None:
        self._touched.run()
        if self._whole.sides and not self._touched.interrupted:
            self._whole.run()
        self.problems |= self._touched.problems | self._whole.problems
        for name, keys in self._touched.looked_at.items():
            self._since.tell(self._table.name, name, {"keys": keys, "why": None})
        for name, why in self._why.items():
            self._since.tell(self._table.name, name, {"keys": None, "why": why})

    @property
    def tallies(self) -> Mapping[str, Tally]:
        return {**self._touched.tallies, **self._whole.tallies}

    @property
    def interrupted(self) -> bool:
        return self._touched.interrupted or self._whole.interrupted

    @property
    def resumable(self) -> bool:
        return self._touched.resumable or self._whole.resumable
