"""The examination of a group that is not PostgreSQL alone, and of the change stream of any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from config.settings import Group
from config.stream import KafkaStream
from connectors.remark import Remark
from trueup.bootstrap.brokers import client_settings, readers_of
from trueup.bootstrap.doctoring_fed import fed
from trueup.bootstrap.doctoring_watermark import watermark
from trueup.bootstrap.engines import Endpoints, open_group_endpoints
from trueup.bootstrap.fed import fed_names
from trueup.bootstrap.servers import patterns_of
from verifier.errors import Permanent, Temporary
from verifier.ports import Replica
from verifier.table import TableName


def abroad(group: Group) -> Iterator[tuple[str, Remark]]:
    """Every server by its own engine, how rows are compared between them, and the change stream."""
    servers = open_group_endpoints(group)
    try:
        yield from _servers(group, servers)
    finally:
        servers.close()


def _servers(group: Group, servers: Endpoints) -> Iterator[tuple[str, Remark]]:
    healthy = True
    for replica in (servers.leader, *servers.followers.values()):
        for remark in _server(replica, fed=replica.name in fed_names(group)):
            healthy = healthy and remark.level != "error"
            yield replica.name, remark
    if not healthy:
        return
    names = servers.leader.tables(patterns_of(group))
    if not names:
        yield "tables", Remark("error", f"no table on the leader matches {', '.join(group.tables.patterns())}")
        return
    yield from ((f"tables on {servers.leader.name}", remark) for remark in _tables(servers.leader, names))
    try:
        reasons = servers.settle()
    except (Temporary, Permanent) as problem:
        yield "digests", Remark("error", str(problem))
        return
    for name in servers.followers:
        how = "native digests" if name in servers.agreed else "digests over the canonical form, or by trueup itself"
        yield "digests", Remark("ok", f"{name}: {how}")
    yield from (("digests", Remark("note", reason)) for reason in reasons)
    yield from stream_of(group)
    if group.stream is not None and group.stream.kind == "binlog":
        from trueup.bootstrap.doctoring_binlog import binlog_of

        yield from (("change stream", remark) for remark in binlog_of(servers.leader, names))
    for one in group.followers:
        if one.stream is not None and one.stream.kind == "binlog":
            from trueup.bootstrap.doctoring_binlog import own_binlog_of

            yield from ((f"{one.name}'s own stream", remark) for remark in own_binlog_of(servers.followers[one.name]))
    yield from fed(group)
    others = {name: one for name, one in servers.followers.items() if name not in fed_names(group)}
    yield from watermark(group, servers.leader, others)


def _server(replica: Replica, *, fed: bool) -> Iterator[Remark]:
    """`fed`: a sink says how far it follows, not the server itself."""
    if fed:
        yield from _answers(replica)
    elif replica.dialect == "postgresql":
        from connectors.postgres.checkup import server
        from connectors.postgres.replica import PostgresReplica

        assert isinstance(replica, PostgresReplica)
        yield from server(replica)
    elif replica.dialect in ("mysql", "mariadb"):
        from connectors.mysql import checkup
        from connectors.mysql.replica import MysqlReplica

        assert isinstance(replica, MysqlReplica)
        yield from checkup.server(replica)
    else:
        yield from _answers(replica)


def _answers(replica: Replica) -> Iterator[Remark]:
    try:
        identity = replica.identity()
    except (Temporary, Permanent) as problem:
        yield Remark("error", str(problem), "check address and login")
    else:
        yield Remark("ok", f"{identity.role.value}, {identity.engine} {identity.version}")


def _tables(replica: Replica, names: Sequence[TableName]) -> Iterator[Remark]:
    if replica.dialect == "postgresql":
        from connectors.postgres.checkup import tables
        from connectors.postgres.replica import PostgresReplica

        assert isinstance(replica, PostgresReplica)
        yield from tables(replica, names)
    elif replica.dialect in ("mysql", "mariadb"):
        from connectors.mysql import checkup
        from connectors.mysql.replica import MysqlReplica

        assert isinstance(replica, MysqlReplica)
        yield from checkup.tables(replica, names)


def stream_of(group: Group) -> Iterator[tuple[str, Remark]]:
    """The change stream as the configuration names it. A Kafka stream's connector is examined as `trueup connector
    status` does."""
    if group.stream is None:
        yield (
            "change stream",
            Remark(
                "note",
                "none configured: touched rows are not verified within seconds, only scans find drift",
                "configure a stream (pgoutput needs nothing but a slot and a publication)",
            ),
        )
        return
    kafka = group.stream.kafka
    if kafka is None:
        return
    yield from (("topics", remark) for remark in _topics(kafka, group.name))
    if kafka.connect_url is None:
        yield (
            "change stream",
            Remark(
                "note",
                "stream.kafka.connect_url is not set: the connector's state and modes are not known",
                "name Kafka Connect's address",
            ),
        )
        return
    from trueup.bootstrap.connecting import Connecting

    try:
        connecting = Connecting.open(group)
    except (Temporary, Permanent) as problem:
        yield "connector", Remark("error", str(problem))
        return
    try:
        yield from connecting.examined()
    finally:
        connecting.close()


def _topics(kafka: KafkaStream, group: str) -> Iterator[Remark]:
    from connectors.kafka.checkup import topics
    from connectors.kafka.clients import consumer_of

    try:
        consumer = consumer_of(
            kafka.client, kafka.bootstrap_servers, readers_of(group), settings=client_settings(kafka)
        )
    except (Temporary, Permanent) as problem:
        yield Remark("error", str(problem))
        return
    try:
        yield from topics(consumer, kafka.topic_prefix)
    finally:
        consumer.close()
