"""Check the invariants, each at its own interval, and announce what is violated."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.events import Announcer, violation_event
from reconciler.ports import Outbox
from verifier.check import Checker
from verifier.invariant import Finding, Standing

logger = logging.getLogger("trueup.check")

_RIPENING_SECONDS = 0.5


@dataclass(slots=True)
class Scheduled:
    """One invariant and how often it is checked, in seconds."""

    checker: Checker
    every_seconds: float
    due_at: float = 0.0


@dataclass(slots=True)
class CheckService:
    """All invariants of a group. `findings` holds the latest of each, but for one that is not decided yet; `since` when
    a violation began, `answered_at` when the invariant was last judged."""

    scheduled: Mapping[str, Scheduled]
    announcer: Announcer
    outbox: Outbox
    checked: Callable[[Finding], None] = lambda finding: None
    paused: Callable[[], bool] = lambda: False
    findings: dict[str, Finding] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    answered_at: dict[str, float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    """Invariants whose violation is in the outbox."""

    @property
    def name(self) -> str:
        return "check"

    def tick(self, now: float) -> float:
        """Check what is due. What cannot be checked is `unverified`, with its reason; nothing is raised for it."""
        if self.paused():
            for one in self.scheduled.values():
                one.checker.interrupted()
            return 0.5
        for name, one in self.scheduled.items():
            if one.due_at > now:
                continue
            finding = one.checker.check()
            ripening = one.checker.ripening
            soon = min(max(_RIPENING_SECONDS, one.checker.again_seconds), one.every_seconds)
            one.due_at = now + (soon if ripening else one.every_seconds)
            undecided = ripening and finding.standing is Standing.UNVERIFIED
            if not undecided or name not in self.findings:
                self._take(name, finding, told=not undecided)
        return max(0.05, min((one.due_at for one in self.scheduled.values()), default=now + 5.0) - now)

    def _take(self, name: str, finding: Finding, *, told: bool) -> None:
        before = self.findings.get(name)
        self.findings[name] = finding
        self.checked(finding)
        if finding.standing is not Standing.UNVERIFIED:
            self.answered_at[name] = finding.at
        if finding.standing is Standing.VIOLATED:
            began = self.since.setdefault(name, finding.at)
            if before is None or before.standing is not Standing.VIOLATED:
                logger.warning(
                    "invariant violated",
                    extra={"action": "invariant_violated", "invariant": name, "violations": finding.violations},
                )
            if name not in self._told:  # also where the journal could not be written at the look that found it
                self.outbox.add([violation_event(self.announcer, finding, since=began, now=finding.at)])
                self._told.add(name)
        elif finding.standing is Standing.HOLDS:
            self._told.discard(name)
            if self.since.pop(name, None) is not None:
                logger.info("invariant holds again", extra={"action": "invariant_holds", "invariant": name})
        elif told and (before is None or before.reason != finding.reason):
            logger.warning(
                "invariant not verified",
                extra={"action": "invariant_unverified", "invariant": name, "why": finding.reason},
            )
