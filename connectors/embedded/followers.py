"""Followers of an embedded leader: a physical standby by base backup, a logical subscriber by publication."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from connectors.embedded.binaries import Binaries
from connectors.embedded.cluster import Cluster, free_port
from verifier.errors import Temporary


def standby_of(
    leader: Cluster, name: str = "standby", *, settings: Mapping[str, str | int] | None = None, port: int | None = None
) -> Cluster:
    """A started hot standby of `leader`. It has a physical slot, named like it: no log is lost while it is away."""
    standby = Cluster(
        leader.workspace, name, leader.binaries, port=port or free_port(), password=leader.password,
        settings={**leader.settings, **(settings or {})},
    )  # fmt: skip
    # Newer tools copy older servers; some packed servers come without the tool.
    tools = leader.workspace.reach(leader.binaries.having("pg_basebackup"))
    words = ["-R", "-C", "-S", name.replace("-", "_"), "-X", "stream", "--checkpoint=fast", "--no-sync"]
    standby.tool(tools.program("pg_basebackup"), "-D", standby.data, "-d", leader.dsn(), *words)
    if tools.version != leader.binaries.version:  # what it wrote may have words that the older server does not know
        with (standby.data / "postgresql.auto.conf").open("a") as written:
            written.write(f"primary_conninfo = '{leader.dsn().replace(chr(39), chr(39) * 2)}'\n")
    standby.start(move=port is None)
    return standby


def pause_replay(standby: Cluster) -> None:
    """Stop applying on a standby (it goes on receiving) and wait until it has stopped: a perfect lag."""
    standby.sql("select pg_wal_replay_pause()")
    # From 14 on the request and the pause are two steps.
    question = (
        "pg_is_wal_replay_paused()" if standby.binaries.version < 14 else "pg_get_wal_replay_pause_state() = 'paused'"
    )
    _wait(lambda: bool(standby.sql(f"select {question}")[0][0]), f"replay of '{standby.name}' to pause", 10)


def resume_replay(standby: Cluster) -> None:
    standby.sql("select pg_wal_replay_resume()")


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A logical follower: `cluster` holds `database`, fed by `subscription` from the leader's `publication`."""

    cluster: Cluster
    leader: Cluster
    database: str
    publication: str
    subscription: str

    def pause(self) -> None:
        """Disable the subscription and wait until its worker is gone: nothing is applied afterwards."""
        self._alter("disable")
        _wait(lambda: not self._workers(), f"subscription '{self.subscription}' to stop", 20)

    def resume(self) -> None:
        self._alter("enable")

    def refresh(self) -> None:
        """Take up tables added to the publication, and wait until they are copied."""
        self._alter("refresh publication")
        self.wait_copied()

    def wait_copied(self, seconds: float = 60.0) -> None:
        """Wait until every table's initial copy is done and changes are streaming."""
        question = "select count(*) filter (where srsubstate <> 'r'), count(*) from pg_subscription_rel"
        where = f"tables of subscription '{self.subscription}' to be copied"
        _wait(lambda: self._sql(question)[0][0] == 0 and bool(self._workers()), where, seconds)

    def wait_applied(self, seconds: float = 30.0) -> None:
        """Wait until everything committed on the leader by now is applied here."""
        position = self.leader.sql("select pg_current_wal_lsn()::text")[0][0]
        question = (
            "select coalesce(confirmed_flush_lsn >= %s::pg_lsn, false) from pg_replication_slots where slot_name = %s"
        )
        what = f"subscription '{self.subscription}' to confirm {position}"
        _wait(lambda: bool(self.leader.sql(question, (position, self.subscription))[0][0]), what, seconds)

    def _alter(self, action: str) -> None:
        name = sql.Identifier(self.subscription).as_string()
        self._sql(f"alter subscription {name} {action}")

    def _workers(self) -> int:
        question = "select count(pid) from pg_stat_subscription where subname = %s and relid is null"
        return int(self.cluster.sql(question, (self.subscription,), database=self.database)[0][0])

    def _sql(self, statement: str) -> list[tuple[object, ...]]:
        return self.cluster.sql(statement, database=self.database)


def subscriber_of(
    leader: Cluster,
    database: str,
    *,
    schema: str,
    tables: Sequence[str] = (),
    name: str = "subscriber",
    cluster: Cluster | None = None,
    publication: str | None = None,
    binaries: Binaries | None = None,
    settings: Mapping[str, str | int] | None = None,
    port: int | None = None,
) -> Subscriber:
    """A logical follower of `leader`'s `database`, copied and streaming when this returns.

    `schema` is the SQL that makes the (empty) tables: logical replication does not carry them. `tables` are published
    (SQL names, all tables when empty) unless `publication` names one that exists. Give `cluster` to use a server that
    runs already; else a new one is made.
    """
    server = cluster or Cluster.create(
        leader.workspace, name, binaries or leader.binaries, settings=settings, port=port, password=leader.password
    )
    identifier = sql.Identifier(database).as_string()
    if not server.sql("select 1 from pg_database where datname = %s", (database,)):
        server.sql(f"create database {identifier}")
    if schema.strip():
        server.sql(schema, database=database)
    slot = f"{name}_{database}".replace("-", "_").lower()
    published = publication or slot
    if not leader.sql("select 1 from pg_publication where pubname = %s", (published,), database=database):
        scope = f"for table {', '.join(tables)}" if tables else "for all tables"
        leader.sql(f"create publication {sql.Identifier(published).as_string()} {scope}", database=database)
    connection = sql.Literal(leader.dsn(database)).as_string()
    names = sql.Identifier(slot).as_string(), sql.Identifier(published).as_string()
    server.sql(f"create subscription {names[0]} connection {connection} publication {names[1]}", database=database)
    subscriber = Subscriber(server, leader, database, published, slot)
    subscriber.wait_copied()
    return subscriber


def _wait(done: Callable[[], bool], what: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Temporary(f"waited {seconds:g} s for {what}, in vain")
        time.sleep(0.03)
