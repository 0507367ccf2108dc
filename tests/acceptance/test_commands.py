"""What commands say about real servers: results that parse, exit codes that hold, and what doctor finds."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.running import Served

from connectors.embedded import Cluster, Workspace

pytestmark = pytest.mark.postgres


def remarks(served: Served, code: int) -> dict[str, dict[str, Any]]:
    """What doctor says, by its words."""
    done = served.ask("doctor", "--format", "json")
    assert done.code == code, done
    assert served.password_free(done.out + done.err)
    table = served.ask("doctor")
    assert table.code == code
    found = {one["what"]: one for one in done.json["remarks"]}
    assert all(what.splitlines()[0] in " ".join(table.out.split()) for what in found if len(what) < 80)
    return found


def test_doctor_is_content_with_what_is_right(served: Served) -> None:
    found = remarks(served, 0)
    assert {one["level"] for one in found.values()} <= {"ok", "note"}
    assert "slot and publication are created by the daemon where they are missing" in found
    assert "standby (standby): snapshot, bracketed, visibility" in found
    assert "standby cannot be repaired row by row: a physical standby is read-only" in found
    assert "max_slot_wal_keep_size is not set: a slot that nobody reads can fill the disk" in found


def test_doctor_names_what_is_missing_with_its_cure(served: Served) -> None:
    for database in (served.leader, served.subscriber):
        database.sql("create table keyless (x int)")
    served.write(edit=lambda text: text.replace(", create: true", ""))
    found = remarks(served, 4)
    slot = found[f"no logical slot '{served.slot}'"]
    assert (slot["level"], "pg_create_logical_replication_slot" in slot["cure"]) == ("error", True)
    publication = found[f"no publication '{served.slot}'"]
    assert (publication["level"], "create publication" in publication["cure"]) == ("error", True)
    assert "tables.keys" in found["no primary or unique not-null key: public.keyless"]["cure"]
    served.leader.sql(f"create publication {served.slot} for table orders")
    found = remarks(served, 4)
    lacks = found[f"publication '{served.slot}' lacks public.balances, public.items, public.keyless, public.ledger"]
    assert lacks["level"] == "warning"


def test_doctor_goes_on_where_a_server_does_not_answer(served: Served) -> None:
    served.ports["subscriber"] = 1
    served.write()
    found = remarks(served, 4)
    refused = [one for what, one in found.items() if "nobody answers" in what]
    assert [(one["subject"], one["level"]) for one in refused] == [("subscriber", "error")]
    assert any(one["subject"] == "standby" and one["level"] == "ok" for one in found.values())


def test_doctor_says_what_a_leader_without_logical_log_can_do(served: Served, postgres_workspace: Workspace) -> None:
    leader = Cluster.create(
        postgres_workspace, "plainlog", settings={"wal_level": "replica"}, password=served.passwords[0]
    )
    try:
        leader.sql(f"create database {served.world.name}")
        leader.sql("create table orders (id int primary key)", database=served.world.name)
        served.ports["leader"] = leader.port
        served.write(edit=_without_stream)
        found = remarks(served, 4)  # these followers follow somebody else
    finally:
        leader.stop("immediate")
    what = "wal_level is replica: no change stream, evidence by brackets and snapshots only"
    assert found[what]["cure"] == "alter system set wal_level = logical, and restart"


def test_exit_codes_and_json_of_questions(served: Served) -> None:
    held = served.ask("check", "--format", "json")
    assert (held.code, held.json["verdict"]) == (0, "match")
    served.leader.sql("update balances set balance = 0 where account = 4")
    broken = served.ask("check", "books", "--format", "json")
    assert (broken.code, broken.json["invariants"][0]["violations"]) == (1, 1)
    assert broken.json["invariants"][0]["sample"][0]["account"] == "4"
    served.write(edit=lambda text: text.replace("from ledger", "from legder"))
    unknown = served.ask("check", "--format", "json")
    assert (unknown.code, unknown.json["verdict"]) == (4, "unverified")
    assert "legder" in str(unknown.json)
    served.write(edit=_without_stream)
    lag = served.ask("lag", "--seconds", "1", "--format", "json")
    assert (lag.code, {hop["hop"]: hop["state"] for hop in lag.json["hops"]}) == (
        0, {"standby": "caught_up", "subscriber": "caught_up"},
    )  # fmt: skip
    served.subscription.pause()
    served.leader.sql("insert into orders values (7000, 'new', 1, null)")
    served.write(edit=lambda text: _without_stream(text).replace("    scan:", "    lag: {warn: 500ms}\n    scan:"))
    late = served.ask("lag", "--seconds", "2", "--format", "json")
    served.subscription.resume()
    assert late.code == 1, late
    (hop,) = [one for one in late.json["hops"] if one["state"] == "lagging"]
    assert (hop["hop"], "disabled" in hop["detail"]) == ("subscriber", True)
    assert (hop["changes"], "counted from a change stream, and none is configured" in hop["detail"]) == (None, True)


def _without_stream(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "stream:" not in line) + "\n"
