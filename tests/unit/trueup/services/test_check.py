"""The check service: when each invariant is due, what counts as its finding, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.events import Announcer
from reconciler.ports import Event
from trueup.services.check import CheckService, Scheduled
from verifier.errors import Temporary
from verifier.invariant import Finding, Standing

HOLDS, VIOLATED, UNVERIFIED = Standing.HOLDS, Standing.VIOLATED, Standing.UNVERIFIED


@dataclass
class Script:
    """A checker that finds what the script says: a standing, and whether something is left open."""

    found: list[tuple[Standing, bool]]
    ripening: bool = False
    at: float = 0.0
    interrupts: int = 0
    again_seconds: float = 0.05

    def check(self) -> Finding:
        standing, self.ripening = self.found.pop(0)
        return Finding("books", standing, self.at, reason="why" if standing is UNVERIFIED else None)

    def interrupted(self) -> None:
        self.interrupts += 1


@dataclass
class Outbox:
    events: list[Event] = field(default_factory=list)
    full: bool = False

    def add(self, events: Sequence[Event]) -> None:
        if self.full:
            raise Temporary("disk full")
        self.events.extend(events)


def service(*found: tuple[Standing, bool]) -> tuple[CheckService, Script, Outbox]:
    script, outbox = Script(list(found)), Outbox()
    untyped: Any = script
    untyped_outbox: Any = outbox
    made = CheckService({"books": Scheduled(untyped, 60.0)}, Announcer("one", "shop"), untyped_outbox)
    return made, script, outbox


def ticks(made: CheckService, script: Script, *times: float) -> list[float]:
    """How long each tick says to wait."""
    waits = []
    for now in times:
        script.at = now
        waits.append(made.tick(now))
    return waits


def test_what_is_open_is_looked_at_again_soon_and_the_rest_in_its_time() -> None:
    made, script, _ = service((UNVERIFIED, True), (VIOLATED, True), (VIOLATED, False), (HOLDS, False))
    assert ticks(made, script, 0.0, 0.5, 1.0, 61.0) == [0.5, 0.5, 60.0, 60.0]
    assert script.found == []


def test_a_long_grace_is_not_spent_looking() -> None:
    made, script, _ = service((UNVERIFIED, True), (UNVERIFIED, True))
    script.again_seconds = 12.0
    assert ticks(made, script, 0.0) == [12.0]
    made.scheduled["books"].every_seconds = 5.0
    assert ticks(made, script, 12.0) == [5.0]


def test_a_look_that_decides_nothing_leaves_the_last_finding_and_tells_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    made, script, outbox = service((UNVERIFIED, True), (HOLDS, False), (UNVERIFIED, True), (UNVERIFIED, False))
    with caplog.at_level(logging.INFO, "trueup.check"):
        ticks(made, script, 0.0)
        assert made.findings["books"].standing is UNVERIFIED
        ticks(made, script, 0.5, 60.5)
        assert (made.findings["books"].standing, made.answered_at) == (HOLDS, {"books": 0.5})
        assert caplog.records == []
        ticks(made, script, 61.0)
    assert (made.findings["books"].standing, made.answered_at) == (UNVERIFIED, {"books": 0.5})
    assert [record.getMessage() for record in caplog.records] == ["invariant not verified"]
    assert outbox.events == []


def test_a_violation_is_told_once_and_its_end() -> None:
    made, script, outbox = service((VIOLATED, False), (UNVERIFIED, False), (VIOLATED, False), (HOLDS, False))
    ticks(made, script, 0.0, 60.0)
    assert made.since == {"books": 0.0}
    ticks(made, script, 120.0)
    assert len({event.id for event in outbox.events}) == 1
    ticks(made, script, 180.0)
    assert made.since == {}


def test_a_violation_is_told_once_the_journal_can_be_written_again() -> None:
    made, script, outbox = service((VIOLATED, False), (VIOLATED, False), (VIOLATED, False))
    outbox.full = True
    with pytest.raises(Temporary, match="disk full"):
        ticks(made, script, 0.0)
    assert made.findings["books"].standing is VIOLATED, "who asks is told all the same"
    outbox.full = False
    ticks(made, script, 60.0, 120.0)
    assert len(outbox.events) == 1
    assert made.since == {"books": 0.0}, "it began when it was found first"


def test_while_it_is_paused_nothing_grows_old() -> None:
    made, script, _ = service((UNVERIFIED, True))
    made.paused = lambda: True
    assert ticks(made, script, 0.0) == [0.5]
    assert (script.interrupts, made.findings, len(script.found)) == (1, {}, 1)
