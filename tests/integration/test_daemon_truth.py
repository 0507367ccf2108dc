"""The daemon tells the truth about real servers: what is planted is named with its evidence, nothing else ever is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from fixtures.program import PROGRAM, DaemonProcess, Done, ok
from fixtures.running import Served, beside
from jsonschema import Draft202012Validator

pytestmark = pytest.mark.postgres

SCHEMAS = Path(__file__).parent.parent.parent / "reconciler" / "schemas"
PLANTED = {
    ("subscriber", "public.orders", ("11",)): ("mismatched", {"amount": ("11.00", "12.00")}),
    ("subscriber", "public.orders", ("22",)): ("missing", None),
    ("subscriber", "public.orders", ("5000",)): ("extra", None),
    ("subscriber", "public.items", ("7", "1")): ("mismatched", {"sku": ("sku-7", "SKU-7")}),
}


def plant(served: Served) -> None:
    """Rows that are never touched again, so only the scan can find them."""
    served.subscriber.sql("update orders set amount = 12 where id = 11")
    served.subscriber.sql("delete from orders where id = 22")
    served.subscriber.sql("insert into orders values (5000, 'typed-by-hand', 1, null)")
    served.subscriber.sql("update items set sku = 'SKU-7' where order_id = 7")


def validated(events: list[dict[str, Any]]) -> list[str]:
    """The types of events that fit their schemas."""
    checks = {
        path.name.partition(".")[0]: Draft202012Validator(json.loads(path.read_text()))
        for path in SCHEMAS.glob("*.v1.json")
    }
    for event in events:
        checks[event["dataschema"].removeprefix("urn:trueup:events:").partition(".")[0]].validate(event)
    return [event["type"] for event in events]


def command(daemon: DaemonProcess) -> str:
    """What a list of processes shows of it."""
    return Path(f"/proc/{daemon.process.pid}/cmdline").read_text().replace("\0", " ")


def test_the_whole_loop_names_repairs_and_verifies_exactly_what_was_planted(served: Served) -> None:
    served.write(mode="approve")
    with served.daemon() as daemon:
        daemon.until_ready()
        served.leader.sql("update orders set status = 'paid' where id between 100 and 300")
        daemon.until(lambda: (daemon.metric("trueup_touched_keys_verified_total", result="match") or 0) >= 402, "looks")
        assert served.drift() == {}
        plant(served)
        daemon.until(lambda: daemon.metric("trueup_drift_rows") == len(PLANTED), "the planted rows")
        found = served.drift()
        assert found.keys() == PLANTED.keys()
        for place, (kind, columns) in PLANTED.items():
            told = found[place]
            assert (told["kind"], told["evidence"]) == (kind, "proven"), told
            assert told["method"] in ("visibility", "bracketed")
            if columns is not None:
                shown = {name: (both["leader"], both["follower"]) for name, both in told["columns"].items()}
                assert shown == columns
        daemon.until(lambda: daemon.metric("trueup_repairs_waiting", state="planned") == 4, "the plans")
        assert served.repairs() == dict.fromkeys(((table, ", ".join(key)) for _, table, key in PLANTED), "planned")
        preview = ok("repair", "apply", "--config", served.file)
        assert "no approved repairs" in preview.out
        done = ok("repair", "approve", "--all", "--reason", "seen by me", "--config", served.file)
        assert "approve: 4 repairs" in done.err
        daemon.until(lambda: daemon.metric("trueup_drift_rows") in (0, None), "no drift")
        daemon.until(lambda: daemon.metric("trueup_repairs_waiting") == 0, "verified repairs")
        assert list(served.repairs().values()) == ["verified"] * 4
        assert served.drift() == {}
        for table in ("orders", "items"):
            question = f"select t::text from {table} t order by 1"
            assert served.subscriber.sql(question) == served.leader.sql(question)
        daemon.until(lambda: daemon.metric("trueup_outbox_pending") == 0, "an empty outbox")
        kinds = validated(served.events())
        for step in ("proposed", "approved", "applied", "verified"):
            assert kinds.count(f"io.trueup.repair.{step}.v1") == 4, kinds
        assert kinds.count("io.trueup.drift.opened.v1") == 4
        assert kinds.count("io.trueup.drift.cleared.v1") == 4
        ids = [event["id"] for event in served.events()]
        assert len(ids) == len(set(ids))

        served.leader.sql("update balances set balance = balance + 1 where account = 3")
        daemon.until(lambda: daemon.metric("trueup_invariant_violations", invariant="books") == 1, "the violation")
        daemon.until(lambda: "io.trueup.invariant.violated.v1" in validated(served.events()), "its event")
        assert served.ask("check").code == 1
        assert daemon.health("/livez") == (200, "")
        for place in (daemon.log.read_text(), daemon.get("/metrics")[1], daemon.get("/readyz")[1], command(daemon)):
            assert served.password_free(place)
            assert "typed-by-hand" not in place
            assert "SKU-7" not in place, "row values are never logged"
        assert served.password_free(ok("config", "show", "--config", served.file).out)


def watched(served: Served, daemon: DaemonProcess) -> None:
    """`lag --watch` tells again and again, until Ctrl-C, what the daemon knows of a late follower."""
    process = subprocess.Popen(
        [PROGRAM, "lag", "--watch", "--seconds", "0.5", "--format", "json", "--config", str(beside(served, daemon))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONFAULTHANDLER": "1"},
    )
    assert process.stdout is not None
    told, text, calm = [], "", ("caught_up", "caught_up", 3)
    while len(told) < 3:
        line = process.stdout.readline()
        assert line, "it ended by itself"
        text += line
        if line == "}\n":
            hops = {hop["hop"]: hop for hop in json.loads(text)["hops"]}
            seen = hops["trueup"]["state"], hops["standby"]["state"], hops["subscriber"]["changes"]
            told = [*told, hops] if seen == calm else []  # a daemon that others keep waiting may be late itself
            text = ""
    process.send_signal(signal.SIGINT)
    try:
        _, error = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # it says where it is
        _, error = process.communicate()
    assert (process.returncode, error) == (0, "")
    assert [hops for hops in told if "unknown" in hops["subscriber"]["detail"]] == []
    assert 0 < told[0]["subscriber"]["seconds"] <= told[1]["subscriber"]["seconds"] <= told[2]["subscriber"]["seconds"]


def test_an_idle_leader_is_caught_up_and_stays_so(served: Served) -> None:
    served.write(edit=lambda text: text.replace("    scan:", "    lag: {warn: 2s}\n    scan:"))
    with served.daemon() as daemon:
        daemon.until_ready()
        told: list[Done] = []

        def in_time() -> bool:
            told.append(served.ask("lag", "--seconds", "1", "--format", "json"))
            return told[-1].code == 0

        daemon.until(in_time, "nobody late")
        assert {hop["hop"]: hop["state"] for hop in told[-1].json["hops"]} == dict.fromkeys(
            ("stream", "standby", "subscriber"), "caught_up"
        )
        time.sleep(2)  # nothing is written; silence is neither lag nor trouble
        for follower in ("standby", "subscriber"):
            caught_up = {"follower": follower, "state": "caught_up"}
            daemon.until(lambda told=caught_up: daemon.metric("trueup_replication_state", **told) == 1, "no lag")
            daemon.until(lambda one=follower: daemon.metric("trueup_replication_lag_seconds", follower=one) == 0, "0 s")
        daemon.until(lambda: daemon.metric("trueup_stream_state", state="caught_up") == 1, "an idle stream")
        # Without its worker a subscriber tells where its last commit was, which is behind what keepalives had told.
        served.subscription.pause()
        served.leader.sql("insert into orders values (6000, 'new', 1, null)")
        late = {"follower": "subscriber", "state": "lagging"}
        daemon.until(lambda: daemon.metric("trueup_replication_state", **late) == 1, "a late subscriber")
        assert daemon.metric("trueup_replication_state", follower="subscriber", state="rewound") == 0
        served.subscription.resume()
        served.world.caught_up()
        served.subscription.pause()
        for order in (6001, 6002, 6003):
            served.leader.sql("insert into orders values (%s, 'new', 1, null)", (order,))
        daemon.until(lambda: daemon.metric("trueup_replication_lag_changes", follower="subscriber") == 3, "3 changes")
        watched(served, daemon)
    stopped = served.ask("lag", "--seconds", "1", "--format", "json")
    served.subscription.resume()
    assert stopped.code == 4
    (late,) = [hop for hop in stopped.json["hops"] if hop["hop"] == "subscriber"]
    assert late["changes"] is None
    assert "changes unknown: the daemon counts them from the stream, and none answers at 127.0.0.1:0" in late["detail"]
    (stream,) = [hop for hop in stopped.json["hops"] if hop["hop"] == "stream"]
    assert (stream["state"], f"nobody reads slot {served.slot}" in stream["detail"]) == ("unknown", True)
