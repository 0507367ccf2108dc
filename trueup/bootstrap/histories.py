"""Where the changes of a row can be read back, as a group's configuration says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.settings import Group
from trueup.bootstrap.brokers import readers_of
from trueup.bootstrap.kafka_topics import kafka_reading
from trueup.bootstrap.stream import Described
from trueup.services.group import TableBook
from verifier.errors import Misconfigured
from verifier.table import Key, TableName
from verifier.trace import Recalled

if TYPE_CHECKING:
    from config.stream import KafkaStream


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back is read: the newest messages of a topic, the newest megabytes of a binlog, and for how many seconds
    at most. `progress` is told the share (0 to 1) that was read, where that is known."""

    messages: int = 500_000
    megabytes: int = 512
    seconds: float = 30.0
    progress: Callable[[float], None] = lambda share: None


@dataclass(frozen=True, slots=True)
class OpenHistory:
    """`source`: what `trueup/schemas/trace.json` calls it. `changes`: a `History`'s, as far as the reach allows."""

    source: str
    changes: Callable[[TableName, Key], Recalled]
    close: Callable[[], None] = lambda: None


def open_history(group: Group, book: TableBook, reach: Reach) -> OpenHistory:
    """Kafka and binlogs can be read back; a PostgreSQL slot cannot. Misconfigured if a needed library is missing."""
    stream = group.stream
    if stream is None:
        return _nothing("the group has no change stream")
    if stream.kind == "kafka" and stream.kafka is not None:
        return _kafka(group, stream.kafka, book, reach)
    if stream.kind == "binlog":
        return _binlog(group, book, reach)
    return _nothing(
        f"a log that was read by {stream.kind} cannot be read back; what the daemon keeps of it comes with drift"
    )


def _nothing(why: str) -> OpenHistory:
    return OpenHistory("none", lambda table, key: Recalled(note=why))


def _kafka(group: Group, settings: KafkaStream, book: TableBook, reach: Reach) -> OpenHistory:
    from connectors.kafka.history import KafkaHistory, Limits

    connector = settings.connector or group.name
    reading = kafka_reading(readers_of(group.name), connector, settings, Described(book))
    limits = Limits(reach.messages, reach.seconds)
    history = KafkaHistory(reading.consumer, reading.decoder, settings.topic_prefix, limits)

    def close() -> None:
        history.close()
        reading.close()

    return OpenHistory("kafka", history.changes, close)


def _binlog(group: Group, book: TableBook, reach: Reach) -> OpenHistory:
    try:
        from connectors.binlog.history import BinlogHistory, Limits
        from connectors.mysql.replica import MysqlReplica
    except ImportError as error:
        raise Misconfigured(f"reading a binlog needs one more library ({error}): install trueup[binlog]") from error

    leader = book.leader
    if not isinstance(leader, MysqlReplica):
        return _nothing(f"the leader is {leader.dialect}, which writes no binlog")
    history = BinlogHistory(
        leader,
        group.leader.address(),
        Described(book).table,
        f"{group.name} trace",
        Limits(reach.megabytes << 20, reach.seconds),
        reach.progress,
    )
    return OpenHistory("binlog", history.changes, history.close)
