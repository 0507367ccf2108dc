"""The connector of a group: its configuration from the group's own, and Kafka Connect behind it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import psycopg

from config.settings import Group
from config.stream import KafkaStream
from connectors.debezium.connect import Connect, Status
from connectors.debezium.template import HEARTBEAT, Source, heartbeat_sql, postgres_connector
from connectors.postgres import checkup
from trueup.bootstrap.servers import Servers, open_group_servers, patterns_of
from verifier.errors import Forbidden, Misconfigured, Permanent, Temporary, Unreachable
from verifier.look import Role


@dataclass(slots=True)
class Connecting:
    """Open for one command. `servers` are asked for the tables to capture."""

    group: Group
    kafka: KafkaStream
    connect: Connect
    servers: Servers

    @classmethod
    def open(cls, group: Group) -> Connecting:
        assert group.stream is not None
        assert group.stream.kafka is not None
        kafka = group.stream.kafka
        return cls(group, kafka, Connect(kafka.connect_url or ""), open_group_servers(group, agree=False))

    @property
    def name(self) -> str:
        return self.kafka.connector or self.group.name

    def configuration(self) -> dict[str, str]:
        """What is sent to Kafka Connect, its password in clear: never print it."""
        tables = self.servers.leader.tables(patterns_of(self.group))
        if not tables:
            raise Misconfigured(f"no table on the leader matches {', '.join(self.group.tables.patterns())}")
        return postgres_connector(
            self.kafka.topic_prefix,
            self._source(),
            [name for name in tables if self.servers.leader.table(name).key],
            slot=self.kafka.slot or "debezium",
            publication=self.kafka.publication or "dbz_publication",
            heartbeat_ms=int(self.kafka.heartbeat * 1000),
        )

    def register(self) -> None:
        self.connect.register(self.name, self.configuration())

    def status(self) -> Status:
        return self.connect.status(self.name)

    def wait(self, seconds: float) -> Status:
        """The status once all of it runs, or after that long. A connector that was just registered has no status yet,
        and a worker that rebalances gives none: both pass."""
        until = time.monotonic() + seconds
        while True:
            last = time.monotonic() >= until
            try:
                found = self.status()
                if found.running or found.failure or last:
                    return found
            except (Temporary, Permanent):
                if last:
                    raise
            time.sleep(0.2)

    def act(self, verb: str) -> None:
        acts = {
            "restart": self.connect.restart,
            "pause": self.connect.pause,
            "resume": self.connect.resume,
            "delete": self.connect.delete,
        }
        acts[verb](self.name)

    def heartbeat_sql(self) -> str:
        return heartbeat_sql() + ";"

    def create_heartbeat(self) -> None:
        """The one thing that is ever written on a leader, and only because the operator asked. Permanent if it would
        stop a subscriber: one that is told of a table that it does not have applies nothing any more."""
        telling = checkup.tells_of_new(self.servers.leader, HEARTBEAT.schema)
        lacking = [name for name in self.servers.followers if telling and self._stops(name)]
        if lacking:
            raise Permanent(
                f"publication {', '.join(telling)} tells subscribers of every table, and {', '.join(lacking)} has no "
                f"{HEARTBEAT}: it would stop applying; run this there (and on every other subscriber), then again: "
                f"{self.heartbeat_sql()}"
            )
        url = self.group.leader.address().replace("+psycopg", "", 1)
        try:
            with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
                connection.execute(heartbeat_sql())
        except psycopg.errors.InsufficientPrivilege as problem:
            raise Forbidden(f"may not create the heartbeat table: {problem}; let the owner run it") from problem
        except psycopg.OperationalError as problem:
            raise Unreachable(f"cannot reach the leader to create the heartbeat table: {problem}") from problem

    def _stops(self, follower: str) -> bool:
        replica = self.servers.followers[follower]
        return replica.role() is Role.SUBSCRIBER and not replica.tables([str(HEARTBEAT)])

    def close(self) -> None:
        self.servers.close()

    def _source(self) -> Source:
        parts = urlsplit(self.group.leader.address())
        word = unquote(parts.password or "")
        if self.kafka.connect_password is not None:
            word = self.kafka.connect_password.reveal()
        return Source(
            parts.hostname or "localhost",
            parts.port or 5432,
            self.kafka.connect_user or unquote(parts.username or ""),
            word,
            parts.path.lstrip("/"),
        )
