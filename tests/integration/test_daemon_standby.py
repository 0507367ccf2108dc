"""A physical standby that really differs: a byte of its data file was changed, as a failing disk would."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from fixtures.program import ok
from fixtures.running import Served

from connectors.embedded import Cluster, standby_of

pytestmark = pytest.mark.postgres


@pytest.fixture
def lame(served: Served) -> Iterator[Callable[[str, str], Cluster]]:
    """`lame(before, after)` is a standby of its own, on which that text in public.orders reads otherwise."""
    leader = served.world.trio.leader
    made: list[Cluster] = []

    def make(before: str, after: str) -> Cluster:
        served.leader.sql("checkpoint")
        (path,) = served.leader.sql("select pg_relation_filepath('public.orders')")[0]
        standby = standby_of(leader, "lame")
        made.append(standby)
        standby.stop()
        file = standby.data / path
        held = file.read_bytes()
        assert held.count(before.encode()) == 1
        assert len(before) == len(after)
        file.write_bytes(held.replace(before.encode(), after.encode()))
        standby.start()
        return standby

    yield make
    for standby in made:
        standby.stop("immediate")
    leader.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'lame'")


def test_its_drift_is_proven_and_its_repair_refused_with_advice(
    served: Served, lame: Callable[[str, str], Cluster]
) -> None:
    served.leader.sql("update orders set note = 'NEEDLE-1234' where id = 42")
    served.world.caught_up()
    served.ports["standby"] = lame("NEEDLE-1234", "NOODLE-1234").port
    served.write(mode="apply")
    with served.daemon() as daemon:
        daemon.until(lambda: daemon.metric("trueup_drift_rows") == 1, "the row")
        found = served.drift()
        assert found.keys() == {("standby", "public.orders", ("42",))}
        (one,) = found.values()
        assert one["evidence"] == "proven"
        assert one["columns"] == {"note": {"leader": "NEEDLE-1234", "follower": "NOODLE-1234"}}
        daemon.until(lambda: (daemon.metric("trueup_refusals_total") or 0) >= 1, "the refusal")
        assert "repair_refused" in daemon.actions()
        planned = ok("repair", "plan", "--format", "json", "--config", served.file).json["plan"]
        assert [row["decision"] for row in planned] == ["refused"]
        assert "standby" in planned[0]["why"]
        assert len(planned[0]["why"].split()) > 8, "it says what can be done"
        assert served.repairs() == {}
        daemon.until_ready()
