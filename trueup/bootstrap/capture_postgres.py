"""A PostgreSQL leader as its connector sees it: slot, publication, heartbeat table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import psycopg

from config.settings import Group
from config.stream import KafkaStream
from connectors.debezium.template import HEARTBEAT, Source, heartbeat_sql, postgres_connector
from connectors.postgres import checkup
from connectors.postgres.capturing import capturing
from connectors.postgres.lag import LagReader, Slot
from connectors.postgres.replica import PostgresReplica
from connectors.remark import Remark
from verifier.errors import Forbidden, Permanent, Temporary, Unreachable
from verifier.look import Role
from verifier.ports import Replica
from verifier.table import TableName

_SLOT, _PUBLICATION = "debezium", "dbz_publication"
# A slot that is older than its publication never finds it: both are made anew.
_ANEW = (
    "trueup connector delete --forget, select pg_drop_replication_slot('{}') on the leader if it is still there, then "
    "trueup connector register; every table is scanned again"
)


class PostgresCapture:
    """See `Capture`."""

    port = 5432

    def __init__(self, group: Group, kafka: KafkaStream, leader: Replica) -> None:
        assert isinstance(leader, PostgresReplica)
        self._group = group
        self._kafka = kafka
        self._leader = leader

    def configuration(self, name: str, source: Source, tables: Sequence[TableName]) -> dict[str, str]:
        return postgres_connector(
            self._kafka.topic_prefix,
            source,
            tables,
            slot=self._kafka.slot or _SLOT,
            publication=self._kafka.publication or _PUBLICATION,
            heartbeat_ms=int(self._kafka.heartbeat * 1000),
        )

    def heartbeat_sql(self) -> str:
        return heartbeat_sql()

    def heartbeat_by(self) -> str:
        return (
            "once, by the leader's owner (and before that on every subscriber of a publication for all tables, or it "
            "stops)"
        )

    def create_heartbeat(self, followers: Mapping[str, Replica]) -> None:
        """A subscriber that is told of a table that it does not have applies nothing any more."""
        telling = checkup.tells_of_new(self._leader, HEARTBEAT.schema)
        lacking = [name for name, replica in followers.items() if telling and _stops(replica)]
        if lacking:
            raise Permanent(
                f"publication {', '.join(telling)} tells subscribers of every table, and {', '.join(lacking)} has no "
                f"{HEARTBEAT}: it would stop applying; run this there (and on every other subscriber), then again: "
                f"{heartbeat_sql()};"
            )
        url = self._group.leader.address().replace("+psycopg", "", 1)
        try:
            with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
                connection.execute(heartbeat_sql())
        except psycopg.errors.InsufficientPrivilege as problem:
            raise Forbidden(f"may not create the heartbeat table: {problem}; let the owner run it") from problem
        except psycopg.OperationalError as problem:
            raise Unreachable(f"cannot reach the leader to create the heartbeat table: {problem}") from problem

    def examined(self, config: Mapping[str, str], tables: Sequence[TableName]) -> Iterator[Remark]:
        slot, publication = config.get("slot.name", "debezium"), config.get("publication.name", _PUBLICATION)
        for what, real, told in (("slot", slot, self._kafka.slot or _SLOT),
                                 ("publication", publication, self._kafka.publication or _PUBLICATION)):  # fmt: skip
            if real != told:
                yield Remark("error", f"the connector reads {what} {real}, the configuration says {told}",
                             f"stream.kafka.{what}: {real}, or trueup connector register")  # fmt: skip
        try:
            yield from checkup.stream(self._leader, slot, publication, tables, _ANEW.format(slot))
            yield from capturing(self._leader, config.get("database.user", ""), slot, publication, tables)
        except (Temporary, Permanent) as problem:
            yield Remark("error", str(problem), "check the leader's address and login")

    def going_on(self, offsets: Sequence[Mapping[str, object]]) -> Iterator[Remark]:
        """A slot keeps what its connector needs; that it is lost is said where it is examined."""
        return iter(())

    def left_behind(self, config: Mapping[str, str]) -> list[str]:
        name, publication = config.get("slot.name", "debezium"), config.get("publication.name", _PUBLICATION)
        drop = f"select pg_drop_replication_slot('{name}'); drop publication if exists \"{publication}\";"
        try:
            slot = next((one for one in LagReader(self._leader).slots() if one.name == name), None)
        except (Temporary, Permanent) as problem:
            return [
                f"whether slot {name} stays on the leader could not be asked ({problem}); if it does, it keeps the "
                f"log until it is dropped: {drop}"
            ]
        if slot is None:
            return []
        return [
            f"slot {name} stays on the leader and keeps its log ({_kept(slot)} now) until the connector is registered "
            f"again or it is dropped: {drop}"
        ]


def _kept(slot: Slot) -> str:
    return f"{(slot.retained_bytes or 0) / 1048576:.1f} MiB"


def _stops(replica: Replica) -> bool:
    return replica.identity().role is Role.SUBSCRIBER and not replica.tables([str(HEARTBEAT)])
