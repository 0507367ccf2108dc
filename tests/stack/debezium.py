"""The PostgreSQL connector as the stack registers it."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.embedded import Cluster

SIGNAL_TABLE = "public.trueup_signal"
SIGNAL_TABLE_SQL = "create table trueup_signal (id varchar(64) primary key, type varchar(32) not null, data text);"


def postgres_connector(
    leader: Cluster, database: str, *, prefix: str, tables: Sequence[str], signals: bool = False
) -> dict[str, str]:
    """Configuration of a connector on `database` of `leader`: topics `prefix.schema.table`, slot and publication
    named after the prefix. `tables` as `schema.table`. `signals`: the database has the table `trueup_signal`."""
    name = prefix.replace("-", "_").replace(".", "_")
    config = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "database.hostname": "127.0.0.1",
        "database.port": str(leader.port),
        "database.user": "postgres",
        "database.password": leader.password,
        "database.dbname": database,
        "topic.prefix": prefix,
        "plugin.name": "pgoutput",
        "slot.name": f"dbz_{name}",
        "publication.name": f"dbz_{name}",
        "publication.autocreate.mode": "filtered",
        "table.include.list": ",".join([*tables, *([SIGNAL_TABLE] if signals else [])]),
        "provide.transaction.metadata": "true",
        # The default of 500 ms is the largest part of an event's way to Kafka.
        "poll.interval.ms": "10",
        "heartbeat.interval.ms": "1000",
        "topic.creation.default.replication.factor": "1",
        "topic.creation.default.partitions": "1",
        # The default gives up 10 s of every restart of the leader.
        "retriable.restart.connector.wait.ms": "1000",
    }
    if signals:
        config |= {"signal.enabled.channels": "source", "signal.data.collection": SIGNAL_TABLE}
    return config
