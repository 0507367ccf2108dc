"""The connector that trueup follows best: one PostgreSQL connector's configuration, every choice with its reason.

On the leader, once, by its owner (the only thing that is written there, and only because it was asked for here)::

    create table trueup_heartbeat (id integer primary key, at timestamptz not null);
    grant insert, update, select on trueup_heartbeat to CONNECTOR_USER;

The connector writes one row of it twice a second, so that the barrier moves while the application is silent: without
a transaction there is no END, and an idle leader would look like a dead connector. The table is captured like any
other (PostgreSQL 15 and later skip transactions of which nothing is published) and is not verified.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from connectors.debezium.modes import POSTGRES
from verifier.errors import Misconfigured
from verifier.table import TableName

HEARTBEAT = TableName("public", "trueup_heartbeat")
_NAME = re.compile(r"[a-z0-9_]{1,63}")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")


@dataclass(frozen=True, slots=True)
class Source:
    """Where the connector reads. `password` should be a reference that Connect resolves, for example
    `${file:/etc/connect/leader.properties:password}`, not the word itself."""

    host: str
    port: int
    user: str
    password: str
    database: str


def heartbeat_sql(table: TableName = HEARTBEAT) -> str:
    """What the leader's owner runs before the connector is registered."""
    return f"create table if not exists {_quoted(table)} (id integer primary key, at timestamptz not null)"


def postgres_connector(
    prefix: str,
    source: Source,
    tables: Sequence[TableName],
    *,
    slot: str,
    publication: str,
    heartbeat: TableName | None = HEARTBEAT,
    heartbeat_ms: int = 500,
    partitions: int = 1,
    replication_factor: int = 1,
) -> dict[str, str]:
    """The configuration to PUT. Topics are `prefix.schema.table`; `partitions` are those of each table's topic.
    Without a `heartbeat` table the barrier moves only with the application's own transactions."""
    _check(prefix, slot, publication, tables)
    captured = [*tables, *([heartbeat] if heartbeat is not None and heartbeat not in tables else [])]
    return {
        "connector.class": POSTGRES,
        "tasks.max": "1",
        "database.hostname": source.host,
        "database.port": str(source.port),
        "database.user": source.user,
        "database.password": source.password,
        "database.dbname": source.database,
        "topic.prefix": prefix,
        "plugin.name": "pgoutput",
        "slot.name": slot,
        "publication.name": publication,
        "publication.autocreate.mode": "filtered",
        "table.include.list": ",".join(pattern(table) for table in captured),
        "interval.handling.mode": "string",
        "hstore.handling.mode": "map",
        "include.unknown.datatypes": "true",
        **common(prefix, partitions, replication_factor),
        **_beating(heartbeat, heartbeat_ms),
    }


def _beating(heartbeat: TableName | None, heartbeat_ms: int) -> dict[str, str]:
    if heartbeat is None:
        return {}
    return {
        "heartbeat.interval.ms": str(heartbeat_ms),
        "heartbeat.action.query": f"insert into {_quoted(heartbeat)} (id, at) values (1, now())"
        " on conflict (id) do update set at = excluded.at",
    }


def common(prefix: str, partitions: int, replication_factor: int) -> dict[str, str]:
    """What every source connector is told, whatever it reads."""
    return {
        # rows are compared in place: a copy of the tables in Kafka would serve nobody
        "snapshot.mode": "no_data",
        # BEGIN and END make whole transactions of rows in different topics; one partition carries their order, and
        # one the order of changes of shapes
        "provide.transaction.metadata": "true",
        "topic.creation.default.replication.factor": str(replication_factor),
        "topic.creation.default.partitions": str(partitions),
        "topic.creation.groups": "order",
        "topic.creation.order.include": re.escape(prefix) + r"(\.transaction)?",
        "topic.creation.order.partitions": "1",
        "topic.creation.order.replication.factor": str(replication_factor),
        # a truncate that is skipped would pass unseen
        "skipped.operations": "none",
        # the largest part of an event's way to Kafka otherwise (500 ms)
        "poll.interval.ms": "10",
        # spellings that lose nothing, and no silent NULL for what cannot be spelled
        "decimal.handling.mode": "string",
        "time.precision.mode": "microseconds",
        "binary.handling.mode": "hex",
        "event.converting.failure.handling.mode": "fail",
        **_converters(),
    }


def _converters() -> dict[str, str]:
    """JSON without schemas: a twentieth of the bytes; types come from the leader's catalog."""
    json = "org.apache.kafka.connect.json.JsonConverter"
    return {
        name: value
        for part in ("key", "value")
        for name, value in ((f"{part}.converter", json), (f"{part}.converter.schemas.enable", "false"))
    }


def check_prefix(prefix: str) -> None:
    """Misconfigured unless topics may be called so."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+", prefix):
        raise Misconfigured(f"topic prefix {prefix!r} may have letters, digits, dots, hyphens and underscores only")


def _check(prefix: str, slot: str, publication: str, tables: Sequence[TableName]) -> None:
    check_prefix(prefix)
    if not _NAME.fullmatch(slot):
        raise Misconfigured(f"slot name {slot!r} may have lower case letters, digits and underscores only (at most 63)")
    if not publication:
        raise Misconfigured("publication name is empty")
    if not tables:
        raise Misconfigured("a connector needs at least one table to capture")


def pattern(table: TableName) -> str:
    """Matches this table alone. The include list holds regular expressions, separated by commas."""
    return re.escape(table.schema).replace(",", r"\x2c") + r"\." + re.escape(table.name).replace(",", r"\x2c")


def _quoted(table: TableName) -> str:
    words = (table.schema, table.name)
    return ".".join(word if _PLAIN.fullmatch(word) and word.islower() else _in_quotes(word) for word in words)


def _in_quotes(word: str) -> str:
    return '"' + word.replace('"', '""') + '"'
