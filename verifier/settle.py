"""The waiting room of suspects: looked at again, with growing bounded waits, until a rule of evidence speaks.

Keys are admitted with a tag (a chunk's index, a touched key's generation: whatever the caller must know when they
leave). A key leaves as equal, as drift, or, when it has been in flight for too long, as unsettled with the last
reason. The room holds suspects of one table on one follower and runs one batch at a time.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Generic, TypeVar

from verifier.errors import Temporary
from verifier.outcome import Again, Judging, Moving, Outcome
from verifier.policy import SettlePolicy
from verifier.table import Key

Tag = TypeVar("Tag")


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


@dataclass(slots=True)
class Room(Generic[Tag]):
    """Suspects of one table on one follower. `judge` starts an attempt at a batch of keys."""

    judge: Callable[[list[Key]], Judging]
    policy: SettlePolicy
    _waiting: dict[Key, _Waiting[Tag]] = field(default_factory=dict)
    _due: list[tuple[float, int, Key]] = field(default_factory=list)
    _attempt: tuple[Judging, list[Key]] | None = None
    _attempt_due: float = 0.0
    _attempt_began: float = 0.0
    _ticket: Iterator[int] = field(default_factory=count)

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

    def next_due(self) -> float | None:
        """When `advance` will have something to do; None if the room is empty."""
        if self._attempt is not None:
            return self._attempt_due
        return self._due[0][0] if self._due else None

    def advance(self, now: float) -> list[Leaving[Tag]]:
        """Do what is due; returns the keys that leave. A Temporary error postpones the batch and is not raised: its
        text is the reason of whoever runs out of time by it."""
        if self._attempt is None:
            keys = self._take_due(now)
            if not keys:
                return []
            try:
                self._attempt, self._attempt_began = (self.judge(keys), keys), now
            except Temporary as problem:
                return self._close(dict.fromkeys(keys, Moving(str(problem))), now)
            except BaseException:
                for key in keys:  # still here, and still due
                    self._push(now, key)
                raise
        judging, keys = self._attempt
        try:
            answer = judging.advance(now)
        except Temporary as problem:
            self._attempt = None
            return self._close(dict.fromkeys(keys, Moving(str(problem))), now)
        if isinstance(answer, Again):
            self._attempt_due = answer.at
            return []
        self._attempt = None
        return self._close(answer, now)

    def give_up(self, reason: str) -> list[Leaving[Tag]]:
        """Everybody leaves unsettled, now."""
        leaving = [Leaving(key, one.tag, Moving(reason), one.since) for key, one in self._waiting.items()]
        self._waiting.clear()
        self._due.clear()
        self._attempt = None
        return leaving

    def _take_due(self, now: float) -> list[Key]:
        keys: list[Key] = []
        while self._due and self._due[0][0] <= now and len(keys) < self.policy.batch_keys:
            _, _, key = heapq.heappop(self._due)
            if key in self._waiting:
                keys.append(key)
        return keys

    def _close(self, outcomes: Mapping[Key, Outcome], now: float) -> list[Leaving[Tag]]:
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
            leaving.append(Leaving(key, waiting.tag, outcome, self._attempt_began))
        return leaving

    def _push(self, at: float, key: Key) -> None:
        heapq.heappush(self._due, (at, next(self._ticket), key))
