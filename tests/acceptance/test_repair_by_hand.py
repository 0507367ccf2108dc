"""Repairs by hand, without a daemon: what an audit proved is planned, decided, shown, written, looked at again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fixtures import program
from fixtures.databases import fresh_name
from fixtures.mysql_servers import PairDatabase
from fixtures.program import Done
from fixtures.running import Served
from fixtures.watched import pair_settings
from stack.mysql_servers import MysqlPair

from connectors.journal.opening import open_journal
from trueup.bootstrap import lease

ROWS = "select o::text from orders o order by id"
PLANTED = {"11": "update", "22": "insert", "5000": "delete"}
OWNER = "from trueup.bootstrap.lease import owner; print(owner('gone'), end='')"


def here(served: Served | Path, *words: str) -> Done:
    """As `Served.ask`, in this process."""
    return program.here(*words, "--config", served if isinstance(served, Path) else served.file)


def states(served: Served) -> dict[str, str]:
    """Of repairs by key; the audit chain must hold."""
    told = here(served, "repairs", "--format", "json").json
    assert told["audit_broken_at"] is None
    return {one["key"]: one["state"] for one in told["repairs"]}


def plant(served: Served, ask: Callable[..., Done]) -> None:
    served.subscriber.sql(
        "update orders set amount = 12, note = 'it''s wrong' where id = 11; delete from orders where id = 22;"
        "insert into orders values (5000, 'rogue', 1, null); update orders set status = 'odd' where id = 33"
    )
    audit = ask("audit", "--quiet", "--format", "json")
    assert audit.code == 1, audit
    found = [row for table in audit.json["tables"] for row in table["rows_drifted"]]
    assert {row["evidence"] for row in found} == {"proven"}
    assert sorted(row["key"]["id"] for row in found) == [11, 22, 33, 5000]


def planned(served: Served) -> dict[str, dict[str, Any]]:
    """By key. Only the subscriber was damaged."""
    done = here(served, "repair", "plan", "--format", "json")
    assert done.code == 0, done
    rows = done.json["plan"]
    assert {(row["follower"], row["table"]) for row in rows} == {("subscriber", "public.orders")}
    return {row["key"]: row for row in rows}


def results(done: Done) -> dict[str, tuple[str, str]]:
    """What became of each repair, and why, by key."""
    told = done.json
    return {row["key"]: (row["result"], row["note"]) for row in told["repairs"]}


@pytest.mark.postgres
def test_planned_approved_shown_written_and_verified(served: Served) -> None:
    leader = served.leader.sql(ROWS)
    plant(served, served.ask)
    served.subscriber.sql("update orders set status = 'odder' where id = 33")
    damaged = served.subscriber.sql(ROWS)
    plan = planned(served)
    assert {key: row["decision"] for key, row in plan.items()} == {**PLANTED, "33": "refused"}
    assert plan["33"]["why"] == "public.orders key [33] on subscriber: check this drift again, then plan again"
    assert states(served) == {key: "planned" for key in PLANTED}
    nothing = here(served, "repair", "apply")
    assert (nothing.code, nothing.out.startswith("no approved repairs")) == (0, True)

    approved = here(served, "repair", "approve", "--all", "--reason", "seen by me")
    assert (approved.code, approved.err) == (0, "approve: 3 repairs\n")
    dry = served.ask("repair", "apply")
    assert (dry.code, "nothing was written; with --yes it will be" in dry.err) == (0, True), dry
    lines = dry.out.splitlines()
    assert [line.rpartition(": ")[2] for line in lines[::2]] == ["would be applied (a dry run)"] * 3
    assert [line.split()[0] for line in lines[1::2]] == ["delete", "update", "insert"], "children first, parents last"
    assert '"amount" = \'11.00\', "note" = NULL where "id" = \'11\'' in lines[3]
    assert served.subscriber.sql(ROWS) == damaged
    assert states(served) == {key: "approved" for key in PLANTED}

    done = served.ask("repair", "apply", "--yes", "--format", "json")
    assert done.code == 0, done
    assert {key: result for key, (result, _) in results(done).items()} == dict.fromkeys(PLANTED, "verified")
    assert served.leader.sql(ROWS) == leader, "the leader is never written to"
    assert set(served.subscriber.sql(ROWS)) ^ set(leader) == {
        ("(33,odder,33.00,)",), ("(33,new,33.00,)",),
    }  # fmt: skip
    assert states(served) == {key: "verified" for key in PLANTED}
    left = here(served, "drift", "--format", "json").json["drift"]
    assert [one["key"] for one in left] == [{"0": 33}]
    again = here(served, "repair", "apply", "--yes", "--format", "json")
    assert (again.code, again.json["repairs"]) == (0, [])
    told(served)
    undone(served, plan["11"]["id"], plan["22"]["id"])
    assert served.leader.sql(ROWS) == leader


def undone(served: Served, update: str, insert: str) -> None:
    """One repair is taken back; another one cannot be, for somebody has written its row since."""
    served.subscriber.sql("update orders set status = 'theirs' where id = 22")
    repaired = served.subscriber.sql(ROWS)
    dry = here(served, "repair", "undo", update, insert)
    assert (dry.code, served.subscriber.sql(ROWS)) == (1, repaired), dry
    first, statement, second = dry.out.splitlines()
    assert (first.endswith("11: would be undone (a dry run)"), statement.split()[0]) == (True, "update")
    assert second.endswith("22: not undone (the follower's row is no longer what the repair wrote)")
    done = here(served, "repair", "undo", update, "--yes", "--reason", "it was right", "--format", "json")
    assert (done.code, results(done)["11"][0]) == (0, "undone"), done
    assert set(served.subscriber.sql(ROWS)) ^ set(repaired) == {
        ("(11,new,11.00,)",), ('(11,new,12.00,"it\'s wrong")',),
    }  # fmt: skip
    assert states(served)["11"] == "undone"
    (line,) = served.journal("select subject, actor, detail from trueup_audit where action = 'undone'")
    assert (line[0], json.loads(line[2])) == (update, {"from": "undoing", "note": "it was right"})


def told(served: Served) -> None:
    """Every step of the three repairs, in the audit chain and in the events, which were sent: no daemon runs."""
    lines = served.journal("select subject, action, actor, detail from trueup_audit order by sequence")
    steps: dict[str, list[str]] = {}
    for subject, action, actor, _ in lines:
        steps.setdefault(subject, []).append(action)
        assert actor
    assert list(steps.values()) == [["planned", "approved", "applying", "applied", "verified"]] * 3
    reasons = [json.loads(detail)["note"] for _, action, _, detail in lines if action == "approved"]
    assert reasons == ["seen by me"] * 3
    assert served.journal("select count(*) from trueup_outbox where sent_at is null") == [(0,)]
    kinds = Counter(event["type"].removeprefix("io.trueup.") for event in served.events())
    assert {kind: count for kind, count in kinds.items() if kind.startswith("repair")} == {
        f"repair.{step}.v1": 3 for step in ("proposed", "approved", "applied", "verified")
    }
    assert kinds["drift.cleared.v1"] == 3


@pytest.mark.postgres
def test_rejected_held_and_overtaken_repairs_write_nothing(served: Served) -> None:
    plant(served, partial(here, served))
    plan = planned(served)
    rejected = here(served, "repair", "reject", plan["11"]["id"], "--reason", "it is right")
    assert (rejected.code, rejected.err) == (0, "reject: 1 repair\n")
    again = planned(served)
    assert again["11"]["decision"] == "refused"
    assert again["11"]["why"].endswith(f"repair {plan['11']['id']} was rejected: it is right")
    assert {key: row["id"] for key, row in again.items() if key != "11"} == {
        key: row["id"] for key, row in plan.items() if key != "11"
    }
    unknown = here(served, "repair", "approve", plan["22"]["id"], "nope")
    assert (unknown.code, "no repair 'nope'" in unknown.err) == (3, True), unknown
    assert states(served)["22"] == "planned", "all of them or none"
    assert here(served, "repair", "approve", plan["22"]["id"], plan["33"]["id"]).code == 0

    damaged = served.subscriber.sql(ROWS)
    book = open_journal(served.folder / "journal.db", "shop")
    token = book.leases.acquire("apply", lease.owner("ann"), 600.0, time.time())
    assert token is not None
    held = here(served, "repair", "apply", "--yes")
    assert held.code == 4, held
    assert "ann on " in held.err
    assert "applies repairs of group 'shop' right now; try again when that ended" in held.err
    assert served.subscriber.sql(ROWS) == damaged
    assert states(served)["22"] == "approved"

    # Who held it was killed: nobody waits for that lease to run out. And somebody has written a row since.
    assert book.leases.release("apply", token)
    gone = subprocess.run([sys.executable, "-c", OWNER], capture_output=True, text=True, check=True).stdout
    assert book.leases.acquire("apply", gone, 600.0, time.time()) is not None
    book.close()
    served.subscriber.sql("update orders set status = 'theirs' where id = 33")
    done = here(served, "repair", "apply", "--yes", "--format", "json")
    assert done.code == 0, done
    assert results(done) == {
        "22": ("verified", ""),
        "33": ("superseded", "the follower's row changed since it was planned"),
    }
    assert served.subscriber.sql("select status from orders where id in (22, 33) order by id") == [
        ("new",),
        ("theirs",),
    ]

    served.write(mode="off")
    off = here(served, "repair", "apply", "--yes")
    assert (off.code, "repair.mode is off; nothing is ever written" in off.err) == (3, True), off


@pytest.mark.mysql
def test_a_replica_of_another_engine_is_planned_and_decided_and_never_written(
    mariadb_pair: MysqlPair, tmp_path: Path
) -> None:
    shop = PairDatabase(mariadb_pair, fresh_name())
    try:
        shop.sql("create table orders (id int primary key, v text)", "insert into orders values (1, 'a'), (2, 'b')")
        mariadb_pair.caught_up()
        shop.plant("update orders set v = 'wrong' where id = 2")
        file = tmp_path / "trueup.yaml"
        file.write_text(pair_settings(shop))

        def ask(*words: str) -> Done:
            return here(file, *words, "--format", "json")

        assert ask("audit", "--quiet").code == 1
        (plan,) = ask("repair", "plan").json["plan"]
        assert (plan["decision"], plan["table"], plan["key"]) == ("update", f"{shop.name}.orders", "2"), plan
        assert here(file, "repair", "approve", plan["id"]).code == 0
        held = ask("repair", "apply", "--yes")
        assert held.code == 1, held
        why = "trueup writes to logical subscribers of PostgreSQL alone; the repair's event tells what to write"
        assert results(held) == {"2": ("held", why)}
        assert mariadb_pair.replica.sql(f"select v from `{shop.name}`.orders order by id") == [("a",), ("wrong",)]
    finally:
        shop.drop()
