"""The leader as a connector sees it: what it is told, what it needs there, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from config.settings import Group
from config.stream import KafkaStream
from connectors.debezium.template import Source
from connectors.remark import Remark
from verifier.errors import Misconfigured
from verifier.ports import Replica
from verifier.table import TableName


class Capture(Protocol):
    """One kind of leader. `config` arguments are a running connector's own configuration."""

    port: int
    """Where such servers listen unless they are told otherwise."""

    def configuration(self, name: str, source: Source, tables: Sequence[TableName]) -> dict[str, str]:
        """What is sent to Kafka Connect for the connector called `name`."""
        ...

    def heartbeat_sql(self) -> str:
        """What makes the heartbeat table."""
        ...

    def heartbeat_by(self) -> str:
        """Who runs that, and where."""
        ...

    def create_heartbeat(self, followers: Mapping[str, Replica]) -> None:
        """Make it: the one thing that is ever written on a leader, and only because the operator asked. Permanent if it
        would stop a follower."""
        ...

    def examined(self, config: Mapping[str, str], tables: Sequence[TableName]) -> Iterator[Remark]:
        """Whether the leader lets this connector tell every change of `tables`. Raises nothing for what is wrong."""
        ...

    def going_on(self, offsets: Sequence[Mapping[str, object]]) -> Iterator[Remark]:
        """Whether the leader still has the log from which Kafka Connect would have the connector go on."""
        ...

    def left_behind(self, config: Mapping[str, str]) -> list[str]:
        """What stays on the leader when the connector is deleted, and how to take it away."""
        ...


def capture_of(group: Group, kafka: KafkaStream, leader: Replica) -> Capture:
    """Misconfigured if no connector reads such a leader."""
    if leader.dialect == "postgresql":
        from trueup.bootstrap.capture_postgres import PostgresCapture

        return PostgresCapture(group, kafka, leader)
    if leader.dialect in ("mysql", "mariadb"):
        from trueup.bootstrap.capture_binlog import BinlogCapture

        return BinlogCapture(group, kafka, leader)
    raise Misconfigured(
        f"{leader.name} is {leader.dialect}: trueup follows Debezium connectors of PostgreSQL, MySQL and MariaDB alone"
    )
