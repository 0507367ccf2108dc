"""Findings read back page by page, on both engines."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fixtures.journal_samples import ITEMS, ORDERS, Open, a_drift

from connectors.journal import findings as reading
from connectors.journal.findings import Findings, Wanted
from connectors.journal.opening import Journal
from verifier import weight
from verifier.drift import Difference, Kind, Verdict
from verifier.errors import Misconfigured
from verifier.journal import Run


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE", 3)


@pytest.fixture
def findings(journal: Journal) -> Findings:
    """Ten rows of orders on two followers, one of items; the first run found all, the second one none."""
    journal.runs.begin(Run("r1", "audit", 1.0, "{}"))
    journal.runs.begin(Run("r2", "audit", 2.0, "{}"))
    kinds = (Kind.MISSING, Kind.EXTRA)
    drifts = [a_drift((i,), at=10.0 + i // 4, follower=("eu", "us")[i % 2], kind=kinds[i % 2]) for i in range(10)]
    journal.runs.checkpoint("r1", [], [a_drift((7,), at=30.0, table=ITEMS), *drifts])
    journal.runs.finish_table("r1", ORDERS, "[]")
    journal.runs.finish("r1", at=5.0, verdict=Verdict.DRIFT, report="{}")
    return Findings(journal.store)


def test_runs_in_one_line_each(findings: Findings) -> None:
    newest, oldest = findings.runs(5)
    assert (newest.id, newest.finished_at, newest.verdict, newest.tables, newest.drift) == ("r2", None, None, 0, 0)
    assert (oldest.id, oldest.finished_at, oldest.verdict, oldest.tables, oldest.drift) == (
        "r1", 5.0, Verdict.DRIFT, 1, 11,
    )  # fmt: skip
    assert [one.id for one in findings.runs(1)] == ["r2"]


@pytest.mark.parametrize("limit", [None, 0, 1, 3, 4, 100])
def test_pages_are_one_list(findings: Findings, limit: int | None) -> None:
    whole = [one.drift for one in findings.open(Wanted())]
    assert [(one.found_at, one.id) for one in whole] == sorted((one.found_at, one.id) for one in whole)
    assert len(whole) == findings.count_open(Wanted()) == 11
    assert [one.drift for one in findings.open(Wanted(), limit=limit)] == whole[:limit]
    for place in (0, 2, 10):
        assert [one.drift for one in findings.open(Wanted(), after=whole[place].id)] == whole[place + 1 :]
    found = list(findings.of_run("r1", Wanted()))
    assert [one.key for one in found] == [*((i,) for i in range(10)), (7,)]
    assert [one.id for one in findings.of_run("r1", Wanted(), limit=limit)] == [one.id for one in found][:limit]
    assert list(findings.of_run("r1", Wanted(), after=found[8].id)) == found[9:]
    assert list(findings.of_run("r2", Wanted())) == []


def test_findings_are_chosen(findings: Findings) -> None:
    for wanted, keys in (
        (Wanted(table=ITEMS), [7]),
        (Wanted(table=ORDERS, follower="us"), [1, 3, 5, 7, 9]),
        (Wanted(kind=Kind.MISSING), [0, 2, 4, 6, 8]),
        (Wanted(follower="nobody"), []),
    ):
        assert sorted(one.drift.key[0] for one in findings.open(wanted)) == keys
        assert sorted(one.key[0] for one in findings.of_run("r1", wanted)) == keys
        assert findings.count_open(wanted) == findings.count_of_run("r1", wanted) == len(keys)
    assert findings.places("r1", Wanted()) == [(ORDERS, "eu"), (ORDERS, "us"), (ITEMS, "eu")]
    assert findings.places("r1", Wanted(follower="us")) == [(ORDERS, "us")]


def test_a_drift_is_named_by_the_beginning_of_its_id(findings: Findings) -> None:
    wanted = a_drift((3,), follower="us").id
    assert findings.named(wanted[:12]).id == findings.named(wanted).id == wanted
    for name, said in (("zz", "no drift 'zz'"), ("", "several"), ("%", "no drift '%'")):
        with pytest.raises(Misconfigured, match=said):
            findings.named(name)
    with pytest.raises(Misconfigured, match="no such drift"):
        list(findings.open(Wanted(), after="zz"))


def test_what_closes_between_two_pages_hides_nothing(journal: Journal, findings: Findings) -> None:
    pages = findings.open(Wanted())
    first = [next(pages).drift for _ in range(3)]
    for drift in first:
        journal.drifts.clear(drift.follower, drift.table, [drift.key], at=99.0)
    assert len(list(pages)) == 8


def test_what_was_found_since_a_number_is_told_page_by_page(journal: Journal, opened: Open) -> None:
    """Oldest first, however late it was found again; a look that is overtaken by a later one finds nothing."""
    drifts = journal.drifts
    assert (drifts.findings(), list(drifts.found_since("eu", None))) == (0, [])
    drifts.record([a_drift((n,), at=10.0 + n) for n in range(3)] + [a_drift((9,), follower="us")])
    first = opened().drifts.findings()
    assert first > 0
    page = drifts.found_since("eu", None, limit=2)
    assert [one.drift.key for one in page] == [(0,), (1,)]
    assert [one.drift.key for one in drifts.found_since("eu", None, after=page[-1])] == [(2,)]
    assert (drifts.findings(), list(drifts.found_since("eu", first))) == (first, [])
    drifts.record([a_drift((2,), at=20.0)])
    drifts.record([a_drift((0,), at=21.0), a_drift((1,), at=5.0)])
    assert drifts.findings() > first
    assert [one.drift.key for one in drifts.found_since("eu", first)] == [(0,), (2,)]
    drifts.clear("eu", ORDERS, [(0,)], 22.0)
    assert [one.drift.key for one in drifts.found_since("eu", first)] == [(2,)]
    assert opened("other").drifts.findings() == 0


def test_large_findings_are_read_a_few_at_a_time(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    drifts = journal.drifts
    wide = replace(a_drift((0,)), columns={"note": Difference("x" * 1_000, "y" * 1_000)})
    drifts.record([replace(a_drift((n,), at=10.0 + n), columns=wide.columns) for n in range(7)])
    monkeypatch.setattr(weight, "ROWS_BYTES", 7_000)
    told: list[object] = []
    after = None
    while page := drifts.found_since("eu", None, after=after, limit=5):
        told.append([one.drift.key[0] for one in page])
        after = page[-1]
    assert told == [[0, 1, 2], [3, 4, 5], [6]]
    assert after is not None
    assert after.drift.columns == wide.columns
    monkeypatch.setattr(weight, "ROWS_BYTES", 10)
    assert len(drifts.found_since("eu", None, limit=5)) == 1
