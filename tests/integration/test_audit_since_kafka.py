"""An audit of what was touched since an earlier one, where the leader is followed through Debezium and Kafka."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.audit_program import gone_on_from, keys_since
from fixtures.running import Served
from fixtures.watched import kafka_stream
from stack.native import KafkaStack

from connectors.debezium.connect import Connect

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

_BEAT = "create table beat (id int primary key, at timestamptz)"
_ALL = {
    "skipped.operations": "none",
    "heartbeat.action.query": "insert into beat values (1, now()) on conflict (id) do update set at = now()",
}


def _drifted(report: dict[str, Any]) -> set[tuple[str, str, int]]:
    return {
        (entry["follower"], row["kind"], row["key"]["id"])
        for entry in report["tables"]
        for row in entry["rows_drifted"]
    }


def test_only_what_was_touched_is_looked_at_while_the_connector_reads_without_a_break(
    served: Served, kafka_stack: KafkaStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trueup.audit.since.CAUGHT_UP_SECONDS", 60.0)  # a daemon that others keep waiting is late
    for server in (served.subscriber, served.leader):
        server.sql(_BEAT)
    leader = served.world.trio.leader
    name = kafka_stack.capture(leader, served.world.name, ["public.orders", "public.beat"], more=_ALL)
    own = f"stream: {{pgoutput: {{slot: own_{served.slot}, publication: own, create: true}}}}, subscription:"

    def edit(text: str) -> str:
        lines = text.replace("subscription:", own).splitlines()
        stream = next(n for n, line in enumerate(lines) if line.startswith("    stream:"))
        lines[stream] = f"    {kafka_stream(kafka_stack, name)}\n    tables: {{include: [public.orders]}}"
        return "\n".join(lines) + "\n"

    served.write(period="1h", edit=edit)
    with served.daemon() as daemon:
        daemon.until_ready()
        base, nothing = gone_on_from(served.audit)
        assert keys_since(nothing) == {("standby", "public.orders"): 0, ("subscriber", "public.orders"): 0}

        served.subscriber.sql("update orders set status = 'rogue' where id in (3, 4)")
        served.leader.sql("update orders set note = 'touched' where id in (4, 5, 6)")
        served.world.caught_up()
        found = served.audit("--since", base["run"], code=1)
        assert _drifted(found) == {("subscriber", "mismatched", 3)}  # the subscription brought row 4 as a whole
        assert keys_since(found) == {("standby", "public.orders"): 3, ("subscriber", "public.orders"): 4}

        # a connector that connects anew may have been told to leave something out meanwhile: nobody can know
        before = _reader(served, name)
        Connect(kafka_stack.connect_url).restart(name)
        daemon.until(lambda: _reader(served, name) not in (before, [], [(None,)]), "another connection")
        anew = served.audit("--since", found["run"], code=1)
        assert _drifted(anew) == {("subscriber", "mismatched", 3)}
        assert keys_since(anew) == {("standby", "public.orders"): None, ("subscriber", "public.orders"): None}
        assert all("the connector has connected anew" in entry["since"]["why"] for entry in anew["tables"])


def _reader(served: Served, name: str) -> list[tuple[Any, ...]]:
    return served.leader.sql("select active_pid from pg_replication_slots where slot_name = %s", (f"dbz_{name}",))
