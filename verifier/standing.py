"""Whether rows of a leader without row versions stood still between two of its looks: its change stream knows.

This is the visibility rule (DESIGN 3.1), asked of two looks at one server. For a key outside the set in flight between
them both looks showed exactly the same transactions, so the row was the same at the first, at the second, and at every
moment in between, since a transaction that ended in between is one that the second look shows and the first does not.
That is what the bracketed rule asks of a row version, so what differs within a bracket around the follower's look is
drift.

Only for looks that tell by positions what they surely show (MariaDB, MySQL). Elsewhere a look's position is no bound of
what it shows, and rows have versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from verifier.bracket import Bracket, Finding, Outcome
from verifier.drift import Certainty, Evidence, Method
from verifier.look import Look, Publishes
from verifier.position import Position
from verifier.table import Key, TableName
from verifier.view import Shown
from verifier.window import InFlight


class Kept(Protocol):
    """Of the owner of the transaction window (`verifier.seeing.Sight`), what is asked here."""

    def in_flight(
        self, table: TableName, leader: Look[Any], follower: Look[Any], publishes: Publishes, *, barrier: Position
    ) -> InFlight: ...
    def read_through(self) -> Position | None: ...
    def tells(self, table: TableName) -> bool: ...
    def opened(self, leader: Look[Any], follower: Look[Any], name: str) -> int: ...
    def closed(self, ticket: int) -> None: ...


class Written(Protocol):
    """The leader itself, not as a watermark answers for it: barriers are positions in its log."""

    def position(self) -> Position: ...


@dataclass(slots=True)
class Witness:
    """For one bracket after the other over rows of `table`: `began` with each first leader look, then `testify` until
    it answers. A stream that has not come far enough after `patience_seconds` says nothing."""

    table: TableName
    leader: Written
    sight: Kept
    patience_seconds: float = 10.0
    _ticket: int | None = None
    _barrier: Position | None = None
    _since: float = 0.0

    def began(self, first: Look[Any]) -> None:
        """Keep what this look needs to be judged."""
        self.ended()
        if isinstance(first.view, Shown):
            self._ticket = self.sight.opened(first, first, "")

    def testify(self, bracket: Bracket, findings: Mapping[Key, Finding], now: float) -> Mapping[Key, Finding] | None:
        """The findings of a bracket that is done, those proven that the stream can prove. None: ask again."""
        steady = [key for key, finding in findings.items() if finding.outcome is Outcome.STEADY]
        first, second = bracket.r1, bracket.r2
        if not steady or first is None or second is None or self._ticket is None or not _tells(first, second):
            self.ended()
            return findings
        if self._barrier is None:
            self._barrier, self._since = self.leader.position(), now
        flight = self.sight.in_flight(self.table, first, second, Publishes.TOGETHER, barrier=self._barrier)
        if not flight.ready and now - self._since < self.patience_seconds:
            return None
        through = self.sight.read_through()
        self.ended()
        if not flight.judgeable or through is None or not self.sight.tells(self.table):
            return findings
        still = {key: _proven(findings[key], through) for key in steady if key not in flight.keys}
        return {**findings, **still}

    def ended(self) -> None:
        """Nothing needs to be kept any more."""
        if self._ticket is not None:
            self.sight.closed(self._ticket)
        self._ticket = self._barrier = None


def _tells(first: Look[Any], second: Look[Any]) -> bool:
    """Do both looks tell by a position what they surely show?"""
    return isinstance(first.view, Shown) and isinstance(second.view, Shown) and second.view.through == second.low


def _proven(finding: Finding, through: Position) -> Finding:
    positions = dict(finding.evidence.positions) if finding.evidence is not None else {}
    evidence = Evidence(Certainty.PROVEN, Method.BRACKETED, {**positions, "stream": through.text()})
    return replace(finding, outcome=Outcome.DRIFT, evidence=evidence)
