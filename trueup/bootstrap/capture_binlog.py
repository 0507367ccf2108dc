"""A MariaDB or MySQL leader as its connector sees it: settings of the binlog, rights, heartbeat table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from config.settings import Group
from config.stream import KafkaStream
from connectors.binlog.settings import told
from connectors.debezium.template import Source
from connectors.debezium.template_binlog import binlog_connector, heartbeat_sql, heartbeat_table, server_id
from connectors.mysql import checkup, heartbeat
from connectors.mysql.replica import MysqlReplica
from connectors.remark import Remark
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.ports import Replica
from verifier.table import TableName


class BinlogCapture:
    """See `Capture`."""

    port = 3306

    def __init__(self, group: Group, kafka: KafkaStream, leader: Replica) -> None:
        assert isinstance(leader, MysqlReplica)
        self._group = group
        self._kafka = kafka
        self._leader = leader

    def configuration(self, name: str, source: Source, tables: Sequence[TableName]) -> dict[str, str]:
        return binlog_connector(
            self._leader.dialect,
            self._kafka.topic_prefix,
            source,
            tables,
            number=server_id(name),
            bootstrap=self._kafka.bootstrap_servers,
            heartbeat=self._heartbeat(),
            heartbeat_ms=int(self._kafka.heartbeat * 1000),
        )

    def heartbeat_sql(self) -> str:
        return heartbeat_sql(self._heartbeat())

    def heartbeat_by(self) -> str:
        return "once, on the leader; replicas get it from there"

    def create_heartbeat(self, followers: Mapping[str, Replica]) -> None:
        """Replicas get it through the binlog, as they get every table."""
        heartbeat.create(self._group.leader.address(), self.heartbeat_sql())

    def examined(self, config: Mapping[str, str], tables: Sequence[TableName]) -> Iterator[Remark]:
        try:
            yield from checkup.binlog(self._leader)
            yield from self._untold(tables)
            yield from self._rights(config, tables)
        except (Temporary, Permanent) as problem:
            yield Remark("error", str(problem), "check the leader's address and login")

    def _untold(self, tables: Sequence[TableName]) -> Iterator[Remark]:
        """A cascade is no row event: what a foreign key changes by itself reaches no connector."""
        with self._leader.sessions.borrow("asking of which tables the binlog tells") as session:
            known = told(session, self._leader.sessions.where)
        if untold := [str(name) for name in tables if name not in known]:
            yield Remark(
                "warning",
                f"the binlog does not tell every change of {', '.join(untold[:5])}: a foreign key changes rows there "
                "by itself (ON DELETE, ON UPDATE), or the leader keeps its database out of the binlog",
                "they are verified without the stream",
            )

    def _rights(self, config: Mapping[str, str], tables: Sequence[TableName]) -> Iterator[Remark]:
        """Asked with the connector's own login, where its password is known here."""
        user = config.get("database.user", "")
        if self._kafka.connect_user is None:
            if user == urlsplit(self._group.leader.address()).username:
                yield from checkup.rights(self._leader, tables)
            return
        if self._kafka.connect_password is None or user != self._kafka.connect_user:
            return
        login = MysqlReplica("connector", self._group.leader.url.url(self._kafka.connect_password, user))
        try:
            yield from checkup.rights(login, tables)
        finally:
            login.sessions.close()

    def going_on(self, offsets: Sequence[Mapping[str, object]]) -> Iterator[Remark]:
        for one in offsets:
            place = one.get("offset")
            file = place.get("file") if isinstance(place, Mapping) else None
            if isinstance(file, str):
                try:
                    yield from checkup.place_kept(self._leader, file)
                except (Temporary, Permanent) as problem:
                    yield Remark("warning", f"whether the leader still has {file} could not be asked: {problem}")

    def left_behind(self, config: Mapping[str, str]) -> list[str]:
        topic = config.get("schema.history.internal.kafka.topic", "")
        return [
            f"nothing stays on the leader; topic {topic} in Kafka holds the history of the tables' shapes for the next "
            "connector of this name"
        ]

    def _heartbeat(self) -> TableName:
        database = urlsplit(self._group.leader.address()).path.lstrip("/")
        if not database:
            raise Misconfigured(
                f"the url of {self._leader.name} names no database: name the one in which the connector's heartbeat "
                "table stands"
            )
        return heartbeat_table(database)
