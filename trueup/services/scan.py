"""The endless scan: every row of every table, oldest chunk first, within a period, at its own pace.

A scan judges nothing: a chunk whose digests are equal is verified, and the keys that differ in any other are handed to
the verification of touched keys, through the journal, before the chunk counts as seen. A pass over a table that was
complete ends the table's blindness, as far as it is older than the pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from trueup.services.dirty import DirtyScan
from trueup.services.group import GroupWorld
from trueup.services.nearness import without_near
from trueup.services.throttle import Throttle
from verifier.chunk import ChunkSize
from verifier.compare import Comparison
from verifier.doubt import Doubt, Unverified
from verifier.drift import Verdict
from verifier.errors import Permanent, Temporary, TrueupError, Unsound
from verifier.journal import ChunkResult, DriftJournal, ScanJournal, StreamJournal
from verifier.keyrange import KeyRange
from verifier.policy import ScanPolicy
from verifier.ports import Replica
from verifier.scan import ChunkRead, TableScan
from verifier.table import TableName

logger = logging.getLogger("trueup.scan")

SUSPECTS = "keys handed to verification"
_PAUSE_SECONDS = 30.0
_PAUSE_FIRST_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """`period_seconds`: each chunk again after this long; `rows_per_second` caps a group's reading (None: no cap);
    `rest` seconds of rest per second of reading, for tables that were never seen."""

    period_seconds: float = 86_400.0
    rows_per_second: float | None = None
    rest: float = 1.0


@dataclass(slots=True)
class _Pass:
    """One walk over one table."""

    scan: TableScan
    began_at: float
    unread: set[str] = field(default_factory=set)
    """Followers that were not read in some chunk, or cannot be compared: for them the pass does not end blindness."""


@dataclass(slots=True)
class ScanService:
    """The scan of one group; one chunk a tick. `read` is told of each chunk, `unverified` maps tables to reasons. With
    `drifts`, every pass hands the table's known drift over too: a row that became equal again differs in no chunk."""

    world: GroupWorld
    journal: ScanJournal
    stream: StreamJournal
    policy: ScanPolicy
    pace: Pace
    read: Callable[[ChunkRead], None] = lambda read: None
    finished: Callable[[TableName, float], None] = lambda table, at: None
    drifts: DriftJournal | None = None
    throttle: Throttle | None = None
    throttled: Callable[[str, float], None] = lambda reason, seconds: None
    """Told of seconds that the pace's rate makes the scan rest beyond its usual rest."""
    dirty: DirtyScan | None = None
    """Chunks that are read before all others. None: no table is ever crowded."""
    unverified: dict[tuple[str, TableName], Unverified] = field(default_factory=dict)
    _was_dirty: bool = False
    """The last chunk that was read was a dirty one; a crowded table must not keep the others from being scanned."""
    _passes: dict[TableName, _Pass] = field(default_factory=dict)
    _current: TableName | None = None
    _again_at: dict[TableName, float] = field(default_factory=dict)
    _failures: dict[TableName, int] = field(default_factory=dict)
    """How often in a row it could not be scanned on every follower."""
    _owed: dict[TableName, frozenset[str]] = field(default_factory=dict)
    """Followers of which some chunk was not read; in the journal's rows they show as missing when trueup starts."""
    _passed_at: dict[TableName, float] = field(default_factory=dict)
    _oldest: dict[TableName, float | None] = field(default_factory=dict)
    """When each table's oldest chunk was seen, as the journal told it when a walk over the table last ended: to ask for
    all before each walk takes longer than most walks where there are hundreds."""

    @property
    def name(self) -> str:
        return "scan"

    def tick(self, now: float) -> float:
        """Read a dirty chunk if the last one read was none, or else one of the table that waited longest; the rest that
        the pace asks for is the answer."""
        was_dirty, self._was_dirty = self._was_dirty, False
        if self.dirty is not None and not was_dirty and (rest := self.dirty.tick(now)) is not None:
            self._was_dirty = True
            return rest
        table = self._choose(now)
        if table is None:
            return 0.0 if was_dirty else min(0.5, self.pace.period_seconds / 10)
        try:
            walk = self._passes.get(table) or self._begin(table, now)
        except (Temporary, Permanent) as problem:
            self._refuse(table, problem, now)
            return 1.0
        if walk is None:
            return 0.0
        rows = walk.scan.size.rows
        if self.throttle is not None and (wait := self.throttle.wait(table, rows)):
            return wait
        began, found = self.world.clock.now(), 0
        try:
            read = walk.scan.step()
            found = read.leader.rows
            read = without_near(read, self.world.leader, walk.scan.sides, self.world.gather)
        except Temporary:
            walk.scan.retreat()
            raise
        except (Permanent, Unsound) as problem:
            self._leave(table)
            self._refuse(table, problem, now)
            self.world.book.forget(table)
            return 1.0
        finally:
            if self.throttle is not None:
                self.throttle.read(rows, found)
        try:
            self._record(walk, read)
            if walk.scan.done:
                self._end(table, walk)
        except (Temporary, Permanent):
            # The walk is ahead of the journal: begin again where the journal says, or the chunk would be skipped.
            self._leave(table)
            raise
        took = self.world.clock.now() - began
        rest = took * self.pace.rest
        capped = read.leader.rows / self.pace.rows_per_second - took if self.pace.rows_per_second else 0.0
        if capped > rest:
            self.throttled("rate", capped - rest)
        return max(rest, capped)

    def _choose(self, now: float) -> TableName | None:
        """The table under way, else the one whose oldest chunk is oldest and due (never seen first)."""
        if self.world.paused(None):
            return None
        # A walk that a pause cut short goes on before another begins: its table may count as seen lately.
        for under_way in (self._current, *self._passes):
            if under_way in self._passes and not self.world.paused(under_way):
                self._current = under_way
                return under_way
        names = [
            name
            for name in self.world.book.names()
            if now > self._again_at.get(name, -1e9) and not self.world.paused(name)
        ]
        oldest = self._oldest
        oldest.update(self.journal.oldest([name for name in names if name not in oldest]))
        wanted = sorted(names, key=lambda name: (self._urgency(name, oldest[name]), str(name)))
        for name in wanted:
            if not self._due(name, oldest[name], now):
                continue
            oldest.update(self.journal.oldest([name]))  # dirty chunks were read meanwhile
            if self._due(name, oldest[name], now):
                self._current = name
                return name
        self._current = None
        return None

    def _due(self, name: TableName, oldest: float | None, now: float) -> bool:
        """Never seen, seen too long ago, or a pass can make up for what was lost sight of or not read."""
        if oldest is None:
            return True
        if name not in self._owed:
            self._owed[name] = _lacking(self.journal.chunks(name), self.world.followers)
        if now - max(oldest, self._passed_at.get(name, oldest)) >= self.pace.period_seconds:
            return True
        owed = self._owed[name] | self.world.lost_by(name)
        if not owed:
            return not self.world.vouched(name)
        try:
            return any(self.world.book.pair(follower, name).compared is not None for follower in owed)
        except Temporary:
            return False

    def _urgency(self, name: TableName, oldest: float | None) -> tuple[int, float]:
        return (int(self._sound(name)), -1.0 if oldest is None else oldest)

    def _sound(self, name: TableName) -> bool:
        """The leader's stream vouches for it, and no follower's own log lost sight of it."""
        return self.world.vouched(name) and not self.world.lost_by(name)

    def _begin(self, table: TableName, now: float) -> _Pass | None:
        """Start a pass, or go on with the one that a restart cut off; None if no follower can be compared."""
        sides: dict[str, tuple[Replica, Comparison]] = {}
        for name, replica in self.world.followers.items():
            try:
                pair = self.world.book.pair(name, table)
            except Temporary as problem:
                self._note(name, table, Unverified.by(problem))  # the others are compared all the same
                continue
            self._note(name, table, None if pair.problem is None else Unverified(pair.problem, pair.doubt))
            if pair.compared is not None:
                sides[name] = (replica, pair.compared)
        if not sides:
            self._later(table, now)
            return None
        # Only this process knows which followers could not be read: a pass that is to end blindness is made in one go.
        sound = self._sound(table)
        todo, began = _unfinished(self.journal.chunks(table), now) if sound else ([(0, KeyRange())], now)
        scan = TableScan(self.world.leader, sides, ChunkSize(self.policy), self.world.clock, self.world.gather, todo)
        walk = self._passes[table] = _Pass(scan, began, set(self.world.followers) - sides.keys())
        return walk

    def _record(self, walk: _Pass, read: ChunkRead) -> None:
        now = self.world.clock.now()
        written = self.world.leader.position()
        results: list[ChunkResult] = []
        for name, seen in read.followers.items():
            if seen.suspects:
                suspects = {(read.chunk.table, key): written for key in seen.suspects}
                self.stream.touch(suspects, followers=[name], at=now)
            results.append(
                ChunkResult(
                    chunk=read.chunk,
                    follower=name,
                    verdict=Verdict.UNVERIFIED if seen.suspects else Verdict.MATCH,
                    leader=read.leader,
                    follower_digest=seen.digest,
                    unsettled=len(seen.suspects),
                    reason=SUSPECTS if seen.suspects else None,
                    seconds=read.seconds,
                    at=now,
                )
            )
        for name, reason in read.failed.items():
            walk.unread.add(name)
            logger.warning("follower not read", extra={"action": "chunk_failed", "follower": name, "why": reason})
        self.journal.replace(read.chunk.table, results)
        self.read(read)

    def _end(self, table: TableName, walk: _Pass) -> None:
        self._leave(table)
        self._current = None
        self._hand_over_known(table)
        now = self.world.clock.now()
        self._owed[table], self._passed_at[table] = frozenset(walk.unread), now
        for name in walk.scan.sides.keys() & self.world.lost_by(table) - walk.unread:
            self.stream.regained(name, table, walk.began_at)
        if walk.unread:
            self.world.refresh(self.stream)
            for name in walk.unread & walk.scan.sides.keys():
                self._note(name, table, Unverified("the follower could not be read in the last scan", Doubt.CANCELLED))
            # Half of the time is left to other tables, however long this one keeps failing.
            self._later(table, now, min(now - walk.began_at, 20 * _PAUSE_SECONDS))
            return
        self._failures.pop(table, None)
        self.stream.sighted(table, walk.began_at)
        self.world.refresh(self.stream)
        self.finished(table, self.world.clock.now())

    def _leave(self, table: TableName) -> None:
        """No walk over it is under way any more."""
        self._passes.pop(table, None)
        self._oldest.pop(table, None)

    def _hand_over_known(self, table: TableName) -> None:
        if self.drifts is None:
            return
        written, now = self.world.leader.position(), self.world.clock.now()
        for name in self.world.followers:
            known = {(table, key): written for key in self.drifts.suspects(name, table)}
            if known:
                self.stream.touch(known, followers=[name], at=now)

    def _refuse(self, table: TableName, problem: TrueupError, now: float) -> None:
        self._later(table, now)
        self._current = None
        for name in self.world.followers:
            self._note(name, table, Unverified.by(problem))

    def _later(self, table: TableName, now: float, least: float = 0.0) -> None:
        """Not again at once: a server that was started anew is back in seconds, another trouble may take hours."""
        self._failures[table] = times = self._failures.get(table, 0) + 1
        pause = min(_PAUSE_SECONDS, _PAUSE_FIRST_SECONDS * 2 ** min(times - 1, 10))
        self._again_at[table] = now + max(pause, least)

    def _note(self, follower: str, table: TableName, problem: Unverified | None) -> None:
        if problem is None:
            self.unverified.pop((follower, table), None)
        elif self.unverified.get((follower, table)) != problem:
            self.unverified[follower, table] = problem
            logger.warning(
                "table not verified",
                extra={"action": "table_unverified", "follower": follower, "table": str(table), "why": problem.why},
            )


def _lacking(known: Sequence[ChunkResult], followers: Collection[str]) -> frozenset[str]:
    """Followers without a result of some chunk, or with one of another range than the others'."""
    by_chunk: dict[int, dict[str, KeyRange]] = {}
    for result in known:
        by_chunk.setdefault(result.chunk.index, {})[result.follower] = result.chunk.range
    lacking: set[str] = set()
    for ranges in by_chunk.values():
        lacking.update(name for name in followers if name not in ranges)
        if len(set(ranges.values())) > 1:
            lacking.update(name for name in followers)
    return frozenset(lacking)


def _unfinished(known: Sequence[ChunkResult], now: float) -> tuple[list[tuple[int, KeyRange]], float]:
    """Where a pass that was cut off goes on, and when it began; from the start if the last one was complete.

    Chunks of a pass are seen in order, so the pass in progress ends where a chunk is older than the one before it, or
    where the table was left behind a chunk with an upper end.
    """
    ordered = sorted({result.chunk.index: result for result in known}.values(), key=lambda r: r.chunk.index)
    # The first chunk was read before it was recorded: call the pass older than it is, never younger.
    began = ordered[0].at - 2 * ordered[0].seconds - 5.0 if ordered else now
    for one, following in pairwise(ordered):
        if following.at < one.at:
            return [(one.chunk.index + 1, KeyRange(one.chunk.range.upper, None))], began
    if ordered and ordered[-1].chunk.range.upper is not None:
        return [(ordered[-1].chunk.index + 1, KeyRange(ordered[-1].chunk.range.upper, None))], began
    return [(0, KeyRange())], now
