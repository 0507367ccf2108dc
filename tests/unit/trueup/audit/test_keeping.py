"""The journal fails: what was found is written once it can be, or the audit ends and says so."""

from __future__ import annotations

from collections.abc import Iterator
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


@dataclass
class Counting:
    """How many steps were written, and what a process that is killed now would leave."""

    inner: Any
    writes: int = 0

    def checkpoint(self, *words: Any) -> None:
        self.writes += 1
        self.inner.checkpoint(*words)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.fixture
def book(tmp_path: Any) -> Iterator[Any]:
    journal = open_journal(tmp_path / "j.db", "shop")
    yield journal
    journal.close()


def test_steps_that_follow_quickly_are_written_together_and_in_order(book: Any) -> None:
    counting, clock = Counting(book.runs), VirtualClock()
    keeper = patient(counting, clock)
    keeper.begin(Run("r", "audit", 1.0, "s"))
    keeper.checkpoint("r", [a_chunk(0)], [])
    for index in range(1, 40):
        keeper.checkpoint("r", [a_chunk(index)], [])
    keeper.finish_table("r", ORDERS, "{}")
    assert (counting.writes, len(book.runs.results("r", ORDERS)), book.runs.finished_tables("r")) == (1, 1, {})
    clock.sleep(0.3)
    keeper.checkpoint("r", [a_chunk(40)], [])
    assert (counting.writes, len(book.runs.results("r", ORDERS))) == (2, 41)
    assert book.runs.finished_tables("r") == {ORDERS: "{}"}
    keeper.checkpoint("r", [a_chunk(41)], [])
    keeper.flush()
    keeper.flush()
    assert (counting.writes, len(book.runs.results("r", ORDERS))) == (3, 42)


def test_drift_is_never_held_back_and_takes_with_it_what_came_before(book: Any) -> None:
    counting = Counting(book.runs)
    keeper = patient(counting, VirtualClock())
    keeper.begin(Run("r", "audit", 1.0, "s"))
    keeper.checkpoint("r", [a_chunk(0)], [])
    keeper.checkpoint("r", [a_chunk(1)], [])
    keeper.checkpoint("r", [a_chunk(2)], [a_drift()])
    assert (counting.writes, len(book.runs.results("r", ORDERS))) == (2, 3)
    assert sum(keeper.drift_counts("r", ORDERS).values()) == 1


def test_what_could_not_be_written_is_written_by_the_next_step_its_drift_included(book: Any) -> None:
    book.runs.begin(Run("r", "audit", 1.0, "s"))
    failing = Failing(book.runs, [Forbidden("it cannot be written")])
    keeper = patient(failing, VirtualClock())
    with pytest.raises(JournalLost):
        keeper.checkpoint("r", [a_chunk(0)], [a_drift()])
    keeper.checkpoint("r", [a_chunk(1)], [])
    assert len(book.runs.results("r", ORDERS)) == 2
    assert sum(book.runs.drift_counts("r", ORDERS).values()) == 1


def test_a_run_that_goes_on_reads_what_it_kept_and_a_new_one_asks_for_nothing(book: Any) -> None:
    keeper = patient(book.runs, VirtualClock())
    keeper.begin(Run("r", "audit", 1.0, "s"))
    assert (keeper.results("r", ORDERS), keeper.drift_counts("r", ORDERS)) == ([], {})
    keeper.checkpoint("r", [a_chunk(0)], [a_drift()])
    keeper.checkpoint("r", [a_chunk(1)], [])
    assert len(keeper.results("r", ORDERS)) == 2
    resumed = patient(book.runs, VirtualClock())
    assert len(resumed.results("r", ORDERS)) == 2
    assert sum(resumed.drift_counts("r", ORDERS).values()) == 1
    resumed.begin(Run("r", "audit", 1.0, "s"))
    assert len(resumed.results("r", ORDERS)) == 2
