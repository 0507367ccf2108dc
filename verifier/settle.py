"""The waiting room of suspects: looked at again, with growing bounded waits, until a rule of evidence speaks.

Keys are admitted with a tag (a chunk's index, a touched key's generation: whatever the caller must know when they
leave). A key leaves as equal, as drift, or, when it has been in flight for too long, as unsettled with the last
reason. The room holds suspects of one table on one follower. Batches follow each other; where looks must wait for long
before they can be judged, the next batches are looked at meanwhile. Where rows are wide, batches have as few keys as an
answer may hold rows of, and few are looked at meanwhile.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from verifier.errors import Oversized, Temporary
from verifier.outcome import Again, Holding, Judging, Moving, Outcome
from verifier.policy import SettlePolicy
from verifier.table import Key
from verifier.weight import Batch

Tag = TypeVar("Tag")
_ATTEMPTS_MAX = 8
_ATTEMPTS_WIDE = 2
"""Of batches that were made smaller because their rows are wide: each holds as much as an answer may."""
_ASIDE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Leaving(Generic[Tag]):
    """A key leaves the room. An outcome of `Moving` means: given up. The looks that judged it began at `since` (seconds
    since the epoch) or later."""

    key: Key
    tag: Tag
    outcome: Outcome
    since: float


@dataclass(slots=True)
class _Waiting(Generic[Tag]):
    tag: Tag
    since: float
    tries: int = 0


@dataclass(slots=True, eq=False)
class _Attempt:
    """Looks that wait to be judged: for the stream, or for the follower."""

    judging: Judging
    keys: list[Key]
    began: float
    due: float


@dataclass(slots=True)
class Room(Generic[Tag]):
    """Suspects of one table on one follower. `judge` starts an attempt at a batch of keys. Keys that are due later than
    `until` (seconds since the epoch) wait for whoever moves it: so looks come in rounds, and each round takes together
    what the time before it has gathered."""

    judge: Callable[[list[Key]], Judging]
    policy: SettlePolicy
    until: float = math.inf
    _waiting: dict[Key, _Waiting[Tag]] = field(default_factory=dict)
    _due: list[tuple[float, int, Key]] = field(default_factory=list)
    _attempts: list[_Attempt] = field(default_factory=list)
    _ticket: Iterator[int] = field(default_factory=count)
    _batch: Batch = field(init=False)

    def __post_init__(self) -> None:
        self._batch = Batch(self.policy.batch_keys)

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: Key) -> bool:
        return key in self._waiting

    def admit(self, keys: Iterable[Key], tag: Tag, now: float, *, delay: float | None = None) -> None:
        """Take keys in; one that waits already keeps its turn and its tag (it may be under judgement by looks that
        are older than the new tag)."""
        wait = self.policy.wait(0) if delay is None else delay
        for key in keys:
            if key in self._waiting:
                continue
            self._waiting[key] = _Waiting(tag, now)
            self._push(now + wait, key)

    def tries(self, key: Key) -> int:
        """How many looks at the key could not be judged since it came in."""
        waiting = self._waiting.get(key)
        return 0 if waiting is None else waiting.tries

    def next_due(self) -> float | None:
        """When `advance` will have something to do; None if the room is empty, or who is in it waits for a round."""
        dues = [attempt.due for attempt in self._attempts]
        if self._due and self._due[0][0] <= self.until:
            free = self._free_at()
            dues += [] if free is None else [max(self._due[0][0], free)]
        return min(dues, default=None)

    def upcoming(self, now: float) -> list[Key]:
        """The keys of the next batch, as far as they are due now."""
        latest = min(now, self.until)
        due = heapq.nsmallest(self._batch.keys, (one for one in self._due if one[0] <= latest))
        return [key for _, _, key in due if key in self._waiting]

    def advance(self, now: float) -> list[Leaving[Tag]]:
        """Do what is due; returns the keys that leave, of one batch at a time (what is due still: call again, so that
        no other batch's error takes these with it). A Temporary error postpones the batch and is not raised: its text
        is the reason of whoever runs out of time by it."""
        for attempt in [one for one in self._attempts if one.due <= now]:
            if leaving := self._continue(attempt, now):
                return leaving
        return self._begin(now)

    def _begin(self, now: float) -> list[Leaving[Tag]]:
        """Look at those who are due, if another attempt may begin."""
        free = self._free_at()
        keys = [] if free is None or free > now else self._take_due(now)
        if not keys:
            return []
        try:
            attempt = _Attempt(self.judge(keys), keys, now, now)
        except Temporary as problem:
            return self._close(dict.fromkeys(keys, Moving(str(problem))), now, now)
        except BaseException:
            for key in keys:  # still here, and still due
                self._push(now, key)
            raise
        self._attempts.append(attempt)
        return self._continue(attempt, now)

    def _free_at(self) -> float | None:
        """When another attempt may begin (None: not before one ends). At once if there is none; beside others only
        after a moment, so that a stream or a follower that is a little late makes neither many small looks nor a
        queue behind one of them."""
        if not self._attempts:
            return 0.0
        if len(self._attempts) >= (_ATTEMPTS_WIDE if self._batch.smaller else _ATTEMPTS_MAX):
            return None
        return max(attempt.began for attempt in self._attempts) + _ASIDE_SECONDS

    def _continue(self, attempt: _Attempt, now: float) -> list[Leaving[Tag]]:
        try:
            answer = attempt.judging.advance(now)
        except Oversized as problem:
            if self._batch.refused(len(attempt.keys), problem.rows):
                self._part(attempt, now)
                return []
            answer = dict.fromkeys(attempt.keys, Moving(str(problem)))
        except Temporary as problem:
            answer = dict.fromkeys(attempt.keys, Moving(str(problem)))
        if isinstance(answer, Again):
            attempt.due = answer.at
            return []
        self._attempts.remove(attempt)
        self._batch.fitted(len(attempt.keys))
        return self._close(answer, attempt.began, now)

    def _part(self, attempt: _Attempt, now: float) -> None:
        """Its rows were too large together: nobody was judged, and all are due again, fewer at a time."""
        self._attempts.remove(attempt)
        if isinstance(attempt.judging, Holding):
            attempt.judging.abandon()
        for key in attempt.keys:
            self._push(now, key)

    def forgive(self, seconds: float) -> None:
        """Nobody looked for so long: it counts against no key's patience."""
        for waiting in self._waiting.values():
            waiting.since += seconds

    def give_up(self, reason: str) -> list[Leaving[Tag]]:
        """Everybody leaves unsettled, now."""
        leaving = [Leaving(key, one.tag, Moving(reason), one.since) for key, one in self._waiting.items()]
        self._waiting.clear()
        self._due.clear()
        for attempt in self._attempts:
            if isinstance(attempt.judging, Holding):
                attempt.judging.abandon()
        self._attempts.clear()
        return leaving

    def _take_due(self, now: float) -> list[Key]:
        keys: list[Key] = []
        latest = min(now, self.until)
        while self._due and self._due[0][0] <= latest and len(keys) < self._batch.keys:
            _, _, key = heapq.heappop(self._due)
            if key in self._waiting:
                keys.append(key)
        return keys

    def _close(self, outcomes: Mapping[Key, Outcome], began: float, now: float) -> list[Leaving[Tag]]:
        leaving: list[Leaving[Tag]] = []
        for key, outcome in outcomes.items():
            waiting = self._waiting.get(key)
            if waiting is None:
                continue
            waiting.tries += 1
            if isinstance(outcome, Moving) and now - waiting.since < self.policy.give_up_seconds:
                self._push(now + self.policy.wait(waiting.tries), key)
                continue
            del self._waiting[key]
            leaving.append(Leaving(key, waiting.tag, outcome, began))
        return leaving

    def _push(self, at: float, key: Key) -> None:
        heapq.heappush(self._due, (at, next(self._ticket), key))
