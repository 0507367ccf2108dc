"""Why a drift came about is kept with it, on both engines."""

from __future__ import annotations

from dataclasses import replace

from fixtures.journal_samples import a_drift

from connectors.journal.opening import Journal
from verifier.change import Operation
from verifier.drift import Difference, DriftCause
from verifier.gtid import Binlog, DomainGtids, Logged
from verifier.journal import Attribution, Run
from verifier.position import Lsn
from verifier.trace import Recalled, Traced

FOUND = a_drift((1,), at=10.0)
LOST = Attribution(DriftCause.LOST, "lsn:0/20", 10.0, Recalled())


def _known(journal: Journal) -> tuple[DriftCause | None, str | None]:
    known = journal.drifts.find(FOUND.id)
    assert known is not None
    return known.drift.cause, known.drift.since


def test_a_cause_is_noted_and_read_back(journal: Journal) -> None:
    journal.drifts.record([FOUND])
    assert _known(journal) == (None, None)
    assert set(journal.drifts.attribute({FOUND.id: LOST, "0" * 32: LOST})) == {FOUND.id}
    assert _known(journal) == (DriftCause.LOST, "lsn:0/20")
    assert [one.drift.cause for one in journal.drifts.open()] == [DriftCause.LOST]


def test_the_changes_behind_a_cause_are_kept_with_it(journal: Journal) -> None:
    row = {"id": "1", "amount": None, "note": "a\x00\u00fc"}
    changes = (
        Traced(Lsn(16), Operation.INSERT, row, None, 5.5, None, "77"),
        Traced(Logged(DomainGtids.parse("0-1-9"), Binlog("b.000001", 7)), Operation.DELETE),
    )
    journal.drifts.record([FOUND])
    assert journal.drifts.history(FOUND.id) is None
    journal.drifts.attribute({FOUND.id: replace(LOST, history=Recalled(changes, Lsn(8)))})
    assert journal.drifts.history(FOUND.id) == Recalled(changes, Lsn(8))
    journal.drifts.record([a_drift((1,), at=11.0)])
    assert journal.drifts.history(FOUND.id) == Recalled(changes, Lsn(8))
    journal.drifts.record([a_drift((1,), at=12.0, columns={"amount": Difference("1.00", "7.00")})])
    assert journal.drifts.history(FOUND.id) is None


def test_the_same_difference_found_again_keeps_its_cause_and_another_one_loses_it(journal: Journal) -> None:
    journal.drifts.record([FOUND])
    journal.drifts.attribute({FOUND.id: LOST})
    journal.drifts.record([a_drift((1,), at=11.0)])
    assert _known(journal) == (DriftCause.LOST, "lsn:0/20")
    journal.drifts.record([a_drift((1,), at=12.0, columns={"amount": Difference("1.00", "7.00")})])
    assert _known(journal) == (None, None)


def test_what_was_found_anew_or_cleared_meanwhile_is_left_alone(journal: Journal) -> None:
    journal.drifts.record([FOUND])
    journal.drifts.record([a_drift((1,), at=12.0, columns={"amount": Difference("1.00", "7.00")})])
    assert not journal.drifts.attribute({FOUND.id: LOST})
    assert _known(journal) == (None, None)
    journal.drifts.clear("eu", FOUND.table, [FOUND.key], 13.0)
    assert not journal.drifts.attribute({FOUND.id: Attribution(DriftCause.LOST, None, 14.0, Recalled())})


def test_a_drift_of_a_run_carries_its_cause(journal: Journal) -> None:
    journal.runs.begin(Run("r1", "audit", 1.0, "{}"))
    journal.runs.checkpoint("r1", [], [a_drift((1,), cause=DriftCause.ROGUE, since=None)])
    (found,) = journal.runs.drifts("r1", FOUND.table, 10)
    assert (found.cause, found.since) == (DriftCause.ROGUE, None)
    assert _known(journal) == (DriftCause.ROGUE, None)
    journal.runs.checkpoint("r1", [], [a_drift((1,), cause=DriftCause.LOST, since="lsn:0/20")])
    (found,) = journal.runs.drifts("r1", FOUND.table, 10)
    assert (found.cause, found.since) == (DriftCause.LOST, "lsn:0/20")
