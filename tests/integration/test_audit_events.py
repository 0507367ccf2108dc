"""Drift that an audit finds is told as a daemon tells it: by the configuration's events, once, and by whoever runs."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors.journal.opening import Journal, open_journal
from trueup import exits
from trueup.bootstrap import lease
from trueup.cli.main import outcome
from trueup.clock import SystemClock

CONFIG = """
instance: site
journal: journal.db
groups:
  - name: shop
    leader: {{name: leader, url: "sqlite:///{folder}/a.db"}}
    followers: [{{name: copy, url: "sqlite:///{folder}/b.db"}}]
    tables: {{include: ["*"]}}
    events: {{kind: jsonl, path: {events}}}
"""
ROWS = "create table t (id integer primary key, v text); insert into t values (1, 'a'), (2, 'b'), (3, 'c');"


class Site:
    """Two files, and a configuration that names where events go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("a", "b"):
            self.run(name, ROWS)
        self.configure("events.jsonl")

    def configure(self, events: str) -> None:
        (self.folder / "trueup.yaml").write_text(CONFIG.format(folder=self.folder, events=events))

    def run(self, name: str, sql: str) -> None:
        with closing(sqlite3.connect(self.folder / f"{name}.db")) as connection:
            connection.executescript(sql)

    def trueup(self, command: str, *words: str) -> int:
        config = str(self.folder / "trueup.yaml")
        return outcome([command, *words, "--config", config, "--output", str(self.folder / "out.txt")])

    def told(self) -> list[tuple[str, int, str]]:
        """What was sent so far: kind, key, id."""
        file = self.folder / "events.jsonl"
        events: list[dict[str, Any]] = (
            [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        )
        assert {event["source"] for event in events} <= {"/trueup/site/groups/shop"}
        return [(event["type"].split(".")[3], event["data"]["key"]["id"], event["id"]) for event in events]

    def journal(self) -> Journal:
        return open_journal(self.folder / "journal.db", "shop")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_each_is_told_once_and_again_when_it_changed_or_went(site: Site) -> None:
    assert site.trueup("audit", "--quiet") == exits.EQUAL
    assert site.told() == []
    site.run("b", "update t set v = 'x' where id = 2; delete from t where id = 3")
    assert site.trueup("audit", "--quiet") == exits.DRIFT
    opened = site.told()
    assert [one[:2] for one in opened] == [("opened", 2), ("opened", 3)]
    assert site.trueup("audit", "--quiet") == exits.DRIFT
    assert site.told() == opened, "nothing is new"
    with closing(site.journal()) as journal:
        known = {known.drift.key[0]: known.drift.id for known in journal.drifts.open()}
        assert journal.outbox.pending_count() == 0
    site.run("b", "update t set v = 'b' where id = 2; insert into t values (3, 'y')")
    assert site.trueup("recheck", known[2], known[3]) == exits.DRIFT
    assert [one[:2] for one in site.told()[2:]] == [("cleared", 2), ("changed", 3)]
    site.run("b", "update t set v = 'z' where id = 2")
    assert site.trueup("audit", "--quiet") == exits.DRIFT
    assert [one[:2] for one in site.told()[4:]] == [("opened", 2)]
    assert len({one[2] for one in site.told()}) == 5


def test_another_journal_tells_nobody(site: Site) -> None:
    site.run("b", "delete from t where id = 3")
    other = site.folder / "other.db"
    assert site.trueup("audit", "--quiet", "--journal", str(other)) == exits.DRIFT
    with closing(open_journal(other, "shop")) as journal:
        assert len(journal.drifts.open()) == 1
        assert journal.outbox.pending_count() == 0
    assert site.told() == []


def test_a_daemon_of_the_group_sends_them(site: Site) -> None:
    site.run("b", "delete from t where id = 3")
    with closing(site.journal()) as journal:
        token = lease.take(journal, "daemon", SystemClock())
        assert site.trueup("audit", "--quiet") == exits.DRIFT
        (waiting,) = journal.outbox.pending(9)
        assert waiting.body["type"] == "io.trueup.drift.opened.v1"
        assert site.told() == []
        journal.leases.release(lease.LEASE, token)
    assert site.trueup("audit", "--quiet") == exits.DRIFT
    assert [one[:2] for one in site.told()] == [("opened", 3)], "it is gone, and what it left is sent"


def test_where_they_cannot_be_sent_the_audit_is_none_the_worse(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.run("b", "delete from t where id = 3")
    (site.folder / "taken").mkdir()
    site.configure("taken")
    assert site.trueup("audit") == exits.DRIFT
    assert "events of drift are kept in the journal and could not be sent yet: cannot write events to" in (
        capfd.readouterr().err
    )
    site.configure("events.jsonl")
    assert site.trueup("audit", "--quiet") == exits.DRIFT
    assert [one[:2] for one in site.told()] == [("opened", 3)]
