"""How late everybody is: each follower, and each hop of the change stream up to trueup. Pure; fed with observations.

Lag is the age of the oldest thing not yet applied, never `now - last event`: that grows on an idle leader. What was
written when comes from two sources. *Samples* of the leader's position carry trueup's own clock, so no clock of a
server can turn them negative, but they are coarse. *Transactions* of the stream carry the commit's own time, exact
but on the leader's clock; so that time is held between the last sample before the commit and the first one behind it.

Silence is not health. Who has not been heard of for three intervals is `unknown`, also when nothing seems to be due.
A position says something about the moment when it was asked for: later samples of the leader do not count against it.
Who is behind and does not move is `stalled`; whose position went back is `rewound` until it is there again.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, replace

from verifier.change import Batch, Cause
from verifier.moves import Moves, transactions_between
from verifier.observed import Entry, Sample, Seen, thinned
from verifier.position import Position
from verifier.skew import Skew

_FRESH_INTERVALS = 3
_HOPS = ("connector", "broker", "trueup")
_STREAM = "\0stream"  # among the moves of followers, whose names have no such character


class LagState(enum.Enum):
    CAUGHT_UP = "caught_up"
    LAGGING = "lagging"  # behind, and moving
    STALLED = "stalled"  # behind, and not moving
    REWOUND = "rewound"  # went back: restored, or its offsets were reset
    UNKNOWN = "unknown"

    @property
    def late(self) -> bool:
        """Known not to hold what it should."""
        return self in (LagState.LAGGING, LagState.STALLED, LagState.REWOUND)


@dataclass(frozen=True, slots=True)
class HopLag:
    """`hop` is a follower's name, or `connector`, `broker`, `trueup` for the stream. `seconds` is the age of the oldest
    thing not applied, 0 when there is none; `changes` the row changes known not to be applied, `transactions` the same
    where positions count them. None: not known."""

    hop: str
    seconds: float | None
    changes: int | None
    state: LagState
    detail: str = ""
    transactions: int | None = None


class LagTracker:
    """Folds observations of one group into lag by hop. Times are seconds of trueup's clock; for one thread.

    `interval_seconds` is how often the observations come; less than `lagging_above` seconds late counts as caught up,
    and behind without a move for `stalled_after` seconds as stalled.
    Memory is bounded by `kept_max`: beyond it old observations are merged pair by pair, which makes old lag coarser.
    Ask the leader before the followers: a follower is measured against what was written before it was asked.
    """

    def __init__(
        self,
        *,
        interval_seconds: float = 1.0,
        lagging_above: float = 0.0,
        stalled_after: float = 15.0,
        kept_max: int = 4096,
    ) -> None:
        self._fresh = interval_seconds * _FRESH_INTERVALS
        self._allowed = lagging_above
        self._stalled_after = stalled_after
        self._moves: dict[str, Moves] = {}
        self._skew = Skew()
        self._kept_max = kept_max
        self._samples: list[Sample] = []
        self._entries: list[Entry] = []
        self._floor: Position | None = None  # below it transactions may be missing here
        self._total = self._forgotten = 0
        self._followers: dict[str, Seen] = {}
        self._through: Seen | None = None
        self._alive: Seen | None = None
        self._delays: dict[str, float] = {}
        self._delayed_at = 0.0

    def leader_at(self, position: Position, at: float) -> None:
        """The leader had written `position` when it was asked, at `at`."""
        if self._samples:
            last = self._samples[-1]
            if not position.covers(last.position):
                # The log went back or is another one: nothing known before can be compared with it.
                self._samples.clear()
                self._moves.clear()
                self._forget_transactions()
            elif last.position.covers(position):
                # Idle. The first time that a position was seen is the one that tells an age, the last one freshness.
                if len(self._samples) > 1 and self._samples[-2].position.covers(position):
                    self._samples.pop()
                at = max(at, last.at)
        self._samples.append(Sample(position, at))
        if len(self._samples) > self._kept_max:
            self._samples = thinned(self._samples)

    def follower_at(
        self, name: str, position: Position | None, at: float, fault: str = "", *, hindered: bool = False
    ) -> None:
        """The follower had applied `position` when it was asked, at `at`; None with the `fault` if it did not say. What
        is `hindered` in its replication may tell less than before and has not gone back for that."""
        self._followers[name] = Seen(position, at, fault)
        if position is not None:
            known = self._moves.get(name)
            if hindered and known is not None and known.last is not None and not position.covers(known.last):
                del self._moves[name]
            self._moves.setdefault(name, Moves()).at(position, at)

    def alive_at(self, at: float, fault: str = "") -> None:
        """A sign of life of the stream's source (keepalive, heartbeat) came at `at`; `fault` if it says that it is
        broken, for example a failed connector task."""
        self._alive = Seen(None, at, fault)

    def batch(self, batch: Batch, now: float) -> None:
        """A poll of the stream returned at `now`."""
        if any(blind.cause is Cause.GAP and blind.table is None for blind in batch.blind):
            self._forget_transactions()
            self._moves.pop(_STREAM, None)
        for transaction in batch.transactions:
            if self._entries and self._entries[-1].commit.covers(transaction.commit):
                continue  # delivered before
            if self._floor is None:
                self._floor = transaction.commit
            self._total += len(transaction.changes)
            self._entries.append(Entry(transaction.commit, transaction.committed_at, now, self._total))
        if self._floor is None:
            self._floor = batch.read_through
        if batch.read_through is not None:
            self._through = Seen(batch.read_through, now)
            self._moves.setdefault(_STREAM, Moves()).at(batch.read_through, now)
        if batch.transactions:
            self._delay(batch, now)
        if len(self._entries) > self._kept_max:
            self._prune()

    @property
    def clock_ahead(self) -> float:
        """Seconds that the leader's clock is ahead of trueup's for sure (behind: negative); 0.0 if both may agree."""
        return self._skew.ahead

    def followers(self, now: float) -> tuple[HopLag, ...]:
        """Every follower ever heard of, by name."""
        return tuple(self._follower(name, self._followers[name], now) for name in sorted(self._followers))

    def stream(self, now: float) -> tuple[HopLag, ...]:
        """The hops of the stream in order; those that it does not have are left out. Empty without a stream."""
        if self._through is None and self._alive is None:
            return ()
        last = self._trueup(now)
        others = [self._earlier_hop(hop, last, now) for hop in _HOPS[:-1] if hop in self._delays]
        return (*others, last)

    def _delay(self, batch: Batch, now: float) -> None:
        """Of the newest event, from its commit up to each hop. The commit is stamped by the leader's clock, and held
        between samples of ours; no hop can have had the event later than we did."""
        newest = batch.transactions[-1]
        entry = Entry(newest.commit, newest.committed_at, now, self._total)
        earliest, latest = self._written_between(entry)
        if self._samples and not self._samples[0].position.covers(newest.commit):
            self._skew.note(newest.committed_at, earliest, latest)
        written = min(max(newest.committed_at, earliest), latest)
        ours = max(0.0, now - written)
        times = (batch.connector_at, batch.broker_at, now)
        self._delays = {
            hop: min(ours, max(0.0, at - written)) for hop, at in zip(_HOPS, times, strict=True) if at is not None
        }
        self._delayed_at = now

    def _follower(self, name: str, seen: Seen, now: float) -> HopLag:
        doubt = seen.fault or self._stale(seen.at, now, "the follower has not answered") or self._leader_stale(now)
        if seen.position is None or doubt:
            return HopLag(name, None, None, LagState.UNKNOWN, doubt or "the follower does not tell its position")
        if not seen.position.covers(self._samples[-1].position) and not self._comparable(seen.position):
            return HopLag(name, None, None, LagState.UNKNOWN, "its position cannot be compared with the leader's")
        since = self._oldest_due(seen.position, seen.at)
        lacking = transactions_between(self._samples[-1].position, seen.position)
        if since is None:
            lag = HopLag(name, 0.0, 0, LagState.CAUGHT_UP, transactions=lacking)
            return self._moved(name, lag, seen.at)
        changes = self._changes_due(seen.position)
        lag = HopLag(name, max(0.0, seen.at - since), changes, LagState.LAGGING, self._skewed(), lacking)
        return self._moved(name, self._late(lag), seen.at)

    def _trueup(self, now: float) -> HopLag:
        through, alive = self._through, self._alive
        doubt = self._leader_stale(now)
        if alive is not None:
            doubt = alive.fault or self._stale(alive.at, now, "no sign of life of the stream") or doubt
        if through is None:
            return HopLag("trueup", None, None, LagState.UNKNOWN, doubt or "nothing was read yet")
        doubt = doubt or self._stale(through.at, now, "the stream was not read")
        if doubt:
            return HopLag("trueup", None, None, LagState.UNKNOWN, doubt)
        assert through.position is not None
        since = self._first_sample_behind(through.position, through.at)
        if since is None:
            lag = HopLag("trueup", self._newest_delay("trueup", now), 0, LagState.CAUGHT_UP, self._skewed())
        else:
            lag = self._late(HopLag("trueup", max(0.0, through.at - since), None, LagState.LAGGING, self._skewed()))
        return self._moved(_STREAM, lag, through.at)

    def _earlier_hop(self, hop: str, last: HopLag, now: float) -> HopLag:
        """What lies between the leader and trueup can be no later than trueup, and is only known by its events."""
        if last.state is LagState.CAUGHT_UP:
            return HopLag(hop, self._newest_delay(hop, now), 0, LagState.CAUGHT_UP)
        if last.state is LagState.UNKNOWN or now - self._delayed_at > self._fresh:
            return HopLag(hop, None, None, LagState.UNKNOWN, last.detail or "no event came lately")
        return self._late(HopLag(hop, self._delays[hop], None, LagState.LAGGING, "delay of the newest event"))

    def _moved(self, name: str, lag: HopLag, asked_at: float) -> HopLag:
        """Behind is two things more: standing, and having gone back."""
        moves = self._moves.get(name)
        if moves is None:
            return lag
        if moves.rewound:
            return replace(lag, state=LagState.REWOUND, detail=moves.rewound)
        if lag.state is not LagState.LAGGING or lag.seconds is None:
            return lag
        still = min(asked_at - moves.since, lag.seconds)
        if still < self._stalled_after:
            return lag
        return replace(lag, state=LagState.STALLED, detail=_said(f"has not moved for {still:.0f} s", lag.detail))

    def _skewed(self) -> str:
        ahead = self._skew.ahead
        if not ahead:
            return ""
        return f"the leader's clock is {abs(ahead):.1f} s {'ahead' if ahead > 0 else 'behind'}: allowed for"

    def _late(self, lag: HopLag) -> HopLag:
        """Late by less than what is allowed is caught up; the seconds stay as they are."""
        if lag.seconds is not None and lag.seconds < self._allowed:
            return replace(lag, state=LagState.CAUGHT_UP)
        return lag

    def _newest_delay(self, hop: str, now: float) -> float:
        return self._delays.get(hop, 0.0) if now - self._delayed_at <= self._fresh else 0.0

    def _oldest_due(self, applied: Position, asked_at: float) -> float | None:
        """Since when the oldest thing is due that is not applied; None if nothing is."""
        behind = self._first_sample_behind(applied, asked_at)
        if self._floor is None or not applied.covers(self._floor):
            return behind
        index = self._first_due(applied)
        if index < len(self._entries):
            entry = self._entries[index]
            return self._written_at(entry) if entry.received_at <= asked_at or behind is not None else None
        read = self._through
        if behind is None or (
            read is not None and read.position is not None and self._covered(read.position, asked_at)
        ):
            # All that was written up to then was read, and no change of it is missing: the rest is the log's own.
            return None
        return behind

    def _written_at(self, entry: Entry) -> float:
        """The commit's own time, held between the samples around it."""
        earliest, latest = self._written_between(entry)
        return min(max(entry.committed_at, earliest), latest)

    def _written_between(self, entry: Entry) -> tuple[float, float]:
        """The last sample before the commit, and the first one behind it or our receiving it."""
        index = bisect_left(self._samples, True, key=lambda s: s.position.covers(entry.commit))
        high = min(entry.received_at, self._samples[index].at if index < len(self._samples) else entry.received_at)
        low = self._samples[index - 1].at if index else min(entry.committed_at, high)
        return low, max(high, low)

    def _first_sample_behind(self, reached: Position, asked_at: float) -> float | None:
        """When the leader was first seen beyond `reached`, by `asked_at`."""
        index = bisect_left(self._samples, True, key=lambda s: not reached.covers(s.position))
        if index == len(self._samples) or self._samples[index].at > asked_at:
            return None
        return self._samples[index].at

    def _covered(self, reached: Position, asked_at: float) -> bool:
        return self._first_sample_behind(reached, asked_at) is None

    def _changes_due(self, applied: Position) -> int | None:
        if self._floor is None or not applied.covers(self._floor):
            return None
        index = self._first_due(applied)
        if index == len(self._entries):
            return 0
        return self._total - (self._entries[index - 1].total if index else self._forgotten)

    def _first_due(self, applied: Position) -> int:
        return bisect_left(self._entries, True, key=lambda e: not applied.covers(e.commit))

    def _comparable(self, position: Position) -> bool:
        """Of one log? A follower's set of ids may hold some that it gave out itself."""
        latest = self._samples[-1].position
        return latest.covers(position) or transactions_between(latest, position) is not None

    def _leader_stale(self, now: float) -> str:
        if not self._samples:
            return "the leader was not asked yet"
        return self._stale(self._samples[-1].at, now, "the leader has not answered")

    def _stale(self, at: float, now: float, what: str) -> str:
        return f"{what} for {now - at:.0f} s" if now - at > self._fresh else ""

    def _forget_transactions(self) -> None:
        self._entries.clear()
        self._floor = self._through = None
        self._forgotten = self._total

    def _prune(self) -> None:
        """Forget what every follower has applied; if that is not enough, merge pairs of the older half."""
        positions: Mapping[str, Position] = {
            n: s.position for n, s in self._followers.items() if s.position is not None
        }
        done = min((self._first_due(position) for position in positions.values()), default=0)
        if done:
            self._forgotten, self._floor = self._entries[done - 1].total, self._entries[done - 1].commit
            del self._entries[:done]
        if len(self._entries) > self._kept_max // 2:
            half = len(self._entries) // 2
            pairs = zip(self._entries[0:half:2], self._entries[1:half:2], strict=False)
            merged = [
                replace(second, committed_at=first.committed_at, received_at=first.received_at)
                for first, second in pairs
            ]
            self._entries[: 2 * len(merged)] = merged


def _said(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
