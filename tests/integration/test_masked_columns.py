"""Values of masked columns are nowhere: a planted secret is looked for in all that trueup tells and keeps."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from connectors.journal.opening import open_journal
from trueup import exits
from trueup.cli.main import outcome

SECRETS = ("anna@secret.example", "berta@secret.example", "carla@secret.example", "doris@secret.example")
CONFIG = """
journal: journal.db
groups:
  - name: shop
    leader: {{name: leader, url: "sqlite:///{folder}/a.db"}}
    followers: [{{name: copy, url: "sqlite:///{folder}/b.db"}}]
    tables: {{include: ["main.*"]{masks}}}
    events: {{kind: jsonl, path: events.jsonl}}
    invariants:
      - {{name: shown, kind: violations, endpoint: leader, sql: "select id, Email from t"}}
      - {{name: same, kind: equal_by_key, left: {{endpoint: leader, sql: "select id, email from t where id = 2"}},
          right: {{endpoint: leader, sql: "select id, note from t where id = 2"}}}}
      - {{name: turned, kind: equal_by_key, left: {{endpoint: leader, sql: "select id, note from t where id = 2"}},
          right: {{endpoint: leader, sql: "select id, email from t where id = 2"}}}}
"""
MASKS = ", mask_columns: {main.t: [email]}"
ROWS = """
create table t (id integer primary key, email text, note text);
insert into t values (1, 'anna@secret.example', 'a'), (2, 'berta@secret.example', 'b'), (3, null, 'c');
"""
DAMAGE = """
update t set email = 'carla@secret.example', note = 'B' where id = 2; delete from t where id = 1;
insert into t values (4, 'doris@secret.example', 'd');
"""


OF_REPAIRS = r"""INSERT INTO "trueup_(repairs"|audit" VALUES\('shop',\d+,[^,]+,'[^']*','planned')"""


class Site:
    """Two files that differ, a configuration, and everything that was written so far."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capfd = folder, capfd
        self.told: list[str] = []
        for name, sql in (("a", ROWS), ("b", ROWS + DAMAGE)):
            with closing(sqlite3.connect(folder / f"{name}.db")) as connection:
                connection.executescript(sql)
        self.configure(MASKS)

    def configure(self, masks: str) -> None:
        (self.folder / "trueup.yaml").write_text(CONFIG.format(folder=self.folder, masks=masks))

    def trueup(self, *words: str, code: int) -> str:
        """Over the configuration; standard output."""
        return self.plain(*words, "--config", str(self.folder / "trueup.yaml"), code=code)

    def plain(self, *words: str, code: int) -> str:
        self.capfd.readouterr()
        done = outcome(list(words))
        out, err = self.capfd.readouterr()
        self.told += [out, err]
        assert done == code, (words, out, err)
        return out

    def kept(self, name: str = "journal.db") -> str:
        """All that the journal holds, apart from repairs and what the audit chain says of their plans."""
        with closing(sqlite3.connect(self.folder / name)) as connection:
            return "\n".join(line for line in connection.iterdump() if not re.match(OF_REPAIRS, line))


@pytest.fixture
def site(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Site:
    return Site(tmp_path, capfd)


def test_the_values_are_told_nowhere_and_kept_in_repairs_alone(site: Site) -> None:
    report = json.loads(site.trueup("audit", "--format", "json", code=exits.DRIFT))
    rows = {row["key"]["id"]: row for row in report["tables"][0]["rows_drifted"]}
    assert {key: row["kind"] for key, row in rows.items()} == {1: "missing", 2: "mismatched", 4: "extra"}
    assert rows[2]["columns"]["note"] == {"leader": "b", "follower": "B"}
    both = rows[2]["columns"]["email"]
    assert both["leader"] != both["follower"]
    assert {value[:7] for value in both.values()} == {"masked:"}
    assert rows[1]["columns"]["email"]["follower"] is None, "NULL is told"
    assert [one["violations"] for one in report["invariants"]] == [3, 1, 1]
    assert report["settings"]["masked_columns"] == {"main.t": ["email"]}
    for form in ("table", "junit"):
        site.trueup("runs", report["run"], "--format", form, code=exits.DRIFT)
    assert f">masked {both['leader'][7:]}<" in site.trueup("runs", report["run"], "--format", "html", code=exits.DRIFT)
    site.trueup("drift", code=exits.DRIFT)
    found = json.loads(site.trueup("drift", "--format", "json", code=exits.DRIFT))["drift"]
    assert {both["leader"]} == {one["columns"]["email"]["leader"] for one in found if one["key"] == {"0": 2}}
    site.trueup("recheck", "--run", report["run"], "--format", "json", code=exits.DRIFT)
    site.trueup("check", "--format", "json", code=exits.DRIFT)
    site.trueup("trace", "main.t", "2", "--mask", "note", code=exits.DRIFT)
    traced = json.loads(site.trueup("trace", "main.t", "2", "--format", "json", code=exits.DRIFT))
    assert traced["leader"]["row"] == {"id": "2", "email": both["leader"], "note": "b"}, "equal from command to command"
    plan = json.loads(site.trueup("repair", "plan", "--format", "json", code=exits.EQUAL))["plan"]
    assert {one["key"]: one["decision"] for one in plan} == {"1": "insert", "2": "update", "4": "delete"}
    site.trueup("repair", "approve", "--all", code=exits.EQUAL)
    site.trueup("repair", "apply", code=exits.DRIFT)
    site.trueup("repairs", "--format", "json", code=exits.EQUAL)
    events = (site.folder / "events.jsonl").read_text()
    assert {'"type": "io.trueup.drift.opened.v1"', '"type": "io.trueup.repair.proposed.v1"'} <= {
        f'"type": "{json.loads(line)["type"]}"' for line in events.splitlines()
    }
    everything = "\n".join([*site.told, events, site.kept()])
    assert [secret for secret in SECRETS if secret in everything] == []
    with closing(open_journal(site.folder / "journal.db", "shop")) as journal:
        (identity,) = [one.repair.id for one in journal.repairs.listed() if one.repair.key == (2,)]
        record = journal.repairs.find(identity)
    assert record is not None
    update = record.repair
    assert (update.wanted or {})["email"] == SECRETS[1], "undo needs the row"
    assert (update.expected or {})["email"] == SECRETS[2]


def test_what_was_found_before_is_masked_when_it_is_told(site: Site) -> None:
    site.configure("")
    report = json.loads(site.trueup("audit", "--format", "json", code=exits.DRIFT))
    assert SECRETS[1] in site.kept()
    site.configure(MASKS)
    site.told.clear()
    shown = json.loads(site.trueup("runs", report["run"], "--format", "json", code=exits.DRIFT))
    assert shown["tables"][0]["drift"] == report["tables"][0]["drift"]
    site.trueup("drift", "--format", "json", code=exits.DRIFT)
    by_name = ["--journal", str(site.folder / "journal.db"), "--group", "shop"]
    assert '"email"' in site.trueup("drift", *by_name, "--format", "json", code=exits.DRIFT)
    site.trueup("runs", report["run"], *by_name, "--format", "json", code=exits.DRIFT)
    plan = json.loads(site.trueup("repair", "plan", "--format", "json", code=exits.EQUAL))["plan"]
    assert {one["decision"] for one in plan} == {"insert", "update", "delete"}, "it is still what was found"
    site.trueup("recheck", "--run", report["run"], "--format", "json", code=exits.DRIFT)
    assert [secret for secret in SECRETS if secret in "\n".join(site.told)] == []


def test_servers_named_by_url_are_asked_with_the_same_masks(site: Site) -> None:
    at = ["--journal", str(site.folder / "own.db"), "--leader", f"sqlite:///{site.folder}/a.db"]
    at += ["--follower", f"sqlite:///{site.folder}/b.db"]
    mask = ["--mask", "main.t.email"]
    run = json.loads(site.plain("audit", *at, *mask, "--quiet", "--format", "json", code=exits.DRIFT))["run"]
    site.plain("recheck", *at, "--run", run, code=exits.DRIFT)
    (one,) = [
        one["id"]
        for one in json.loads(site.plain("drift", *at[:2], "--format", "json", code=exits.DRIFT))["drift"]
        if one["kind"] == "mismatched"
    ]
    site.plain("recheck", *at, one, code=exits.CONFIGURATION)
    assert f"drift {one} was found with masked columns; mask them again: --mask main.t.email" in site.told[-1]
    site.plain("recheck", *at, one, *mask, code=exits.DRIFT)
    assert [secret for secret in SECRETS if secret in "\n".join([*site.told, site.kept("own.db")])] == []
    for word, code, why in (
        (
            "main.t.nothing",
            exits.UNVERIFIED,
            "main.t has no column 'nothing', which --mask or tables.mask_columns names",
        ),
        ("main.t.id", exits.UNVERIFIED, "column 'id' of main.t is to be masked and is part of its key"),
        ("email", exits.CONFIGURATION, "--mask 'email': needs schema.table.column"),
    ):
        site.plain("audit", *at, "--mask", word, "--quiet", "--format", "json", code=code)
        assert why in "\n".join(site.told[-2:])


def test_an_unfinished_run_is_not_looked_at_without_its_masks(site: Site) -> None:
    """Nothing but its findings says what it masked."""
    for name in ("a", "b"):
        with closing(sqlite3.connect(site.folder / f"{name}.db")) as connection:
            connection.execute("create table u (id integer primary key)")
    at = ["--journal", str(site.folder / "own.db"), "--leader", f"sqlite:///{site.folder}/a.db"]
    at += ["--follower", f"sqlite:///{site.folder}/b.db"]
    mask = ["--mask", "main.t.email"]
    words = ["--tables-at-once", "1", "--stop-after", "1", "--quiet", "--format", "json"]
    report = json.loads(site.plain("audit", *at, *mask, *words, code=exits.DRIFT))
    assert report["finished_at"] is None
    site.plain("recheck", *at, "--run", report["run"], code=exits.CONFIGURATION)
    assert "was found with masked columns; mask them again: --mask main.t.email" in site.told[-1]
    site.plain("recheck", *at, *mask, "--run", report["run"], code=exits.DRIFT)
    assert [secret for secret in SECRETS if secret in "\n".join([*site.told, site.kept("own.db")])] == []
