"""What an audit found, afterwards: `trueup runs`, `drift`, `recheck`, and `explain` before it, on real servers."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from fixtures.audit_program import Ended, Program, by_table, url, valid
from fixtures.databases import TrioDatabase

pytestmark = pytest.mark.postgres

HOSTILE = "</td><script>alert(1)</script>\x1b[2J\u202e]]>&"
SCHEMA = "create table orders (id int primary key, note text); create table items (sku text primary key, n int);"
FILL = """
insert into orders select i, 'note ' || i from generate_series(1, 9000) i;
insert into items select 'sku' || i, i from generate_series(1, 50) i;
"""


@pytest.fixture
def shop(trio_database: TrioDatabase) -> TrioDatabase:
    return trio_database.filled(SCHEMA, FILL)


def servers(shop: TrioDatabase) -> list[str]:
    trio = shop.trio
    return ["--leader", url(trio.leader, shop.name), "--follower", f"eu={url(trio.subscriber, shop.name)}"]


def told(done: Ended) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_findings_are_listed_looked_at_again_and_cleared(shop: TrioDatabase, trueup: Program) -> None:
    shop.subscriber.sql("delete from orders where id <= 3")
    shop.subscriber.sql("update orders set note = %s where id = 7", (HOSTILE,))
    shop.subscriber.sql("insert into items values ('rogue', 1)")
    audit = trueup("audit", *servers(shop), "--quiet", "--format", "json")
    assert audit.code == 1, audit.err
    report = audit.report
    known = ("--journal", "trueup.db")

    listed = told(trueup("runs", *known, "--format", "json"))["runs"]
    assert [(one["run"], one["verdict"], one["tables"], one["drift"]) for one in listed] == [
        (report["run"], "drift", 2, 5)
    ]
    again = trueup("runs", report["run"][:6], *known, "--format", "json")
    assert (again.code, valid(told(again))) == (1, report)
    suite = ElementTree.fromstring(trueup("runs", report["run"], *known, "--format", "junit").out)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "2", "0")
    page = trueup("runs", report["run"], *known, "--format", "html").out
    assert "Drift found" in page
    assert "<script>alert" not in page
    text = trueup("runs", report["run"], *known)
    assert "eu" in text.out
    assert not {"\x1b", "\u202e"} & set(text.out)

    first = told(trueup("drift", *known, "--format", "json", "--table", "public.orders", "--limit", "3"))
    rest = told(trueup("drift", *known, "--format", "json", "--table", "public.orders", "--after", first["next"]))
    assert (first["total"], len(first["drift"]), len(rest["drift"]), rest["next"]) == (4, 3, 1, None)
    assert sorted(one["key"]["0"] for one in first["drift"] + rest["drift"]) == [1, 2, 3, 7]
    of_run = told(trueup("drift", *known, "--run", report["run"], "--kind", "extra", "--format", "json"))
    assert [(one["table"], one["kind"]) for one in of_run["drift"]] == [("public.items", "extra")]
    table = trueup("drift", *known, "--limit", "2")
    assert (table.code, len(table.out.splitlines())) == (1, 3)
    assert "2 of 5 shown; go on with --after" in table.err

    shop.subscriber.sql("insert into orders values (1, 'note 1'), (2, 'not this')")
    looked = told(trueup("recheck", *servers(shop), "--run", report["run"], "--format", "json"))
    assert {(one["table"], *one["key"].values()): (one["state"], one["kind"]) for one in looked["rechecked"]} == {
        ("public.items", "rogue"): ("drift", "extra"),
        ("public.orders", 1): ("equal", "missing"),
        ("public.orders", 2): ("drift", "mismatched"),
        ("public.orders", 3): ("drift", "missing"),
        ("public.orders", 7): ("drift", "mismatched"),
    }
    assert looked["counts"] == {"drift": 4, "equal": 1, "in_flight": 0, "unverified": 0}
    assert looked["verdict"] == "drift"
    assert told(trueup("drift", *known, "--format", "json"))["total"] == 4

    seven = next(one for one in by_table(report)["orders", "eu"]["rows_drifted"] if one["key"] == {"id": 7})
    shop.subscriber.sql("update orders set note = 'note 7' where id = 7")
    one = trueup("recheck", *servers(shop), seven["id"][:12])
    assert (one.code, one.out.splitlines()[-1]) == (0, "match: 1 equal now")
    assert told(trueup("drift", *known, "--format", "json"))["total"] == 3


def test_what_cannot_be_looked_at_again_is_never_equal(shop: TrioDatabase, trueup: Program) -> None:
    shop.subscriber.sql("delete from orders where id = 3; delete from items where n = 3")
    run = trueup("audit", *servers(shop), "--quiet", "--format", "json").report["run"]
    shop.subscriber.sql("alter table items rename to away")
    assert shop.subscription is not None
    shop.subscription.pause()
    shop.leader.sql("update orders set note = 'later' where id = 3")
    late = trueup("recheck", *servers(shop), "--run", run, "--settle", "0.5", "--format", "json")
    shop.subscription.resume()
    assert (late.code, told(late)["counts"]) == (4, {"drift": 0, "equal": 0, "in_flight": 1, "unverified": 1})
    assert told(late)["verdict"] == "unverified"
    shop.caught_up()
    shop.subscriber.sql("insert into orders values (3, 'later')")
    done = trueup("recheck", *servers(shop), "--run", run, "--format", "json")
    assert done.code == 4, done.err
    assert {one["table"]: one["state"] for one in told(done)["rechecked"]} == {
        "public.items": "unverified", "public.orders": "equal",
    }  # fmt: skip
    assert told(trueup("drift", "--journal", "trueup.db", "--format", "json"))["total"] == 1
    for words, code, said in (
        (["--run", "nope"], 3, "no run 'nope'"),
        (["feedbeef"], 3, "no drift 'feedbeef'"),
        ([], 2, "name drift by its id"),
    ):
        wrong = trueup("recheck", *servers(shop), *words)
        assert (wrong.code, said in wrong.err) == (code, True), wrong


def test_the_same_options_decide_what_is_looked_at(shop: TrioDatabase, trueup: Program) -> None:
    """A finished run says which columns and rows it left out."""
    shop.subscriber.sql("update orders set note = 'other' where id = 3; delete from orders where id = 4")
    words = [*servers(shop), "--exclude", "public.orders.note", "--where", "public.orders=id < 9", "--quiet"]
    run = trueup("audit", *words, "--format", "json").report["run"]
    shop.subscriber.sql("insert into orders values (4, 'something else')")
    done = trueup("recheck", *servers(shop), "--run", run, "--format", "json")
    assert (done.code, [one["state"] for one in told(done)["rechecked"]]) == (0, ["equal"])


def test_explain_tells_sql_plan_scheme_and_why(shop: TrioDatabase, trueup: Program) -> None:
    shop.leader.sql("analyze")
    shop.caught_up()
    trio = shop.trio
    both = [*servers(shop), "--follower", f"standby={url(trio.standby, shop.name)}"]
    orders = told(trueup("explain", *both, "public.orders", "--exclude", "public.orders.note", "--format", "json"))
    assert (orders["key"], orders["estimated_rows"], orders["estimated_chunks"]) == (["id"], 9000, 1)
    assert orders["range"] == {"lower": [4001], "upper": [8001]}
    assert [one["follower"] for one in orders["comparisons"]] == ["eu", "standby"]
    for one in orders["comparisons"]:
        assert (one["scheme"], one["scheme_why"], one["excluded_columns"]) == ("native", None, ["note"])
        assert [side["server"] for side in one["sides"]] == ["leader", one["follower"]]
        for side in one["sides"]:
            assert "hash_record_extended" in side["sql"]
            assert side["parameters"] == ["4001", "8001"]
            assert any("orders_pkey" in step for step in side["plan"])
    items = told(trueup("explain", *servers(shop), "items", "--format", "json"))
    assert items["range"] == {"lower": None, "upper": None}
    assert any("key sku is walked in the order of its own index" in note
               for note in items["comparisons"][0]["sides"][0]["notes"])  # fmt: skip
    text = trueup("explain", *both, "public.orders", "--where", "note <> 'x'")
    assert text.code == 0
    assert "  where   note <> 'x'" in text.out.splitlines()
    assert text.out.count("(note <> 'x'\n") == 3
    assert "parameter 1: 4001" in text.out
    assert "as above" in text.out
    gone = trueup("explain", *both, "public.nothing")
    assert (gone.code, gone.out) == (4, "")
