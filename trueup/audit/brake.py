"""Holding an audit back: asks servers, files and the journal, and waits for as long as `verifier.brake` says.

One for all tables of an audit. Whoever is about to look asks first; the servers are asked at most twice a second,
whoever asks. What holds is told once, with how long it took when it is over.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from trueup.audit.progress import Watcher, duration
from verifier.brake import KINDS, Brakes, Held, Rate
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary
from verifier.ports import Clock, Replica
from verifier.position import Position
from verifier.table import TableName

if TYPE_CHECKING:  # an audit without a limit of lag starts without them
    from verifier.lag import LagTracker

_SLICE_SECONDS = 0.1
_ASK_SECONDS = 0.5
_ABSENT_SECONDS = 10.0
_QUIET_SECONDS = 10.0
_SQL_SECONDS = 5.0


@dataclass(slots=True)
class _Kind:
    """How long one kind of brake has held, by whomever."""

    holders: int = 0
    since: float = 0.0
    seconds: float = 0.0


@dataclass(slots=True)
class _Source:
    """One thing that holds, and how it was told."""

    holders: int = 0
    since: float = 0.0
    told_at: float | None = None
    telling: bool = False


@dataclass(frozen=True, slots=True)
class Ticks:
    """The row that counts up, as the leader and as one follower show it."""

    leader: Callable[[], Position]
    follower: Callable[[], Position]


@dataclass(slots=True)
class Braking:
    """`paused` says why an operator does not want this table looked at (None: go on). `stop` ends every wait."""

    brakes: Brakes
    leader: Replica
    followers: Mapping[str, Replica]
    clock: Clock
    watcher: Watcher
    stop: Callable[[], bool] = lambda: False
    paused: Callable[[TableName], str | None] = lambda table: None
    pause_file: Path | None = None
    ticks: Callable[[Replica], Ticks | None] = lambda follower: None
    """Where a row that counts up (a watermark, a heartbeat) tells how late a follower is."""
    _known: Held | None = None
    _asked_at: float | None = None
    _absent: dict[str, float] = field(default_factory=dict)
    _tracker: LagTracker | None = None
    _ticking: dict[str, LagTracker] = field(default_factory=dict)
    _rate: Rate | None = None
    _kinds: dict[str, _Kind] = field(default_factory=lambda: {kind: _Kind() for kind in KINDS})
    _all: _Kind = field(default_factory=_Kind)
    _sources: dict[tuple[str, str], _Source] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.brakes.rows_per_second is not None:
            self._rate = Rate(self.brakes.rows_per_second)

    def try_out(self) -> None:
        """Ask everything once: a limit that cannot be read must be known before the first row is. Forbidden,
        Permanent, Misconfigured; who is away is not waited for here. Whose lag cannot be told at all is said."""
        self._ask(self.clock.now())
        if self.brakes.lag_seconds is None:
            return
        for name in self._untold():
            self.watcher.note(
                f"note: the limit of lag does not hold for {name}: it tells no position in the leader's log, and no "
                "watermark or heartbeat says how late it is"
            )

    def hold(self, table: TableName) -> float:
        """Wait while anything but the rate holds; returns the seconds that it took."""
        held = self.held(table)
        if held is None:
            return 0.0
        began = self.clock.now()
        while held is not None and not self.stop():
            first = held
            self.enter(first)
            try:
                while held is not None and alike(held, first) and not self.stop():
                    self.clock.sleep(_SLICE_SECONDS)
                    held = self.held(table)
            finally:
                self.leave(first)
        return self.clock.now() - began

    def held(self, table: TableName) -> Held | None:
        """What holds now, the rate aside."""
        if self.pause_file is not None and self.pause_file.exists():
            return Held("pause", f"the file {self.pause_file} exists")
        why = self.paused(table)
        if why is not None:
            return Held("pause", why, why)
        now = self.clock.now()
        due = self._asked_at is None or now - self._asked_at >= _ASK_SECONDS
        if due and self._asking.acquire(blocking=False):
            try:
                self._ask(now)
            finally:
                self._asking.release()
        return self._known

    def admit(self, rows: int) -> None:
        """Wait until the rate allows to read rows, and take them; `read` says how many there were."""
        wait = self.spare(rows)
        if not wait:
            return
        rate = Held("rate", "")
        self.enter(rate)
        try:
            while wait and not self.stop():
                self.clock.sleep(min(wait, _SLICE_SECONDS))
                wait = self.spare(rows)
        finally:
            self.leave(rate)

    def spare(self, rows: int) -> float:
        """Seconds until the rate allows to read rows; at 0 they are taken."""
        if self._rate is None:
            return 0.0
        with self._lock:
            now = self.clock.now()
            wait = self._rate.wait(now)
            if not wait:
                self._rate.take(rows, now)
            return wait

    def enter(self, held: Held) -> None:
        """Somebody begins to wait because of this."""
        now = self.clock.now()
        with self._lock:
            source = self._sources.setdefault((held.kind, held.source), _Source())
            for one in (self._kinds[held.kind], self._all, source):
                one.holders += 1
                one.since = now if one.holders == 1 else one.since
            lately = source.told_at is not None and now - source.told_at < _QUIET_SECONDS
            if held.kind == "rate" or source.holders > 1 or lately:
                return
            source.told_at, source.telling = now, True
        self.watcher.note(f"waiting: {held.why}")

    def leave(self, held: Held) -> None:
        """And ends it."""
        now = self.clock.now()
        with self._lock:
            source = self._sources[held.kind, held.source]
            for one in (self._kinds[held.kind], self._all):
                one.holders -= 1
                one.seconds += 0.0 if one.holders else now - one.since
            source.holders -= 1
            if source.holders or not source.telling:
                return
            source.telling = False
            took = now - source.since
        self.watcher.note(f"going on after {duration(took)} ({held.kind})")

    def read(self, admitted: int, rows: int) -> None:
        """So many rows were admitted, and so many were read."""
        if self._rate is not None:
            with self._lock:
                self._rate.correct(rows - admitted)

    def seconds(self) -> dict[str, float]:
        """How long the audit was held, by kind; `all` counts once what several held at the same time."""
        with self._lock:
            return {kind: round(one.seconds, 3) for kind, one in self._kinds.items() if one.seconds} | {
                "all": round(self._all.seconds, 3)
            }

    def _ask(self, now: float) -> None:
        """Read load and lag anew."""
        self._asked_at = now
        known: Held | None = None
        if self.brakes.by_load:
            for name, replica in {self.leader.name: self.leader, **self.followers}.items():
                known = known or self._answered(name, now, lambda one=replica: self._load(one))  # type: ignore[misc]
        if self.brakes.lag_seconds is not None:
            known = known or self._lag(now)
        self._asked_at = self.clock.now()
        self._known = known

    def _answered(self, name: str, now: float, ask: Callable[[], Held | None]) -> Held | None:
        """A server that is away brakes nothing, and is left alone for a while."""
        if self._absent.get(name, 0.0) > now:
            return None
        try:
            return ask()
        except Temporary:
            self._absent[name] = now + _ABSENT_SECONDS
            return None

    def _load(self, replica: Replica) -> Held | None:
        if self.brakes.running_max is not None:
            held = self.brakes.load(replica.name, replica.running())
            if held is not None:
                return held
        if replica.dialect != self.leader.dialect:
            return None  # the SQL is written for the leader's engine
        for sql, limit in self.brakes.asked:
            try:
                rows = replica.ask(sql, rows_max=1, seconds_max=_SQL_SECONDS).value.rows
            except Forbidden:
                raise
            except Permanent as problem:
                raise Misconfigured(f"the load limit {sql!r} cannot be asked: {problem}") from problem
            held = self.brakes.answer(replica.name, sql, rows[0][0] if rows and rows[0] else None, limit)
            if held is not None:
                return held
        return None

    def _lag(self, now: float) -> Held | None:
        """As `trueup lag` measures it, from the positions since the audit began."""
        from verifier.lag import LagTracker

        tracker = self._tracker = self._tracker or LagTracker()
        try:
            tracker.leader_at(self.leader.position(), self.clock.now())
        except Temporary:
            return None
        except (Forbidden, Misconfigured):
            raise
        except Permanent:  # it has no log: only ticks can tell
            pass
        for name, replica in self.followers.items():
            at = self.clock.now()
            if (ticks := self._ticks_of(replica, at)) is None:
                tracker.follower_at(name, self._position(replica, at), at)
            else:
                self._tick(name, ticks)
        hops = [hop for one in (tracker, *self._ticking.values()) for hop in one.followers(self.clock.now())]
        return self.brakes.lag({hop.hop: hop.seconds for hop in hops})

    def _ticks_of(self, replica: Replica, now: float) -> Ticks | None:
        if self._absent.get(replica.name, 0.0) > now:
            return None
        try:
            return self.ticks(replica)
        except Temporary:
            self._absent[replica.name] = now + _ABSENT_SECONDS
            return None

    def _tick(self, name: str, ticks: Ticks) -> None:
        """A tick is a position like any other: behind is who does not show one that the leader showed before."""
        from verifier.lag import LagTracker

        try:
            tracker = self._ticking.setdefault(name, LagTracker())
            tracker.leader_at(ticks.leader(), self.clock.now())
            tracker.follower_at(name, ticks.follower(), self.clock.now())
        except Temporary:
            self._absent[name] = self.clock.now() + _ABSENT_SECONDS

    def _untold(self) -> list[str]:
        """Followers that answer, and of which nothing tells how late they are."""
        from verifier.watermark import needs_watermark

        found: list[str] = []
        for name, replica in self.followers.items():
            try:
                if self.ticks(replica) is None and needs_watermark(self.leader, replica):
                    found.append(name)
            except Temporary:
                continue
        return found

    def _position(self, replica: Replica, now: float) -> Position | None:
        if self._absent.get(replica.name, 0.0) > now:
            return None
        try:
            return replica.position()
        except Temporary:
            self._absent[replica.name] = now + _ABSENT_SECONDS
            return None
        except Permanent:  # it follows nobody: it cannot be late
            return None


def alike(one: Held, other: Held) -> bool:
    return (one.kind, one.source) == (other.kind, other.source)
