"""What an audit of what was touched says of itself, and when it looks at everything."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.journal.opening import Journal, open_journal
from connectors.memory.clock import VirtualClock
from dashboards.report.html import page as html_page
from trueup.audit.render import render
from trueup.audit.report import Tally, how_compared, report, table_entry
from trueup.audit.since import Since, Source
from verifier.compare import comparison
from verifier.drift import Verdict
from verifier.errors import Misconfigured
from verifier.journal import Run, StreamState
from verifier.marks import LEADER
from verifier.position import Tick
from verifier.table import Column, Family, Table, TableName

T = TableName("public", "t")
TABLE = Table(T, (Column("id", Family.INTEGER, "bigint", False),), ("id",))
COMPARED = comparison(TABLE, TABLE)
SERVER = {"name": "leader", "engine": "postgresql", "server_version": "15", "role": "leader"}


def whole(**changed: Any) -> dict[str, Any]:
    entry = table_entry(T, "eu", Tally(), scheme="native", how=how_compared(COMPARED)) | changed
    follower = {**SERVER, "name": "eu", "role": "standby"}
    return report("base", started_at=0.0, finished_at=1.0, leader=SERVER, followers=[follower], tables=[entry])


class Setting:
    """A finished run with a baseline, and a journal that holds the leader's log up to 10."""

    def __init__(self, folder: Path) -> None:
        self.journal: Journal = open_journal(folder / "journal.db", "shop")
        self.clock = VirtualClock()
        self.told: Mapping[TableName, str] = {T: "made of this"}
        self.written = Tick(10)
        self.followed: Mapping[str, tuple[str, ...] | str] = {"eu": (LEADER,)}
        self.advance(10)
        self.journal.runs.begin(Run("base", "audit", 0.0, "{}"))
        self.journal.marks.note("base", {LEADER: self.told})

    def advance(self, through: int, *keys: int) -> None:
        touched = {(T, (key,)): Tick(through) for key in keys}
        state = StreamState({"records": through}, Tick(through))
        self.journal.stream.advance(state, touched, [], followers=["eu"], at=1.0)

    def since(self, told: dict[str, Any] | None = None, *, same: bool = True) -> Since:
        text = json.dumps(whole() if told is None else told)
        self.journal.runs.finish("base", at=1.0, verdict=Verdict.MATCH, report=text)
        run = self.journal.runs.find("base")
        assert run is not None
        sources = {LEADER: Source(lambda: (self.written,), lambda: self.told)}
        made = Since(run, self.journal.marks, sources, self.followed, self.clock)
        made.begin(lambda settings: same)
        return made


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    made = Setting(tmp_path)
    yield made
    made.journal.close()


def test_only_what_was_touched_is_looked_at_where_all_is_known(setting: Setting) -> None:
    setting.advance(10, 7)
    since = setting.since()
    assert since.problem_of(COMPARED, "eu") is None
    assert since.keys(T, "eu")("") == ["[7]"]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"verdict": "unverified"}, "did not verify"),
        ({"reason": "a column is missing"}, "did not verify"),
        ({"chunks": {"total": 2, "match": 1, "drift": 0, "in_flight": 1, "unverified": 0}}, "did not verify"),
        ({"key": ["other"]}, "did not verify"),
        ({"follower": "us"}, "did not look at it"),
    ],
)
def test_a_table_that_the_run_left_in_doubt_is_looked_at_as_a_whole(
    setting: Setting, changed: dict[str, Any], why: str
) -> None:
    assert why in (setting.since(whole(**changed)).problem_of(COMPARED, "eu") or "")


def test_a_table_is_looked_at_as_a_whole_if_its_changes_may_have_gone_untold(setting: Setting) -> None:
    setting.told = {T: "made of something else"}
    assert "altered" in (setting.since().problem_of(COMPARED, "eu") or "")
    setting.told = {}
    assert "does not tell of it" in (setting.since().problem_of(COMPARED, "eu") or "")


def test_other_servers_or_an_unfollowed_follower_mean_a_whole_look(setting: Setting) -> None:
    assert "other tables, columns or servers" in (setting.since(same=False).problem_of(COMPARED, "eu") or "")
    setting.followed = {"eu": "it can be written to"}
    assert setting.since().problem_of(COMPARED, "eu") == "it can be written to"


def test_a_journal_that_stays_behind_the_log_is_not_waited_for_for_ever(setting: Setting) -> None:
    setting.written = Tick(11)
    began = setting.clock.now()
    assert "was read through tick:10 only" in (setting.since().problem_of(COMPARED, "eu") or "")
    assert 5.0 <= setting.clock.now() - began < 6.0


def test_what_cannot_be_gone_on_from_is_refused(setting: Setting) -> None:
    with pytest.raises(Misconfigured, match="held a backup"):
        setting.since(whole() | {"restore": {}})
    run = replace(Run("open", "audit", 0.0, "{}"))
    with pytest.raises(Misconfigured, match="no finished audit"):
        Since(run, setting.journal.marks, {}, {}, setting.clock).begin(lambda settings: True)


def test_the_report_says_what_was_looked_at_and_what_was_not_seen(setting: Setting) -> None:
    since = setting.since()
    since.tell(T, "eu", {"keys": 3, "why": None})
    told = since.close(whole())
    assert told["since"]["tables"] == {"touched": 1, "whole": 0}
    out = io.StringIO()
    render(told, out)
    assert "since run base: only touched keys (3) of 1 table were looked at" in out.getvalue()
    assert "not seen: damage that no log recorded" in out.getvalue()
    page = html_page(told)
    assert "only what was touched since run base was looked at: 3 keys" in page
    assert "damage that no log recorded" in page
    since.tell(T, "eu", {"keys": None, "why": "a gap"})
    told = since.close(whole())
    assert told["tables"][0]["remarks"] == ["looked at as a whole: a gap"]
    assert told["since"]["cannot_see"] == []
