"""How the leader's changes are followed."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from config.kafka import KafkaAccess
from config.model import Model, Switch
from config.secret import Password, is_secret
from config.units import Duration


class KafkaStream(KafkaAccess):
    """Change events that Debezium writes to Kafka."""

    bootstrap_servers: str
    """`host:port`, several separated by commas."""
    topic_prefix: str
    """The connector's `topic.prefix`."""
    client: Literal["confluent", "kafka-python"] = "confluent"
    """confluent is four times as fast; kafka-python needs no librdkafka."""
    connect_url: str | None = None
    """Kafka Connect's REST address, for the connector's state and for `trueup connector`."""
    connector: str | None = None
    """The connector's name in Kafka Connect. Unset: the group's name."""
    heartbeat: Duration = 1.0
    """How often the connector beats; on an idle leader of MariaDB or MySQL every 8 s. A heart that stops is what tells
    an idle stream from a dead one."""
    schema_registry_url: str | None = None
    """Where the schemas of events in Avro are: a registry with Confluent's interface (Apicurio's:
    `http://host:8080/apis/ccompat/v7`). Unset: events are JSON."""
    schema_registry_user: str | None = None
    """Who asks there, where it wants to know."""
    schema_registry_password: Password | None = None
    """That user's password."""
    slot: str | None = None
    """Debezium's replication slot, watched for the log that it retains. Unset: `debezium`."""
    publication: str | None = None
    """Debezium's publication. Unset: `dbz_publication`."""
    connect_user: str | None = None
    """The database user that a rendered connector logs in as: it needs more rights than trueup. Unset: the leader's."""
    connect_password: Password | None = None
    """That user's password. Unset: the leader's."""
    connect_password_reference: str | None = None
    """Instead of the password, how Kafka Connect's own config provider finds it: `${file:/etc/leader.properties:word}`.
    Sent as it is: the password then stands neither in Kafka Connect's configuration nor in what it tells."""
    connector_settings: dict[str, str] = Field(default={}, examples=[{"snapshot.mode": "recovery"}])
    """More of the connector's settings, which win over the rendered ones: other converters, a larger
    `producer.override.max.request.size`. Secrets only as `${...}`."""

    @field_validator("connect_password_reference")
    @classmethod
    def _a_reference(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\$\{[^{}]+\}", value):
            raise ValueError("give what Kafka Connect resolves, '${provider:path:key}', never the password itself")
        return value

    @field_validator("connector_settings")
    @classmethod
    def _no_secret(cls, value: dict[str, str]) -> dict[str, str]:
        for name, word in value.items():
            if is_secret(name) and not word.startswith("${"):
                raise ValueError(
                    f"{name} holds a secret: give it as a reference that Kafka Connect resolves, '${{...}}'"
                )
        return value


class PgoutputStream(Model):
    """PostgreSQL's own logical decoding, without Kafka."""

    slot: str = "trueup"
    """The replication slot. It retains log while trueup is away: watch `trueup_slot_retained_bytes`."""
    publication: str = "trueup"
    """Must publish every table that is compared."""
    create: Switch = False
    """Create slot and publication if missing. Off: both are made by hand, with more care."""
    temporary: Switch = False
    """A temporary slot vanishes with the connection: nothing is retained, and every restart leaves a gap."""


class BinlogStream(Model):
    """The binlog of MariaDB or MySQL, read as a replica does, without Kafka. The server needs `gtid_mode=ON` (MySQL),
    `binlog_format=ROW` and `binlog_row_metadata=FULL`; the login needs REPLICATION SLAVE and REPLICATION CLIENT."""

    server_id: int | None = Field(default=None, ge=1, le=0xFFFFFFFF)
    """The number by which the server knows this reader: no replica may have it. Unset: made of the names of group and
    server."""


class Stream(Model):
    """The leader's change stream; without one trueup scans and compares by bracketed reads only."""

    kind: Literal["kafka", "pgoutput", "binlog"]
    """Where changes come from."""
    kafka: KafkaStream | None = None
    """For `kind: kafka`."""
    pgoutput: PgoutputStream | None = None
    """For `kind: pgoutput`; unset means its defaults."""
    binlog: BinlogStream | None = None
    """For `kind: binlog`; unset means its defaults."""
