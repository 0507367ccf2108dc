"""The journal fails: what was found is written once it can be, or the audit ends and says so."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from fixtures.journal_samples import ORDERS, a_chunk, a_drift

from connectors.journal.opening import open_journal
from connectors.memory.clock import VirtualClock
from trueup.audit.keeping import JournalLost, PatientJournal
from trueup.audit.progress import Silent
from verifier.errors import Forbidden, Permanent, Temporary
from verifier.journal import Run


@dataclass
class Failing:
    """A journal whose first steps fail, before or after they did their work."""

    inner: Any
    errors: list[Exception]
    after: bool = False
    tries: int = field(default=0)

    def checkpoint(self, *words: Any) -> None:
        self.tries += 1
        if self.errors:
            if self.after:
                self.inner.checkpoint(*words)
            raise self.errors.pop(0)
        self.inner.checkpoint(*words)


def patient(journal: Any, clock: VirtualClock, **more: Any) -> PatientJournal:
    return PatientJournal(journal, clock, Silent(), **more)


@pytest.mark.parametrize("after", [False, True])
def test_a_moments_trouble_loses_and_doubles_nothing(tmp_path: Any, after: bool) -> None:
    book = open_journal(tmp_path / "j.db", "shop")
    book.runs.begin(Run("r", "audit", 1.0, "s"))
    failing = Failing(book.runs, [Temporary("the disk is full")] * 5, after)
    patient(failing, VirtualClock()).checkpoint("r", [a_chunk(0)], [a_drift()])
    assert failing.tries == 6
    assert len(book.runs.results("r", ORDERS)) == 1
    assert sum(book.runs.drift_counts("r", ORDERS).values()) == 1
    book.close()


def test_trouble_that_stays_ends_the_audit_and_is_no_tables_matter() -> None:
    clock = VirtualClock()
    began = clock.now()
    failing = Failing(None, [Temporary("journal j.db: the disk is full: free some space")] * 1000)
    with pytest.raises(
        JournalLost, match=r"the disk is full: free some space; .* what it had recorded is kept"
    ) as lost:
        patient(failing, clock).checkpoint("r", [], [])
    assert not isinstance(lost.value, Temporary | Permanent)
    assert 60 <= clock.now() - began <= 62


def test_who_wants_to_stop_does_not_wait() -> None:
    clock = VirtualClock()
    began = clock.now()
    with pytest.raises(JournalLost):
        patient(Failing(None, [Temporary("busy")] * 9), clock, stop=lambda: True).checkpoint("r", [], [])
    assert clock.now() == began


def test_what_no_waiting_mends_is_told_at_once() -> None:
    failing = Failing(None, [Forbidden("it cannot be written")])
    with pytest.raises(JournalLost, match="it cannot be written"):
        patient(failing, VirtualClock()).checkpoint("r", [], [])
    assert failing.tries == 1
