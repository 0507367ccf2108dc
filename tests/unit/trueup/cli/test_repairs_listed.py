"""`trueup repairs`: the oldest first, a page at a time, and never silent about those that it does not show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fixtures.journal_samples import a_repair

from connectors.journal.opening import open_journal
from reconciler.repair import State
from trueup.cli.known import repairs
from trueup.cli.output import Listing
from verifier.errors import Misconfigured

COUNT = 1_203


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """More repairs than are shown at once; the last of them is approved."""
    book = open_journal(tmp_path / "journal.db", "shop")
    made = [a_repair((n,)) for n in range(COUNT)]
    book.repairs.record(made, actor="ann", at=1.0)
    assert book.repairs.move(made[-1].id, State.APPROVED, expected=State.PLANNED, actor="ann", at=2.0)
    book.close()
    return str(tmp_path / "journal.db")


def test_pages_join_without_a_gap(journal: str, capsys: pytest.CaptureFixture[str]) -> None:
    keys: list[str] = []
    after: str | None = None
    while True:
        assert repairs(journal=journal, group="shop", how=Listing.JSON, limit=700, after=after) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["total"], told["audit_broken_at"]) == (COUNT, None)
        keys += [one["key"] for one in told["repairs"]]
        after = told["next"]
        if after is None:
            break
    assert keys == [str(n) for n in range(COUNT)]


def test_a_table_says_how_many_it_leaves_out(journal: str, capsys: pytest.CaptureFixture[str]) -> None:
    repairs(journal=journal, group="shop", limit=2)
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 3
    assert told.err == f"2 of 1,203 shown; go on with --after {a_repair((1,)).id}, or give a larger --limit\n"
    repairs(journal=journal, group="shop", limit=2, state=["approved"])
    told = capsys.readouterr()
    assert (len(told.out.splitlines()), told.err) == (2, "")


def test_a_page_behind_nothing_known_is_no_empty_one(journal: str) -> None:
    with pytest.raises(Misconfigured, match="no repair 'nope' to go on behind"):
        repairs(journal=journal, group="shop", after="nope")
