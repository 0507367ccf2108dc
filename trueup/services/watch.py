"""Watch how late everybody is, and keep the sight of the stream small.

The leader is asked before the followers, so that a follower is measured against what was written before it was asked.
A follower that does not answer costs a note, not the tick.

At rest that is all that the daemon asks of its servers: one position each. What can only have changed where something
was written is asked again when the leader's log has grown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Protocol

from trueup.services.group import GroupWorld
from verifier.change import Batch
from verifier.errors import Permanent, Temporary
from verifier.gtid import Binlog
from verifier.heartbeat import written_between
from verifier.lag import HopLag, LagTracker
from verifier.moves import Moves
from verifier.position import Position, Tick
from verifier.watermark import WatermarkedFollower, WatermarkedLeader

_KEPT_SECONDS = 5.0
_KEPT_AT_REST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class KeptLog:
    """What the leader keeps of its log for somebody: bytes, how many more may be written before he loses what he needs
    (None: no limit), and the server's own word for it."""

    retained: int | None = None
    safe: int | None = None
    status: str | None = None


@dataclass(slots=True)
class SharedLag:
    """A `LagTracker` for several threads: the stream's reader, the watcher, and whoever asks."""

    tracker: LagTracker
    beside: dict[str, LagTracker] = field(default_factory=dict)
    """Of followers whose positions are a watermark's, not the log's: each has a tracker of its own."""
    _lock: Lock = field(default_factory=Lock)

    def batch(self, batch: Batch, now: float) -> None:
        with self._lock:
            self.tracker.batch(batch, now)

    def observe(self, note: Callable[[LagTracker], None]) -> None:
        with self._lock:
            note(self.tracker)

    def clock_ahead(self) -> float:
        """Seconds that the leader's clock is ahead of ours for sure."""
        with self._lock:
            return self.tracker.clock_ahead

    def told(self, now: float) -> tuple[tuple[HopLag, ...], tuple[HopLag, ...]]:
        """Followers and hops of the stream at `now`."""
        with self._lock:
            marked = [lag for tracker in self.beside.values() for lag in tracker.followers(now)]
            others = [lag for lag in self.tracker.followers(now) if lag.hop not in self.beside]
            return tuple(sorted((*others, *marked), key=lambda lag: lag.hop)), self.tracker.stream(now)

    def beyond(self, follower: str, seconds: float, now: float) -> float | None:
        """By how many seconds the follower lags, if that is more than `seconds`; None also where nobody knows."""
        told = {lag.hop: lag.seconds for lag in self.told(now)[0]}.get(follower)
        return told if told is not None and told > seconds else None

    def mark(self, name: str, make: Callable[[], LagTracker], note: Callable[[LagTracker], None]) -> None:
        """An observation of a follower that is told apart by the watermark."""
        with self._lock:
            tracker = self.beside.get(name)
            if tracker is None:
                tracker = self.beside[name] = make()
            note(tracker)


class Beating(Protocol):
    """A heartbeat table. Errors as from a replica."""

    def tells(self, name: str) -> bool:
        """Is this follower's lag told by it?"""
        ...

    def written(self) -> Tick:
        """The leader's newest time, in microseconds."""
        ...

    def shown(self, name: str) -> Tick:
        """The newest one that the follower shows."""
        ...


@dataclass(slots=True)
class WatchService:
    """One group. `source_alive` gives the time and the fault of the stream's last sign of life (None: no stream)."""

    world: GroupWorld
    lag: SharedLag
    every_seconds: float = 1.0
    source_alive: Callable[[], tuple[float, str] | None] = lambda: None
    hindrances: Mapping[str, Callable[[], str]] = field(default_factory=dict)
    retained: Callable[[], Mapping[str, KeptLog]] = dict
    slots: dict[str, KeptLog] = field(default_factory=dict)
    lagging_above: float = 0.0
    """Seconds; for followers that show a watermark."""
    stalled_after: float = 15.0
    """The same."""
    watermark_seconds: float = 15.0
    """A watermark that stands for longer is counted up by nobody."""
    fault: str = ""
    """What is wrong with the stream's source, as it was last asked."""
    beats: Beating | None = None
    """The leader's time in a table, for followers without a position; None: there is none."""
    _standing: dict[str, Moves] = field(default_factory=dict)
    _told: dict[str, Position] = field(default_factory=dict)
    """By each follower, when it answered last."""
    _written: Position | None = None
    """By the last tick that asked all that goes with it."""
    _views: int = 0
    """The leader's looks that had come in by the last tick."""
    _kept_at: float = -math.inf
    _kept_at_position: Position | None = None

    @property
    def name(self) -> str:
        return "lag"

    def tick(self, now: float) -> float:
        """Temporary or Permanent if the leader does not answer; then the followers' lag is unknown, which is true."""
        clock = self.world.clock
        written = self._leader()
        moved = written != self._written
        if self.world.sight is not None and self.world.sight.published is not None:
            if moved:  # a publication is changed by what is written, too
                self.world.sight.published.refresh()
            self.world.sight.published.admit(self.world.leader)
        self._written = written
        at = clock.now()
        self.lag.observe(lambda tracker: tracker.leader_at(written, at))
        for name in self.world.followers:
            self._follower(name)
        alive = self.source_alive()
        if alive is not None:
            heard, fault = alive
            self.fault = fault
            self.lag.observe(lambda tracker: tracker.alive_at(heard, fault))
        if at - self._kept_at >= (_KEPT_AT_REST_SECONDS if written == self._kept_at_position else _KEPT_SECONDS):
            kept = self.retained()
            self.slots = dict(kept)  # another one: whoever counts them is another thread
            self._kept_at, self._kept_at_position = at, written
        return self.every_seconds

    def _leader(self) -> Position:
        """How far it has written; with a look where transactions came in that no look has seen yet."""
        sight = self.world.sight
        if sight is not None and sight.unseen and sight.views == self._views:
            look = self.world.leader.ask("select 1", rows_max=1, seconds_max=5.0)
            sight.latest(view=look.view)
            self._views = sight.views
            if not isinstance(look.high, Binlog):  # a place in the binlog says nothing of a follower, which tells ids
                return look.high
        self._views = 0 if sight is None else sight.views
        return self.world.leader.position()

    def _follower(self, name: str) -> None:
        if self._beaten(name) or self._marked(name):
            return
        position, fault = None, ""
        try:
            position = self.world.followers[name].position()
        except (Temporary, Permanent) as problem:
            fault = str(problem)
        at = self.world.clock.now()
        hindered = self._told_less(name, position)
        self.lag.observe(lambda tracker: tracker.follower_at(name, position, at, fault, hindered=hindered))
        if position is not None and self.world.sight is not None:
            self.world.sight.latest(applied=(name, position))

    def _told_less(self, name: str, position: Position | None) -> bool:
        """Whether it tells an earlier position because its replication does not run. A subscriber without its worker
        tells what its commits noted, and no more what keepalives had told beyond the last of them."""
        if position is None:
            return False  # a server that is started anew first does not answer, and then has no worker for a while
        before, self._told[name] = self._told.get(name), position
        if before is None or position.covers(before):
            return False
        return bool(self.why(name))

    def _marked(self, name: str) -> bool:
        """A follower that shows a watermark: the leader's row is read before its own. Ticks that nobody counts up tell
        nothing, so a watermark that stands for long is a fault of its own."""
        if self.world.placed is None or self.world.fed(name):
            return False
        ahead: Position | None = None
        shown: Position | None = None
        fault = ""
        try:
            leader, follower = self.world.placed(self.world.followers[name])
            if not isinstance(leader, WatermarkedLeader) or not isinstance(follower, WatermarkedFollower):
                return False
            ahead = leader.position() if leader.advancing is not None else leader.watermark.tick()
            asked = self.world.clock.now()
            shown = follower.position()
        except (Temporary, Permanent) as problem:
            fault = str(problem)
        self._apart(name, ahead, asked, shown, fault, "counted the watermark up")
        return True

    def _beaten(self, name: str) -> bool:
        """A follower whose lag a heartbeat table tells. What it already lacks when it is first asked is as old as the
        leader's own times say; from then on ours tell."""
        ahead: Tick | None = None
        shown: Tick | None = None
        fault, asked = "", self.world.clock.now()
        try:
            if self.beats is None or not self.beats.tells(name):
                return False
            ahead = self.beats.written()
            asked = self.world.clock.now()
            shown = self.beats.shown(name)
        except (Temporary, Permanent) as problem:
            fault = str(problem)
        if ahead is not None and shown is not None and name not in self.lag.beside:
            for written in written_between(shown, ahead):
                since = asked - (ahead.value - written.value) / 1e6
                self.lag.mark(name, self._tracker, partial(LagTracker.leader_at, position=written, at=since))
        self._apart(name, ahead, asked, shown, fault, "written the heartbeat")
        return True

    def _apart(
        self, name: str, ahead: Position | None, asked: float, shown: Position | None, fault: str, done: str
    ) -> None:
        """Note what a table told of a follower; one that nobody writes (`done`: in words) tells nothing."""
        now = self.world.clock.now()
        if ahead is not None:
            standing = self._standing.setdefault(name, Moves())
            standing.at(ahead, now)
            if now - standing.since > self.watermark_seconds:
                fault = fault or f"nobody has {done} for {now - standing.since:.0f} s"

        def note(tracker: LagTracker) -> None:
            if ahead is not None:
                tracker.leader_at(ahead, asked)
            tracker.follower_at(name, shown, now, fault)

        self.lag.mark(name, self._tracker, note)

    def _tracker(self) -> LagTracker:
        return LagTracker(interval_seconds=2.0, lagging_above=self.lagging_above, stalled_after=self.stalled_after)

    def why(self, follower: str) -> str:
        """What the server itself says hinders a follower; '' if nothing."""
        ask = self.hindrances.get(follower)
        if ask is None:
            return ""
        try:
            return ask()
        except (Temporary, Permanent) as problem:
            return str(problem)
