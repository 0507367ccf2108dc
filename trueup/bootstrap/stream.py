"""The change stream of a group, as its configuration names it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING

from config.settings import Group
from config.stream import BinlogStream as BinlogSettings
from config.stream import KafkaStream as KafkaSettings
from config.stream import PgoutputStream as PgoutputSettings
from trueup.bootstrap.brokers import readers_of
from trueup.bootstrap.deferred import Deferred
from trueup.bootstrap.kafka_topics import connector_config, kafka_reading
from trueup.bootstrap.presence import Guarded, Presence
from trueup.services.group import TableBook
from verifier.errors import Misconfigured, Permanent, Temporary
from verifier.offsets import OffsetIndex
from verifier.ports import ChangeStream
from verifier.table import Table, TableName

if TYPE_CHECKING:
    from connectors.debezium.modes import Modes

_CONNECT_SECONDS = 5.0
_CAPTURE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class OpenStream:
    """`index`: where transactions lie in the topics that are read (None: there are no topics).
    `alive` tells when the source was last heard of and what is wrong with it; `heard` notes a poll that returned;
    `publication` is what the source reads on the leader;
    `backlog` is the messages not read yet (None: not a matter of messages)."""

    kind: str
    stream: ChangeStream
    publication: str
    alive: Callable[[], tuple[float, str] | None]
    heard: Callable[[float], None]
    backlog: Callable[[], int | None] = lambda: None
    captured: Callable[[frozenset[TableName]], frozenset[TableName]] = lambda tables: tables
    """Of these published tables those that the source passes on in full."""
    strangers: Callable[[], Collection[TableName]] = tuple
    """Tables that changed, and that nobody knew as the group's; each is named once."""
    index: OffsetIndex | None = None


def open_stream(group: Group, leader_url: str, book: TableBook) -> OpenStream | None:
    """Nothing is connected yet. None without a stream; Misconfigured if a needed library is not installed."""
    if group.stream is None:
        return None
    if group.stream.kind == "pgoutput":
        return pgoutput_stream(group.stream.pgoutput or PgoutputSettings(), leader_url, group.leader.name, book)
    if group.stream.kind == "binlog":
        settings = group.stream.binlog or BinlogSettings()
        return binlog_stream(settings, leader_url, f"{group.name} {group.leader.name}", book)
    if group.stream.kafka is None:
        raise Misconfigured(f"group {group.name!r}: stream.kind is kafka, but there is no section stream.kafka")
    return _kafka(group.name, group.stream.kafka, book)


def pgoutput_stream(settings: PgoutputSettings, url: str, name: str, book: TableBook) -> OpenStream:
    """PostgreSQL's own logical decoding. Nothing is connected yet. `name`: the leader's, in messages."""
    from connectors.pgoutput.stream import PgoutputStream

    def key_of(table: object) -> tuple[str, ...] | None:
        known = book.known_table(table)  # type: ignore[arg-type]
        return known.key if known is not None and known.key else None

    stream = PgoutputStream(
        url,
        slot=settings.slot,
        publication=settings.publication,
        key_of=key_of,
        create=settings.create,
        temporary=settings.temporary,
        name=name,
    )
    heard = _Heard()

    def alive() -> tuple[float, str] | None:
        silent = stream.silent_seconds
        return None if silent is None else (heard.at, "")

    return OpenStream("pgoutput", stream, settings.publication, alive, heard.note)


def binlog_stream(settings: BinlogSettings, url: str, name: str, book: TableBook) -> OpenStream:
    """What MariaDB and MySQL write. Nothing is connected yet. `name` tells readers of one leader apart. Misconfigured
    if the leader is of another engine, or the library is not installed."""
    if book.leader.dialect not in ("mysql", "mariadb"):
        raise Misconfigured(
            f"{name}: the stream's kind is binlog, and the leader is {book.leader.dialect}; a binlog is what MariaDB "
            "and MySQL write"
        )
    try:
        from connectors.binlog.stream import BinlogStream
    except ImportError as error:
        raise Misconfigured(f"reading a binlog needs one more library ({error}): install trueup[binlog]") from error

    described = Described(book)
    stream = BinlogStream(url, table_of=described.table, server_id=settings.server_id, name=name)
    heard = _Heard()

    def alive() -> tuple[float, str] | None:
        silent = stream.silent_seconds
        return None if silent is None else (heard.at, "")

    return OpenStream("binlog", stream, "", alive, heard.note, strangers=described.strangers)


@dataclass(slots=True)
class Described:
    """The group's tables as decoders need them, and what they asked for in vain."""

    book: TableBook
    _listed: tuple[TableName, ...] = ()
    _ours: frozenset[TableName] = frozenset()
    _strangers: set[TableName] = field(default_factory=set)

    def strangers(self) -> Collection[TableName]:
        """Tables that were asked for and are not the group's, since the last call."""
        found, self._strangers = self._strangers, set()
        return found

    def table(self, name: TableName) -> Table | None:
        """None for a table that is not the group's. Temporary while the leader cannot say: rows of a table that nobody
        can describe now must wait, not go by."""
        listed = self.book.names()
        if listed is not self._listed:
            self._listed, self._ours = listed, frozenset(listed)
        if name not in self._ours:
            self._strangers.add(name)
            return None
        try:
            return self.book.table(name)
        except Permanent:  # it is ours, and nobody can say what its rows are
            return Table(name, (), ())


def _kafka(group: str, settings: KafkaSettings, book: TableBook) -> OpenStream:
    connector = settings.connector or group
    presence = Presence(connector, book.leader.position)
    capture = _Capture(settings.connect_url, connector, settings.topic_prefix, presence)
    described = Described(book)
    index = OffsetIndex(monotonic, RLock())
    stream = Deferred(lambda: _kafka_stream(group, connector, settings, described, capture, index, stream.ends.append))
    heard = _Heard()
    health = _Connector(settings.connect_url, connector, heard, capture, lambda: _lacking(stream))
    publication = settings.publication or "dbz_publication"
    return OpenStream(
        "kafka",
        Guarded(stream, presence),
        publication,
        health.alive,
        heard.note,
        lambda: _backlog(stream),
        capture.of,
        described.strangers,
        index,
    )


def _kafka_stream(
    group: str,
    connector: str,
    settings: KafkaSettings,
    described: Described,
    capture: _Capture,
    index: OffsetIndex,
    beside: Callable[[Callable[[], None]], None],
) -> ChangeStream:
    from connectors.kafka.stream import KafkaStream

    reading = kafka_reading(readers_of(group), connector, settings, described)
    beside(reading.close)
    capture.modes = reading.decoder.modes
    return KafkaStream(reading.consumer, reading.decoder, settings.topic_prefix, index=index)


def _backlog(stream: Deferred) -> int | None:
    from connectors.kafka.stream import KafkaStream

    return stream.made.backlog() if isinstance(stream.made, KafkaStream) else None


def _lacking(stream: Deferred) -> str:
    from connectors.kafka.stream import KafkaStream

    return stream.made.lacking() if isinstance(stream.made, KafkaStream) else ""


@dataclass(slots=True)
class _Capture:
    """What the connector's lists let through, read anew every second: a connector that is told something new needs
    longer to start again. While Connect does not answer the last known configuration holds; without `url` the connector
    is taken to be the template's. Nothing is told where it spells values otherwise than they are read (`modes`), where
    it writes to topics of another `prefix`, and where it is not there at all."""

    url: str | None
    name: str
    prefix: str
    presence: Presence
    config: Mapping[str, str] | None = None
    asked_at: float = 0.0
    modes: Modes | None = None
    _known: tuple[Mapping[str, str], frozenset[TableName], frozenset[TableName]] | None = None
    """A configuration, tables, and those of them that it lets through: lists of thousands take a second to read."""

    def of(self, tables: frozenset[TableName]) -> frozenset[TableName]:
        from time import monotonic

        from connectors.debezium.capture import captured

        if self.url is None:
            return tables
        if monotonic() - self.asked_at > _CAPTURE_SECONDS:
            self.asked_at = monotonic()
            with suppress(Temporary, Permanent):  # whoever watches the connector's health reports it
                self._ask(self.url)
        told = self.config if self.presence.whole and not self.misread and not self.misdirected else None
        if told is None:
            return frozenset()
        if self._known is None or self._known[:2] != (told, tables):
            self._known = told, tables, captured(told, tables)
        return self._known[2]

    def _ask(self, url: str) -> None:
        from connectors.debezium.connect import NotRegistered

        try:
            self.config = connector_config(url, self.name)
        except NotRegistered:
            self.presence.absent()
            raise
        self.presence.present()

    @property
    def misdirected(self) -> str:
        """The prefix of the topics to which the connector writes, if that is not the one that is read."""
        told = (self.config or {}).get("topic.prefix", self.prefix)
        return told if told != self.prefix else ""

    @property
    def misread(self) -> bool:
        """Whether the connector, as it was last asked, spells values otherwise than they are read."""
        from connectors.debezium.modes import Modes

        return None not in (self.modes, self.config) and self.modes != Modes.of(self.config or {})


@dataclass(slots=True)
class _Heard:
    """When a poll of the stream last returned."""

    at: float = 0.0

    def note(self, at: float) -> None:
        self.at = at


@dataclass(slots=True)
class _Connector:
    """A sign of life needs both: our poll returns, and the connector's task runs."""

    url: str | None
    name: str
    heard: _Heard
    capture: _Capture
    lacking: Callable[[], str] = lambda: ""
    asked_at: float = 0.0
    fault: str = ""

    def alive(self) -> tuple[float, str] | None:
        from time import monotonic

        if self.url is None:
            self.fault = self.lacking()
        elif monotonic() - self.asked_at > _CONNECT_SECONDS:
            self.asked_at = monotonic()
            self.fault = self._ask(self.url)
        return (self.heard.at, self.fault) if self.heard.at else None

    def _ask(self, url: str) -> str:
        from connectors.debezium.connect import Connect, NotRegistered
        from connectors.debezium.failures import kind

        try:
            status = Connect(url).status(self.name)
            self.capture.presence.present()
        except NotRegistered:
            self.capture.presence.absent()
            return f"connector {self.name} is not known to Kafka Connect: trueup connector register"
        except (Temporary, Permanent) as problem:
            return str(problem)
        if status.traces:
            return f"connector {self.name}: {kind(status.traces[0])}; see trueup connector status"
        if status.running and self.capture.misread:
            return f"connector {self.name} spells values otherwise than when trueup started: restart trueup"
        if other := self.capture.misdirected:
            return f"connector {self.name} writes to topics of prefix {other}: set stream.kafka.topic_prefix: {other}"
        if status.running:
            return ""
        return f"connector {self.name}: {status.state.lower()}"
