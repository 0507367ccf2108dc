"""Read the dirty chunks of crowded tables (`verifier.dirty`), before the scan reads anything else.

As in the scan nothing is judged here: a chunk whose digests are equal is verified, and keys that differ are handed to
the verification of touched keys. A chunk is read once every follower has applied the latest change noted in it, and its
mark goes only if no other change was noted since.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from trueup.services.group import GroupWorld
from trueup.services.nearness import without_near
from trueup.services.throttle import Throttle
from verifier.change import Blindness, Cause
from verifier.chunk import ChunkSize
from verifier.compare import Comparison
from verifier.dirty import DirtyChunk, DirtyJournal
from verifier.errors import Permanent, Unsound
from verifier.journal import StreamJournal
from verifier.policy import ScanPolicy
from verifier.ports import Replica
from verifier.position import Position
from verifier.scan import ChunkRead, TableScan
from verifier.table import TableName

logger = logging.getLogger("trueup.dirty")

_CANDIDATES = 64
_ASIDE_SECONDS = 10.0


@dataclass(slots=True)
class _Walk:
    chunk: DirtyChunk
    scan: TableScan
    failed: bool = False


@dataclass(slots=True)
class DirtyScan:
    """One group. `rest`: seconds of rest per second of reading; `read` is told of each chunk."""

    world: GroupWorld
    journal: DirtyJournal
    stream: StreamJournal
    policy: ScanPolicy
    rest: float = 1.0
    read: Callable[[ChunkRead], None] = lambda read: None
    throttle: Throttle | None = None
    _walk: _Walk | None = None
    _aside: dict[TableName, float] = field(default_factory=dict)

    def tick(self, now: float) -> float | None:
        """Read one chunk; the seconds of rest after it, or None if there is nothing to read now. Temporary if the
        leader does not answer: the mark stays."""
        walk = self._walk = self._walk or self._next(now)
        if walk is None:
            return None
        rows, found = walk.scan.size.rows, 0
        if self.throttle is not None and (wait := self.throttle.wait(walk.chunk.table, rows)):
            return wait
        began = self.world.clock.now()
        try:
            seen = walk.scan.step()
            found = seen.leader.rows
            seen = without_near(seen, self.world.leader, walk.scan.sides, self.world.gather)
            self._hand_over(walk, seen)
            if walk.scan.done:
                self._walk = None
                if walk.failed:
                    self._aside[walk.chunk.table] = now + _ASIDE_SECONDS
                else:
                    self.journal.clean(walk.chunk)
        except (Permanent, Unsound) as problem:
            self._give_up(walk.chunk, str(problem), now)
        except BaseException:
            self._walk = None
            raise
        finally:
            if self.throttle is not None:
                self.throttle.read(rows, found)
        return (self.world.clock.now() - began) * self.rest

    def _next(self, now: float) -> _Walk | None:
        applied = None
        for chunk in self.journal.dirty(_CANDIDATES):
            waits = self._aside.get(chunk.table, 0.0) > now or not chunk.ripe(now)
            if waits or self.world.paused(chunk.table) or self.world.paused(None):
                continue
            if applied is None:
                applied = [one.position() for one in self.world.followers.values()]
            if not all(position.covers(chunk.commit) for position in applied) and self._to_come(chunk.commit):
                continue
            sides = self._sides(chunk, now)
            if sides:
                size = ChunkSize(self.policy)
                scan = TableScan(
                    self.world.leader, sides, size, self.world.clock, self.world.gather, [(0, chunk.range)]
                )
                logger.info("dirty chunk", extra={"action": "dirty_chunk", "table": str(chunk.table)})
                return _Walk(chunk, scan)
        return None

    def _to_come(self, commit: Position) -> bool:
        """A commit beyond the leader's own log was lost in a failover: nobody will ever apply it."""
        return self.world.leader.position().covers(commit)

    def _sides(self, chunk: DirtyChunk, now: float) -> dict[str, tuple[Replica, Comparison]]:
        """Empty: the chunk cannot be read now, or (its mark is gone then) the table cannot be compared."""
        pairs = {name: self.world.book.pair(name, chunk.table) for name in self.world.followers}
        lacking = {name: pair.problem for name, pair in pairs.items() if pair.compared is None}
        for name in lacking:
            why = Blindness(Cause.GAP, chunk.table, f"changed while it could not be compared on {name}")
            self.stream.forget(name, [], why, at=now)
        if lacking:
            self.world.refresh(self.stream)
        sides = {name: (self.world.followers[name], pair.compared) for name, pair in pairs.items() if pair.compared}
        if not sides:
            self.journal.clean(chunk)
        return sides

    def _hand_over(self, walk: _Walk, seen: ChunkRead) -> None:
        """Keys that differ are in the journal before the mark goes."""
        written, now = self.world.leader.position(), self.world.clock.now()
        for name, found in seen.followers.items():
            if found.suspects:
                suspects = {(walk.chunk.table, key): written for key in found.suspects}
                self.stream.touch(suspects, followers=[name], at=now)
        walk.failed = walk.failed or bool(seen.failed)
        self.read(seen)

    def _give_up(self, chunk: DirtyChunk, why: str, now: float) -> None:
        """One table's trouble must not stop the others."""
        self._walk = None
        self._aside[chunk.table] = now + _ASIDE_SECONDS
        self.world.book.forget(chunk.table)
        logger.warning(
            "table not verified", extra={"action": "table_unverified", "table": str(chunk.table), "why": why}
        )
