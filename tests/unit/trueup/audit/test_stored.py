"""Reports out of the journal, also of runs that did not come to their end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fixtures.audit_program import valid
from fixtures.journal_samples import ITEMS, ORDERS, a_chunk, a_drift
from fixtures.reports import entry, report

from connectors.journal.findings import Findings, Wanted
from connectors.journal.opening import Journal, open_journal
from dashboards.report.html import page
from trueup.audit.junit import junit
from trueup.audit.stored import named, stored, wanted
from verifier.drift import Kind, Verdict
from verifier.errors import Misconfigured
from verifier.journal import Run


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    found = open_journal(tmp_path / "journal.db", "shop")
    yield found
    found.close()


def test_a_finished_run_is_told_as_it_was(journal: Journal) -> None:
    told = report("match", [entry("s.t", "f", "match")])
    journal.runs.begin(Run("r1", "audit", 1.0, "{}"))
    journal.runs.finish("r1", at=2.0, verdict=Verdict.MATCH, report=json.dumps(told))
    assert stored(named("r1", journal.runs), journal.runs, Findings(journal.store)) == told


def test_an_unfinished_run_is_told_as_far_as_it_came(journal: Journal) -> None:
    journal.runs.begin(Run("r1", "audit", 1.0, "{}"))
    doubtful = a_chunk(1, verdict=Verdict.UNVERIFIED, reason="not settled yet", unsettled=1)
    journal.runs.checkpoint("r1", [a_chunk(0), doubtful, a_chunk(0, follower="us")], [a_drift((7,))])
    journal.runs.finish_table("r1", ITEMS, json.dumps([entry(str(ITEMS), "eu", "match")]))
    told = valid(stored(named("r1", journal.runs), journal.runs, Findings(journal.store)))
    assert (told["verdict"], told["finished_at"]) == ("drift", None)
    found = {(one["table"], one["follower"]): (one["verdict"], one["chunks"]["total"]) for one in told["tables"]}
    assert found == {
        (str(ORDERS), "eu"): ("drift", 2), (str(ORDERS), "us"): ("unverified", 1), (str(ITEMS), "eu"): ("match", 1),
    }  # fmt: skip
    assert "This run did not come to its end" in page(told)
    assert int(ElementTree.fromstring(junit(told)).get("errors", "0")) == 2


def test_an_unfinished_run_without_drift_is_no_match(journal: Journal) -> None:
    journal.runs.begin(Run("r1", "audit", 1.0, "{}"))
    journal.runs.finish_table("r1", ITEMS, json.dumps([entry(str(ITEMS), "eu", "match")]))
    assert stored(named("r1", journal.runs), journal.runs, Findings(journal.store))["verdict"] == "unverified"


def test_runs_are_named_by_their_beginning(journal: Journal) -> None:
    run = Run("abc123", "audit", 1.0, "{}")
    for one in (run, replace(run, id="abd456")):
        journal.runs.begin(one)
    assert named("abc", journal.runs).id == "abc123"
    for beginning, said in (("ab", "several runs begin with"), ("x", "no run"), ("", "no run")):
        with pytest.raises(Misconfigured, match=said):
            named(beginning, journal.runs)


def test_a_choice_is_read_as_it_is_typed() -> None:
    assert wanted(None, None, None) == Wanted()
    assert wanted("public.orders", "eu", "extra") == Wanted(ORDERS, "eu", Kind.EXTRA)
    with pytest.raises(Misconfigured, match="must be one of missing, extra, mismatched"):
        wanted(None, None, "other")
