"""When was a follower's row version written, in the leader's log? For followers whose versions carry a local id.

A sample asks a follower what it has applied and which transaction id it will give out next, and then the leader how
far its log is written. A version with a lower id was begun before, so it holds nothing that the leader wrote later; one
with that id or a higher one was begun afterwards, when all that had been applied was there. (PostgreSQL: `xmin`.)
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from verifier.position import Position
from verifier.view import widen


@dataclass(frozen=True, slots=True)
class Sample:
    """Everything at or below `applied` was applied before the follower's next id was `mark`; nothing beyond `written`
    was in the leader's log then."""

    mark: int
    applied: Position
    written: Position


@dataclass(frozen=True, slots=True)
class Dated:
    """A version was begun when everything through `after` had been applied, and holds nothing beyond `before`. None:
    not known."""

    after: Position | None = None
    before: Position | None = None


class Samples:
    """The samples of one follower, oldest first. Memory is bounded: beyond `kept_max` every other one of the older half
    is forgotten, which only makes dates wider. Not for several threads."""

    def __init__(self, kept_max: int = 2048) -> None:
        self._kept_max = kept_max
        self._samples: list[Sample] = []

    def add(self, sample: Sample) -> None:
        """A sample that goes back (another server, a restored one) makes all earlier ones void."""
        if self._samples:
            last = self._samples[-1]
            if sample.mark < last.mark or not sample.applied.covers(last.applied):
                self._samples.clear()
            elif sample.mark == last.mark:  # no transaction began in between: both hold for one and the same moment
                self._samples[-1] = Sample(last.mark, sample.applied, last.written)
                return
        self._samples.append(sample)
        if len(self._samples) > self._kept_max:
            half = self._kept_max // 2
            self._samples = self._samples[0:half:2] + self._samples[half:]

    @property
    def latest(self) -> Sample | None:
        return self._samples[-1] if self._samples else None

    def dated(self, id_: int) -> Dated:
        """The version that the transaction of this id (32 bits are enough) wrote. One that is as young as the latest
        sample, or seems so because its id is from before the ids went round, is not dated."""
        if not self._samples:
            return Dated()
        full = widen(id_, near=self._samples[-1].mark)
        place = bisect_right(self._samples, full, key=lambda sample: sample.mark)
        if place == len(self._samples):
            return Dated()
        return Dated(self._samples[place - 1].applied if place else None, self._samples[place].written)
