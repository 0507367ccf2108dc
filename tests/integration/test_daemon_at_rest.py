"""A group that is verified and written to by nobody: the daemon asks its servers where they are, and nothing else."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fixtures.databases import TrioDatabase
from fixtures.mysql_servers import PairDatabase, fresh_database
from fixtures.program import DaemonProcess, ok
from fixtures.running import Served
from fixtures.watched import kafka_stream, pair_settings
from stack.mysql_servers import MysqlPair, MysqlServer
from stack.native import KafkaStack

from connectors.embedded import Cluster

_SECONDS = 5.0
_STATEMENT = re.compile(r" trueup LOG:  (?:statement|execute [^:]*): (.*)")
_BEAT = {
    "leader": "select pg_is_in_recovery(), case when not pg_is_in_recovery() then pg_current_wal_insert_lsn()",
    "standby": "select pg_is_in_recovery(), pg_last_wal_replay_lsn()::text",
    "subscriber": "select s.subname, pg_replication_origin_progress(o.roname, false)::text,",
}
_SLOTS = "select slot_name::text, slot_type, active, wal_status, case when wal_status <> 'lost' then"


_BINLOG_BEAT = {
    "leader": ("show master status", "select @@global.gtid_binlog_pos"),
    "replica": ("show all slaves status", "select @@global.gtid_slave_pos"),
}
_BINLOGS = ("show binary logs", "select binlog_gtid_pos(", "select @@global.expire")
"""What the leader keeps is looked at once a minute."""
_KAFKA = """\
journal: journal.db
http: {{listen: 127.0.0.1:0}}
groups:
  - name: shop
    leader: {{url: "{leader}"}}
    followers: [{{name: standby, url: "{standby}"}}]
    tables: {{include: [public.orders]}}
    {stream}
    scan: {{period: 24h}}
"""


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
        for _ in range(4):  # what had just been scanned, a checkpoint or an autovacuum may have some aftermath
            asked, seconds = _at_rest(served, clusters)
            if not any(_others(name, asked[name]) for name in clusters):
                break
    for name, statements in asked.items():
        assert _others(name, statements) == {}, name
        assert 1 <= sum(statements.values()) <= seconds + 2, (name, statements)


@pytest.mark.mysql
def test_nothing_but_the_heartbeat_beside_a_binlog(mariadb_pair: MysqlPair, tmp_path: Path) -> None:
    database = PairDatabase(mariadb_pair, fresh_database())
    user = f"rest_{database.name}"
    database.sql(
        "create table orders (id int primary key, v int)", "insert into orders values (1, 1), (2, 2), (3, 3)",
        f"create user {user}@'%' identified by 'x'", f"grant all on *.* to {user}@'%'",
    )  # fmt: skip
    mariadb_pair.caught_up()
    servers = {"leader": mariadb_pair.leader, "replica": mariadb_pair.replica}
    urls = {name: server.url(database.name, user=user, password="x") for name, server in servers.items()}
    file = tmp_path / "trueup.yaml"
    file.write_text(pair_settings(database, "stream: {kind: binlog}", "scan: {period: 24h}", **urls))
    try:
        with DaemonProcess(file) as daemon:
            daemon.until_ready()
            database.sql("update orders set v = v + 1")
            daemon.until(lambda: (daemon.metric("trueup_touched_keys_verified_total") or 0) >= 3, "looks")
            daemon.until_ready()
            asked, seconds = _of_user(servers, user)
            if any(_beside(name, asked[name]) for name in servers):
                asked, seconds = _of_user(servers, user)  # what had just been changed had some aftermath
    finally:
        database.sql(f"drop user {user}@'%'")
        database.drop()
    for name, statements in asked.items():
        assert _beside(name, statements) == {}, name
        assert 1 <= statements[_BINLOG_BEAT[name][1]] <= seconds + 2, (name, statements)


def _of_user(servers: dict[str, MysqlServer], user: str) -> tuple[dict[str, Counter[str]], float]:
    """Statements of this user while nobody wrote for some seconds; how many seconds it were."""
    found: dict[str, Counter[str]] = {}
    began = time.monotonic()
    for server in servers.values():
        server.quietly("set global log_output = 'TABLE'", "truncate mysql.general_log", "set global general_log = ON")
    time.sleep(_SECONDS)
    for name, server in servers.items():
        server.quietly("set global general_log = OFF", "set global log_output = 'FILE'")
        told = server.sql(
            "select lower(convert(argument using utf8mb4)) from mysql.general_log "
            "where command_type = 'Query' and user_host like %s",
            (f"{user}[%",),
        )
        found[name] = Counter(" ".join(text.split()) for (text,) in told)
    return found, time.monotonic() - began


def _beside(name: str, asked: Counter[str]) -> dict[str, int]:
    """Statements other than the heartbeat; what was asked once only is not asked again and again."""
    found = {one: count for one, count in asked.items() if one not in _BINLOG_BEAT[name]}
    return {one: count for one, count in found.items() if count > 1 or not one.startswith(_BINLOGS)}


@pytest.mark.kafka
@pytest.mark.postgres
def test_nothing_but_positions_where_only_the_connector_writes(
    trio_database: TrioDatabase, kafka_stack: KafkaStack, tmp_path: Path
) -> None:
    """The connector's heartbeat moves the leader's log, so it is asked each second what its publication holds; rows are
    not."""
    world, name, file = trio_database, kafka_stack.prefix(), tmp_path / "trueup.yaml"
    world.leader.sql("create table orders (id int primary key, v int)")
    world.leader.sql("insert into orders select g, g from generate_series(1, 100) g")
    kafka_stack.adopt(name, world.trio.leader, world.name)
    urls = {"leader": world.leader.url, "standby": world.standby.url}
    file.write_text(_KAFKA.format(**urls, stream=kafka_stream(kafka_stack, name)))
    ok("connector", "register", "--create-heartbeat", "--wait", "60", "--config", file)
    world.caught_up()
    clusters = {"leader": world.trio.leader, "standby": world.trio.standby}
    world.leader.sql(f"alter database \"{world.name}\" set log_statement = 'all'")
    world.caught_up()
    with DaemonProcess(file) as daemon:
        daemon.until_ready()
        world.leader.sql("update orders set v = v + 1")
        daemon.until(lambda: (daemon.metric("trueup_touched_keys_verified_total") or 0) >= 100, "looks")
        daemon.until_ready()
        daemon.at_rest("trueup_touched_keys_verified_total")
        for _ in range(3):  # what had just been looked at may have some aftermath
            asked, seconds = _of(clusters)
            if not [text for statements in asked.values() for text in statements if "orders" in text]:
                break
    for one, statements in asked.items():
        assert not [text for text in statements if "orders" in text], (one, statements)
        others = {text: count for text, count in statements.items() if not text.startswith(_BEAT[one])}
        assert all(count <= seconds + 2 for count in others.values()), (one, others)
        assert len(others) <= (_OTHERS if one == "leader" else 0), (one, others)
        assert 1 <= max(statements.values()) <= seconds + 2, (one, statements)


_OTHERS = 5
"""Its position with what a look shows, what the publication holds, and its slots."""


def _of(clusters: dict[str, Cluster]) -> tuple[dict[str, Counter[str]], float]:
    """What was asked for some seconds; how many they were: a busy machine may sleep for longer than it was told to."""
    began = time.monotonic()
    starts = {name: cluster.log.stat().st_size for name, cluster in clusters.items()}
    time.sleep(_SECONDS)
    asked = {name: _asked(cluster, starts[name]) for name, cluster in clusters.items()}
    return asked, time.monotonic() - began


def _at_rest(served: Served, clusters: dict[str, Cluster]) -> tuple[dict[str, Counter[str]], float]:
    """What was asked while the leader's log stood still for long enough."""
    deadline = time.monotonic() + 90
    while True:
        before = served.leader.sql("select pg_current_wal_insert_lsn()::text")
        asked, seconds = _of(clusters)
        if served.leader.sql("select pg_current_wal_insert_lsn()::text") == before:
            return asked, seconds
        assert time.monotonic() < deadline, "somebody keeps writing to the leader"


def _others(name: str, asked: Counter[str]) -> dict[str, int]:
    """Statements other than the heartbeat. The slots are looked at once a minute."""
    found = {one: count for one, count in asked.items() if not one.startswith(_BEAT[name])}
    slots = [one for one in found if one.startswith(_SLOTS)]
    return {one: count for one, count in found.items() if one not in slots or count > 1 or len(slots) > 1}
