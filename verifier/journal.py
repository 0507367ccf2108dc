"""What trueup must remember to survive `kill -9`: the Protocols of its journal, by subject.

Each method is one transaction: it happened or it did not. Everything is scoped to one group, which the object
behind the Protocol knows. Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from verifier.change import Blindness
from verifier.digest import Digest
from verifier.drift import Drift, DriftCause, Verdict
from verifier.keyrange import Chunk, KeyRange
from verifier.position import Position
from verifier.table import Key, TableName

if TYPE_CHECKING:  # whoever attributes a drift has them
    from verifier.trace import Recalled


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What is known of one chunk on one follower. `unsettled` counts keys that were still in flight when the chunk
    was closed; `reason` says why a chunk is unverified; `seconds` is what both reads cost together."""

    chunk: Chunk
    follower: str
    verdict: Verdict
    leader: Digest
    follower_digest: Digest
    drifted: int = 0
    unsettled: int = 0
    reason: str | None = None
    seconds: float = 0.0
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Run:
    """One audit or one pass of the daemon's scan. `settings` is the fingerprint that a resumed run must share;
    `kind` is `audit` or `scan`."""

    id: str
    kind: str
    started_at: float
    settings: str
    finished_at: float | None = None
    verdict: Verdict | None = None
    report: str | None = None


class RunJournal(Protocol):
    """Runs and their checkpoints."""

    def begin(self, run: Run) -> None: ...
    def finish(self, run_id: str, *, at: float, verdict: Verdict, report: str) -> None: ...
    def find(self, run_id: str) -> Run | None: ...
    def recent(self, limit: int) -> Sequence[Run]:
        """Newest first."""
        ...

    def checkpoint(
        self,
        run_id: str,
        results: Sequence[ChunkResult],
        drifts: Sequence[Drift],
        finished: Mapping[TableName, str] | None = None,
    ) -> None:
        """All followers' results of chunks that are done, with the drift found in them, and the tables that are done
        with them, as `finish_table` has them. Of several results of one chunk the last counts. Repeating one is
        harmless."""
        ...

    def results(self, run_id: str, table: TableName) -> Sequence[ChunkResult]:
        """What `checkpoint` kept, in chunk order: resume goes on behind the last one."""
        ...

    def drifts(self, run_id: str, table: TableName, limit: int, *, follower: str | None = None) -> Sequence[Drift]:
        """The drift that this run found in the table (on one follower), in order of discovery."""
        ...

    def drift_counts(self, run_id: str, table: TableName) -> Mapping[tuple[str, str], int]:
        """How much drift this run found in the table, by (follower, kind)."""
        ...

    def finish_table(self, run_id: str, table: TableName, summary: str) -> None:
        """The table is done; `summary` is its part of the report (JSON)."""
        ...

    def finished_tables(self, run_id: str) -> Mapping[TableName, str]: ...


@dataclass(frozen=True, slots=True)
class OpenDrift:
    """A drift that has not been seen equal since. `state` is `open` or `cleared`."""

    drift: Drift
    state: str
    first_found_at: float
    last_seen_at: float
    cleared_at: float | None = None


@dataclass(frozen=True, slots=True)
class Attribution:
    """Why a drift that was found at `found_at` came about, since which of the leader's changes (a position's text), and
    those changes, as far as they are remembered."""

    cause: DriftCause
    since: str | None
    found_at: float
    history: Recalled


class DriftJournal(Protocol):
    """Every drifted key now known, whichever way it was found."""

    def record(self, drifts: Sequence[Drift]) -> Sequence[Drift]:
        """Insert or refresh; returns those that were not open before."""
        ...

    def clear(self, follower: str, table: TableName, keys: Sequence[Key], at: float) -> int:
        """These keys were seen equal by a rule of evidence; returns how many open drifts that closed."""
        ...

    def open(
        self, *, table: TableName | None = None, follower: str | None = None, limit: int = 1000, offset: int = 0
    ) -> Sequence[OpenDrift]:
        """Oldest first."""
        ...

    def findings(self) -> int:
        """A number that grows whenever drift is found, anew or again. Costs next to nothing to ask."""
        ...

    def found_since(
        self, follower: str, finding: int | None, *, after: OpenDrift | None = None, limit: int = 500
    ) -> Sequence[OpenDrift]:
        """What is open there and was found later than at that number (None: all), oldest first, behind `after`: at most
        `limit`, and fewer of large ones, but one."""
        ...

    def find(self, drift_id: str) -> OpenDrift | None: ...

    def attribute(self, causes: Mapping[str, Attribution]) -> Collection[str]:
        """Note why these drifts, by id, came about: those that are open, and that nobody has found anew since they were
        looked into. Returns which."""
        ...

    def history(self, drift_id: str) -> Recalled | None:
        """The changes that were noted with the drift's cause; None if nobody has looked into it."""
        ...

    def counts(self) -> Mapping[tuple[str, TableName, str], int]:
        """Open drifts by (follower, table, kind)."""
        ...

    def suspects(self, follower: str, table: TableName, within: KeyRange | None = None) -> Sequence[Key]:
        """Keys of open drifts of that table (the range is ignored where keys cannot be ordered)."""
        ...


@dataclass(frozen=True, slots=True)
class Touched:
    """A key that the stream saw change and that must be looked at on `follower` once it has applied `commit`.
    `generation` grows with each change of the key, so that a change arriving during a look is not lost."""

    follower: str
    table: TableName
    key: Key
    commit: Position
    generation: int
    touched_at: float


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where to go on: the offsets and the barrier last recorded together."""

    offsets: Mapping[str, int] = field(default_factory=dict)
    read_through: Position | None = None


class StreamJournal(Protocol):
    """The change stream's offsets, in the same transaction as what they caused."""

    def state(self) -> StreamState: ...

    def advance(
        self,
        state: StreamState,
        touched: Mapping[tuple[TableName, Key], Position],
        blind: Sequence[Blindness],
        *,
        followers: Sequence[str],
        at: float,
    ) -> None:
        """Record offsets, touched keys (for every follower) and blindness as one transaction."""
        ...

    def touch(self, keys: Mapping[tuple[TableName, Key], Position], *, followers: Sequence[str], at: float) -> None:
        """Suspects that a scan found: to be looked at like touched keys, on these followers. `Position`: of the
        leader, when it was read."""
        ...

    def touched(
        self, follower: str, *, limit: int, skip: frozenset[tuple[TableName, Key]] = frozenset()
    ) -> Sequence[Touched]:
        """Oldest first."""
        ...

    def touched_count(self, follower: str) -> int: ...

    def settle(self, follower: str, settled: Sequence[Touched], drifts: Sequence[Drift], *, at: float) -> None:
        """These were judged: forget them, unless their generation has grown since; record the drift among them and
        clear the drift of those that were equal. One transaction."""
        ...

    def forget(self, follower: str, keys: Sequence[Touched], because: Blindness, *, at: float) -> None:
        """Drop touched keys without a verdict, and record why their table cannot be vouched for. One transaction."""
        ...

    def blind(self, tables_of_group: Sequence[TableName] | None = None) -> Mapping[TableName | None, Blindness]:
        """Tables (None: all) that the stream cannot vouch for until they are scanned again. Given the group's tables,
        "all" is told as those of them that have not been scanned since, and None does not occur."""
        ...

    def sighted(self, table: TableName, since: float) -> None:
        """The table was scanned completely by a scan that began at `since`: blindness older than that ends."""
        ...

    def lost(self, tables_of_group: Sequence[TableName]) -> Mapping[tuple[str, TableName], Blindness]:
        """By follower, the tables that its own log lost sight of, and that were not read there since."""
        ...

    def regained(self, follower: str, table: TableName, since: float) -> None:
        """The table was read completely on that follower by a scan that began at `since`: what its own log had lost
        sight of before matters no more."""
        ...


class ScanJournal(Protocol):
    """The daemon's endless scan: when was each chunk last seen, so that the oldest goes first."""

    def chunks(self, table: TableName) -> Sequence[ChunkResult]:
        """The latest result per (chunk, follower)."""
        ...

    def replace(self, table: TableName, results: Sequence[ChunkResult]) -> None:
        """Store these as the latest of their chunks."""
        ...

    def oldest(self, tables: Sequence[TableName]) -> Mapping[TableName, float | None]:
        """When the table's least recently verified chunk was verified; None: never."""
        ...


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator does not want the group (`table` None) or one of its tables looked at, since then."""

    table: TableName | None
    since: float
    actor: str


class PauseJournal(Protocol):
    """What shall not be looked at for now. Whoever looks asks here again within a second."""

    def pause(self, table: TableName | None, *, at: float, actor: str) -> bool:
        """False if it was paused already: the older pause stands."""
        ...

    def resume(self, table: TableName | None) -> Sequence[Pause]:
        """Lift the table's pause, or (None) the group's and those of all its tables; returns what was lifted."""
        ...

    def paused(self) -> Sequence[Pause]:
        """Those in force, the group's first."""
        ...
