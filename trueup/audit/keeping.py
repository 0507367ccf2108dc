"""The journal of an audit that outlasts a moment's trouble, and ends the audit when it stays.

A table's failure is that table's verdict, but without the journal nothing that is found is kept: then the whole audit
stops, with what was recorded on the disk, and goes on with `--resume` once the journal can be written again.

Steps that follow each other quickly are written together, in their order and in one transaction: thousands of small
tables would cost two commits each. A process that is killed has lost at most the last quarter of a second of them, and
resumes from what is there: it reads those chunks again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import TypeVar

from trueup.audit.progress import Watcher
from verifier.drift import Drift, Verdict
from verifier.errors import Temporary, TrueupError
from verifier.journal import ChunkResult, Run, RunJournal
from verifier.ports import Clock
from verifier.table import TableName

T = TypeVar("T")

_TOGETHER_SECONDS = 0.25
_TOGETHER_MOST = 500


class JournalLost(TrueupError):
    """The journal cannot be written or read: no table's matter, and neither `Temporary` nor `Permanent` for whoever
    judges tables."""


@dataclass(slots=True)
class _Steps:
    """What is still to be written of one run, in the order in which it was told."""

    run: str = ""
    results: list[ChunkResult] = field(default_factory=list)
    drifts: list[Drift] = field(default_factory=list)
    finished: dict[TableName, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.results) + len(self.drifts) + len(self.finished)


@dataclass(slots=True)
class PatientJournal:
    """A `RunJournal` whose steps are tried again for up to `patience_seconds`, or until `stop` says that the user wants
    to end; then, and at once where trying again is useless, JournalLost. Every step may be repeated. Drift is written
    at once, with all that was told before it; whoever ends must `flush`. For several threads."""

    journal: RunJournal
    clock: Clock
    watcher: Watcher
    stop: Callable[[], bool] = lambda: False
    patience_seconds: float = 60.0
    _steps: _Steps = field(default_factory=_Steps)
    _written_at: float | None = None
    _new: str | None = None
    """The run that began here, so that nothing is known of tables that it has not told of."""
    _told: set[TableName] = field(default_factory=set)
    _drifted: set[TableName] = field(default_factory=set)
    _lock: RLock = field(default_factory=RLock)

    def begin(self, run: Run) -> None:
        self._new = run.id if self.find(run.id) is None else None
        self._tried(lambda: self.journal.begin(run))

    def finish(self, run_id: str, *, at: float, verdict: Verdict, report: str) -> None:
        self.flush()
        self._tried(lambda: self.journal.finish(run_id, at=at, verdict=verdict, report=report))

    def find(self, run_id: str) -> Run | None:
        return self._tried(lambda: self.journal.find(run_id))

    def recent(self, limit: int) -> Sequence[Run]:
        return self._tried(lambda: self.journal.recent(limit))

    def checkpoint(
        self,
        run_id: str,
        results: Sequence[ChunkResult],
        drifts: Sequence[Drift],
        finished: Mapping[TableName, str] | None = None,
    ) -> None:
        with self._lock:
            if self._steps.run != run_id:
                self.flush()
                self._steps.run = run_id
            self._steps.results += results
            self._steps.drifts += drifts
            self._steps.finished.update(finished or {})
            self._told.update(result.chunk.table for result in results)
            self._drifted.update(drift.table for drift in drifts)
            now, at = self.clock.now(), self._written_at
            lately = at is not None and 0 <= now - at < _TOGETHER_SECONDS
            if not lately or self._steps.drifts or len(self._steps) >= _TOGETHER_MOST:
                self._write()

    def flush(self) -> None:
        """Write what was told and is not written yet."""
        with self._lock:
            if len(self._steps):
                self._write()

    def results(self, run_id: str, table: TableName) -> Sequence[ChunkResult]:
        if run_id == self._new and table not in self._told:
            return []
        self.flush()
        return self._tried(lambda: self.journal.results(run_id, table))

    def drifts(self, run_id: str, table: TableName, limit: int, *, follower: str | None = None) -> Sequence[Drift]:
        return self._tried(lambda: self.journal.drifts(run_id, table, limit, follower=follower))

    def drift_counts(self, run_id: str, table: TableName) -> Mapping[tuple[str, str], int]:
        if run_id == self._new and table not in self._drifted:
            return {}
        return self._tried(lambda: self.journal.drift_counts(run_id, table))

    def finished_tables(self, run_id: str) -> Mapping[TableName, str]:
        self.flush()
        return self._tried(lambda: self.journal.finished_tables(run_id))

    def finish_table(self, run_id: str, table: TableName, summary: str) -> None:
        self.checkpoint(run_id, (), (), {table: summary})

    def _write(self) -> None:
        """In one transaction. What cannot be written stays to be written."""
        steps = self._steps
        self._tried(lambda: self.journal.checkpoint(steps.run, steps.results, steps.drifts, steps.finished))
        self._steps = _Steps(steps.run)
        self._written_at = self.clock.now()

    def _tried(self, step: Callable[[], T]) -> T:
        since: float | None = None
        while True:
            try:
                return step()
            except Temporary as problem:
                now = self.clock.now()
                if since is None:
                    since = now
                    self.watcher.note(f"{problem}; trying again for up to {self.patience_seconds:g} s")
                if self.stop() or now - since >= self.patience_seconds:
                    raise JournalLost(f"{problem}; the audit stopped, what it had recorded is kept") from problem
                self.clock.sleep(min(max(problem.delay_seconds, 0.05), 1.0))
            except TrueupError as problem:
                raise JournalLost(f"{problem}; the audit stopped, what it had recorded is kept") from problem
