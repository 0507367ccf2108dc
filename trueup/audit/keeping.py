"""The journal of an audit that outlasts a moment's trouble, and ends the audit when it stays.

A table's failure is that table's verdict, but without the journal nothing that is found is kept: then the whole audit
stops, with what was recorded on the disk, and goes on with `--resume` once the journal can be written again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from trueup.audit.progress import Watcher
from verifier.drift import Drift, Verdict
from verifier.errors import Temporary, TrueupError
from verifier.journal import ChunkResult, Run, RunJournal
from verifier.ports import Clock
from verifier.table import TableName

T = TypeVar("T")


class JournalLost(TrueupError):
    """The journal cannot be written or read: no table's matter, and neither `Temporary` nor `Permanent` for whoever
    judges tables."""


@dataclass(frozen=True, slots=True)
class PatientJournal:
    """A `RunJournal` whose steps are tried again for up to `patience_seconds`, or until `stop` says that the user wants
    to end; then, and at once where trying again is useless, JournalLost. Every step may be repeated."""

    journal: RunJournal
    clock: Clock
    watcher: Watcher
    stop: Callable[[], bool] = lambda: False
    patience_seconds: float = 60.0

    def begin(self, run: Run) -> None:
        self._tried(lambda: self.journal.begin(run))

    def finish(self, run_id: str, *, at: float, verdict: Verdict, report: str) -> None:
        self._tried(lambda: self.journal.finish(run_id, at=at, verdict=verdict, report=report))

    def find(self, run_id: str) -> Run | None:
        return self._tried(lambda: self.journal.find(run_id))

    def recent(self, limit: int) -> Sequence[Run]:
        return self._tried(lambda: self.journal.recent(limit))

    def checkpoint(self, run_id: str, results: Sequence[ChunkResult], drifts: Sequence[Drift]) -> None:
        self._tried(lambda: self.journal.checkpoint(run_id, results, drifts))

    def results(self, run_id: str, table: TableName) -> Sequence[ChunkResult]:
        return self._tried(lambda: self.journal.results(run_id, table))

    def drifts(self, run_id: str, table: TableName, limit: int, *, follower: str | None = None) -> Sequence[Drift]:
        return self._tried(lambda: self.journal.drifts(run_id, table, limit, follower=follower))

    def drift_counts(self, run_id: str, table: TableName) -> Mapping[tuple[str, str], int]:
        return self._tried(lambda: self.journal.drift_counts(run_id, table))

    def finish_table(self, run_id: str, table: TableName, summary: str) -> None:
        self._tried(lambda: self.journal.finish_table(run_id, table, summary))

    def finished_tables(self, run_id: str) -> Mapping[TableName, str]:
        return self._tried(lambda: self.journal.finished_tables(run_id))

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
