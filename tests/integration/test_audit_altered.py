"""Tables that somebody drops, renames or alters while they are audited: a reason, or a right answer; never a crash, and
never drift that is not there. The others go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.databases import Database, fresh_name
from fixtures.meddler import Meddler
from fixtures.servers import Servers

from trueup.audit.request import Request
from trueup.bootstrap.auditing import Plan, open_audit
from trueup.bootstrap.servers import Address
from verifier.policy import ScanPolicy, SettlePolicy

pytestmark = pytest.mark.postgres

CASES = {
    "dropped_there": ("follower", "drop table {t}", "unverified", '"public.dropped_there" does not exist'),
    "dropped_here": ("leader", "drop table {t}", "unverified", '"public.dropped_here" does not exist'),
    "renamed_there": ("follower", "alter table {t} rename to elsewhere_f", "unverified", "does not exist"),
    "renamed_here": ("leader", "alter table {t} rename to elsewhere_l", "unverified", "does not exist"),
    "column_dropped_there": ("follower", "alter table {t} drop v", "unverified", "column walked.v does not exist"),
    "column_dropped_here": ("leader", "alter table {t} drop v", "unverified", "column walked.v does not exist"),
    "column_renamed_here": ("leader", "alter table {t} rename v to w", "unverified", "column walked.v does not exist"),
    "widened_there": ("follower", "alter table {t} alter n type bigint", "match", None),
    "retyped_here": ("leader", "alter table {t} alter n type text", "match", None),
    "retyped_there": ("follower", "alter table {t} alter n type numeric", "match", None),
    "column_added_here": ("leader", "alter table {t} add x int default 5", "match", None),
    "key_dropped_there": ("follower", "alter table {t} drop constraint {t}_pkey", "match", None),
    "untouched": ("leader", "select 1", "match", None),
}


def test_what_is_altered_meanwhile_has_a_reason_or_the_right_answer(postgres_server: Servers, tmp_path: Path) -> None:
    cluster = postgres_server(15)
    sides = {name: Database(cluster, fresh_name()) for name in ("leader", "follower")}
    for side in sides.values():
        cluster.sql(f'create database "{side.name}"')
        for name in CASES:
            side.sql(
                f"create table {name} (id int primary key, n int, v text);"
                f"insert into {name} select i, i, 'v' || i from generate_series(1, 60) i"
            )

    def meddle(name: str) -> None:
        side, statement, _, _ = CASES[name]
        sides[side].sql(statement.format(t=name))

    plan = Plan(
        "g",
        Address("leader", sides["leader"].url),
        (Address("f", sides["follower"].url),),
        Request(),
        str(tmp_path / "journal.db"),
        scan=ScanPolicy(rows_first=10, rows_min=10, rows_max=10),
        settle=SettlePolicy(give_up_seconds=3.0),
        tables_at_once=1,
    )
    watcher = Meddler(meddle)
    opened = open_audit(plan, run=None, watcher=watcher, stop=lambda: False)
    try:
        report = opened.audit.run(opened.audit.begin(None))
    finally:
        opened.close()
        for side in sides.values():
            cluster.sql(f'drop database "{side.name}" with (force)')
    assert watcher.met == CASES.keys()
    found = {entry["table"].partition(".")[2]: entry for entry in report["tables"]}
    for name, (_, _, verdict, said) in CASES.items():
        entry = found[name]
        assert (entry["verdict"], entry["rows_drifted"]) == (verdict, []), (name, entry["reason"])
        assert (said is None and entry["reason"] is None) or said in entry["reason"], (name, entry["reason"])
