"""The connectors as the stack registers them: PostgreSQL, MariaDB and MySQL as sources, and a sink into any of them.

A source knows what its connector leaves behind on the leader, and takes it away.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import psycopg

from connectors.embedded import Cluster
from stack.mysql_servers import ADMIN, MysqlServer
from verifier.errors import Temporary

SIGNAL_TABLE = "trueup_signal"
SIGNAL_TABLE_SQL = "create table trueup_signal (id varchar(64) primary key, type varchar(32) not null, data text);"
_JSON = "org.apache.kafka.connect.json.JsonConverter"
_AVRO = "io.apicurio.registry.utils.converter.AvroConverter"
_CLASSES = {
    "mariadb": "io.debezium.connector.mariadb.MariaDbConnector",
    "mysql": "io.debezium.connector.mysql.MySqlConnector",
}
# A source poses as a replica: no two with the same number on one server.
_server_ids = itertools.count(5400)


class Source(Protocol):
    """One database of one leader."""

    def connector(self, prefix: str, tables: Sequence[str], bootstrap: str, *, signals: bool) -> dict[str, str]:
        """Configuration of a connector of these tables (`schema.table`, or `database.table`): topics `prefix.tables`.
        `signals`: the database has the table `trueup_signal`."""
        ...

    def clean(self, prefix: str) -> None:
        """Take away what that connector, now deleted, left on the leader."""
        ...


@dataclass(frozen=True, slots=True)
class PostgresSource:
    """Slot and publication are called `dbz_PREFIX`."""

    leader: Cluster
    database: str

    def connector(self, prefix: str, tables: Sequence[str], bootstrap: str, *, signals: bool) -> dict[str, str]:
        name = _plain(prefix)
        signal_table = f"public.{SIGNAL_TABLE}"
        return {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": "127.0.0.1",
            "database.port": str(self.leader.port),
            "database.user": "postgres",
            "database.password": self.leader.password,
            "database.dbname": self.database,
            "plugin.name": "pgoutput",
            "slot.name": f"dbz_{name}",
            "publication.name": f"dbz_{name}",
            "publication.autocreate.mode": "filtered",
            **_common(prefix, tables, signal_table if signals else None),
        }

    def clean(self, prefix: str) -> None:
        plain = f"dbz_{_plain(prefix)}"
        active = "select active_pid from pg_replication_slots where slot_name = %s and active"
        drop = "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s"
        patient = time.monotonic() + 10.0

        def dropped() -> bool:
            """A connector that is being deleted lets go of its slot by itself; one whose connection is ended under it
            takes its slot, or makes it, once more. So it is ended only when it stays."""
            if held := self.leader.sql(active, (plain,)):
                if time.monotonic() > patient:
                    self.leader.sql("select pg_terminate_backend(%s)", held[0])
                return False
            try:
                self.leader.sql(drop, (plain,))
            except psycopg.errors.ObjectInUse:
                return False
            return True

        _until(dropped)
        self.leader.sql(f'drop publication if exists "{plain}"', database=self.database)


@dataclass(frozen=True, slots=True)
class MysqlSource:
    """MariaDB or MySQL, each by its own connector. Nothing stays on the leader: a binlog is kept for nobody."""

    leader: MysqlServer
    database: str

    def connector(self, prefix: str, tables: Sequence[str], bootstrap: str, *, signals: bool) -> dict[str, str]:
        signal_table = f"{self.database}.{SIGNAL_TABLE}"
        return {
            "connector.class": _CLASSES[self.leader.engine],
            "database.hostname": "127.0.0.1",
            "database.port": str(self.leader.port),
            "database.user": ADMIN,
            "database.password": self.leader.password,
            "database.server.id": str(next(_server_ids)),
            "database.include.list": self.database,
            "schema.history.internal.kafka.bootstrap.servers": bootstrap,
            "schema.history.internal.kafka.topic": f"{prefix}-history",
            # One inet column anywhere on a MariaDB server stops its connector otherwise.
            "schema.history.internal.skip.unparseable.ddl": "true",
            "schema.history.internal.store.only.captured.databases.ddl": "true",
            **_common(prefix, tables, signal_table if signals else None),
        }

    def clean(self, prefix: str) -> None:
        pass


def source_of(leader: Cluster | MysqlServer, database: str) -> Source:
    """The source for a server of this kind."""
    return PostgresSource(leader, database) if isinstance(leader, Cluster) else MysqlSource(leader, database)


def with_schemas() -> dict[str, str]:
    """Converter settings: JSON in which every message carries its schema, as the JDBC sink needs it."""
    return {
        **{f"{part}.converter": _JSON for part in ("key", "value")},
        **{f"{part}.converter.schemas.enable": "true" for part in ("key", "value")},
    }


def avro(registry: str) -> dict[str, str]:
    """Converter settings: Avro in Confluent's framing, its schemas in the registry at this URL."""
    settings = {
        "url": f"{registry}/apis/registry/v2",
        "auto-register": "true",
        "find-latest": "true",
        "as-confluent": "true",
        "use-id": "contentId",
        "headers.enabled": "false",
    }
    parts = ("key.converter", "value.converter")
    return {
        **dict.fromkeys(parts, _AVRO),
        **{f"{part}.apicurio.registry.{name}": value for part in parts for name, value in settings.items()},
        "schema.name.adjustment.mode": "avro",
        "field.name.adjustment.mode": "avro",
    }


def jdbc_sink(topics: Sequence[str], follower: Cluster | MysqlServer, database: str) -> dict[str, str]:
    """Configuration of a sink that applies change events (JSON with schemas) to tables of the same names, by key. The
    tables should exist: those that the sink makes are of other types."""
    if isinstance(follower, Cluster):
        url, user = f"jdbc:postgresql://127.0.0.1:{follower.port}/{database}", "postgres"
    else:
        # Not jdbc:mysql for MariaDB: its JSON columns are refused then.
        url, user = f"jdbc:{follower.engine}://127.0.0.1:{follower.port}/{database}", ADMIN
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": ",".join(topics),
        "connection.url": url,
        "connection.username": user,
        "connection.password": follower.password,
        "insert.mode": "upsert",
        "delete.enabled": "true",
        "truncate.enabled": "true",
        "primary.key.mode": "record_key",
        "schema.evolution": "none",
        "collection.name.format": "${source.table}",
        "consumer.override.fetch.max.wait.ms": "50",
        "consumer.override.metadata.max.age.ms": "1000",
        "consumer.override.auto.offset.reset": "earliest",
        # Without schemas it drops every event, with a warning in the worker's log alone.
        **with_schemas(),
    }


def _common(prefix: str, tables: Sequence[str], signal_table: str | None) -> dict[str, str]:
    config = {
        "tasks.max": "1",
        "topic.prefix": prefix,
        "table.include.list": ",".join([*tables, *([signal_table] if signal_table else [])]),
        "provide.transaction.metadata": "true",
        # The default of 500 ms is the largest part of an event's way to Kafka.
        "poll.interval.ms": "10",
        "heartbeat.interval.ms": "1000",
        "topic.creation.default.replication.factor": "1",
        "topic.creation.default.partitions": "1",
        # The default gives up 10 s of every restart of the leader.
        "retriable.restart.connector.wait.ms": "1000",
    }
    if signal_table:
        config |= {"signal.enabled.channels": "source", "signal.data.collection": signal_table}
    return config


def _plain(prefix: str) -> str:
    return prefix.replace("-", "_").replace(".", "_")


def _until(done: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Temporary(f"a replication slot stays in use for {seconds:g} s")
        time.sleep(0.05)
