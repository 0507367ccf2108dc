"""What the audits of all tables share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from reconciler.masking import NOTHING_MASKED, Masking
from trueup.audit.brake import Braking
from trueup.audit.progress import Watcher
from trueup.pool import Postponed, Running
from verifier.compare import Comparison
from verifier.journal import RunJournal
from verifier.outcome import Judging
from verifier.policy import ScanPolicy, SettlePolicy
from verifier.ports import Clock, Gather, Placed, Replica
from verifier.scan import ChunkRead
from verifier.table import Key


@dataclass(frozen=True, slots=True)
class Tools:
    """What every table's audit needs. `judge` starts an attempt at keys of a table on a follower; `stop` says that
    the user wants to end (the chunk in hand is finished, suspects are not waited for). A server that does not answer
    is waited for up to `retry_seconds`. The report lists at most `drifts_shown` rows per table and follower."""

    group: str
    run_id: str
    leader: Replica
    journal: RunJournal
    clock: Clock
    gather: Gather[object]
    judge: Callable[[Replica, Comparison, list[Key]], Judging]
    watcher: Watcher
    scan: ScanPolicy
    settle: SettlePolicy
    drifts_shown: int = 10_000
    stop: Callable[[], bool] = lambda: False
    retry_seconds: float = 60.0
    brakes: Braking | None = None
    placed: Callable[[Replica], tuple[Placed, Placed]] | None = None
    """Leader and this follower as rules of evidence ask them; None: the servers themselves."""
    beside: Callable[[Callable[[], ChunkRead]], Running[ChunkRead]] = Postponed
    """Read a chunk beside what the caller does meanwhile."""
    changed: Callable[[str], str | None] = lambda follower: None
    """Why a follower is not any more what it was when the audit began; errors as from any question."""
    masking: Masking = NOTHING_MASKED
    """What findings do not hold, and nobody is told."""
    away: set[str] = field(default_factory=set)
    """Followers that were given up in some table because they did not answer: the next tables do not wait for them
    anew."""


@dataclass(slots=True)
class RowBudget:
    """The rows that may still be read, by all tables together; None: all there are."""

    left: int | None = None
    _lock: Lock = field(default_factory=Lock)

    @property
    def spent(self) -> bool:
        return self.left is not None and self.left <= 0

    def take(self, rows: int) -> None:
        with self._lock:
            if self.left is not None:
                self.left -= rows
