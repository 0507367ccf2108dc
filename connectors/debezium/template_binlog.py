"""The connector that trueup follows best, for MariaDB and MySQL: every choice beside the common ones with its reason.

On the leader, once, by whoever may create tables there (it comes to replicas by itself)::

    create table if not exists trueup_heartbeat (id int primary key, at datetime(6) not null);

The connector's login needs SELECT, SHOW DATABASES, REPLICATION SLAVE and REPLICATION CLIENT (on MariaDB BINLOG MONITOR
instead of the last), and INSERT and UPDATE on that table.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from connectors.debezium.modes import ENGINES
from connectors.debezium.template import Source, check_prefix, common, pattern
from verifier.errors import Misconfigured
from verifier.table import TableName

_CLASSES = {dialect: kind for kind, dialect in ENGINES.items()}
_FIRST_NUMBER, _NUMBERS = 1_000_000_000, 1_000_000_000


def heartbeat_table(database: str) -> TableName:
    """The heartbeat stands beside the application's tables: a connector may be confined to their database."""
    return TableName(database, "trueup_heartbeat")


def heartbeat_sql(table: TableName) -> str:
    """What is run on the leader before the connector is registered."""
    return f"create table if not exists {_quoted(table)} (id int primary key, at datetime(6) not null)"


def server_id(name: str) -> int:
    """The number by which the leader knows the connector among its replicas: always the same for one connector, and
    far from those that people give."""
    return _FIRST_NUMBER + zlib.crc32(name.encode()) % _NUMBERS


def binlog_connector(
    dialect: str,
    prefix: str,
    source: Source,
    tables: Sequence[TableName],
    *,
    number: int,
    bootstrap: str,
    heartbeat: TableName | None,
    heartbeat_ms: int = 500,
    partitions: int = 1,
    replication_factor: int = 1,
) -> dict[str, str]:
    """The configuration to PUT for a leader that is `mysql` or `mariadb`. Topics are `prefix.database.table`, and
    `prefix` for changes of tables' shapes. `number` is the connector's `server_id`. The history of the shapes is kept
    in a topic at `bootstrap`, named so that nobody takes it for a table's. Without a `heartbeat` table the barrier
    moves only with the application's own transactions."""
    check_prefix(prefix)
    if dialect not in _CLASSES or dialect == "postgresql":
        raise Misconfigured(f"{dialect} has no binlog that Debezium reads")
    if not tables:
        raise Misconfigured("a connector needs at least one table to capture")
    captured = [*tables, *([heartbeat] if heartbeat is not None and heartbeat not in tables else [])]
    return {
        "connector.class": _CLASSES[dialect],
        "tasks.max": "1",
        "database.hostname": source.host,
        "database.port": str(source.port),
        "database.user": source.user,
        "database.password": source.password,
        "database.server.id": str(number),
        "topic.prefix": prefix,
        "database.include.list": ",".join(dict.fromkeys(_exactly(table.schema) for table in captured)),
        "table.include.list": ",".join(pattern(table) for table in captured),
        "schema.history.internal.kafka.bootstrap.servers": bootstrap,
        "schema.history.internal.kafka.topic": f"{prefix}-schema-history",
        "schema.history.internal.store.only.captured.databases.ddl": "true",
        # only shapes are read at the start: no lock on a production server for that
        "snapshot.locking.mode": "none",
        # unsigned numbers of 2^63 and more, and years below 100, as they are
        "bigint.unsigned.handling.mode": "precise",
        "enable.time.adjuster": "false",
        # an idle leader moves the barrier only when its server says that it is there, four fifths as often as this
        "connect.keep.alive.interval.ms": "10000",
        **common(prefix, partitions, replication_factor),
        **_beating(heartbeat, heartbeat_ms),
    }


def _beating(heartbeat: TableName | None, heartbeat_ms: int) -> dict[str, str]:
    if heartbeat is None:
        return {}
    return {
        "heartbeat.interval.ms": str(heartbeat_ms),
        "heartbeat.action.query": f"insert into {_quoted(heartbeat)} (id, at) values (1, now(6))"
        " on duplicate key update at = now(6)",
    }


def _exactly(database: str) -> str:
    return pattern(TableName(database, "x")).removesuffix(r"\.x")


def _quoted(table: TableName) -> str:
    return ".".join("`" + word.replace("`", "``") + "`" for word in (table.schema, table.name))
