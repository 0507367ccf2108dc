"""The connector of a group: its configuration from the group's own, Kafka Connect behind it, and what hinders it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from config.settings import Group
from config.stream import KafkaStream
from connectors.debezium.connect import Connect, NotRegistered, Status
from connectors.debezium.failures import diagnosed
from connectors.debezium.legibility import remarks
from connectors.debezium.lifecycle import Lifecycle, Outcome
from connectors.debezium.modes import ENGINES, JDBC_SINK
from connectors.debezium.template import Source
from connectors.remark import Remark
from trueup.bootstrap.capture import Capture, capture_of
from trueup.bootstrap.engines import Endpoints, open_group_endpoints
from trueup.bootstrap.servers import patterns_of
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.table import TableName

# A worker that is asked to register a connector first has it look at its database.
_CALL_SECONDS = 45.0
_REBALANCE_SECONDS = 30.0


@dataclass(slots=True)
class Connecting:
    """Open for one command. `servers` are asked for the tables to capture, and for what the connector needs."""

    group: Group
    kafka: KafkaStream
    connect: Connect
    servers: Endpoints
    capture: Capture
    name: str
    _tables: list[TableName] = field(default_factory=list)

    @classmethod
    def open(cls, group: Group, name: str | None = None) -> Connecting:
        """`name`: another connector than the group's own, a sink perhaps."""
        assert group.stream is not None
        assert group.stream.kafka is not None
        kafka = group.stream.kafka
        connect = Connect(kafka.connect_url or "", seconds_max=_CALL_SECONDS, rebalance_seconds=_REBALANCE_SECONDS)
        servers = open_group_endpoints(group)
        try:
            named = name or kafka.connector or group.name
            return cls(group, kafka, connect, servers, capture_of(group, kafka, servers.leader), named)
        except BaseException:
            servers.close()
            raise

    @property
    def lifecycle(self) -> Lifecycle:
        """Verbs that end when the connector's state is real."""
        return Lifecycle(self.connect, self.name)

    def _captured(self) -> list[TableName]:
        """Those of the group that have a key: rows of others cannot be addressed. Misconfigured if there is none."""
        if not self._tables:
            found = self.servers.leader.tables(patterns_of(self.group))
            if not found:
                raise Misconfigured(f"no table on the leader matches {', '.join(self.group.tables.patterns())}")
            self._tables = [name for name in found if self.servers.leader.table(name).key]
        return self._tables

    def configuration(self) -> dict[str, str]:
        """What is sent to Kafka Connect, its password perhaps in clear: never print it."""
        watermark = [] if self.group.watermark is None else self.servers.leader.tables([self.group.watermark.table])
        rendered = self.capture.configuration(self.name, self._source(), [*self._captured(), *watermark])
        return {**rendered, **self.kafka.connector_settings}

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

    def delete(self, *, forget: bool) -> tuple[Outcome, list[str]]:
        """Whether it is gone, and what stays behind."""
        config = self.connect.config(self.name)
        outcome = self.lifecycle.delete(forget=forget)
        if not outcome.reached:
            return outcome, []
        if config.get("connector.class") == JDBC_SINK:
            return outcome, [f"its place in the topics stays in Kafka, as consumer group connect-{self.name}"]
        return outcome, self.capture.left_behind(config)

    def examined(self) -> Iterator[tuple[str, Remark]]:
        """Everything that keeps this connector from telling every change, each with the part that it is about: its
        tasks, its settings, the leader. Raises nothing for what is wrong: it says so."""
        try:
            status, config = self.status(), self.connect.config(self.name)
        except NotRegistered:
            yield "connector", Remark("error", f"no connector is called {self.name}", "trueup connector register")
            return
        except (Temporary, Permanent) as problem:
            yield "connector", Remark("error", str(problem), "see that Kafka Connect runs at stream.kafka.connect_url")
            return
        yield from (("connector", remark) for remark in _running(status))
        yield from (("connector settings", remark) for remark in self._settings(config))
        if config.get("connector.class") not in ENGINES:
            return
        try:
            tables = self._captured()
        except (Temporary, Permanent) as problem:
            yield "leader", Remark("error", str(problem), "check the leader's address and login")
            return
        yield from (("leader", remark) for remark in self.capture.examined(config, tables))
        try:
            offsets = self.connect.offsets(self.name)
        except (Temporary, Permanent):
            return
        yield from (("leader", remark) for remark in self.capture.going_on(offsets))

    def _settings(self, config: dict[str, str]) -> Iterator[Remark]:
        told = list(remarks(config))
        yield from told
        prefix = config.get("topic.prefix", "")
        if config.get("connector.class") == JDBC_SINK:
            if not told:
                yield Remark("ok", "what it writes can equal the leader")
            return
        if prefix != self.kafka.topic_prefix:
            yield Remark("error", f"topic.prefix is {prefix}, the configuration says {self.kafka.topic_prefix}",
                         "correct stream.kafka.topic_prefix, or trueup connector register")  # fmt: skip
        if not any(remark.level in ("error", "warning") for remark in told):
            yield Remark("ok", "every change can be read from its events")

    def heartbeat_words(self) -> str:
        """What makes the heartbeat table, and who runs it."""
        return f"the heartbeat table that it writes, {self.capture.heartbeat_by()}:\n{self.capture.heartbeat_sql()};"

    def create_heartbeat(self) -> None:
        """The one thing that is ever written on a leader, and only because the operator asked."""
        self.capture.create_heartbeat(self.servers.followers)

    def close(self) -> None:
        self.servers.close()

    def _source(self) -> Source:
        parts = urlsplit(self.group.leader.address())
        word = unquote(parts.password or "")
        if self.kafka.connect_password_reference is not None:
            word = self.kafka.connect_password_reference
        elif self.kafka.connect_password is not None:
            word = self.kafka.connect_password.reveal()
        return Source(
            parts.hostname or "localhost",
            parts.port or self.capture.port,
            self.kafka.connect_user or unquote(parts.username or ""),
            word,
            parts.path.lstrip("/"),
        )


def _running(status: Status) -> Iterator[Remark]:
    if status.running:
        yield Remark("ok", f"connector {status.name} and all its tasks run")
        return
    failed = list(dict.fromkeys(map(diagnosed, status.traces)))
    yield from failed
    if not failed:
        what = status.state.lower() if status.tasks or status.state != "RUNNING" else "running without a task"
        yield Remark("error", f"connector {status.name} is {what}", cure_of(status.state))


def cure_of(state: str) -> str:
    """What brings a connector or a task of this state to run; nothing for one that runs."""
    verbs = {"RUNNING": "", "PAUSED": "resume", "STOPPED": "resume"}
    verb = verbs.get(state, "restart")
    return f"trueup connector {verb}" if verb else ""
