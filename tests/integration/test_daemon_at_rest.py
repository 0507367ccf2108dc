"""A group that is verified and written to by nobody: the daemon asks its servers where they are, and nothing else."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fixtures.running import Served

from connectors.embedded import Cluster

_SECONDS = 5.0
_STATEMENT = re.compile(r" trueup LOG:  (?:statement|execute [^:]*): (.*)")
_BEAT = {
    "leader": "select pg_is_in_recovery(), case when not pg_is_in_recovery() then pg_current_wal_insert_lsn()",
    "standby": "select pg_is_in_recovery(), pg_last_wal_replay_lsn()::text",
    "subscriber": "select s.subname, pg_replication_origin_progress(o.roname, false)::text,",
}
_SLOTS = "select slot_name::text, slot_type, active, wal_status, case when wal_status <> 'lost' then"


@contextmanager
def _told(served: Served) -> Iterator[None]:
    """The servers log the statements of sessions that begin meanwhile in this database."""
    for database in (served.leader, served.subscriber):
        database.sql(f"alter database \"{served.world.name}\" set log_statement = 'all'")
    yield
    for database in (served.leader, served.subscriber):
        database.sql(f'alter database "{served.world.name}" reset log_statement')


def _asked(cluster: Cluster, start: int) -> Counter[str]:
    """trueup's statements in the log behind that byte, without line breaks."""
    with Path(cluster.log).open("rb") as log:
        log.seek(start)
        lines = re.sub(r"\n(?!\d{4}-\d\d-\d\d )", " ", log.read().decode(errors="replace")).splitlines()
    found = (_STATEMENT.search(line) for line in lines)
    return Counter(" ".join(one[1].split()) for one in found if one)


def test_nothing_but_the_heartbeat_where_nothing_changes(served: Served) -> None:
    trio = served.world.trio
    clusters = {"leader": trio.leader, "standby": trio.standby, "subscriber": trio.subscriber}
    served.write(period="24h", edit=lambda text: text[: text.index("    invariants:")])
    with _told(served), served.daemon() as daemon:
        daemon.until_ready()
        served.leader.sql("update ledger set amount = amount + 1 where id < 20")  # something that was looked at
        served.world.caught_up()
        daemon.until_ready()
        asked = _at_rest(served, clusters)
        if any(_others(name, asked[name]) for name in clusters):
            asked = _at_rest(served, clusters)  # what had just been scanned, or a checkpoint, had some aftermath
    for name, statements in asked.items():
        assert _others(name, statements) == {}, name
        beats = sum(statements.values())
        assert 3 <= beats <= _SECONDS + 2, (name, statements)


def _at_rest(served: Served, clusters: dict[str, Cluster]) -> dict[str, Counter[str]]:
    """What was asked while the leader's log stood still for long enough."""
    deadline = time.monotonic() + 90
    while True:
        before = served.leader.sql("select pg_current_wal_insert_lsn()::text")
        starts = {name: cluster.log.stat().st_size for name, cluster in clusters.items()}
        time.sleep(_SECONDS)
        asked = {name: _asked(cluster, starts[name]) for name, cluster in clusters.items()}
        if served.leader.sql("select pg_current_wal_insert_lsn()::text") == before:
            return asked
        assert time.monotonic() < deadline, "somebody keeps writing to the leader"


def _others(name: str, asked: Counter[str]) -> dict[str, int]:
    """Statements other than the heartbeat. The slots are looked at once a minute."""
    found = {one: count for one, count in asked.items() if not one.startswith(_BEAT[name])}
    slots = [one for one in found if one.startswith(_SLOTS)]
    return {one: count for one, count in found.items() if one not in slots or count > 1 or len(slots) > 1}
