"""Open drift of one follower, page by page: all of it once, then what was found since, anew or again.

A page goes on behind the one before whatever became of that one, so nothing that stays open (a refusal, for example)
can stand in the way of what comes behind it. What has been swept and not been found since is not read again: while
nothing is found, a page costs one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from verifier.journal import DriftJournal, OpenDrift

PAGE_DRIFTS = 2_000
"""A page a second is what a repair service takes: so many rows are read on each server at most, and fewer where the
findings are large together."""


@dataclass(slots=True)
class DriftSweep:
    """`page`, and once it has been dealt with `done`: without that the same page comes again."""

    drifts: DriftJournal
    follower: str
    size: int = PAGE_DRIFTS
    _swept: int | None = None
    """What was found up to this number has been dealt with; None: nothing has."""
    _began: int | None = None
    """The number at which the sweep under way began; None: none is."""
    _after: OpenDrift | None = None

    @property
    def under_way(self) -> bool:
        """There may be more than the pages that have been dealt with, of what had been found when the sweep began."""
        return self._began is not None

    def page(self) -> Sequence[OpenDrift]:
        """The next one; empty if nothing was found since the last sweep began."""
        if self._began is None:
            latest = self.drifts.findings()
            if latest == self._swept:
                return ()
            # What is found from now on has a larger number, and is left to the next sweep if it lies behind us.
            self._began, self._after = latest, None
        found = self.drifts.found_since(self.follower, self._swept, after=self._after, limit=self.size)
        if not found:
            self._end()
        return found

    def done(self, page: Sequence[OpenDrift]) -> None:
        """The page has been dealt with."""
        if page and (len(page) == self.size or self._more(page[-1])):
            self._after = page[-1]
        elif page:
            self._end()

    def _more(self, last: OpenDrift) -> bool:
        """A page is also short where drifts are large."""
        return bool(self.drifts.found_since(self.follower, self._swept, after=last, limit=1))

    def _end(self) -> None:
        self._swept, self._began, self._after = self._began, None, None
