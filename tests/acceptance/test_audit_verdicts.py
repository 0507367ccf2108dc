"""`trueup audit` as users run it: every exit code, with the finding or the message that belongs to it."""

from __future__ import annotations

import json
import os
import pty
import time
from pathlib import Path

import psycopg
import pytest
from fixtures.audit_program import Program, by_table, ended, url, valid
from fixtures.databases import TrioDatabase

from connectors.embedded.cluster import free_port

pytestmark = pytest.mark.postgres

SCHEMA = """
create table orders (id int primary key, amount numeric(12,2), note text, at timestamptz default '2026-01-01');
create table items (order_id int, line int, sku text not null, primary key (order_id, line));
"""
FILL = """
insert into orders select i, i * 1.5, 'note ' || i from generate_series(1, 3000) i;
insert into items select i, l, 'sku' || i from generate_series(1, 500) i, generate_series(1, 2) l;
"""


@pytest.fixture
def shop(trio_database: TrioDatabase) -> TrioDatabase:
    return trio_database.filled(SCHEMA, FILL)


def servers(shop: TrioDatabase, *followers: str) -> list[str]:
    """The options that name leader and followers."""
    words = ["--leader", url(shop.trio.leader, shop.name)]
    for name in followers:
        words += ["--follower", f"{name}={url(getattr(shop.trio, name), shop.name)}"]
    return words


def test_equal(shop: TrioDatabase, trueup: Program) -> None:
    run = trueup("audit", *servers(shop, "standby", "subscriber"), "--format", "json")
    assert run.code == 0, run.err
    report = run.report
    assert report["verdict"] == "match"
    assert [f["role"] for f in report["followers"]] == ["standby", "subscriber"]
    found = by_table(report)
    assert found.keys() == {(t, f) for t in ("orders", "items") for f in ("standby", "subscriber")}
    assert {e["verdict"] for e in found.values()} == {"match"}
    assert found["orders", "standby"]["rows"] == {"leader": 3000, "follower": 3000}
    ends = {line.partition(" rows in ")[0] for line in run.err.splitlines()}
    assert ends >= {"public.orders: match, 3,000", "public.items: match, 1,000"}


def test_drift_of_each_kind_is_named_exactly(shop: TrioDatabase, trueup: Program) -> None:
    shop.subscriber.sql("update orders set amount = 2, note = '' where id = 7")
    shop.subscriber.sql("update orders set note = null where id = 2999")
    shop.subscriber.sql("delete from orders where id = 8; insert into orders values (5000, 1, 'rogue')")
    shop.subscriber.sql("delete from items where order_id = 3 and line = 2")
    run = trueup("audit", *servers(shop, "standby", "subscriber"), "--format", "json")
    assert run.code == 1, run.err
    found = by_table(run.report)
    assert found["orders", "standby"]["verdict"] == found["items", "standby"]["verdict"] == "match"
    rows = {r["key"]["id"]: r for r in found["orders", "subscriber"]["rows_drifted"]}
    assert {key: (r["kind"], r["columns"]) for key, r in rows.items() if r["kind"] == "mismatched"} == {
        7: (
            "mismatched",
            {"amount": {"leader": "10.50", "follower": "2.00"}, "note": {"leader": "note 7", "follower": ""}},
        ),
        2999: ("mismatched", {"note": {"leader": "note 2999", "follower": None}}),
    }
    assert {key: r["kind"] for key, r in rows.items()} == {
        7: "mismatched", 2999: "mismatched", 8: "missing", 5000: "extra",
    }  # fmt: skip
    assert rows[8]["columns"]["note"] == {"leader": "note 8", "follower": None}
    assert rows[5000]["columns"]["note"] == {"leader": None, "follower": "rogue"}
    assert {r["evidence"] for r in rows.values()} == {"proven"}
    assert found["orders", "subscriber"]["drift"] == {"missing": 1, "extra": 1, "mismatched": 2}
    assert [(r["kind"], r["key"]) for r in found["items", "subscriber"]["rows_drifted"]] == [
        ("missing", {"order_id": 3, "line": 2})
    ]


def test_the_three_formats_tell_the_same(shop: TrioDatabase, trueup: Program) -> None:
    shop.subscriber.sql("update orders set note = 'no <b>te</b>' where id = 7")
    words = ("audit", *servers(shop, "subscriber"), "--table", "public.orders", "--quiet")
    table = trueup(*words)
    assert table.code == 1
    assert "leader 'note 7', follower 'no <b>te</b>'" in table.out
    assert table.out.splitlines()[-1] == "drift: 3,000 rows compared, 1 row differs"
    assert table.err == ""
    page = trueup(*words, "--format", "html", "--output", "report.html")
    assert (page.code, page.out) == (1, "")
    text = (trueup.folder / "report.html").read_text()
    assert "<h1>Drift found</h1>" in text
    assert "<b>te</b>" not in text
    assert sorted(path.name for path in trueup.folder.glob("*report*")) == ["report.html"]


@pytest.mark.parametrize("what", ["port", "password", "database"])
def test_nobody_home_is_exit_code_5(shop: TrioDatabase, trueup: Program, what: str) -> None:
    leader = url(shop.trio.leader, shop.name)
    if what == "port":
        leader, said = url(shop.trio.leader, shop.name, port=free_port()), "check that the server runs"
    elif what == "database":
        leader, said = url(shop.trio.leader, "no_such_db"), "no_such_db"
    else:
        leader, said = leader.replace("postgres@", "postgres:open-sesame@"), "check user, password"
    run = trueup("audit", "--leader", leader, "--follower", url(shop.trio.standby, shop.name))
    assert (run.code, run.out) == (5, "")
    assert said in run.err
    assert len(run.err.strip().splitlines()) == 1
    assert "open-sesame" not in run.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--table", "nothing.*"], 3, "no table on leader matches nothing.*"),
        (["--resume", "0000"], 3, "no run '0000' in this journal"),
        (["--output", "/proc/none/report"], 3, "cannot write"),
        (["--exclude", "amount"], 3, "needs schema.table.column"),
        (["--chunk-time", "soon"], 2, "--chunk-time"),
        (["--no-such-option"], 2, "--no-such-option"),
    ],
)
def test_wrong_words(shop: TrioDatabase, trueup: Program, words: list[str], code: int, said: str) -> None:
    run = trueup("audit", *servers(shop, "standby"), *words)
    assert (run.code, run.out) == (code, "")
    assert said in run.err


def test_what_cannot_be_compared_is_unverified_and_the_others_go_on(shop: TrioDatabase, trueup: Program) -> None:
    for side in (shop.leader, shop.subscriber):
        side.sql("create table keyless (v int); insert into keyless values (1), (1)")
        side.sql("create table secrets (id int primary key); create table narrow (id int primary key)")
    shop.leader.sql("alter table narrow add v text")
    for side in (shop.leader, shop.subscriber):
        side.sql(
            f"create role reader_{shop.name} login password '{side.cluster.password}';"
            f"grant usage on schema public to reader_{shop.name};"
            f"grant select on orders, items, keyless, narrow to reader_{shop.name}"
        )
    try:
        user = f"reader_{shop.name}"
        leader, follower = (url(c, shop.name, user=user) for c in (shop.trio.leader, shop.trio.subscriber))
        run = trueup("audit", "--leader", leader, "--follower", f"f={follower}", "--format", "json")
    finally:
        for side in (shop.leader, shop.subscriber):
            side.sql(f"drop owned by reader_{shop.name}; drop role reader_{shop.name}")
    assert run.code == 4, run.err
    found = {table: (e["verdict"], e["reason"]) for (table, _), e in by_table(run.report).items()}
    assert found["orders"] == found["items"] == ("match", None)
    assert found["keyless"] == ("match", None)
    assert "rows cannot be addressed" in by_table(run.report)["keyless", "f"]["remarks"][0]
    assert found["narrow"][0] == "unverified"
    assert "column 'v' is missing on the follower" in found["narrow"][1]
    assert found["secrets"][0] == "unverified"
    assert "grant select on it" in found["secrets"][1]
    assert by_table(run.report)["narrow", "f"]["schema"] == [
        {"object": "v", "what": "column", "leader": "text", "follower": None, "severity": "warning", "note": None}
    ]


def test_a_follower_that_is_down_stops_nobody_and_is_made_up_for(shop: TrioDatabase, trueup: Program) -> None:
    port = free_port()
    down = ("--follower", f"gone={url(shop.trio.standby, shop.name, port=port)}")
    run = trueup("audit", *servers(shop, "subscriber"), *down, "--format", "json")
    assert run.code == 4, run.err
    found = by_table(run.report)
    assert {found[t, "subscriber"]["verdict"] for t in ("orders", "items")} == {"match"}
    assert {found[t, "gone"]["verdict"] for t in ("orders", "items")} == {"unverified"}
    assert "nobody answers" in found["orders", "gone"]["reason"]
    assert "trying again" not in run.err, "who was never there is not waited for"
    assert f"--resume {run.report['run']}" in run.err.splitlines()[-1]
    back = ("--follower", f"gone={url(shop.trio.standby, shop.name)}", "--resume", str(run.report["run"]))
    again = trueup(*("audit", *servers(shop, "subscriber"), *back, "--format", "json"))
    assert again.code == 0, again.err
    assert {e["rows"]["follower"] for (t, _), e in by_table(again.report).items() if t == "orders"} == {3000}
    assert again.report["finished_at"] is not None


def test_tables_that_a_stopped_run_did_not_come_to_are_named(shop: TrioDatabase, trueup: Program) -> None:
    made = "".join(f"create table more{n} as select id from generate_series(1, 9) id;" for n in range(6))
    for side in (shop.leader, shop.subscriber):
        side.sql(made)
    keys = [word for n in range(6) for word in ("--key", f"public.more{n}=id")]
    words = ("audit", *servers(shop, "subscriber"), *keys, "--format", "json")
    run = trueup(*words, "--stop-after", "1")
    assert run.code == 4, run.err
    reasons = {table: entry["reason"] for (table, _), entry in by_table(run.report).items()}
    assert reasons.keys() == {"orders", "items", *(f"more{n}" for n in range(6))}
    assert "stopped before the table was begun" in reasons.values()
    assert "--resume" in run.err
    again = trueup(*words, "--resume", str(run.report["run"]))
    assert (again.code, {one["verdict"] for one in again.report["tables"]}) == (0, {"match"}), again.err


def test_every_follower_down_is_exit_code_5(shop: TrioDatabase, trueup: Program) -> None:
    follower = url(shop.trio.standby, shop.name, port=free_port())
    run = trueup("audit", *servers(shop), "--follower", follower)
    assert (run.code, run.out) == (5, "")


def test_excluded_columns_and_named_keys_are_in_the_report(shop: TrioDatabase, trueup: Program) -> None:
    for side in (shop.leader, shop.subscriber):
        side.sql("create table tags (n int, v text); insert into tags values (1, 'a'), (2, 'b')")
    shop.subscriber.sql("update orders set note = 'x'; update tags set v = 'c' where n = 2")
    words = ("--exclude", "public.orders.note", "--key", "public.tags=n", "--format", "json")
    run = trueup("audit", *servers(shop, "subscriber"), *words)
    found = by_table(run.report)
    assert (found["orders", "subscriber"]["verdict"], found["orders", "subscriber"]["excluded_columns"]) == (
        "match",
        ["note"],
    )
    assert [r["key"] for r in found["tags", "subscriber"]["rows_drifted"]] == [{"n": 2}]
    assert run.code == 1


def test_a_named_key_that_is_not_unique_is_no_match(shop: TrioDatabase, trueup: Program) -> None:
    for side, value in ((shop.leader, "b"), (shop.subscriber, "c")):
        side.sql(f"create table tags (n int, v text); insert into tags values (1, 'a'), (2, '{value}'), (2, 'z')")
    words = ("--table", "public.tags", "--key", "public.tags=n", "--format", "json")
    run = trueup("audit", *servers(shop, "subscriber"), *words)
    assert run.code == 4, run.out
    assert "share their key" in run.report["tables"][0]["reason"]


def test_a_subscriber_that_lost_its_key_and_holds_rows_twice_is_no_match(shop: TrioDatabase, trueup: Program) -> None:
    """Read as they lie, the sides come in another order: no row may hide behind the other one of its key."""
    shop.leader.sql("create table copied (id int primary key, v text)")
    shop.leader.sql("insert into copied values (2, 'b'), (1, 'a'), (3, 'c')")
    shop.leader.sql("create table twice (like copied including all); insert into twice table copied")
    shop.subscriber.sql("create table copied (id int, v text); create table twice (like copied)")
    shop.subscriber.sql("insert into copied values (1, 'wrong'), (2, 'b'), (3, 'c'), (1, 'a')")
    shop.subscriber.sql("insert into twice values (1, 'a'), (2, 'b'), (3, 'c'), (3, 'c'), (1, 'a'), (2, 'b')")
    run = trueup("audit", *servers(shop, "subscriber"), "--format", "json")
    assert run.code == 4, run.out
    found = by_table(run.report)
    for table, rows in (("copied", 4), ("twice", 6)):
        entry = found[table, "subscriber"]
        assert (entry["verdict"], entry["rows"]) == ("unverified", {"leader": 3, "follower": rows})
        assert "share their key" in entry["reason"]
        assert {"object": "key", "what": "key", "leader": "id", "follower": None}.items() <= next(
            one for one in entry["schema"] if one["what"] == "key"
        ).items()
    assert found["orders", "subscriber"]["verdict"] == found["items", "subscriber"]["verdict"] == "match"


def test_a_password_in_a_url_is_seen_nowhere(shop: TrioDatabase, trueup: Program) -> None:
    words = servers(shop, "subscriber")
    secrets = [shop.trio.leader.password, shop.trio.subscriber.password]
    words = [word.replace("postgres@", f"postgres:{secrets[i > 1]}@") for i, word in enumerate(words)]
    (trueup.folder / ".pgpass").write_text("")
    holder = psycopg.connect(shop.leader.dsn)
    holder.execute("lock table orders")  # the audit waits for this table while we look
    process = trueup.start("audit", *words, "--format", "json")
    try:
        deadline = time.monotonic() + 60
        while shop.leader.sql("select 1 from pg_stat_activity where wait_event_type = 'Lock'") == []:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        listed = Path(f"/proc/{process.pid}/cmdline").read_text()
        assert listed.count("postgresql://postgres:***") == 2
        assert not [secret for secret in secrets if secret in listed]
    finally:
        holder.close()
    run = ended(process)
    assert run.code == 0, run.err
    assert not [secret for secret in secrets if secret in run.out + run.err]


def test_progress_is_a_bar_on_a_terminal_and_only_there(shop: TrioDatabase, trueup: Program) -> None:
    ours, theirs = pty.openpty()
    process = trueup.start("audit", *servers(shop, "subscriber"), "--format", "json", stderr=theirs)
    os.close(theirs)
    out, _ = process.communicate(timeout=60)
    drawn = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        drawn += piece
    os.close(ours)
    assert process.returncode == 0
    valid(json.loads(out))
    assert "\x1b[" in drawn.decode()
    assert "public.orders: match" in drawn.decode()


def test_a_copy_that_follows_nobody_is_compared_at_rest(shop: TrioDatabase, trueup: Program) -> None:
    """A restored backup: no subscription, no standby. Its differences are proven while the leader stands still."""
    copy = f"{shop.name}_copy"
    shop.trio.subscriber.sql(f'create database "{copy}"')
    try:
        shop.trio.subscriber.sql(SCHEMA + FILL, database=copy)
        words = [*servers(shop), "--follower", f"copy={url(shop.trio.subscriber, copy)}", "--format", "json"]
        equal = trueup("audit", *words)
        assert equal.code == 0, equal.err
        shop.trio.subscriber.sql(
            "delete from orders where id = 5; update orders set note = '' where id = 6", database=copy
        )
        run = trueup("audit", *words)
        assert run.code == 1, run.err
        rows = by_table(run.report)["orders", "copy"]["rows_drifted"]
        assert sorted((r["key"]["id"], r["kind"], r["evidence"], r["method"]) for r in rows) == [
            (5, "missing", "proven", "snapshot"),
            (6, "mismatched", "proven", "snapshot"),
        ]
        with psycopg.connect(shop.leader.dsn) as writer:
            writer.execute("update orders set note = 'open' where id = 9")  # and stays open
            busy = trueup("audit", *words, "--settle", "1")
        assert busy.code == 4, busy.err
        assert "compare at rest" in by_table(busy.report)["orders", "copy"]["reason"]
    finally:
        shop.trio.subscriber.sql(f'drop database "{copy}" with (force)')
